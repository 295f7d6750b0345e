"""Calendars in the store, slots and what became of them, and the next due times."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import BadInput, BadRequest, Conflict, NotFound
from tests.triggers.test_schedules import a_schedule
from tests.web.house import a_house

pytestmark = pytest.mark.anyio

MONDAY = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
AUSTRIA = {"yearly": {"12-08": "Immaculate Conception", "12-25": "Christmas"}}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MONDAY)


async def test_a_holiday_moves_the_due_time_of_what_is_on(tmp_path: Path, clock: ManualClock):
    """
    A schedule by a calendar is due anew as soon as the calendar changes, and fires on business days alone.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.studio.schedules.save_calendar("office", AUSTRIA)
        await house.publish(a_schedule('cron: "0 7 * * *", calendar: office'))
        assert datetime(2026, 11, 23, 6, tzinfo=UTC) == house.triggers.schedules.next_due

        await house.studio.schedules.save_calendar("office", {**AUSTRIA, "holidays": {"2026-11-23": "Bridge"}})
        assert datetime(2026, 11, 24, 6, tzinfo=UTC) == house.triggers.schedules.next_due
        clock.advance(timedelta(days=6, hours=12))
        for _ in range(3):
            await house.triggers.schedules.run_once()
        assert datetime(2026, 11, 30, 6, tzinfo=UTC) == house.triggers.schedules.next_due

        with pytest.raises(Conflict, match="used by “Nightly”"):
            await house.studio.schedules.delete_calendar("office")
        with pytest.raises(BadInput, match="never due"):
            await house.studio.schedules.save_calendar("office", {"working_days": [], "working": ["2020-01-01"]})

    async with a_house(tmp_path, clock=clock) as second:
        assert not second.studio.schedules.calendar("office").is_business_day(datetime(2026, 12, 8, tzinfo=UTC).date())
        assert datetime(2026, 11, 30, 6, tzinfo=UTC) == second.triggers.schedules.next_due


async def test_expressions_find_the_calendars_of_the_store(tmp_path: Path, clock: ManualClock):
    """
    A step asks a calendar by name; the run sees what is kept.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.studio.schedules.save_calendar("office", AUSTRIA)
        text = a_schedule("every: 1d").replace("due: item.due", 'due: \'add_business_days("2026-12-07", 1, "office")\'')
        workflow = await house.publish(text)
        run = await house.studio.runs.start(workflow, {})
        await house.worker.wait(run.id)
        assert [{"due": "2026-12-09"}] == await house.outputs(run, "keep")


async def test_the_slots_of_a_week(tmp_path: Path, clock: ManualClock):
    """
    Done, failed, missed and due: each slot says what became of it, with its run.
    """
    async with a_house(tmp_path, clock=clock) as house:
        workflow = await house.publish(a_schedule('cron: "0 7 * * *", missed: skip'))
        clock.advance(timedelta(hours=6))
        await house.triggers.schedules.run_once()
        await house.runs()
        clock.advance(timedelta(days=2, hours=1))
        await house.triggers.schedules.run_once()
        view = await house.studio.schedules.view(MONDAY - timedelta(days=3), MONDAY + timedelta(days=5))
        assert ["done", "missed", "missed", "due", "due"] == [slot.state for slot in view.slots]
        (run,) = await house.runs()
        assert (run.id, "Nightly", "clock") == (view.slots[0].run_id, view.slots[0].workflow_name, view.slots[0].node)
        assert view.slots == (await house.studio.schedules.view(MONDAY, MONDAY + timedelta(days=5), workflow)).slots

        await house.triggers.pause(workflow, "clock")
        clock.advance(timedelta(hours=23))
        await house.triggers.schedules.run_once()
        view = await house.studio.schedules.view(MONDAY, MONDAY + timedelta(days=5))
        assert "held" == view.slots[3].state
        with pytest.raises(BadRequest, match="window"):
            await house.studio.schedules.view(MONDAY, MONDAY + timedelta(days=500))


async def test_a_view_that_is_too_long_says_so(tmp_path: Path, clock: ManualClock):
    """
    A schedule of every minute does not fill the memory with a year of slots.
    """
    async with a_house(tmp_path, clock=clock) as house:
        await house.publish(a_schedule("every: 1m"))
        view = await house.studio.schedules.view(MONDAY, MONDAY + timedelta(days=300))
        assert (5_000, True) == (len(view.slots), view.is_cut)


async def test_the_next_due_times(tmp_path: Path, clock: ManualClock):
    """
    What the form shows while somebody types.
    """
    async with a_house(tmp_path, clock=clock) as house:
        schedules = house.studio.schedules
        fields = {"cron": "0 7 * * *", "calendar": "weekdays"}
        found = schedules.preview(fields, timezone="Europe/Vienna", count=6)
        assert ["23", "24", "25", "26", "27", "30"] == [f"{due:%d}" for due in found]
        with pytest.raises(BadInput, match="no calendar"):
            schedules.preview({**fields, "calendar": "weekday"})


async def test_a_calendar_from_a_file(tmp_path: Path, clock: ManualClock):
    """
    An iCalendar file adds to a calendar; built-in ones stay as they are.
    """
    ics = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261208\nSUMMARY:Feast\nEND:VEVENT\nEND:VCALENDAR\n"
    async with a_house(tmp_path, clock=clock) as house:
        schedules = house.studio.schedules
        brought = await schedules.import_calendar("office", ics)
        again = await schedules.import_calendar("office", ics.replace("20261208", "20261224"))
        assert (1, 2) == (len(brought.calendar.holidays), len(again.calendar.holidays))
        with pytest.raises(Conflict, match="built in"):
            await schedules.import_calendar("weekdays", ics)
        await schedules.delete_calendar("office")
        with pytest.raises(NotFound):
            schedules.calendar("office")
