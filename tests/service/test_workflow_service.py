"""Workflows through the facade: made, replaced, published, switched off, deleted."""

import asyncio
from datetime import timedelta

import pytest

from engine.errors import BadRequest, Conflict, InvalidDocument, NotFound
from engine.model.changes import SetField
from engine.model.codec import read_document
from engine.model.run import RunStatus
from tests.run.workshop import until
from tests.service.workbench import BROKEN, DOUBLE, WAITING, an_actor, called, run_to_end

pytestmark = pytest.mark.anyio


async def test_a_new_workflow_is_switched_off_and_in_canonical_form(studio):
    """
    Whatever way a document was written, the draft is its canonical text, at revision 1, with no trigger on.
    """
    workflow = await studio.workflows.create('{"treadle": 1, "name": "J", "nodes": {"start": {"use": "trigger.manual"}}}')
    expected = "treadle: 1\nname: J\nnodes:\n  start:\n    use: trigger.manual\n"
    assert ("J", expected, 1, None) == (workflow.name, workflow.draft, workflow.revision, workflow.active_version)
    assert workflow == await studio.workflows.get(workflow.id)


async def test_a_name_belongs_to_one_workflow(studio):
    """
    A second workflow of the same name is a conflict that names it; on demand it gets a number behind its name.
    """
    await studio.workflows.create(DOUBLE)
    with pytest.raises(Conflict, match="already a workflow named “Double”") as caught:
        await studio.workflows.create(DOUBLE)
    assert {"name": "Double"} == caught.value.where
    names = [(await studio.workflows.create(DOUBLE, rename=True)).name for _ in range(3)]
    assert ["Double 2", "Double 3", "Double 4"] == names
    assert "name: Double 3\n" in (await studio.workflows.get("Double 3")).draft


async def test_every_error_is_told_and_nothing_is_kept(studio):
    """
    A document with errors is refused with all of them; with `with_problems` it is kept for the editor to mend.
    """
    with pytest.raises(InvalidDocument) as caught:
        await studio.workflows.create(BROKEN)
    assert {"data.sett", "duble"} <= {
        word for problem in caught.value.problems for word in problem.text.replace("”", "“").split("“")
    }
    assert all(problem.line for problem in caught.value.problems)
    assert [] == await studio.workflows.list_rows()

    kept = await studio.workflows.create(BROKEN, with_problems=True)
    assert "data.sett" in kept.draft
    with pytest.raises(InvalidDocument):
        await studio.workflows.create("name: [", with_problems=True)


async def test_found_by_id_and_by_name(studio):
    """
    A reference is an id or a name; an id stays the id even when somebody takes it for a name.
    """
    workflow = await studio.workflows.create(DOUBLE)
    impostor = await studio.workflows.create(called(workflow.id))
    assert workflow == await studio.workflows.get("Double")
    assert workflow == await studio.workflows.get(workflow.id)
    assert impostor.id != (await studio.workflows.get(workflow.id)).id
    assert read_document(DOUBLE) == await studio.workflows.get_document("Double")
    with pytest.raises(NotFound, match="no workflow “Nothing”") as caught:
        await studio.workflows.get("Nothing")
    assert caught.value.hint


async def test_replacing_grows_the_revision_and_checks_it(studio):
    """
    Two who read revision 1: the first to save wins, the second learns that the draft is at revision 2.
    """
    await studio.workflows.create(DOUBLE)
    first = await studio.workflows.replace("Double", DOUBLE.replace("* 2", "* 3"), expected_revision=1)
    assert (2, True) == (first.revision, "item.n * 3" in first.draft)
    with pytest.raises(Conflict, match="at revision 2, not 1") as caught:
        await studio.workflows.replace("Double", DOUBLE.replace("* 2", "* 4"), expected_revision=1)
    assert {"revision": 2} == caught.value.where
    assert first == await studio.workflows.get("Double")
    unchecked = await studio.workflows.replace("Double", DOUBLE)
    assert 3 == unchecked.revision
    with pytest.raises(InvalidDocument):
        await studio.workflows.replace("Double", BROKEN)


async def test_a_taken_name_changes_nothing(studio):
    """
    Renaming to a name that another workflow has is refused, by either way, and the draft can still be changed afterwards.
    """
    await studio.workflows.create(DOUBLE)
    await studio.workflows.create(called("Other"))
    with pytest.raises(Conflict, match="named “Other”"):
        await studio.workflows.rename("Double", "Other")
    with pytest.raises(Conflict, match="named “Other”"):
        await studio.workflows.replace("Double", called("Other"))
    with pytest.raises(BadRequest, match="needs a name"):
        await studio.workflows.rename("Double", "  ")
    assert 1 == (await studio.workflows.get("Double")).revision
    renamed = await studio.workflows.rename("Double", " Twice ")
    assert ("Twice", 2) == (renamed.name, renamed.revision)
    assert ["Other", "Twice"] == [row.workflow.name for row in await studio.workflows.list_rows()]


async def test_deleting_keeps_what_has_run(studio):
    """
    A deleted workflow is gone with its versions, its runs and their data stay readable, and its name is free again.
    """
    workflow = await studio.workflows.create(DOUBLE)
    await studio.workflows.activate(workflow.id)
    run = await run_to_end(studio, workflow.id)
    draft = await studio.drafts.open(workflow.id)
    await studio.workflows.delete("Double")
    with pytest.raises(NotFound):
        await studio.workflows.get(workflow.id)
    with pytest.raises(NotFound):
        await studio.versions.list_page(workflow.id)
    finished = await studio.runs.finished(run.id)
    assert {"double": {"out": [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]}} == finished["outputs"]
    assert read_document(DOUBLE) == await studio.runs.document(run.id)
    with pytest.raises(NotFound):
        await draft.replace_text(DOUBLE.replace("* 2", "* 3"), "owner")
    assert workflow.id != (await studio.workflows.create(DOUBLE)).id


async def test_publishing_makes_a_version_with_author_message_and_parent(treadle):
    """
    A version is named by its content and knows who published it, why, and what came before; its workflow lists it first.
    """
    studio = treadle.studio(an_actor(name="ada"))
    await studio.workflows.create(DOUBLE)
    first = await studio.workflows.activate("Double", "first try")
    treadle.clock.advance(timedelta(minutes=1))
    await studio.workflows.replace("Double", DOUBLE.replace("* 2", "* 3"))
    second = await studio.workflows.activate("Double")
    assert ("ada", "first try", (), treadle.clock.now() - timedelta(minutes=1)) == (
        first.author,
        first.message,
        first.parents,
        first.created_at,
    )
    assert ((first.id,), second.id) == (second.parents, (await studio.workflows.get("Double")).active_version)
    assert [second, first] == await studio.versions.list_page("Double")
    assert [second] == await studio.versions.list_page("Double", limit=1)


async def test_going_back_is_no_new_version(treadle, studio):
    """
    What was published before is that very version again, with its own message; what comes next descends from it.
    """
    await studio.workflows.create(DOUBLE)
    first = await studio.workflows.activate("Double", "first")
    treadle.clock.advance(timedelta(minutes=1))
    await studio.workflows.replace("Double", DOUBLE.replace("* 2", "* 3"))
    second = await studio.workflows.activate("Double", "second")
    await studio.workflows.replace("Double", DOUBLE.replace("300", "400"))
    back = await studio.workflows.activate("Double", "back")
    assert first == back
    treadle.clock.advance(timedelta(minutes=1))
    await studio.workflows.replace("Double", DOUBLE.replace("* 2", "* 4"))
    third = await studio.workflows.activate("Double", "third")
    assert (first.id,) == third.parents
    assert [third, second, first] == await studio.versions.list_page("Double")


async def test_a_draft_with_errors_is_not_published(studio):
    """
    Every problem is told with its line, and what was active stays active.
    """
    await studio.workflows.create(DOUBLE)
    version = await studio.workflows.activate("Double")
    await studio.workflows.replace("Double", BROKEN, with_problems=True)
    with pytest.raises(InvalidDocument) as caught:
        await studio.workflows.activate("Double")
    assert 2 <= len(caught.value.problems)
    assert all(problem.line and problem.severity == "error" for problem in caught.value.problems)
    assert version.id == (await studio.workflows.get("Double")).active_version


async def test_without_a_trigger_there_is_nothing_to_switch_on(studio):
    """
    A workflow without a trigger is not published, and no version is left behind.
    """
    await studio.workflows.create("treadle: 1\nname: Idle\nnodes:\n  make:\n    use: data.generate\n    with: {count: 1}\n")
    with pytest.raises(BadRequest, match="no trigger"):
        await studio.workflows.activate("Idle")
    assert [] == await studio.versions.list_page("Idle")
    assert (await studio.workflows.get("Idle")).active_version is None


async def test_one_webhook_path_has_one_workflow(studio):
    """
    A path that another active workflow answers is a conflict; nothing is published then.
    """
    text = "treadle: 1\nname: A\nnodes:\n  hook:\n    use: trigger.webhook\n    with: {path: orders}\n"
    await studio.workflows.create(text)
    await studio.workflows.create(called("B", text))
    await studio.workflows.activate("A")
    with pytest.raises(Conflict):
        await studio.workflows.activate("B")
    assert (await studio.workflows.get("B")).active_version is None
    await studio.workflows.deactivate("A")
    await studio.workflows.activate("B")


async def test_switching_off_twice_is_harmless(studio):
    """
    Off stays off; the version that was active stays in the list.
    """
    await studio.workflows.create(DOUBLE)
    version = await studio.workflows.activate("Double")
    assert (await studio.workflows.deactivate("Double")).active_version is None
    assert (await studio.workflows.deactivate("Double")).active_version is None
    assert [version] == await studio.versions.list_page("Double")
    assert () == (await studio.workflows.list_rows())[0].trigger_kinds


async def test_what_is_on_the_canvas_is_what_gets_published(studio):
    """
    Publishing while a change is on its way to the disk publishes that change.
    """
    workflow = await studio.workflows.create(DOUBLE)
    draft = await studio.drafts.open(workflow.id)
    async with draft._saving:  # the disk takes its time
        changing = asyncio.create_task(draft.apply(SetField("double", "fields", {"twice": "item.n * 5"}), "owner"))
        await asyncio.sleep(0)
        version = await studio.workflows.activate("Double")
        assert "* 2" in (await studio.workflows.get("Double")).draft
    await changing
    assert {"twice": "item.n * 5"} == version.document.nodes["double"].fields["fields"]


async def test_the_list_shows_last_runs_and_triggers(treadle, studio, outside):
    """
    Ordered by name and filtered by text, each row with its last run that was no test and the kinds of its triggers.
    """
    await studio.workflows.create(DOUBLE)
    await studio.workflows.create(WAITING)
    await studio.workflows.create(called("alpha"))
    await studio.workflows.activate("Waiting")
    first = await run_to_end(studio, "Double")
    treadle.clock.advance(timedelta(seconds=1))
    await run_to_end(studio, "Double", is_test=True)
    going = await studio.runs.start("Waiting")
    await until(lambda: outside.seen("wait"))

    rows = {row.workflow.name: row for row in await studio.workflows.list_rows()}
    assert ["alpha", "Double", "Waiting"] == list(rows)
    assert (None, first.id, going.id) == (
        rows["alpha"].last_run,
        rows["Double"].last_run.id,
        rows["Waiting"].last_run.id,
    )
    assert RunStatus.RUNNING is rows["Waiting"].last_run.status
    assert ((), (), ("trigger.manual",)) == tuple(row.trigger_kinds for row in rows.values())
    assert ["Double"] == [row.workflow.name for row in await studio.workflows.list_rows("OUB")]
    assert ["Double"] == [row.workflow.name for row in await studio.workflows.list_rows(limit=1, offset=1)]
    outside.gate("gate").set()


async def test_a_text_can_be_checked_without_keeping_it(studio):
    """
    Errors and warnings of a document text, with lines; an empty list for a good one.
    """
    assert [] == studio.workflows.check(DOUBLE)
    assert 2 <= len(studio.workflows.check(BROKEN))
    assert ["syntax"] == [problem.code for problem in studio.workflows.check("nodes: [")][:1]
