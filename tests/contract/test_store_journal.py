"""What the journal promises, on every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.model.run import FactKind, RunStatus

pytestmark = pytest.mark.anyio


@pytest.fixture
def lost(store):
    """The runs that the journal said were lost, in order."""
    told = []
    store.journal.lost = told.extend
    return told


async def test_a_barrier_means_on_disk(store, make):
    """
    After a barrier everything recorded before it is seen by another connection.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b'[{"a": 1}]')
    fact = make.fact(run.id, summary={"ports": {"out": {"count": 1}}})
    store.journal.append(fact, epoch=0)

    await store.journal.barrier()

    assert run == await store.read(lambda work: work.runs.get(run.id))
    assert await store.read(lambda work: work.runs.get_input(run.id)) == b'[{"a": 1}]'
    assert [fact] == await store.read(lambda work: work.runs.facts(run.id, with_payload=True))
    assert [replace(fact, payload=None)] == await store.read(lambda work: work.runs.facts(run.id))
    assert await store.read(lambda work: work.runs.payload(run.id, 0)) == b"[{}]"


async def test_a_barrier_with_nothing_before_it_returns_at_once(store):
    """
    There is nothing to wait for, so nothing waits.
    """
    async with asyncio.timeout(1):
        await store.journal.barrier()


async def test_a_run_that_starts_and_ends_in_one_flush_is_there_as_finished(store, make, clock):
    """
    Only the finished row is ever written, with everything the run recorded.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    for seq in range(3):
        store.journal.append(make.fact(run.id, seq), epoch=0)
    clock.advance(timedelta(milliseconds=250))
    finished = replace(run, status=RunStatus.SUCCEEDED, finished_at=clock.now())
    store.journal.finish(finished)
    await store.journal.barrier()

    found = await store.read(lambda work: work.runs.get(run.id))

    assert finished == found
    assert found.duration_ms == 250
    assert [0, 1, 2] == [fact.seq for fact in await store.read(lambda work: work.runs.facts(run.id))]


async def test_a_run_over_many_flushes(store, make, clock):
    """
    Start, parking, resuming and end are each visible once they are on disk.
    """
    journal = store.journal
    run = make.run(RunStatus.RUNNING)
    seen = []
    for status in (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.RUNNING, RunStatus.NEEDS_DECISION, RunStatus.FAILED):
        run = replace(run, status=status, error={"code": "x"} if status is RunStatus.FAILED else None)
        if status is RunStatus.RUNNING:
            journal.start(run, input=None if seen else b"[]")
        else:
            journal.finish(run)
        await journal.barrier()
        seen.append(await store.read(lambda work, id=run.id: work.runs.get(id)))

    assert ["running", "waiting", "running", "needs_decision", "failed"] == [each.status for each in seen]
    assert run == seen[-1]


async def test_a_queued_run_is_started_without_its_input(store, make, clock):
    """
    The input given when it was queued stays; the start is an update of the row.
    """
    queued = make.run()
    await store.write(lambda work: work.runs.add(queued, input=b"[1]"))
    clock.advance(timedelta(seconds=2))

    store.journal.start(replace(queued, status=RunStatus.RUNNING, started_at=clock.now()))
    await store.journal.barrier()

    found = await store.read(lambda work: work.runs.get(queued.id))
    assert (RunStatus.RUNNING, clock.now()) == (found.status, found.started_at)
    assert await store.read(lambda work: work.runs.get_input(queued.id)) == b"[1]"


async def test_facts_keep_their_order_among_many_runs(store, make):
    """
    Records of many runs at once: each run's journal is complete and in order.
    """
    runs = [make.run(RunStatus.RUNNING) for _ in range(40)]

    async def work_on(run):
        store.journal.start(run, input=b"[]")
        for seq in range(25):
            store.journal.append(make.fact(run.id, seq), epoch=0)
            if seq % 7 == 0:
                await store.journal.barrier()
            if seq % 3 == 0:
                await asyncio.sleep(0)
        store.journal.finish(replace(run, status=RunStatus.SUCCEEDED))
        await store.journal.barrier()

    await asyncio.gather(*(work_on(run) for run in runs))

    for run in runs:
        assert list(range(25)) == [fact.seq for fact in await store.read(lambda work, id=run.id: work.runs.facts(id))]
    assert {RunStatus.SUCCEEDED: 40} == await store.read(lambda work: work.runs.count_by_status())


async def test_every_kind_of_fact_comes_back_as_it_was(store, make):
    """
    Kinds, scopes, attempts, moments to the microsecond and odd summaries survive.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    odd = {"text": "Grüße, 世界 \u0000 ✓", "n": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
    facts = [
        make.fact(run.id, seq, kind=kind, scope=f"loop/{seq}", attempt=seq + 1, summary=odd if seq % 2 else {}, payload=None)
        for seq, kind in enumerate(FactKind)
    ]
    for fact in facts:
        store.journal.append(fact, epoch=0)
    await store.journal.barrier()

    assert facts == await store.read(lambda work: work.runs.facts(run.id, with_payload=True))


async def test_facts_can_be_read_from_a_point_or_for_a_node(store, make):
    """
    The studio follows a run by asking for what came after the last line it has.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    for seq in range(6):
        store.journal.append(make.fact(run.id, seq, node=f"n{seq % 2}"), epoch=0)
    await store.journal.barrier()

    assert [4, 5] == [fact.seq for fact in await store.read(lambda work: work.runs.facts(run.id, after_seq=3))]
    assert [1, 3, 5] == [fact.seq for fact in await store.read(lambda work: work.runs.facts(run.id, node="n1"))]


async def test_an_old_epoch_writes_nothing(store, make, clock, lost):
    """
    A worker that lost its run to another one is told so, and its records are dropped.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    store.journal.append(make.fact(run.id, 0), epoch=0)
    taken = await store.write(lambda work: work.runs.claim(run.id, now=clock.now()))

    store.journal.append(make.fact(run.id, 1, node="from_the_old_worker"), epoch=0)
    store.journal.finish(replace(run, status=RunStatus.FAILED))
    store.journal.append(make.fact(run.id, 1, node="from_the_new_worker"), epoch=taken.epoch)
    await store.journal.barrier()

    facts = await store.read(lambda work: work.runs.facts(run.id))
    assert ["node_0"] == [fact.node for fact in facts]
    assert [run.id] == lost

    store.journal.append(make.fact(run.id, 1, node="from_the_new_worker"), epoch=taken.epoch)
    store.journal.finish(replace(taken, status=RunStatus.SUCCEEDED))
    await store.journal.barrier()
    assert RunStatus.SUCCEEDED == (await store.read(lambda work: work.runs.get(run.id))).status


async def test_records_of_a_run_nobody_knows_are_lost(store, make, lost):
    """
    A deleted run takes no records, and the run beside it is not disturbed.
    """
    good, gone = make.run(RunStatus.RUNNING), make.run(RunStatus.RUNNING)
    store.journal.start(good, input=b"[]")
    store.journal.append(make.fact(gone.id), epoch=0)
    store.journal.append(make.fact(good.id), epoch=0)
    await store.journal.barrier()

    assert [gone.id] == lost
    assert 1 == len(await store.read(lambda work: work.runs.facts(good.id)))


async def test_a_record_the_database_refuses_loses_its_run_only(store, make, lost, caplog):
    """
    A line that is there already is a bug of one run: it is logged, that run stops, the others go on.
    """
    runs = [make.run(RunStatus.RUNNING) for _ in range(3)]
    for run in runs:
        store.journal.start(run, input=b"[]")
        store.journal.append(make.fact(run.id, 0), epoch=0)
    await store.journal.barrier()

    for run in runs:
        store.journal.append(make.fact(run.id, 0 if run is runs[1] else 1), epoch=0)
        store.journal.append(make.fact(run.id, 2), epoch=0)
    await store.journal.barrier()

    assert [runs[1].id] == lost
    counts = [len(await store.read(lambda work, id=run.id: work.runs.facts(id))) for run in runs]
    assert [3, 1, 3] == counts
    assert "journal record refused" in caplog.text


async def test_a_refused_record_beside_changes(store, make, lost):
    """
    The same holds when the flush carries changes as well: they are kept.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    store.journal.append(make.fact(run.id, 0), epoch=0)
    await store.journal.barrier()

    first = store.write(lambda work: work.values.set("before", 1))
    store.journal.append(make.fact(run.id, 0), epoch=0)
    await asyncio.gather(first, store.write(lambda work: work.values.set("after", 2)))

    assert (1, 2) == await store.read(lambda work: (work.values.get("before"), work.values.get("after")))
    assert [run.id] == lost


async def test_a_firing_and_its_run_are_recorded_together(store, make):
    """
    The fast way of a webhook: firing and run in one record, found by each other.
    """
    firing = make.firing()
    run = make.run(RunStatus.RUNNING, firing_id=firing.id)
    store.journal.start(run, input=firing.payload, firing=firing)
    await store.journal.barrier()

    assert run == await store.read(lambda work: work.runs.find_by_firing(firing.id))
    assert replace(firing, state="started", run_id=run.id) == await store.read(lambda work: work.firings.get(firing.id))


async def test_a_known_firing_never_starts_a_second_run(store, make, lost):
    """
    Of two starts with the same key the first wins, in one flush or in two; the other run is lost with all its records.
    """
    for again in ("in the same flush", "in a later one"):
        firing = make.firing(key=again)
        runs = [make.run(RunStatus.RUNNING, firing_id=firing.id), make.run(RunStatus.RUNNING, firing_id=None)]
        for run in runs:
            store.journal.start(run, input=b"[]", firing=replace(firing, id=f"{firing.id}-{run.id}"))
            store.journal.append(make.fact(run.id), epoch=0)
            if again == "in a later one":
                await store.journal.barrier()
        await store.journal.barrier()

        assert [runs[1].id] == lost
        kept = {run.id for run in await store.read(lambda work: work.runs.list_open())}
        assert (True, False) == (runs[0].id in kept, runs[1].id in kept)
        assert [] == await store.read(lambda work, id=runs[1].id: work.runs.facts(id))
        lost.clear()


async def test_a_waiting_firing_is_taken_over_by_its_run(store, make):
    """
    A firing that was accepted first is marked as started with the run that names it.
    """
    firing = make.firing()
    await store.write(lambda work: work.firings.accept(firing))
    run = make.run(RunStatus.RUNNING, firing_id=firing.id)

    store.journal.start(run, input=firing.payload)
    await store.journal.barrier()

    assert [] == await store.read(lambda work: work.firings.list_waiting())
    assert run.id == (await store.read(lambda work: work.firings.get(firing.id))).run_id


async def test_the_journal_says_when_it_is_full(store, make):
    """
    Who records faster than the disk takes it is told to wait, and a barrier makes room.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    big = b"x" * (8 * 1024 * 1024)
    seq = 0
    while not store.journal.is_full:
        store.journal.append(make.fact(run.id, seq, payload=big), epoch=0)
        seq += 1
        assert seq < 20

    await store.journal.barrier()

    assert not store.journal.is_full
    assert seq == len(await store.read(lambda work: work.runs.facts(run.id)))
