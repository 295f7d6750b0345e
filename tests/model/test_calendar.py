"""Calendars: which days are business days, and what an iCalendar file brings."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.model.calendar import BUILT_IN, Calendars, easter_sunday, read_calendar, read_rule
from engine.model.ics import read_ics

VIENNA = {
    "working_days": ["mon", "tue", "wed", "thu", "fri"],
    "holidays": {"2026-12-24": "Christmas Eve"},
    "yearly": {"12-25": "Christmas", "12-26": "St Stephen", "easter+1": "Easter Monday", "01-01": "New Year"},
    "working": ["2026-12-19"],
}
AUSTRIA = read_calendar("austria", VIENNA)


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (1961, date(1961, 4, 2)),
        (2000, date(2000, 4, 23)),
        (2024, date(2024, 3, 31)),
        (2026, date(2026, 4, 5)),
        (2038, date(2038, 4, 25)),
    ],
)
def test_easter(year, expected):
    """
    The years that reckonings get wrong most often, from the tables of the U.S. Naval Observatory.
    """
    assert expected == easter_sunday(year)


@pytest.mark.parametrize(
    ("rule", "year", "expected"),
    [
        ("12-25", 2026, date(2026, 12, 25)),
        ("02-29", 2026, None),
        ("02-29", 2028, date(2028, 2, 29)),
        ("easter", 2026, date(2026, 4, 5)),
        ("Easter-2", 2026, date(2026, 4, 3)),
        ("easter+50", 2026, date(2026, 5, 25)),
        ("4 thu nov", 2026, date(2026, 11, 26)),
        ("1 mon sep", 2026, date(2026, 9, 7)),
        ("last mon may", 2026, date(2026, 5, 25)),
        ("last sun feb", 2026, date(2026, 2, 22)),
    ],
)
def test_rules_of_the_year(rule, year, expected):
    """
    Dates, days from Easter, and the nth or last weekday of a month; what is read is written the same.
    """
    read = read_rule(rule)
    assert expected == read.in_year(year)
    assert read == read_rule(str(read))


@pytest.mark.parametrize("text", ["13-01", "02-30", "easter*2", "5 mon may", "0 mon may", "last may mon", "", "12/25"])
def test_what_is_no_rule(text):
    """
    Anything else is none.
    """
    assert read_rule(text) is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-12-23", True),
        ("2026-12-24", False),
        ("2026-12-25", False),
        ("2026-12-27", False),
        ("2026-12-28", True),
        ("2026-12-19", True),
        ("2026-04-06", False),
        ("2027-12-24", True),
    ],
)
def test_business_days(day, expected):
    """
    Weekends, holidays once and every year, and a Saturday that is worked.
    """
    assert expected == AUSTRIA.is_business_day(date.fromisoformat(day))


@given(st.dates(date(1990, 1, 1), date(2060, 1, 1)), st.integers(-300, 300))
def test_moving_by_business_days_goes_there_and_back(day, count):
    """
    From a business day n days there and n back is where it began; every stop is a business day, and n lie between.
    """
    start = AUSTRIA.next_business_day(day)
    there = AUSTRIA.add_business_days(start, count)
    assert AUSTRIA.is_business_day(there)
    assert start == AUSTRIA.add_business_days(there, -count)
    first, last = min(start, there), max(start, there)
    between = sum(AUSTRIA.is_business_day(first + timedelta(days=number)) for number in range((last - first).days))
    assert abs(count) == between


def test_the_built_in_ones_and_those_of_the_store():
    """
    `weekdays` and `target` are always there; the store's come beside them.
    """
    known = Calendars({"austria": VIENNA})
    assert ["austria", "target", "weekdays"] == known.names()
    assert not BUILT_IN["target"].is_business_day(date(2026, 4, 3))
    assert "“austria”" in known.nearest("austira")
    assert VIENNA == known.find("austria").as_json()


def test_everything_that_is_wrong_is_said_at_once():
    """
    One answer names every mistake.
    """
    with pytest.raises(BadRequest) as caught:
        read_calendar("", {"working_days": ["moon"], "holidays": {"24.12.": "x"}, "yearly": ["13-13"], "odd": 1})
    for part in ("name has", "'moon'", "24.12.", "13-13", "“odd”", "at least one"):
        assert part in caught.value.message


ICS = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261224
DTEND;VALUE=DATE:20261227
SUMMARY:Christmas\\, the
  long one
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20201026
RRULE:FREQ=YEARLY
SUMMARY:National Day
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20201126
RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH
SUMMARY:Thanksgiving
END:VEVENT
BEGIN:VEVENT
DTSTART:20261224T180000Z
SUMMARY:Dinner
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20260101
RRULE:FREQ=WEEKLY
SUMMARY:Every week
END:VEVENT
END:VCALENDAR
"""


def test_an_icalendar_file():
    """
    All-day events become days, yearly ones rules; what cannot be taken over is named.
    """
    found = read_ics(ICS.replace("\n", "\r\n"))
    assert {date(2026, 12, day): "Christmas, the long one" for day in (24, 25, 26)} == found.days
    assert {"10-26": "National Day", "4 thu nov": "Thanksgiving"} == {str(rule): name for rule, name in found.yearly.items()}
    assert 2 == len(found.left_out)
    assert "“Dinner”" in found.left_out[0]


@pytest.mark.parametrize("text", ["", "hello", "BEGIN:VEVENT\nEND:VEVENT"])
def test_no_icalendar_file(text):
    """
    Other text is refused with a hint.
    """
    with pytest.raises(BadRequest, match="no iCalendar"):
        read_ics(text)
