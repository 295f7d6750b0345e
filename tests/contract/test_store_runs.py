"""What the store promises about runs, on every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import Conflict
from engine.ids import NodeId, RunId, VersionId, WorkflowId
from engine.model.run import RunStatus
from engine.model.workflow import Document, Node
from engine.protocols import RunFilter

pytestmark = pytest.mark.anyio


async def add(store, runs):
    def all_of_them(work):
        for run in runs:
            work.runs.add(run, input=b"[]")

    await store.write(all_of_them)


async def page(store, **given):
    return await store.read(lambda work: work.runs.list_page(RunFilter(**given)))


def at_every_second(make, clock, count, **given):
    runs = []
    for _ in range(count):
        runs.append(make.run(**given))
        clock.advance(timedelta(seconds=1))
    return runs


async def test_a_run_comes_back_as_it_was(store, make, clock):
    """
    Every field of a run survives, the empty ones as well.
    """
    full = make.run(
        RunStatus.FAILED,
        firing_id="fire_1",
        is_test=True,
        retry_of=RunId("run_0"),
        epoch=3,
        error={"code": "timed_out", "message": "Zu spät", "where": {"node": "fetch"}},
        cancel_requested=True,
        queued_at=clock.now() + timedelta(microseconds=123_457),
    )
    bare = make.run(workflow_id=None, start_node=None)
    await add(store, [full, bare])

    assert [full, bare] == [await store.read(lambda work, id=run.id: work.runs.get(id)) for run in (full, bare)]


async def test_a_known_run_is_a_conflict(store, make):
    """
    The same run cannot be queued twice.
    """
    run = make.run()
    await add(store, [run])

    with pytest.raises(Conflict):
        await add(store, [run])


async def test_pages_follow_each_other_while_runs_arrive(store, make, clock):
    """
    With the cursor each run is seen exactly once, whatever is added in front meanwhile.
    """
    runs = at_every_second(make, clock, 25)
    await add(store, runs)

    seen, before = [], None
    while found := await page(store, before=before, limit=10):
        seen += found
        before = found[-1].id
        await add(store, at_every_second(make, clock, 3))

    assert [run.id for run in reversed(runs)] == [run.id for run in seen]


async def test_runs_are_found_by_what_they_are(store, make, clock):
    """
    Workflow, status, test or not, and time narrow the page; together they narrow it further.
    """
    begin = clock.now()
    orders = at_every_second(make, clock, 3)
    failed = at_every_second(make, clock, 2, status=RunStatus.FAILED)
    tests = at_every_second(make, clock, 2, status=RunStatus.SUCCEEDED, is_test=True)
    others = at_every_second(make, clock, 2, workflow_id=WorkflowId("wf_other"), status=RunStatus.RUNNING)
    await add(store, [*orders, *failed, *tests, *others])

    def ids(*groups):
        return [run.id for group in reversed(groups) for run in reversed(group)]

    for expected, given in (
        (ids(orders, failed, tests, others), {}),
        (ids(others), {"workflow_id": "wf_other"}),
        (ids(failed), {"statuses": (RunStatus.FAILED,)}),
        (ids(orders, others), {"statuses": (RunStatus.QUEUED, RunStatus.RUNNING)}),
        (ids(failed, tests), {"statuses": (RunStatus.FAILED, RunStatus.SUCCEEDED)}),
        (ids(tests), {"is_test": True}),
        (ids(orders, failed, others), {"is_test": False}),
        (ids(failed), {"is_test": False, "workflow_id": "wf_orders", "statuses": (RunStatus.FAILED,)}),
        (ids(tests, others), {"since": begin + timedelta(seconds=5)}),
        (ids(orders), {"until": begin + timedelta(seconds=3)}),
        ([], {"workflow_id": "wf_none"}),
    ):
        assert expected == [run.id for run in await page(store, **given)], given


async def test_runs_are_found_by_text(store, make):
    """
    Name, error and id are searched without regard to case; signs mean themselves.
    """
    gruesse = make.run(workflow_name="Grüße senden")
    percent = make.run(workflow_name="100% sure", error={"message": "The TABLE a_b is locked"})
    other = make.run(workflow_name="Orders", error={"message": "axb"})
    await add(store, [gruesse, percent, other])

    for expected, text in (
        ([gruesse], "grüSSE".replace("SS", "ß")),
        ([gruesse], "SENDEN"),
        ([percent], "100%"),
        ([percent], "table"),
        ([percent], "a_b"),
        ([other], other.id[-12:]),
        ([], "nobody"),
    ):
        assert [run.id for run in expected] == [run.id for run in await page(store, text=text)], text


async def test_counts_by_status(store, make):
    """
    Counts are of all runs, or of one workflow's.
    """
    await add(store, [make.run(), make.run(), make.run(RunStatus.FAILED), make.run(workflow_id=WorkflowId("wf_other"))])

    assert {RunStatus.QUEUED: 3, RunStatus.FAILED: 1} == await store.read(lambda work: work.runs.count_by_status())
    assert {RunStatus.QUEUED: 2, RunStatus.FAILED: 1} == await store.read(
        lambda work: work.runs.count_by_status(WorkflowId("wf_orders"))
    )


async def test_open_runs_are_listed_oldest_first(store, make, clock):
    """
    What a restart has to look after: everything that is not final.
    """
    runs = [at_every_second(make, clock, 1, status=status)[0] for status in RunStatus]
    await add(store, runs)

    found = await store.read(lambda work: work.runs.list_open())

    assert [run.id for run in runs if not run.status.is_final] == [run.id for run in found]


@pytest.mark.parametrize("status", list(RunStatus))
async def test_cancel(store, make, clock, status):
    """
    A queued or parked run ends at once, a running one is marked, a final one stays as it is.
    """
    run = make.run(status)
    await add(store, [run])
    clock.advance(timedelta(seconds=1))

    found = await store.write(lambda work: work.runs.request_cancel(run.id))

    if status.is_final:
        expected = run
    elif status is RunStatus.RUNNING:
        expected = replace(run, cancel_requested=True)
    else:
        expected = replace(run, cancel_requested=True, status=RunStatus.CANCELLED, finished_at=clock.now(), epoch=1)
    assert expected == found
    assert expected == await store.read(lambda work: work.runs.get(run.id))


async def test_a_cancelled_run_is_not_started_any_more(store, make):
    """
    A worker that was about to take a run which was cancelled meanwhile writes nothing.
    """
    run = make.run()
    await add(store, [run])
    lost = []
    store.journal.lost = lost.extend

    cancelling = store.write(lambda work: work.runs.request_cancel(run.id))
    store_started = replace(run, status=RunStatus.RUNNING)
    cancelled = asyncio.ensure_future(cancelling)
    await asyncio.sleep(0)
    store.journal.start(store_started)
    store.journal.append(make.fact(run.id), epoch=0)
    store.journal.finish(replace(run, status=RunStatus.SUCCEEDED))
    await store.journal.barrier()

    assert RunStatus.CANCELLED == (await cancelled).status
    assert RunStatus.CANCELLED == (await store.read(lambda work: work.runs.get(run.id))).status
    assert [run.id] == lost


async def test_cancel_survives_the_records_of_the_run(store, make):
    """
    What the run records later does not wipe out that it was asked to stop.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    await store.write(lambda work: work.runs.request_cancel(run.id))
    store.journal.finish(replace(run, status=RunStatus.WAITING))
    await store.journal.barrier()

    found = await store.read(lambda work: work.runs.get(run.id))

    assert (RunStatus.WAITING, True) == (found.status, found.cancel_requested)


@pytest.mark.parametrize("status", list(RunStatus))
async def test_claim(store, make, clock, status):
    """
    Any run that is not final can be taken over: it runs, under a new epoch, and keeps its first start.
    """
    run = make.run(status)
    await add(store, [run])
    clock.advance(timedelta(minutes=1))

    claimed = await store.write(lambda work: work.runs.claim(run.id, now=clock.now()))

    if status.is_final:
        assert claimed is None
    else:
        assert replace(run, status=RunStatus.RUNNING, epoch=1, started_at=run.started_at or clock.now()) == claimed
        assert claimed == await store.read(lambda work: work.runs.get(run.id))


async def test_a_draft_is_kept_with_its_test(store, make):
    """
    A test executes the draft as it was; any other run executes its version's document.
    """
    workflow = make.workflow()
    version = make.version(workflow)
    draft = Document(name="Draft", nodes={NodeId("a"): Node(id=NodeId("a"), use="data.set", fields={"x": "1"})})
    test, real = make.run(is_test=True), make.run(version_id=version.id, workflow_id=workflow.id)

    def keep(work):
        work.workflows.add(workflow)
        work.workflows.add_version(version)
        work.runs.add(test, input=b"[]", document=draft)
        work.runs.add(real, input=b"[]")

    await store.write(keep)

    assert draft == await store.read(lambda work: work.runs.get_document(test.id))
    assert version.document == await store.read(lambda work: work.runs.get_document(real.id))


async def test_pruning_removes_whole_runs(store, make, clock):
    """
    Old final runs go with all they recorded, in bounded steps; open and young ones stay.
    """
    old = at_every_second(make, clock, 3, status=RunStatus.SUCCEEDED, version_id=VersionId("v"))
    still_open = at_every_second(make, clock, 1)
    await add(store, [*old, *still_open])
    store.journal.append(make.fact(still_open[0].id), epoch=0)
    store.journal.append(make.fact(old[0].id), epoch=0)
    clock.advance(timedelta(days=30))
    young = make.run(RunStatus.SUCCEEDED)
    await add(store, [young])
    limit = clock.now() - timedelta(days=7)

    removed = [await store.write(lambda work: work.runs.prune(before=limit, limit=2)) for _ in range(3)]

    assert [2, 1, 0] == removed
    assert {young.id, still_open[0].id} == {run.id for run in await page(store)}
    assert [] == await store.read(lambda work: work.runs.facts(old[0].id))
    assert 1 == len(await store.read(lambda work: work.runs.facts(still_open[0].id)))
