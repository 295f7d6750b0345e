"""What the store promises about steps that wait and signals that are kept, on every store."""

from datetime import timedelta

import pytest

from engine.ids import NodeId
from engine.model.run import FactKind, RunStatus
from engine.model.waits import Signal, Wait, Waking

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
PAUSE = NodeId("pause")


@pytest.fixture
def told(store):
    """What the journal tells about waits: pairs of the runs that were woken and the earliest new moment."""
    heard = []
    store.journal.waits = lambda runs, wake_at: heard.append((list(runs), wake_at))
    return heard


async def wait_in(store, make, wait, *, parks=True, run=None, seq=0, scope="", wake_at=None):
    """Leave a run in the store whose step waits."""
    if run is None:
        run = make.run(RunStatus.RUNNING)
        store.journal.start(run, input=b"[]")
    summary = wait.as_summary(wake_at or wait.due_at)
    store.journal.append(
        make.fact(run.id, seq, kind=FactKind.STEP_WAITING, node=PAUSE, scope=scope, summary=summary, payload=None), epoch=0
    )
    if parks:
        store.journal.finish(make.run(RunStatus.WAITING, id=run.id))
    await store.journal.barrier()
    return run


async def status(store, run):
    return (await store.read(lambda work: work.runs.get(run.id))).status


async def of_run(store, run):
    return await store.read(lambda work: work.waits.of_run(run.id))


async def test_a_step_that_waits_has_a_row(store, make, clock, told):
    """
    The row says all that the fact says; it is there with the fact, and the loop is told of its moment.
    """
    wait = Wait(kind="approval", due_at=clock.now() + MINUTE, name="boss", key="k", details={"people": ["ada"]})

    run = await wait_in(store, make, wait)

    (waiting,) = await of_run(store, run)
    assert (wait, PAUSE, "", None) == (waiting.wait, waiting.node, waiting.scope, waiting.waking)
    assert clock.now() == waiting.since
    assert [([], clock.now() + MINUTE)] == told
    assert clock.now() + MINUTE == await store.read(lambda work: work.waits.next_wake())
    assert RunStatus.WAITING == await status(store, run)


@pytest.mark.parametrize("kind", [FactKind.STEP_WOKEN, FactKind.STEP_CANCELLED, FactKind.STEP_FAILED, FactKind.STEP_SKIPPED])
async def test_the_row_goes_with_the_fact_that_ends_the_wait(store, make, kind):
    """
    Woken, cancelled, failed or skipped: the same transaction takes the row away, and only that one.
    """
    run = await wait_in(store, make, Wait(kind="timer"), parks=False)
    await wait_in(store, make, Wait(kind="timer"), parks=False, run=run, seq=1, scope="loop:1")

    store.journal.append(make.fact(run.id, 2, kind=kind, node=PAUSE, payload=None), epoch=0)
    await store.journal.barrier()

    assert ["loop:1"] == [waiting.scope for waiting in await of_run(store, run)]


async def test_a_parked_run_is_woken_once(store, make, clock):
    """
    Waking queues the run and keeps what came; a second waking finds nobody asleep and changes nothing.
    """
    run = await wait_in(store, make, Wait(kind="signal", name="paid", key="7"))
    first = Waking(how="signal", at=clock.now(), note={"by": "ada"}, payload=b'[{"n": 1}]')

    assert await store.write(lambda work: work.waits.wake(run.id, PAUSE, "", first))
    assert not await store.write(lambda work: work.waits.wake(run.id, PAUSE, "", Waking(how="due", at=clock.now())))

    assert RunStatus.QUEUED == await status(store, run)
    (waiting,) = await store.read(lambda work: work.waits.woken([run.id]))
    assert first == waiting.waking
    assert [] == await store.read(lambda work: work.waits.list_for("signal", "paid", "7"))


async def test_a_large_batch_comes_with_a_waking(store, make, clock):
    """
    What is too big for a row lies in the content-addressed store, and belongs to the run.
    """
    import os

    run = await wait_in(store, make, Wait(kind="signal", name="paid"))
    payload = b'[{"bytes": "' + os.urandom(400_000).hex().encode() + b'"}]'

    await store.write(lambda work: work.waits.wake(run.id, PAUSE, "", Waking(how="signal", at=clock.now(), payload=payload)))

    (waiting,) = await store.read(lambda work: work.waits.woken([run.id]))
    assert payload == waiting.waking.payload
    assert (0, 0) == await store.sweep_blobs()


async def test_a_run_at_work_is_not_queued_by_a_waking(store, make, clock):
    """
    While other branches go on the run stays running; when it parks with something woken in it, it is queued instead.
    """
    run = await wait_in(store, make, Wait(kind="signal", name="paid"), parks=False)

    await store.write(lambda work: work.waits.wake(run.id, PAUSE, "", Waking(how="signal", at=clock.now())))
    assert RunStatus.RUNNING == await status(store, run)

    heard = []
    store.journal.waits = lambda runs, wake_at: heard.append((list(runs), wake_at))
    store.journal.finish(make.run(RunStatus.WAITING, id=run.id))
    await store.journal.barrier()
    assert RunStatus.QUEUED == await status(store, run)
    assert [([run.id], None)] == heard


async def test_what_is_due_is_woken_and_nothing_else(store, make, clock):
    """
    In the order of their moments, so many at a time; each run is named once.
    """
    late = await wait_in(store, make, Wait(kind="timer", due_at=clock.now() + 3 * MINUTE))
    soon = await wait_in(store, make, Wait(kind="timer", due_at=clock.now() + MINUTE))
    next_one = await wait_in(store, make, Wait(kind="approval", due_at=clock.now() + 2 * MINUTE))
    never = await wait_in(store, make, Wait(kind="signal", name="paid"))
    clock.advance(2 * MINUTE)

    assert [[soon.id], [next_one.id], []] == [
        await store.write(lambda work: work.waits.wake_due(clock.now(), limit=1)) for _ in range(3)
    ]
    assert [RunStatus.QUEUED, RunStatus.QUEUED, RunStatus.WAITING, RunStatus.WAITING] == [
        await status(store, run) for run in (soon, next_one, late, never)
    ]
    assert clock.now() + MINUTE == await store.read(lambda work: work.waits.next_wake())
    (waiting,) = await of_run(store, soon)
    assert ("due", clock.now()) == (waiting.waking.how, waiting.waking.at)


async def test_the_end_of_a_run_ends_its_waits(store, make):
    """
    Cancelling a parked run takes its rows and writes down what became of its steps, in one transaction.
    """
    run = await wait_in(store, make, Wait(kind="signal", name="paid"), parks=False)
    await wait_in(store, make, Wait(kind="timer"), run=run, seq=1, scope="loop:1")

    assert RunStatus.CANCELLED == (await store.write(lambda work: work.runs.request_cancel(run.id))).status

    assert [] == await of_run(store, run)
    facts = await store.read(lambda work: work.runs.facts(run.id))
    assert [(2, "", "step_cancelled"), (3, "loop:1", "step_cancelled")] == [
        (fact.seq, fact.scope, fact.kind) for fact in facts[2:]
    ]


async def test_a_worker_that_lost_the_run_writes_no_wait(store, make, clock):
    """
    Facts of an old epoch leave no row behind.
    """
    run = await wait_in(store, make, Wait(kind="timer"), parks=False)
    await store.write(lambda work: work.runs.claim(run.id, now=clock.now()))

    await wait_in(store, make, Wait(kind="timer"), parks=False, run=run, seq=1, scope="late")

    assert [""] == [waiting.scope for waiting in await of_run(store, run)]


async def test_a_kept_signal_finds_the_first_who_waits(store, make, clock, told):
    """
    A signal that came too early wakes the step in the very transaction in which it begins to wait; it does so once.
    """
    until = clock.now() + MINUTE
    signal = Signal(
        id="sig_1", name="paid", key="7", at=clock.now(), expires_at=until, note={"by": "ada"}, payload=b'[{"n": 1}]'
    )
    assert [] == await store.write(lambda work: work.signals.send(signal))
    assert [signal] == await store.read(lambda work: work.signals.list_kept())

    other = await wait_in(store, make, Wait(kind="signal", name="paid", key="8"))
    first = await wait_in(store, make, Wait(kind="signal", name="paid", key="7"))
    second = await wait_in(store, make, Wait(kind="signal", name="paid", key="7"))

    assert [RunStatus.WAITING, RunStatus.QUEUED, RunStatus.WAITING] == [
        await status(store, run) for run in (other, first, second)
    ]
    assert [([first.id], None)] == told
    (waiting,) = await store.read(lambda work: work.waits.woken([first.id]))
    assert ("signal", {"by": "ada"}, b'[{"n": 1}]') == (waiting.waking.how, waiting.waking.note, waiting.waking.payload)
    assert [] == await store.read(lambda work: work.signals.list_kept())


@pytest.mark.parametrize("by_a_step", [False, True])
async def test_a_signal_wakes_all_who_wait_for_it(store, make, clock, told, by_a_step):
    """
    Name and key have to be the same; sent from outside or by a step, it is one transaction, and it is kept for nobody.
    """
    first, other, second = [await wait_in(store, make, Wait(kind="signal", name="paid", key=key)) for key in ("7", "8", "7")]
    told.clear()

    until = clock.now() + MINUTE
    if by_a_step:
        sender = make.run(RunStatus.RUNNING)
        store.journal.start(sender, input=b"[]")
        summary = {"name": "paid", "key": "7", "keep_until": until.isoformat()}
        store.journal.append(make.fact(sender.id, kind=FactKind.SIGNALLED, summary=summary, payload=b'[{"n": 1}]'), epoch=0)
        await store.journal.barrier()
        woken = told[0][0]
    else:
        signal = Signal(id="sig_1", name="paid", key="7", at=clock.now(), expires_at=until, payload=b'[{"n": 1}]')
        woken = await store.write(lambda work: work.signals.send(signal))

    assert sorted([first.id, second.id]) == sorted(woken)
    assert [RunStatus.QUEUED, RunStatus.WAITING, RunStatus.QUEUED] == [
        await status(store, run) for run in (first, other, second)
    ]
    payloads = [waiting.waking.payload for waiting in await store.read(lambda work: work.waits.woken([first.id, second.id]))]
    assert [b'[{"n": 1}]'] * 2 == payloads
    assert [] == await store.read(lambda work: work.signals.list_kept())


@pytest.mark.parametrize(("before", "is_woken"), [(True, False), (False, True)])
async def test_a_signal_wakes_nobody_who_begins_to_wait_after_it(store, make, before, is_woken):
    """
    Where a step's signal and another step's wait reach the disk together, what came first counts.
    """
    waiter, sender = make.run(RunStatus.RUNNING), make.run(RunStatus.RUNNING)
    for run in (waiter, sender):
        store.journal.start(run, input=b"[]")
    await store.journal.barrier()
    sent = make.fact(sender.id, kind=FactKind.SIGNALLED, summary={"name": "paid"}, payload=b"[]")
    waits = Wait(kind="signal", name="paid").as_summary(None)
    begun = make.fact(waiter.id, kind=FactKind.STEP_WAITING, node=PAUSE, summary=waits, payload=None)

    for fact in (sent, begun) if before else (begun, sent):
        store.journal.append(fact, epoch=0)
    await store.journal.barrier()

    (waiting,) = await of_run(store, waiter)
    assert is_woken == (waiting.waking is not None)


async def test_a_signal_is_kept_for_a_while(store, make, clock):
    """
    Past its time it wakes nobody, and is forgotten.
    """
    signal = Signal(id="sig_1", name="paid", key="", at=clock.now(), expires_at=clock.now() + MINUTE)
    await store.write(lambda work: work.signals.send(signal))
    clock.advance(2 * MINUTE)

    run = await wait_in(store, make, Wait(kind="signal", name="paid"))

    assert RunStatus.WAITING == await status(store, run)
    assert 1 == await store.write(lambda work: work.signals.drop_expired(clock.now()))
    assert [] == await store.read(lambda work: work.signals.list_kept())


async def test_waits_go_when_their_run_goes(store, make, clock):
    """
    Pruning old runs leaves no rows behind.
    """
    run = await wait_in(store, make, Wait(kind="timer"), parks=False)
    store.journal.finish(make.run(RunStatus.FAILED, id=run.id))
    await store.journal.barrier()

    await store.write(lambda work: work.runs.prune(before=clock.now() + MINUTE))

    assert 0 == await store.read(lambda work: work.waits.count())
