"""Taking away, on every store: data first, then runs, and never what an open run needs."""

import random
from datetime import timedelta

import pytest

from engine.errors import DataRemoved, NotFound
from engine.ids import WorkflowId
from engine.model.run import RunStatus
from engine.protocols import RunFilter

pytestmark = pytest.mark.anyio

DONE, FAILED, OPEN = RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.WAITING


async def kept(store, make, *runs, payload=b"x" * 3000):
    for run in runs:
        await store.write(lambda work, run=run: work.runs.add(run, input=payload))
        store.journal.append(make.fact(run.id, payload=payload, summary={"ports": {"out": 1}}), epoch=run.epoch)
    await store.journal.barrier()


async def test_data_goes_and_the_run_stays(store, make, clock):
    """
    Its line, steps and summary are there; input and outputs are gone, and asking for them says so.
    """
    run = make.run(DONE)
    await kept(store, make, run)
    assert 1 == await store.write(lambda work: work.retention.drop_data([run.id], at=clock.now()))
    assert 0 == await store.write(lambda work: work.retention.drop_data([run.id], at=clock.now()))
    (fact,) = await store.read(lambda work: work.runs.facts(run.id, with_payload=True))
    assert (None, {"ports": {"out": 1}}) == (fact.payload, fact.summary)
    assert [run] == await store.read(lambda work: work.runs.list_page(RunFilter()))
    with pytest.raises(DataRemoved, match="removed on 2026-11-23"):
        await store.read(lambda work: work.runs.get_input(run.id))
    assert {run.id: clock.now()} == await store.read(lambda work: work.retention.removed_among([run.id, "run_other"]))


async def test_only_what_is_over_is_found(store, make, clock):
    """
    Oldest first, by age, workflow and status; an open run never, whatever its age.
    """
    old, failed, other, waiting = (
        make.run(DONE),
        make.run(FAILED),
        make.run(DONE, workflow_id=WorkflowId("wf_other")),
        make.run(OPEN),
    )
    await kept(store, make, old, failed, other, waiting)
    clock.advance(timedelta(days=2))
    young = make.run(DONE)
    await kept(store, make, young)
    before = clock.now() - timedelta(days=1)

    def find(**which):
        return store.read(lambda work: set(work.retention.find_over(before=before, **which)))

    assert {old.id, failed.id, other.id} == await find()
    assert {failed.id} == await find(statuses=(FAILED,))
    assert {other.id} == await find(workflow_id=WorkflowId("wf_other"))
    assert {old.id, failed.id} == await find(not_of=(WorkflowId("wf_other"),))
    await store.write(lambda work: work.retention.drop_data([old.id], at=clock.now()))
    assert {failed.id, other.id} == await find(with_data=True)
    newest = await store.read(lambda work: work.retention.nth_newest(WorkflowId("wf_orders"), 1))
    assert young.id == newest
    assert await store.read(lambda work: work.retention.nth_newest(WorkflowId("wf_orders"), 9)) is None


async def test_what_an_open_run_leans_on_stays(store, make, clock):
    """
    A child that is over stays while its caller goes on, and so does a caller whose child goes on.
    """
    caller, over = make.run(OPEN), make.run(DONE)
    child, going = make.run(DONE, parent_run_id=caller.id), make.run(OPEN, parent_run_id=over.id)
    await kept(store, make, caller, over, child, going)
    clock.advance(timedelta(days=2))
    assert [] == await store.read(lambda work: list(work.retention.find_over(before=clock.now())))


async def test_a_run_goes_with_all_that_is_its_own(store, make):
    """
    Facts, input, firing and the claim on files; other runs keep theirs.
    """
    firing = make.firing()
    await store.write(lambda work: work.firings.accept(firing))
    run, other = make.run(DONE, firing_id=firing.id), make.run(DONE)
    await kept(store, make, run, other, payload=b"y" * 400_000)
    assert 1 == await store.write(lambda work: work.retention.remove([run.id]))
    assert [] == await store.read(lambda work: work.runs.facts(run.id))
    for gone in (lambda work: work.runs.get(run.id), lambda work: work.firings.get(firing.id)):
        with pytest.raises(NotFound):
            await store.read(gone)
    assert 400_000 == len(await store.read(lambda work: work.runs.get_input(other.id)))


async def test_what_fills_the_disk(store, make):
    """
    By kind and by workflow, the largest first; the same before and after nothing happened.
    """
    small, large = make.run(DONE), make.run(DONE, workflow_id=WorkflowId("wf_large"), workflow_name="Large")
    await kept(store, make, small)
    for seq in range(20):
        store.journal.append(make.fact(small.id, seq + 1, payload=None), epoch=0)
    await kept(store, make, large, payload=random.Random(1).randbytes(30_000))
    usage = await store.usage()
    assert ["Large", "Overdue orders"] == [one.name for one in usage.workflows]
    assert usage.workflows[0].runs == 1
    assert usage.workflows[1].journal > 20 * 60
    assert usage.data == sum(one.data for one in usage.workflows)
    assert 0 < usage.data
    assert 0 < await store.used()
