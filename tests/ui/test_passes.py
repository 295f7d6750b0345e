"""Steps in passes of a loop, and the way back from a value, as a person sees them."""

import pytest

from ui.components.data_view import path_in
from ui.editor.canvas import Canvas
from ui.passes import fold_passes, numbers_of

pytestmark = pytest.mark.anyio

LOOP = """
treadle: 1
name: Doubles
nodes:
  start: {use: trigger.manual, with: {sample: [{n: 1}, {n: 2}, {n: ODD}]}}
  each: {use: flow.loop, on_error: ERRORS}
  double: {title: Twice, use: data.set, with: {fields: {twice: item.n * 2}}}
  after: {use: data.set, with: {fields: {more: item.twice + 1}}}
edges: [start -> each, each.each -> double, double -> each.next, each.done -> after]
"""
GOOD = LOOP.replace("ODD", "3").replace("ERRORS", "stop")
BAD = LOOP.replace("ODD", "no number}, {n: 4").replace("ERRORS", "ignore")


def rows(stage):
    (table,) = stage.marked("table")
    return [[cell[0] for cell in row] for row in table._props["rows"]]


async def test_the_passes_of_a_step_are_one(stage):
    """
    One entry per step, its items counted together; the frame's notes about its passes are not steps.
    """
    run = await stage.a_run(await stage.a_workflow(GOOD))
    folded = fold_passes(await stage.studio.runs.steps(run.id))
    assert {"start": 1, "each": 1, "double": 3, "after": 1} == {node: len(ran) for node, ran in folded.items()}
    assert (3, 3, "succeeded") == (
        folded["double"].whole.items_in,
        folded["double"].whole.ports["out"].count,
        folded["double"].whole.status,
    )
    assert "each:2" == folded["double"].choose().scope, "the last one"
    assert "each:0" == folded["double"].choose("each:0").scope
    assert "each:2" == folded["double"].choose("each:7").scope


async def test_a_pass_that_failed_is_shown_first(stage):
    """
    One row says how many passes there were and how many failed; the picker leads to each of them.
    """
    run = await stage.a_run(await stage.a_workflow(BAD))
    assert "succeeded" == run.status, run.error
    await stage.user.open(f"/runs/{run.id}")
    assert 1 == len(stage.marked("bar-double"))
    assert "4 passes · 1 failed" in stage.texts("bar-double")
    canvas = stage.one(Canvas)
    assert ("failed", "4 passes · 1 failed") == (canvas._status["double"].state, canvas._status["double"].passes)

    stage.user.find(marker="bar-double").click()
    await stage.until(lambda: stage.texts("pass-count") == ["of 4 · 1 failed"])
    assert [3] == [field.value for field in stage.marked("pass")]
    await stage.until(lambda: stage.marked("table") and rows(stage) == [["no number"]])

    stage.user.find(marker="pass-after").click()
    await stage.until(lambda: rows(stage) == [["4", "8"]] or rows(stage) == [["4"]])
    (number,) = stage.marked("pass")
    number.value = 1
    await stage.until(lambda: rows(stage) in ([["1", "2"]], [["1"]]))
    stage.user.find(marker="pass-failed").click()
    await stage.until(lambda: rows(stage) == [["no number"]])


async def test_the_editor_shows_passes_too(stage):
    """
    One badge on the card, and the picker in the panel below.
    """
    workflow = await stage.a_workflow(GOOD)
    await stage.a_run(workflow)
    canvas = await stage.open_editor(workflow)
    await stage.until(lambda: canvas._status.get("double"))
    assert ("succeeded", 3, "3 passes") == (
        canvas._status["double"].state,
        canvas._status["double"].items,
        canvas._status["double"].passes,
    )
    stage.fire(canvas, "select", {"nodes": ["double"], "edges": []})
    await stage.until(lambda: stage.texts("pass-count") == ["of 3"])
    await stage.until(lambda: stage.marked("table") and rows(stage) == [["3", "6"]])


async def test_a_test_in_the_editor_counts_passes_as_they_go(stage):
    """
    What is heard while the run goes and what is read when it is over are the same count.
    """
    canvas = await stage.open_editor(await stage.a_workflow(BAD))
    stage.user.find(marker="test").click()
    await stage.until(lambda: stage.texts("run-status") == ["Succeeded"])
    await stage.until(lambda: canvas._status["double"].passes == "4 passes · 1 failed")


async def test_a_value_leads_back_to_its_source(stage):
    """
    A click on a value shows the chain with expressions and passes; a click on a step shows that step, in that pass.
    """
    run = await stage.a_run(await stage.a_workflow(GOOD))
    await stage.user.open(f"/runs/{run.id}")
    stage.user.find(marker="bar-after").click()
    await stage.until(lambda: stage.marked("table") and rows(stage)[1] == ["2", "4", "5"])
    stage.fire(stage.marked("table")[0], "trace", [1, 2])
    await stage.until(lambda: stage.marked("origin-0"))
    assert {"After", "item 2 at out", "more", "5", "= item.twice + 1"} <= set(stage.texts("origin-0"))
    found = {number: stage.texts(f"origin-{number}") for number in range(12) if stage.marked(f"origin-{number}")}
    computed = next(number for number, said in found.items() if "Twice" in said)
    assert {"item 1 at out · pass 2", "twice", "4", "= item.n * 2", "computed"} <= set(found[computed])
    assert any({"Start", "n", "2", "its source"} <= set(said) for said in found.values())

    stage.user.find(marker=f"origin-{computed}").click()
    await stage.until(lambda: stage.texts("pass-count") == ["of 3"] and stage.marked("table") and rows(stage) == [["2", "4"]])


async def test_what_arrived_leads_back_as_well(stage):
    """
    The way from an input begins at the step it came from; in a pass, through the loop.
    """
    run = await stage.a_run(await stage.a_workflow(BAD))
    await stage.user.open(f"/runs/{run.id}")
    stage.user.find(marker="bar-double").click()
    await stage.until(lambda: stage.marked("table") and rows(stage) == [["no number"]])
    stage.fire(stage.marked("table")[0], "trace", [0, 0])
    await stage.until(lambda: stage.marked("origin-1"))
    assert {"Each", "n", '"no number"'} <= set(stage.texts("origin-0"))
    assert {"Start", "item 3 at out", "its source"} <= set(stage.texts("origin-1"))


def test_passes_have_numbers_for_people():
    """
    Counted from 1, the outermost first; what cannot be a path is the item as a whole, or the part before it.
    """
    assert ((), (4,), (1, 4)) == (numbers_of(""), numbers_of("loop:3"), numbers_of("outer:0/inner:3"))
    assert ("", "a", "a.b", "a") == (path_in(["a.b"]), path_in(["a", 0, "c"]), path_in(["a", "b"]), path_in(["a", ""]))
