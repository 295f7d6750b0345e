"""The editor, told by its events: everything but the browser."""

import pytest
from nicegui import ui

from engine.model.changes import Move
from ui.editor.fields.expression_input import ExpressionInput

pytestmark = pytest.mark.anyio


def edge(source, target, source_port="out", target_port="in"):
    return {
        "op": "add",
        "nodes": [],
        "edges": [{"source": source, "target": target, "source_port": source_port, "target_port": target_port}],
    }


async def draft_of(stage, workflow_id):
    return await stage.studio.drafts.open(workflow_id)


async def test_the_graph_goes_out_once_the_browser_is_there(stage):
    """
    The canvas gets every node with what it is set to, every line, and the problems.
    """
    await stage.open_editor(await stage.a_workflow())
    graph = next(call[1] for call in stage.calls if call[0] == "load")
    assert [("start", 0), ("grown_up", 300), ("greet", 600)] == [(node["id"], node["x"]) for node in graph["nodes"]]
    assert "(item.age ?? 0) >= 18" == graph["nodes"][1]["sub"]
    assert ["out", "rejected"] == [port["name"] for port in graph["nodes"][1]["ports_out"]]
    assert {"start.out->grown_up.in", "grown_up.out->greet.in"} == {line["id"] for line in graph["edges"]}


async def test_a_gesture_is_stored_and_acknowledged(stage):
    """
    Moving and drawing go into the shared draft, and the browser hears that they did.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    stage.fire(canvas, "ops", {"seq": 1, "ops": [{"op": "move", "to": [["greet", 620.4, 80]]}]})
    await stage.until(lambda: ("ack", 1) in stage.calls)
    assert (620, 80) == draft.document.layout["greet"]

    stage.fire(canvas, "ops", {"seq": 2, "ops": [edge("grown_up", "greet", "rejected")]})
    await stage.until(lambda: ("ack", 2) in stage.calls)
    assert "grown_up.rejected -> greet" in [str(line) for line in draft.document.edges]


async def test_a_circle_is_refused_and_put_right(stage):
    """
    The browser is told why, and how to look like the truth again.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "ops", {"seq": 7, "ops": [edge("greet", "grown_up")]})
    (answer,) = await stage.until(lambda: [call[1] for call in stage.calls if call[0] == "reject"])
    assert 7 == answer["seq"]
    assert "circle" in answer["reason"]
    assert [{"op": "del", "nodes": [], "edges": ["greet.out->grown_up.in"]}] == answer["fix"]
    assert 2 == len((await draft_of(stage, workflow)).document.edges)


async def test_undo_brings_a_deleted_step_back_with_its_settings(stage):
    """
    Delete, undo, redo: the canvas gets the difference each time.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    before = draft.write()
    gone = {"op": "del", "nodes": ["grown_up"], "edges": ["start.out->grown_up.in", "grown_up.out->greet.in"]}
    stage.fire(canvas, "ops", {"seq": 1, "ops": [gone]})
    await stage.until(lambda: "grown_up" not in draft.document.nodes)

    stage.fire(canvas, "undo")
    await stage.until(lambda: "grown_up" in draft.document.nodes)
    assert before == draft.write()
    ops = next(call[1] for call in reversed(stage.calls) if call[0] == "apply")
    assert ["add"] == [op["op"] for op in ops]
    assert 2 == len(ops[0]["edges"])

    stage.user.find(marker="redo").click()
    await stage.until(lambda: "grown_up" not in draft.document.nodes)


async def test_a_step_dropped_on_a_line_is_put_between(stage):
    """
    A drop, a plus sign and the palette all add a step, wired as asked, and select it.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    stage.fire(canvas, "drop", {"use": "data.sort", "x": 450, "y": 0, "edge": "grown_up.out->greet.in"})
    await stage.until(lambda: "sort" in draft.document.nodes)
    assert {"grown_up -> sort", "sort -> greet"} <= {str(line) for line in draft.document.edges}
    await stage.until(lambda: ("focus", "sort") in stage.calls)

    stage.fire(canvas, "quick_add", {"x": 900, "y": 0, "left": 10, "top": 10, "source": "greet", "port": "out", "edge": None})
    stage.user.find(marker="quick-search").type("limit").trigger("keydown.enter")
    await stage.until(lambda: "greet -> limit" in {str(line) for line in draft.document.edges})

    stage.user.find(marker="step-flow.merge").click()
    await stage.until(
        lambda: "limit -> merge.a" in {str(line) for line in draft.document.edges}, "wired behind the selected one"
    )


async def test_selecting_a_step_opens_its_form_with_previews(stage):
    """
    Fields come from what the step says about itself; an expression is computed on the data of the last run.
    """
    workflow = await stage.a_workflow()
    await stage.a_run(workflow)
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up"], "edges": []})
    await stage.user.should_see("Keep items where")
    await stage.until(lambda: stage.texts("preview-value") == ["true"])
    await stage.user.should_see("1 of 3")

    stage.user.find(marker="next-item").click()
    await stage.until(lambda: stage.texts("preview-value") == ["false"], "Bob is seventeen")


async def test_typing_an_expression_writes_it_and_an_error_points_at_the_place(stage):
    """
    A good one is stored with its value shown; a bad one shows the caret below the place, where it is typed.
    """
    workflow = await stage.a_workflow()
    await stage.a_run(workflow)
    canvas = await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up"], "edges": []})
    await stage.until(lambda: stage.marked("input-where"))
    box = stage.one(ExpressionInput)
    stage.fire(box, "update:value", "item.name == 'Ada'")
    await stage.until(lambda: draft.document.nodes["grown_up"].fields["where"] == "item.name == 'Ada'")
    await stage.until(lambda: stage.texts("preview-value") == ["true"])

    stage.fire(box, "update:value", "item.age * item.height > 1")
    await stage.until(lambda: stage.texts("preview-error"))
    shown = stage.texts("preview")
    assert "item.age * item.height > 1\n         ^" in shown
    assert any("null" in line for line in shown)
    assert box._props["bad"] is True


async def test_undo_reaches_the_open_form(stage):
    """
    A form never shows what is no longer true.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up"], "edges": []})
    await stage.until(lambda: stage.marked("input-where"))
    stage.fire(stage.one(ExpressionInput), "update:value", "false")
    draft = await draft_of(stage, workflow)
    await stage.until(lambda: draft.document.nodes["grown_up"].fields["where"] == "false")
    stage.user.find(marker="undo").click()
    await stage.until(lambda: stage.one(ExpressionInput).value == "(item.age ?? 0) >= 18")


async def test_problems_stand_at_the_node_at_the_field_and_in_the_bar(stage):
    """
    The same sentence in three places, each a click from the field.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up"], "edges": []})
    await stage.until(lambda: stage.marked("input-where"))
    stage.fire(stage.one(ExpressionInput), "update:value", "")
    await stage.user.should_see("“Keep items where” is missing.")
    await stage.user.should_see("1 problem")
    told = [call[1] for call in stage.calls if call[0] == "problems"][-1]
    assert ["grown_up"] == list(told)

    stage.user.find(marker="test").click()
    await stage.until(lambda: any("missing" in str(notice) for notice in stage.user.notify.messages))
    assert [] == await stage.treadle.store.read(lambda work: work.runs.list_open())


async def test_a_test_run_shows_states_counts_and_data(stage):
    """
    Press Test: every step turns green, every line counts its items, the selected step shows its data.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up"], "edges": []})
    stage.user.find(marker="test").click()
    await stage.until(lambda: stage.texts("run-status") == ["Succeeded"])
    seen = {}
    for call in stage.calls:
        if call[0] == "status":
            seen |= {node: row[0] for node, row in call[1]["nodes"].items()}
    await stage.until(lambda: stage.marked("table"))
    (table,) = stage.marked("table")
    assert ["name", "age"] == [column["label"] for column in table._props["columns"]]
    assert [["Ada", "string", "", ""], ["36", "number", "", ""]] == table._props["rows"][0]
    assert 1 == len(table._props["rows"])
    await stage.until(lambda: canvas._status.keys() == {"start", "grown_up", "greet"})
    assert {"succeeded"} == {status.state for status in canvas._status.values()}
    assert {"start.out->grown_up.in": 3, "grown_up.out->greet.in": 1} == canvas._counts

    stage.user.find(marker="tab-out:rejected").click()
    await stage.until(lambda: stage.texts("item-count") == ["2 items"])
    stage.user.find(marker="tab-json").click()
    await stage.until(lambda: not stage.marked("table"))


async def test_a_step_that_fails_says_why_in_the_panel(stage):
    """
    The sentence and the hint stand where the data would be.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up"], "edges": []})
    await stage.until(lambda: stage.marked("input-where"))
    stage.fire(stage.one(ExpressionInput), "update:value", "item.age * 2 > 1")
    await stage.until(lambda: draft.document.nodes["grown_up"].fields["where"] == "item.age * 2 > 1")
    stage.user.find(marker="test").click()
    await stage.until(lambda: stage.texts("run-status") == ["Failed"])
    await stage.until(lambda: stage.texts("step-error"))
    assert any("null" in line for line in stage.texts("step-error"))
    assert "failed" == canvas._status["grown_up"].state
    assert canvas._status["grown_up"].error


async def test_two_tabs_see_the_same_draft(stage):
    """
    A change made elsewhere reaches this canvas as ops, not as a reload.
    """
    workflow = await stage.a_workflow()
    await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    stage.calls.clear()
    await draft.apply(Move(to={"greet": (700, 10)}), "somebody else")
    assert [("apply", [{"op": "move", "to": [["greet", 700.0, 10.0]]}])] == [call for call in stage.calls if call[0] == "apply"]


async def test_the_document_as_text_can_be_changed(stage):
    """
    What does not fit is listed with its line; what fits becomes the draft, as one step of undo.
    """
    workflow = await stage.a_workflow()
    await stage.open_editor(workflow)
    stage.user.find(marker="text").click()
    await stage.user.should_see(marker="document")
    editor = stage.one(ui.codemirror)
    assert editor.value.startswith("treadle: 1\nname: People\n")
    editor.value = editor.value.replace("nodes:", "knots:")
    stage.user.find(marker="apply-text").click()
    await stage.until(lambda: any("Line 3" in line for line in stage.texts("document-problem")))

    editor.value = editor.value.replace("knots:", "nodes:").replace("name: People", "name: Persons")
    stage.user.find(marker="apply-text").click()
    draft = await draft_of(stage, workflow)
    await stage.until(lambda: draft.document.name == "Persons")


async def test_copy_text_is_at_hand_after_every_selection(stage):
    """
    The browser copies document text, which pastes anywhere, here under fresh ids.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up", "greet"], "edges": []})
    kept = next(call[1] for call in reversed(stage.calls) if call[0] == "clipboard")
    assert "grown_up -> greet" in kept["text"]
    stage.fire(canvas, "paste", {"text": kept["text"], "x": 100, "y": 300})
    draft = await draft_of(stage, workflow)
    await stage.until(lambda: "greet_2" in draft.document.nodes)
    assert "grown_up_2 -> greet_2" in [str(line) for line in draft.document.edges]


async def test_publishing_asks_for_a_message(stage):
    """
    The switch makes a version with the message; the draft goes on being edited.
    """
    workflow = await stage.a_workflow()
    await stage.open_editor(workflow)
    stage.user.find(marker="active").click()
    await stage.user.should_see("Publish a version")
    stage.user.find(marker="ask").type("first one")
    stage.user.find(marker="confirm").click()
    await stage.user.should_see("is on: its triggers start runs now")
    assert 1 == len(stage.user.notify.messages), "the switch that waits for an answer says nothing"
    (version,) = await stage.studio.versions.list_page(workflow)
    assert "first one" == version.message


async def test_a_workflow_that_is_gone_says_so(stage):
    """
    An old link leads to a sentence, not to a stack trace.
    """
    await stage.user.open("/workflows/wf_gone")
    await stage.user.should_see("There is no workflow “wf_gone”.")


async def test_conduct_is_written_into_the_document(stage):
    """
    What happens on failure is set in the form: error port, tries, time limit.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await draft_of(stage, workflow)
    stage.fire(canvas, "select", {"nodes": ["greet"], "edges": []})
    await stage.until(lambda: stage.marked("on-error"))
    (on_error,) = stage.marked("on-error")
    on_error.value = "route"
    await stage.until(lambda: draft.document.nodes["greet"].on_error == "route")
    (attempts,) = stage.marked("attempts")
    attempts.value = 4
    await stage.until(lambda: draft.document.nodes["greet"].retry)
    (timeout,) = stage.marked("timeout")
    timeout.value = "1m30s"
    await stage.until(lambda: draft.document.nodes["greet"].timeout)
    node = draft.document.nodes["greet"]
    assert ("route", 4, 90) == (node.on_error, node.retry.attempts, node.timeout.total_seconds())
    ports = [
        op["data"]["ports_out"]
        for call in stage.calls
        if call[0] == "apply"
        for op in call[1]
        if "ports_out" in op.get("data", {})
    ]
    assert ["out", "error"] == [port["name"] for port in ports[-1]]
