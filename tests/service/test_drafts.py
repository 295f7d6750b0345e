"""Drafts: one shared object per workflow, changed by gestures, each of them on disk and each to be undone."""

import asyncio
import logging

import pytest

from engine.errors import BadRequest, Conflict, InvalidDocument, NotFound, StoreError
from engine.ids import WorkflowId
from engine.model.changes import AddEdges, Batch, Describe, Move, RemoveEdges, RemoveNodes, Rename, SetField, SetNode
from engine.model.workflow import Edge
from tests.run.workshop import Outside, an_edge
from tests.service.workbench import BROKEN, DOUBLE, a_treadle, an_actor, called, owner_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def draft(studio):
    return await studio.drafts.open((await studio.workflows.create(DOUBLE)).id)


def twice(expression):
    return SetField("double", "fields", {"twice": expression})


def expression_of(draft):
    return draft.document.nodes["double"].fields["fields"]["twice"]


async def test_everybody_edits_the_same_draft(treadle, draft):
    """
    Whoever opens a workflow gets the same object, so a change by one is seen by all.
    """
    other = await treadle.studio(an_actor(name="bob")).drafts.open(draft.workflow_id)
    assert draft is other
    opened = await asyncio.gather(*(owner_of(treadle).drafts.open(draft.workflow_id) for _ in range(5)))
    assert {id(draft)} == {id(one) for one in opened}
    with pytest.raises(NotFound):
        await owner_of(treadle).drafts.open(WorkflowId("wf_none"))


async def test_each_change_is_saved_and_counted(treadle, studio, draft):
    """
    Every gesture grows the revision by one and is on disk, canonical, when its call returns; the bus tells of it.
    """
    told = []
    treadle.bus.subscribe(told.append)
    for number, expression in enumerate(["item.n * 3", "item.n * 4", "item.n * 5"], start=2):
        await draft.apply(twice(expression), "ada")
        stored = await studio.workflows.get("Double")
        assert (number, number, draft.write()) == (draft.revision, stored.revision, stored.draft)
        assert expression in stored.draft
    assert [("draft", 2), ("draft", 3), ("draft", 4)] == [(event.change, event.revision) for event in told]


async def test_many_changes_at_once_end_in_one_truth(studio, draft):
    """
    Gestures that come faster than the disk are all applied in their order; the store ends with the last state.
    """
    await asyncio.gather(*(draft.apply(Move({"double": (number, number)}), "ada") for number in range(40)))
    stored = await studio.workflows.get("Double")
    assert ((39, 39), 41, draft.write()) == (draft.document.layout["double"], stored.revision, stored.draft)


async def test_undo_and_redo(studio, draft):
    """
    Undo takes back the last change, redo does it again, byte for byte; both are changes that are saved.
    """
    before = draft.write()
    assert (False, False) == (await draft.undo("ada"), await draft.redo("ada"))
    await draft.apply(RemoveNodes(("double",)), "ada")
    after = draft.write()
    assert (True, before) == (await draft.undo("ada"), draft.write())
    assert before == (await studio.workflows.get("Double")).draft
    assert (True, after) == (await draft.redo("ada"), draft.write())
    assert (True, before) == (await draft.undo("ada"), draft.write())
    assert 5 == draft.revision


async def test_each_author_undoes_their_own(draft):
    """
    With two people at work, undo takes back the last thing that this one did, whatever the other did since.
    """
    await draft.apply(twice("item.n * 3"), "ada")
    await draft.apply(Move({"double": (500, 0)}), "bob")
    await draft.apply(Describe("for the demo"), "ada")
    await draft.apply(Move({"start": (10, 10)}), "bob")
    assert await draft.undo("ada")
    assert await draft.undo("ada")
    assert (None, "item.n * 2", (500, 0), (10, 10)) == (
        draft.document.description,
        expression_of(draft),
        draft.document.layout["double"],
        draft.document.layout["start"],
    )
    assert not await draft.undo("ada")
    assert await draft.undo("bob")
    assert (0, 0) == draft.document.layout["start"]
    assert await draft.redo("ada")
    assert ("item.n * 3", None) == (expression_of(draft), draft.document.description)


async def test_an_undo_that_no_longer_fits_is_passed_over(draft):
    """
    Where the other has removed the node meanwhile, undo goes on to the step before instead of failing.
    """
    await draft.apply(Describe("first"), "ada")
    await draft.apply(twice("item.n * 3"), "ada")
    await draft.apply(RemoveNodes(("double",)), "bob")
    assert await draft.undo("ada")
    assert (None, ["start"]) == (draft.document.description, list(draft.document.nodes))
    assert not await draft.undo("ada")


async def test_a_new_change_ends_what_could_be_redone(draft):
    """
    After a change there is nothing to redo for its author; what the other took back can still be redone.
    """
    await draft.apply(twice("item.n * 3"), "ada")
    await draft.apply(Move({"start": (5, 5)}), "bob")
    await draft.undo("ada")
    await draft.undo("bob")
    assert (True, True) == (draft.history.can_redo("ada"), draft.history.can_redo("bob"))
    await draft.apply(twice("item.n * 4"), "ada")
    assert (False, True) == (draft.history.can_redo("ada"), draft.history.can_redo("bob"))
    assert (False, "item.n * 4") == (await draft.redo("ada"), expression_of(draft))


async def test_undo_does_not_take_a_name_back_that_is_taken(studio, draft):
    """
    Renamed, and the old name given to another workflow: undo passes over the renaming.
    """
    await draft.apply(twice("item.n * 3"), "ada")
    await draft.apply(Rename("Twice"), "ada")
    await studio.workflows.create(called("Double"))
    assert await draft.undo("ada")
    assert ("Twice", "item.n * 2") == (draft.document.name, expression_of(draft))
    assert "Twice" == (await studio.workflows.get(draft.workflow_id)).name


async def test_a_name_taken_in_the_last_moment_goes_back(studio, draft, monkeypatch):
    """
    Should somebody take the new name between asking and writing, the old one comes back and the draft can still be saved.
    """
    await studio.workflows.create(called("Other"))
    monkeypatch.setattr(draft, "_check_name", lambda change: asyncio.sleep(0))
    with pytest.raises(Conflict, match="Other"):
        await draft.apply(Batch((Rename("Other"), twice("item.n * 3"))), "ada")
    stored = await studio.workflows.get(draft.workflow_id)
    assert ("Double", draft.write(), draft.revision) == (stored.name, stored.draft, stored.revision)
    await draft.apply(twice("item.n * 4"), "ada")
    assert "item.n * 4" in (await studio.workflows.get("Double")).draft


async def test_what_does_not_fit_changes_nothing(studio, draft):
    """
    A gesture that makes no sense is refused; document, revision and undo stay as they were.
    """
    before = draft.write()
    for wrong in [
        SetField("nobody", "a", 1),
        RemoveEdges((an_edge("double -> start"),)),
        AddEdges((an_edge("start -> double"),)),
    ]:
        with pytest.raises(Conflict):
            await draft.apply(wrong, "ada")
    with pytest.raises(BadRequest):
        await draft.apply(SetNode("double", {"colour": "red"}), "ada")
    with pytest.raises(Conflict):
        await draft.apply(Batch((twice("item.n * 9"), SetField("nobody", "a", 1))), "ada")
    assert (before, 1, False) == (draft.write(), draft.revision, draft.history.can_undo("ada"))
    assert 1 == (await studio.workflows.get("Double")).revision


async def test_problems_follow_each_change(draft):
    """
    What is wrong is known after each gesture; only errors keep a draft from running.
    """
    assert ([], []) == (draft.problems, draft.errors)
    await draft.apply(twice("item.n *"), "ada")
    (problem,) = draft.errors
    assert ("double", "fields") == (problem.node, problem.field)
    await draft.undo("ada")
    assert [] == draft.errors
    await draft.apply(RemoveEdges((Edge("start", "double"),)), "ada")
    assert {"warning"} == {problem.severity for problem in draft.problems}
    assert [] == draft.errors


async def test_add_a_step_where_a_line_ends(draft):
    """
    A step pulled out of a port is connected to it, by its first in-port, with a readable id of its own.
    """
    first = await draft.add_step("data.filter", (600, 40), author="ada", connect_from=("double", "out"))
    second = await draft.add_step("data.filter", (900, 40), author="ada", connect_from=(first, "rejected"))
    assert ("filter", "filter_2", (600, 40)) == (first, second, draft.document.layout["filter"])
    assert ("double -> filter", "filter.rejected -> filter_2") == tuple(map(str, draft.document.edges[1:]))
    merge = await draft.add_step("flow.merge", (0, 0), author="ada", connect_from=("double", "out"))
    assert f"double -> {merge}.a" == str(draft.document.edges[-1])
    lonely = await draft.add_step("data.sort", (0, 0), author="ada")
    assert not [edge for edge in draft.document.edges if lonely in (edge.source, edge.target)]
    with pytest.raises(NotFound, match=r"data\.filtre"):
        await draft.add_step("data.filtre", (0, 0), author="ada")


async def test_add_a_step_on_a_line(draft):
    """
    A step dropped on a line splits it; one undo brings the line back. A trigger has no way in and splits nothing.
    """
    before = draft.write()
    line = draft.document.edges[0]
    await draft.add_step("data.filter", (150, 0), author="ada", on_edge=line)
    assert ("start -> filter", "filter -> double") == tuple(map(str, draft.document.edges))
    assert (True, before) == (await draft.undo("ada"), draft.write())
    await draft.add_step("trigger.webhook", (0, 300), author="ada", on_edge=line)
    assert (line,) == draft.document.edges
    with pytest.raises(Conflict):
        await draft.add_step("data.sort", (0, 0), author="ada", on_edge=an_edge("double -> start"))


async def test_copy_and_paste_through_text(draft, studio):
    """
    Copied steps are document text; pasted, here or elsewhere, they get ids of their own and keep the lines among them.
    """
    text = draft.copy(["start", "double"])
    assert "data.set" in text
    pasted = await draft.paste(text, (1000, 1000), author="ada")
    assert ["start_2", "double_2"] == pasted
    assert ("start -> double", "start_2 -> double_2") == tuple(map(str, draft.document.edges))
    assert ((1000, 1000), (1300, 1000)) == tuple(draft.document.layout[node] for node in pasted)
    assert await draft.undo("ada")
    assert ["start", "double"] == list(draft.document.nodes)

    other = await studio.drafts.open((await studio.workflows.create("treadle: 1\nname: Empty\n")).id)
    assert ["double"] == await other.paste(draft.copy(["double"]), None, author="ada")
    assert draft.document.nodes["double"] == other.document.nodes["double"]


async def test_pasted_expressions_follow_the_new_ids(draft):
    """
    An expression that names a node of the same lot names its copy afterwards.
    """
    await draft.apply(twice("nodes.start.item.n * 2"), "ada")
    await draft.paste(draft.copy(["start", "double"]), None, author="ada")
    assert {"twice": "nodes.start_2.item.n * 2"} == draft.document.nodes["double_2"].fields["fields"]


async def test_pasting_something_else(draft):
    """
    Text that is no workflow is told as such, and so is one without steps; the draft stays as it is.
    """
    with pytest.raises(InvalidDocument):
        await draft.paste("Dear all, the meeting is at ten: bring cake.", None, author="ada")
    with pytest.raises(BadRequest, match="no steps"):
        await draft.paste("treadle: 1\nname: Nothing\n", None, author="ada")
    assert 1 == draft.revision


async def test_text_can_be_replaced_and_taken_back(draft):
    """
    Editing the whole text is one gesture: undone at once; text that cannot be read changes nothing.
    """
    before = draft.write()
    await draft.replace_text(DOUBLE.replace("double", "treble").replace("* 2", "* 3"), "ada")
    assert ["start", "treble"] == list(draft.document.nodes)
    with pytest.raises(InvalidDocument) as caught:
        await draft.replace_text("treadle: 1\nname: X\nnodes: {a: {uses: data.set, colour: red}}\n", "ada")
    assert 2 <= len(caught.value.problems)
    assert (True, before) == (await draft.undo("ada"), draft.write())


async def test_a_listener_that_raises_disturbs_nobody(draft, caplog):
    """
    The others hear of each change, the failure stands in the log, and who has unsubscribed hears no more.
    """
    heard = []

    def broken(_):
        raise RuntimeError("a page that is gone")

    draft.subscribe(broken)
    leave = draft.subscribe(heard.append)
    with caplog.at_level(logging.ERROR):
        await draft.apply(twice("item.n * 3"), "ada")
    assert [("ada", 2, twice("item.n * 3"))] == [(told.author, told.revision, told.change) for told in heard]
    assert "draft listener failed" in caplog.text
    leave()
    leave()
    await draft.undo("ada")
    assert 1 == len(heard)


@pytest.fixture
async def life(tmp_path):
    """Return a maker of lives of one program on one SQLite file."""
    made = []

    async def begin():
        treadle = a_treadle(tmp_path, Outside(), in_memory=False)
        await treadle.start(engine=False, triggers=False)
        made.append(treadle)
        return treadle

    yield begin
    for treadle in made:
        await treadle.stop()


async def test_a_restart_keeps_the_draft(life):
    """
    The next life of the program opens the draft as it was, at its revision; only undo begins anew.
    """
    first = await life()
    workflow = await owner_of(first).workflows.create(DOUBLE)
    draft = await owner_of(first).drafts.open(workflow.id)
    await draft.apply(twice("item.n * 3"), "ada")
    await draft.apply(Move({"double": (1, 2)}), "ada")
    text = draft.write()
    await first.stop()
    second = await life()
    again = await owner_of(second).drafts.open(workflow.id)
    assert (text, 3, False) == (again.write(), again.revision, again.history.can_undo("ada"))
    await second.stop()


async def test_a_draft_with_problems_survives(life):
    """
    Half-finished work is kept as it is, with its problems, and can be mended after a restart.
    """
    first = await life()
    workflow = await owner_of(first).workflows.create(BROKEN, with_problems=True)
    draft = await owner_of(first).drafts.open(workflow.id)
    await draft.apply(Move({"double": (9, 9)}), "ada")
    known = [problem.text for problem in draft.errors]
    await first.stop()
    second = await life()
    again = await owner_of(second).drafts.open(workflow.id)
    assert known == [problem.text for problem in again.errors] != []
    await again.replace_text(DOUBLE, "ada")
    assert [] == again.errors
    await second.stop()


async def test_when_the_disk_refuses(life, monkeypatch):
    """
    The refusal is raised, the canvas keeps what was done, and the next change that gets through writes all of it.
    """
    treadle = await life()
    studio = owner_of(treadle)
    draft = await studio.drafts.open((await studio.workflows.create(DOUBLE)).id)
    writing = treadle.store.write

    async def refuse(change):
        raise StoreError("The disk is full.", hint="Free some space.")

    monkeypatch.setattr(treadle.store, "write", refuse)
    with pytest.raises(StoreError, match="disk is full"):
        await draft.apply(twice("item.n * 3"), "ada")
    with pytest.raises(StoreError):
        await draft.apply(Describe("kept"), "ada")
    assert (3, "item.n * 3", "kept") == (draft.revision, expression_of(draft), draft.document.description)
    assert 1 == (await studio.workflows.get("Double")).revision

    monkeypatch.setattr(treadle.store, "write", writing)
    await draft.apply(Move({"double": (7, 7)}), "ada")
    stored = await studio.workflows.get("Double")
    assert (4, draft.write()) == (stored.revision, stored.draft)
    assert "kept" in stored.draft
    assert await draft.undo("ada")
    await treadle.stop()
