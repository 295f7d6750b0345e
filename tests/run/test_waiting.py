"""Steps that wait: the run parks as rows, is woken once, and goes on at the waiting step with what the waking brought."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from engine.clock import ManualClock, SystemClock
from engine.ids import NodeId
from engine.model.run import Fact, FactKind, RunStatus
from engine.model.waits import Waking
from engine.run.payloads import encode_batch
from engine.run.takeover import lives
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio

START = a_node("start", "trigger.manual")
HOUR = timedelta(hours=1)


def a_pause(**fields):
    """start -> pause -> end"""
    settings = fields.pop("settings", {})
    return a_document([START, a_node("pause", "test.park", **fields), a_node("end")], "start -> pause -> end", **settings)


async def wake(shop, run, how="signal", items=(), node="pause"):
    """Wake a step from outside, as a signal does."""
    waking = Waking(how=how, at=shop.clock.now(), payload=encode_batch(list(items)) if items else None)
    found = await shop.store.write(lambda work: work.waits.wake(run.id, NodeId(node), "", waking))
    shop.worker.woken([run.id])
    return found


def has_been_called(shop, times):
    """Whether the waiting step was called so often, and its run is parked or over."""
    return len(shop.outside.seen("park")) == times and not shop.worker.running


async def over(shop, run):
    """Return the run once it is over."""
    await shop.store.journal.barrier()
    async with asyncio.timeout(10):
        while not (found := await shop.store.read(lambda work: work.runs.get(run.id))).status.is_final:
            await shop.worker.wait(run.id, timedelta(seconds=5))
            await asyncio.sleep(0)
    return found


async def test_a_run_parks_and_is_woken(shop):
    """
    Nothing of a parked run stays in memory; woken, its step is called again and what came goes on from there.
    """
    run = shop.start(a_pause(name="paid"), [{"n": 1}])

    assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status
    assert shop.worker.find_running(run.id) is None
    assert {"start": "succeeded", "pause": "waiting"} == await shop.statuses(run.id)
    waits_for = {"kind": "signal", "due_at": None, "name": "paid", "key": "", "details": {"count": 1}}
    assert waits_for == (await shop.steps(run.id))["pause"].waits_for

    assert await wake(shop, run, items=[{"n": 2}])
    assert RunStatus.SUCCEEDED == (await over(shop, run)).status
    assert [{"n": 1}, {"n": 2}, {"how": "signal"}] == (await shop.finished(run.id))["outputs"]["end"]["out"]
    assert 0 == await shop.store.read(lambda work: work.waits.count())


async def test_nobody_is_woken_twice(shop):
    """
    Of two wakings one counts.
    """
    run = shop.start(a_pause(name="paid"), [{"n": 1}])
    await shop.worker.wait(run.id)

    assert [True, False] == sorted(await asyncio.gather(wake(shop, run), wake(shop, run)), reverse=True)

    await over(shop, run)
    assert 2 == len(shop.outside.seen("park"))


async def test_a_timer_wakes_by_itself(shop):
    """
    A short wait goes the same way as a long one: over the store, and on time.
    """
    run = shop.start(a_pause(seconds=0.05), [{"n": 1}])

    done = await over(shop, run)

    assert [{"n": 1}, {"how": "due"}] == (await shop.finished(run.id))["outputs"]["end"]["out"]
    assert 0.05 <= (done.finished_at - done.started_at).total_seconds()


async def test_the_sooner_of_two_timers_is_not_kept_waiting(shop):
    """
    A wait that begins later and is due earlier moves the alarm.
    """
    late = shop.start(a_pause(seconds=3600), [{"n": 1}])
    await shop.worker.wait(late.id)
    soon = shop.start(a_pause(seconds=0.02), [{"n": 1}])

    assert RunStatus.SUCCEEDED == (await over(shop, soon)).status
    assert RunStatus.WAITING == (await shop.worker.wait(late.id)).status


async def test_a_step_may_wait_again(shop):
    """
    A step that hands back another `Wait` when it is woken waits on; five wakings are no reason to rest.
    """
    run = shop.start(a_pause(name="paid", times=7), [{"n": 1}])
    for _ in range(7):
        assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status
        calls = len(shop.outside.seen("park"))
        await wake(shop, run)
        await until(partial(has_been_called, shop, calls + 1))

    assert RunStatus.SUCCEEDED == (await over(shop, run)).status


async def test_branches_wait_side_by_side(shop):
    """
    Several steps of one run wait at once, each for its own; the run is parked until the first is woken, and in between.
    """
    nodes = [START, a_node("a", "test.park", name="a"), a_node("b", "test.park", name="b"), a_node("join", "test.join")]
    run = shop.start(a_document(nodes, "start -> a -> join.a, start -> b -> join.b"), [{"n": 1}])
    assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status

    await wake(shop, run, node="b")
    await until(lambda: len(shop.outside.seen("park")) == 3)
    await until(lambda: shop.worker.find_running(run.id) is None)
    assert {"start": "succeeded", "a": "waiting", "b": "succeeded"} == await shop.statuses(run.id)

    await wake(shop, run, node="a")
    assert RunStatus.SUCCEEDED == (await over(shop, run)).status
    assert 4 == len((await shop.finished(run.id))["outputs"]["join"]["out"])


async def test_a_branch_at_work_does_not_hold_up_one_that_was_woken(shop):
    """
    While one branch is at work the other one is woken in memory, and goes on at once.
    """
    nodes = [START, a_node("work", "test.wait"), a_node("pause", "test.park", seconds=0.03), a_node("after", "test.send")]
    run = shop.start(a_document(nodes, "start -> work, start -> pause -> after"), [{"n": 1}])

    await until(lambda: len(shop.outside.seen("send")) == 2)
    assert "running" == shop.worker.find_running(run.id).status
    shop.outside.gate("gate").set()

    assert RunStatus.SUCCEEDED == (await over(shop, run)).status
    assert 0 == (await shop.store.read(lambda work: work.runs.get(run.id))).epoch


async def test_a_failure_ends_what_waits(shop):
    """
    A branch that fails ends the run; what waited in it is cancelled and does not wake it again.
    """
    nodes = [START, a_node("pause", "test.park", name="paid"), a_node("work", "test.wait"), a_node("bad", "test.break")]
    run = shop.start(a_document(nodes, "start -> pause, start -> work -> bad"), [{"n": 1}])
    await until(lambda: shop.outside.seen("wait"))
    shop.outside.gate("gate").set()

    assert RunStatus.FAILED == (await over(shop, run)).status
    assert "cancelled" == (await shop.statuses(run.id))["pause"]
    assert not await wake(shop, run)


async def test_a_parked_run_is_cancelled(shop):
    """
    Cancelling it ends it at once; nothing of it is left to be woken.
    """
    run = shop.start(a_pause(name="paid"), [{"n": 1}])
    await shop.worker.wait(run.id)

    assert RunStatus.CANCELLED == (await shop.worker.cancel(run.id)).status
    assert "cancelled" == (await shop.statuses(run.id))["pause"]
    assert not await wake(shop, run)
    assert RunStatus.CANCELLED == (await shop.store.read(lambda work: work.runs.get(run.id))).status


async def test_a_run_is_cancelled_while_one_branch_waits(shop):
    """
    A run at work is cancelled with all that waits in it.
    """
    nodes = [START, a_node("pause", "test.park", name="paid"), a_node("work", "test.wait")]
    run = shop.start(a_document(nodes, "start -> pause, start -> work"), [{"n": 1}])
    await until(lambda: shop.outside.seen("wait"))

    assert RunStatus.CANCELLED == (await shop.worker.cancel(run.id)).status
    assert {"start": "succeeded", "pause": "cancelled", "work": "cancelled"} == await shop.statuses(run.id)
    assert 0 == await shop.store.read(lambda work: work.waits.count())


async def test_time_runs_out_for_a_run_that_waits(shop):
    """
    The time a run is allowed goes on while it is parked; when it is over the run fails, whatever its step waits for.
    """
    document = a_pause(name="paid", settings={"timeout": timedelta(seconds=0.05)})
    run = shop.start(document, [{"n": 1}])
    assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status

    done = await over(shop, run)

    assert (RunStatus.FAILED, "timed_out") == (done.status, done.error["code"])
    assert "cancelled" == (await shop.statuses(run.id))["pause"]
    assert 0 == await shop.store.read(lambda work: work.waits.count())


async def test_waits_outlive_the_program(make_workshop, tmp_path):
    """
    What came due while nothing ran is woken at the next start; a signal finds its run after it.
    """
    where, clock = str(tmp_path / "treadle.db"), ManualClock()
    shop = await make_workshop(where, clock=clock)
    timer, signal = shop.start(a_pause(seconds=60), [{"n": 1}]), shop.start(a_pause(name="paid"), [{"n": 2}])
    assert [RunStatus.WAITING] * 2 == [(await shop.worker.wait(run.id)).status for run in (timer, signal)]
    await shop.worker.stop()
    await shop.store.stop()

    clock.advance(HOUR)
    shop = await make_workshop(where, clock=clock)
    assert RunStatus.SUCCEEDED == (await over(shop, timer)).status
    assert RunStatus.WAITING == (await shop.worker.wait(signal.id)).status
    assert await wake(shop, signal)
    assert RunStatus.SUCCEEDED == (await over(shop, signal)).status
    await shop.worker.stop()
    await shop.store.stop()


async def test_a_start_does_not_read_parked_runs(make_workshop, tmp_path):
    """
    A start looks at what is queued or was interrupted; what is parked stays rows.
    """
    where = str(tmp_path / "treadle.db")
    shop = await make_workshop(where)
    for _ in range(20):
        await shop.worker.wait(shop.start(a_pause(name="paid"), [{"n": 1}]).id)
    await shop.worker.stop()
    await shop.store.stop()

    shop = await make_workshop(where, starts=False)
    assert [] == await shop.store.read(lambda work: work.runs.list_ready(interrupted=True))
    await shop.worker.start()
    assert (0, 0) == (shop.worker.running, shop.worker.waiting)
    await shop.worker.stop()
    await shop.store.stop()


def test_wakings_are_no_lost_lives():
    """
    A run rests when its program died again and again, and not because it was woken often.
    """
    woken = [
        Fact(run_id="run_1", seq=seq, kind=FactKind.STEP_WOKEN, node=NodeId("pause"), at=SystemClock().now())
        for seq in range(9)
    ]
    assert [9, 2, 0] == [lives([], 9), lives(woken, 11), lives(woken, 3)]
