"""Schedules: each slot once, whatever stops in between, and what was missed as the workflow wants it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.events.types import RunFinished
from engine.ids import new_workflow_id
from engine.model.codec import document_hash, read_document, write_document
from engine.model.workflow import Version, Workflow
from engine.protocols import UnitOfWork
from engine.triggers.schedule import slots_due
from engine.triggers.timetable import parse_timetable
from engine.triggers.triggers import Triggers
from tests.web.house import House, a_house

pytestmark = pytest.mark.anyio

MIDNIGHT = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


def a_schedule(rule: str, *, name: str = "Nightly", zone: str = "Europe/Vienna") -> str:
    return f"""
treadle: 1
name: {name}
nodes:
  clock:
    use: trigger.schedule
    with: {{{rule}, timezone: {zone}}}
  keep:
    use: data.set
    with:
      fields: {{due: item.due}}
edges:
  - clock -> keep
"""


async def due_times(house: House) -> list[str]:
    """Return the due times of all runs in order; runs of the same millisecond have no order of their own."""
    return sorted([(await house.outputs(run, "clock"))[0]["due"] for run in await house.runs()])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MIDNIGHT)


async def test_a_slot_becomes_a_run(tmp_path: Path, clock: ManualClock):
    """
    When its time has come, a schedule starts one run that knows when it was due and when it fired.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule('cron: "0 7 * * *"'))
        assert datetime(2026, 11, 23, 6, 0, tzinfo=UTC) == house.triggers.schedules.next_due
        assert 0 == await house.triggers.schedules.run_once()
        clock.advance(timedelta(hours=6, seconds=2))
        assert 1 == await house.triggers.schedules.run_once()
        assert 0 == await house.triggers.schedules.run_once()
        (run,) = await house.runs()
        assert ("succeeded", "schedule", "clock") == (run.status, run.trigger, run.start_node)
        expected = [{"due": "2026-11-23T07:00:00+01:00", "fired": "2026-11-23T07:00:02+01:00"}]
        assert expected == await house.outputs(run, "clock")
        assert datetime(2026, 11, 24, 6, 0, tzinfo=UTC) == house.triggers.schedules.next_due


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param(
            datetime(2026, 3, 28, 12, 0, tzinfo=UTC),
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
            id="in spring the skipped time comes after the gap",
        ),
        pytest.param(
            datetime(2026, 10, 24, 12, 0, tzinfo=UTC),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
            id="in autumn the doubled time comes once",
        ),
    ],
)
async def test_the_clocks_change(tmp_path: Path, start: datetime, expected: list[str]):
    """
    Walked through minute by minute, a nightly job in Vienna runs once per night when the clocks change.
    """
    clock = ManualClock(start)
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule('cron: "30 2 * * *", missed: skip'))
        for _ in range(40 * 60 // 5):
            clock.advance(timedelta(minutes=5))
            await house.triggers.schedules.run_once()
        assert expected == await due_times(house)


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        pytest.param("skip", [], id="skip forgets them"),
        pytest.param("once", ["2026-11-23T05:00:00+01:00"], id="once makes up for the last"),
        pytest.param("all", [f"2026-11-23T0{hour}:00:00+01:00" for hour in range(2, 6)], id="all makes up for each"),
    ],
)
async def test_what_was_missed(tmp_path: Path, clock: ManualClock, missed: str, expected: list[str]):
    """
    Times that passed while Treadle was off are made up for at the next start, as the workflow wants it.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule(f'cron: "0 * * * *", missed: {missed}'))
    clock.advance(timedelta(hours=4, minutes=30))
    async with a_house(tmp_path, clock=clock) as house:
        await house.triggers.schedules.run_once()
        assert expected == await due_times(house)
    async with a_house(tmp_path, clock=clock) as house:
        assert 0 == await house.triggers.schedules.run_once()
        assert len(expected) == len(await house.runs())


async def test_many_missed_slots(tmp_path: Path, clock: ManualClock):
    """
    A backlog longer than one transaction is worked off completely, each slot once.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule("every: 1m, missed: all"))
    clock.advance(timedelta(minutes=1234))
    async with a_house(tmp_path, clock=clock) as house:
        await house.triggers.schedules.run_once()
        times = await due_times(house)
        assert 1234 == len(times) == len(set(times))


async def test_a_crash_between_storing_and_starting(tmp_path: Path, clock: ManualClock):
    """
    A slot that was accepted and not started, because the power went, becomes its one run at the next start.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule('cron: "0 7 * * *"'))
        clock.advance(timedelta(hours=7))
        await house.worker.stop()  # a worker that takes nothing any more: the firing is stored, its run is not
        assert 0 == await house.triggers.schedules.run_once()
        assert [] == await house.runs()
    async with a_house(tmp_path, clock=clock) as house:
        assert ["2026-11-23T07:00:00+01:00"] == await due_times(house)
    async with a_house(tmp_path, clock=clock) as house:
        assert 1 == len(await house.runs())


async def test_two_clocks_for_one_table(tmp_path: Path, clock: ManualClock):
    """
    Two services that look at the same due time start one run between them.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule('cron: "0 7 * * *"'))
        other = Triggers(house.store, house.worker, house.catalog, clock)
        await other.activation.refresh()
        clock.advance(timedelta(hours=7))
        assert 1 == await house.triggers.schedules.run_once() + await other.schedules.run_once()
        assert 1 == len(await house.runs())


async def test_switched_off_it_is_silent(tmp_path: Path, clock: ManualClock):
    """
    A schedule that is switched off fires no more; switched on again it begins anew.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule('cron: "0 7 * * *", missed: all'))
        await house.studio.workflows.deactivate(workflow)
        clock.advance(timedelta(days=3))
        assert 0 == await house.triggers.schedules.run_once()
        await house.studio.workflows.activate(workflow)
        assert 0 == await house.triggers.schedules.run_once()
        assert datetime(2026, 11, 26, 6, 0, tzinfo=UTC) == house.triggers.schedules.next_due


async def test_paused_it_holds(tmp_path: Path, clock: ManualClock):
    """
    While its trigger is paused a schedule's slots are held; they run when it goes on.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule("every: 1h"))
        await house.triggers.pause(workflow, "clock")
        for _ in range(3):
            clock.advance(timedelta(hours=1))
            await house.triggers.schedules.run_once()
        assert [] == await house.runs()
        assert 3 == await house.triggers.resume(workflow, "clock")
        assert 3 == len(set(await due_times(house)))


async def test_the_real_clock(tmp_path: Path):
    """
    With the machine's own clock, a schedule wakes up by itself.
    """
    async with a_house(tmp_path) as house:
        fired: list[object] = []
        over = asyncio.Event()
        house.bus.subscribe(lambda event: (fired.append(event), over.set() if len(fired) >= 2 else None), RunFinished)
        await house.publish(a_schedule("every: 1s"))
        async with asyncio.timeout(10):
            await over.wait()
        times = await due_times(house)
        assert len(times) == len(set(times)) >= 2


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
def test_a_slot_that_is_a_little_late_was_not_missed(missed: str):
    """
    A slot served within a minute fires under every policy.
    """
    table = parse_timetable({"cron": "0 * * * *", "missed": missed})
    slots = slots_due(table, MIDNIGHT, MIDNIGHT + timedelta(seconds=59))
    assert ((MIDNIGHT,), MIDNIGHT + timedelta(hours=1)) == (slots.fire, slots.following)


def test_years_of_missed_seconds_cost_nothing():
    """
    A schedule of every second that slept for years is caught up with at once.
    """
    table = parse_timetable({"every": "1s"})
    now = MIDNIGHT + timedelta(days=3000, milliseconds=500)
    assert (MIDNIGHT + timedelta(days=3000),) == slots_due(table, MIDNIGHT, now).fire


@pytest.mark.slow
async def test_hundreds_at_once(tmp_path: Path, clock: ManualClock):
    """
    Hundreds of workflows that are due in the same minute start within seconds, each once, and others get their turn meanwhile.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await publish_many(house, 400)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        watching = asyncio.create_task(others())
        clock.advance(timedelta(hours=7))
        began = time.perf_counter()
        assert 400 == await house.triggers.schedules.run_once()
        took = time.perf_counter() - began
        watching.cancel()
        runs = await house.runs()
        assert (400, 400) == (len(runs), len({run.workflow_id for run in runs}))
        assert took < 10
        assert turns > 50


async def publish_many(house: House, count: int) -> None:
    """Put many active workflows into the store in one go."""
    now = house.clock.now()
    documents = [read_document(a_schedule('cron: "0 7 * * *"', name=f"Nightly {number}")) for number in range(count)]

    def add(work: UnitOfWork) -> None:
        for document in documents:
            version_id = document_hash(document)
            workflow = Workflow(
                id=new_workflow_id(now),
                name=document.name,
                draft=write_document(document),
                revision=1,
                active_version=version_id,
                created_at=now,
                updated_at=now,
            )
            version = Version(id=version_id, workflow_id=workflow.id, document=document, created_at=now, author="a test")
            work.workflows.add(workflow)
            work.workflows.add_version(version)
            house.triggers.activation.switch_on(work, workflow, version)

    await house.store.write(add)
    await house.triggers.activation.refresh()
