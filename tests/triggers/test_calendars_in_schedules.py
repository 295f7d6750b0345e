"""Schedules by a calendar, and on the days when clocks change, in three zones."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.model.calendar import Calendars
from engine.triggers.timetable import parse_timetable

CALENDARS = Calendars({"austria": {"holidays": {"2026-12-24": "Eve"}, "yearly": {"12-25": "Christmas", "01-01": "New Year"}}})


def dues(start: str, count: int, **fields):
    table = parse_timetable({"timezone": "Europe/Vienna", **fields}, calendars=CALENDARS)
    at = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("Europe/Vienna")).astimezone(UTC)
    found = []
    for _ in range(count):
        at = table.next_after(at, at)
        found.append(at.astimezone(table.zone).strftime("%a %d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cron": "0 7 * * *"}, ["Wed 23 07:00", "Mon 28 07:00", "Tue 29 07:00"]),
        ({"cron": "0 7 24 * *"}, ["Mon 24 07:00"]),  # of August: in December it is a holiday
        ({"cron": "0 7 24 12 *", "on_holiday": "next_business_day"}, ["Mon 28 07:00"]),
        ({"cron": "0 7 24 12 *", "on_holiday": "previous_business_day"}, ["Wed 23 07:00"]),
        ({"cron": "0 7 * * *", "on_holiday": "next_business_day"}, ["Wed 23 07:00", "Mon 28 07:00", "Tue 29 07:00"]),
        ({"cron": "0 7,19 * * SAT", "on_holiday": "next_business_day"}, ["Mon 28 07:00", "Mon 28 19:00", "Mon 04 07:00"]),
        ({"cron": "0 7 * * SAT", "on_holiday": "previous_business_day"}, ["Wed 23 07:00", "Thu 31 07:00", "Fri 08 07:00"]),
        ({"every": "12h"}, ["Wed 23 12:00", "Mon 28 00:00", "Mon 28 12:00"]),
    ],
)
def test_business_days_alone(fields, expected):
    """
    A time on a holiday is left out, or moves to the business day beside; what falls together there is one time.
    """
    start = "2026-08-23T00:00" if fields.get("cron") == "0 7 24 * *" else "2026-12-23T00:00"
    assert expected == dues(start, len(expected), calendar="austria", **fields)


@given(
    st.sampled_from(["0 7 * * *", "30 6 * * SUN", "0 0 L * *", "15 * 1,15 * *", "0 9 25 12 *", "0 8 * * SAT,SUN"]),
    st.sampled_from(["skip", "next_business_day", "previous_business_day"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
)
def test_every_time_is_on_a_business_day_and_none_is_lost(cron, on_holiday, at):
    """
    Against a slow reckoning: each day of the plain cron, moved by itself.
    """
    assume(on_holiday != "skip" or cron not in ("0 9 25 12 *", "30 6 * * SUN", "0 8 * * SAT,SUN"))  # never due
    zone = ZoneInfo("Europe/Vienna")
    plain = parse_timetable({"cron": cron, "timezone": zone.key})
    table = parse_timetable(
        {"cron": cron, "timezone": zone.key, "calendar": "austria", "on_holiday": on_holiday}, calendars=CALENDARS
    )
    calendar = CALENDARS.find("austria")
    start = at.replace(tzinfo=UTC)
    end = start + timedelta(days=40)
    expected = set()
    for due in plain.between(start - timedelta(days=12), end + timedelta(days=12), most=10_000):
        here = due.astimezone(zone)
        day = here.date()
        if not calendar.is_business_day(day):
            if on_holiday == "skip":
                continue
            day = calendar.next_business_day(day, way=1 if on_holiday == "next_business_day" else -1)
        expected.add(datetime.combine(day, here.time(), zone))
    found = table.between(start, end, most=10_000)
    dates = {due.astimezone(zone).date() for due in found}
    assert all(calendar.is_business_day(day) for day in dates)
    wanted = {due for due in expected if start <= due < end}
    if not cron.startswith("15 *"):  # by real time the hour that comes twice is there twice, and the skipped one not at all
        assert sorted(wanted) == found
    assert {due.astimezone(zone).date() for due in wanted} == dates


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cron": "@daily", "calendar": "austira"}, "calendar"),
        ({"cron": "@daily", "calendar": 7}, "calendar"),
        ({"cron": "@daily", "on_holiday": "next_business_day"}, "on_holiday"),
        ({"cron": "@daily", "calendar": "austria", "on_holiday": "later"}, "on_holiday"),
        ({"every": "1h", "calendar": "austria", "on_holiday": "next_business_day"}, "on_holiday"),
        ({"cron": "0 7 25 12 *", "calendar": "austria"}, "calendar"),
    ],
)
def test_what_cannot_work_names_its_field(fields, field):
    """
    An unknown calendar, a policy without one, a schedule that is never due.
    """
    with pytest.raises(BadInput) as caught:
        parse_timetable(fields, calendars=CALENDARS)
    assert field == caught.value.field


SWITCHES = {
    "Europe/Vienna": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
}
"""The day clocks go forward and the day they go back; Lord Howe Island moves by half an hour."""


def on_day(zone: str, day: date, **fields) -> list[str]:
    """Return the due times of one local day, as clocks there show them."""
    table = parse_timetable({"timezone": zone, **fields})
    start = datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    return [due.astimezone(ZoneInfo(zone)).strftime("%H:%M%z") for due in table.between(start, end, start, most=500)]


@pytest.mark.parametrize(
    ("zone", "forward", "back"),
    [
        ("Europe/Vienna", ["03:00+0200"], ["02:15+0200"]),
        ("America/New_York", ["03:00-0400"], ["02:15-0500"]),
        ("Australia/Lord_Howe", ["02:30+1100"], ["02:15+1030"]),
    ],
)
def test_a_daily_job_runs_once_on_each_switch(zone, forward, back):
    """
    02:15 is skipped in spring and comes at the first moment after the gap; in autumn it comes once.
    """
    spring, autumn = SWITCHES[zone]
    assert forward == on_day(zone, spring, cron="15 2 * * *")
    assert back == on_day(zone, autumn, cron="15 2 * * *")


@pytest.mark.parametrize(
    ("zone", "twice"),
    [
        ("Europe/Vienna", "30 2 * * *"),
        ("America/New_York", "30 1 * * *"),
        ("Australia/Lord_Howe", "45 1 * * *"),
    ],
)
def test_a_time_that_comes_twice_fires_the_first_time(zone, twice):
    """
    On the day clocks go back, a fixed time in the repeated stretch is the earlier of the two.
    """
    _, autumn = SWITCHES[zone]
    (found,) = on_day(zone, autumn, cron=twice)
    hour, minute = twice.split()[1], twice.split()[0]
    wall = datetime.combine(autumn, datetime.min.time(), ZoneInfo(zone)).replace(hour=int(hour), minute=int(minute))
    assert wall.replace(fold=0).strftime("%H:%M%z") == found
    assert wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()


@pytest.mark.parametrize(("zone", "hours"), [("Europe/Vienna", 1), ("America/New_York", 1), ("Australia/Lord_Howe", 0.5)])
def test_what_follows_real_time_keeps_its_pace(zone, hours):
    """
    Every quarter of an hour by cron and by pause: as many times as the day has quarters, each a quarter after the last.
    """
    spring, autumn = SWITCHES[zone]
    for fields in ({"cron": "*/15 * * * *"}, {"every": "15m"}):
        assert (24 - hours) * 4 == len(on_day(zone, spring, **fields))
        assert (24 + hours) * 4 == len(on_day(zone, autumn, **fields))
    table = parse_timetable({"timezone": zone, "cron": "*/15 * * * *"})
    start = datetime.combine(autumn, datetime.min.time(), UTC) - timedelta(hours=24)
    found = table.between(start, start + timedelta(hours=60), most=500)
    assert {timedelta(minutes=15)} == {later - earlier for earlier, later in pairwise(found)}


@given(st.sampled_from(list(SWITCHES)), st.integers(0, 23), st.integers(0, 59), st.integers(0, 360))
def test_a_daily_job_runs_once_on_every_day_of_the_year(zone, hour, minute, number):
    """
    Whatever the time and the day, one due time per local date.
    """
    table = parse_timetable({"timezone": zone, "cron": f"{minute} {hour} * * *"})
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    found = [due.astimezone(ZoneInfo(zone)).date() for due in table.between(start, start + timedelta(days=20), most=100)]
    assert found == sorted(set(found))
    assert len(found) >= 19
