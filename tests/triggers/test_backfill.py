"""Backfill: each slot of a window once, throttled, and on again after a crash."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import BadRequest, Conflict, NotFound
from engine.protocols import RunFilter
from tests.triggers.test_schedules import a_schedule, due_times
from tests.web.house import House, a_house

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEEK = (NOON - timedelta(days=7), NOON)
NIGHTLY = 'cron: "0 7 * * *"'
SEVEN = [f"2026-11-{day}T07:00:00+01:00" for day in range(17, 24)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


async def test_a_window_is_fired_once(tmp_path: Path, clock: ManualClock):
    """
    First the count, then the runs; asked again, there is nothing left to do.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule(NIGHTLY))
        schedules = house.studio.schedules
        plan = await schedules.plan_backfill(workflow, *WEEK)
        assert (7, 0, 7) == (plan.total, plan.known, len(plan.slots))
        assert [] == await house.runs()

        begun = await schedules.backfill("Nightly", *WEEK)
        done = await schedules.wait_for_backfill(begun.id)
        assert ("done", 7, 0) == (done.state, done.started, done.known)
        assert SEVEN == await due_times(house)

        again = await schedules.backfill(workflow, WEEK[0] - timedelta(days=1), NOON)
        done = await schedules.wait_for_backfill(again.id)
        assert ("done", 1, 7) == (done.state, done.started, done.known)
        assert 8 == len(await house.runs())


async def test_what_ran_in_time_is_passed_over(tmp_path: Path, clock: ManualClock):
    """
    A slot that its schedule fired has the same key: the backfill leaves it alone, and the other way round.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule(NIGHTLY))
        clock.advance(timedelta(days=1))
        assert 1 == await house.triggers.schedules.run_once()
        done = await house.studio.schedules.wait_for_backfill(
            (await house.studio.schedules.backfill(workflow, NOON - timedelta(days=2), NOON + timedelta(days=9))).id
        )
        assert (2, 1) == (done.started, done.known)
        assert ["2026-11-22", "2026-11-23", "2026-11-24"] == [due[:10] for due in await due_times(house)]


async def test_no_more_are_open_than_wanted(tmp_path: Path, clock: ManualClock):
    """
    While two runs of a backfill are open no third one is begun.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule("every: 1h"))
        house.worker._queue.slots = 0  # nothing runs, so nothing ends
        begun = await house.studio.schedules.backfill(workflow, NOON - timedelta(hours=10), NOON, at_a_time=2)
        async with asyncio.timeout(5):
            while house.worker.waiting < 2:
                await asyncio.sleep(0.01)
        for _ in range(20):
            await asyncio.sleep(0)
        await house.store.journal.barrier()
        assert 2 == len(await house.studio.runs.list_page(RunFilter()))
        (known,) = await house.studio.schedules.backfills()
        assert (2, "running") == (known.started, known.state)
        assert "cancelled" == (await house.studio.schedules.cancel_backfill(begun.id)).state


async def test_it_goes_on_after_a_crash(tmp_path: Path, clock: ManualClock):
    """
    The program dies in the middle; the next one takes the backfill up where it was, and every slot has one run in the end.
    """
    first = await House(tmp_path, clock=clock).start()
    workflow = await first.publish(a_schedule("every: 1h"))
    begun = await first.studio.schedules.backfill(workflow, NOON - timedelta(hours=50), NOON, at_a_time=3)
    async with asyncio.timeout(10):
        while (await first.studio.schedules.backfills())[0].started < 9:
            await asyncio.sleep(0)
    task = first.triggers.backfills._tasks.get(begun.id)
    if task is not None:  # dies here: the task ends without another word
        task.cancel()
        await asyncio.wait([task])
    left = (await first.studio.schedules.backfills())[0]
    await first.stop()

    async with a_house(tmp_path, clock=clock) as second:
        done = await second.studio.schedules.wait_for_backfill(begun.id)
        assert ("done", 50) == (done.state, done.total)
        assert done.started + done.known == 50
        assert left.started <= done.started
        dues = await due_times(second)
        assert (50, 50) == (len(dues), len(set(dues)))


async def test_what_cannot_be_backfilled(tmp_path: Path, clock: ManualClock):
    """
    A workflow that is off, a window that is none, a schedule that is not there.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule("every: 1s"))
        schedules = house.studio.schedules
        with pytest.raises(BadRequest, match="empty"):
            await schedules.plan_backfill(workflow, NOON, NOON - timedelta(days=1))
        with pytest.raises(BadRequest, match="future"):
            await schedules.plan_backfill(workflow, NOON + timedelta(days=1), NOON + timedelta(days=2))
        with pytest.raises(BadRequest, match="100,000"):
            await schedules.plan_backfill(workflow, NOON - timedelta(days=30), NOON)
        with pytest.raises(NotFound, match="schedule"):
            await schedules.plan_backfill(workflow, *WEEK, "other")
        with pytest.raises(BadRequest, match="at a time"):
            await schedules.backfill(workflow, NOON - timedelta(minutes=1), NOON, at_a_time=0)
        await house.studio.workflows.deactivate(workflow)
        with pytest.raises(Conflict, match="switched on"):
            await schedules.backfill(workflow, *WEEK)
