"""When a cron expression is due, also on the days when clocks change."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from engine.errors import BadInput
from engine.model.cron import moment_of, parse_cron

VIENNA = ZoneInfo("Europe/Vienna")
EVENING_BEFORE_SPRING = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
EVENING_BEFORE_AUTUMN = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)


def due_times(text: str, after: datetime, count: int, zone: ZoneInfo = VIENNA) -> list[str]:
    """Return the next due times as the clocks on the wall show them, with their offset."""
    cron, found = parse_cron(text), []
    for _ in range(count):
        due = cron.next_after(after, zone)
        assert due is not None
        found.append(due.astimezone(zone).strftime("%d. %H:%M %z"))
        after = due
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("0 7 * * MON-FRI", ["23. 07:00", "24. 07:00", "25. 07:00"], id="working days"),
        pytest.param("*/20 9-10 * * *", ["21. 09:00", "21. 09:20", "21. 09:40"], id="steps and ranges"),
        pytest.param("5/30 0 * * *", ["21. 00:05", "21. 00:35", "22. 00:05"], id="from five on"),
        pytest.param("0 0 1 jan,feb *", ["01. 00:00", "01. 00:00", "01. 00:00"], id="months by name"),
        pytest.param("0 0 L * *", ["30. 00:00", "31. 00:00", "31. 00:00"], id="last day of the month"),
        pytest.param("0 0 25 * MON", ["23. 00:00", "25. 00:00", "30. 00:00"], id="either day field is enough"),
        pytest.param("0 0 * * 7", ["22. 00:00", "29. 00:00", "06. 00:00"], id="Sunday is 0 and 7"),
        pytest.param("0 0 * * FRI-MON", ["21. 00:00", "22. 00:00", "23. 00:00"], id="a weekend over its edge"),
        pytest.param("@weekly", ["22. 00:00", "29. 00:00", "06. 00:00"], id="a shorthand"),
    ],
)
def test_due_times(cron, expected):
    """
    The five fields mean what they mean in every crontab.
    """
    friday_noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert expected == [text[:9] for text in due_times(cron, friday_noon, 3)]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("30 2 * * *", ["29. 03:00 +0200", "30. 02:30 +0200"], id="a skipped time comes after the gap"),
        pytest.param("15,45 2 * * *", ["29. 03:00 +0200", "30. 02:15 +0200"], id="two skipped times are one"),
        pytest.param("0 * * * *", ["29. 01:00 +0100", "29. 03:00 +0200"], id="hourly leaves no hour out"),
        pytest.param("*/30 * * * *", ["29. 01:00 +0100", "29. 01:30 +0100", "29. 03:00 +0200"], id="half-hourly too"),
    ],
)
def test_spring(cron, expected):
    """
    On the night of 29 March 2026, the clocks of Vienna go from 02:00 to 03:00.
    """
    assert expected == due_times(cron, EVENING_BEFORE_SPRING, len(expected))


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("30 2 * * *", ["25. 02:30 +0200", "26. 02:30 +0100"], id="a time that comes twice runs once"),
        pytest.param("30 1-3 * * *", ["25. 01:30 +0200", "25. 02:30 +0200", "25. 03:30 +0100"], id="so in a range"),
        pytest.param(
            "0 */1 * * *", ["25. 00:00 +0200", "25. 01:00 +0200", "25. 02:00 +0200", "25. 02:00 +0100"], id="hourly: 25 runs"
        ),
    ],
)
def test_autumn(cron, expected):
    """
    On the night of 25 October 2026, the clocks of Vienna go from 03:00 back to 02:00.
    """
    assert expected == due_times(cron, EVENING_BEFORE_AUTUMN, len(expected))


def test_a_fixed_time_is_due_once_on_every_day_of_the_year():
    """
    A daily job runs 365 times in a year, whatever the clocks do.
    """
    for hour in range(4):
        cron, after, days = parse_cron(f"30 {hour} * * *"), datetime(2025, 12, 31, 22, 59, tzinfo=UTC), []
        while (due := cron.next_after(after, VIENNA)) is not None and due.astimezone(VIENNA).year == 2026:
            days.append(due.astimezone(VIENNA).date())
            after = due
        assert 365 == len(days) == len(set(days))


def test_an_hourly_job_follows_real_time():
    """
    An hourly job runs 8,760 times in a year, one hour apart.
    """
    cron, after, count = parse_cron("0 * * * *"), datetime(2025, 12, 31, 22, 59, tzinfo=UTC), 0
    while (due := cron.next_after(after, VIENNA)) is not None and due.astimezone(VIENNA).year == 2026:
        assert count == 0 or (due - after).total_seconds() == 3600
        after, count = due, count + 1
    assert 8760 == count


def test_odd_zones():
    """
    A gap of half an hour (Lord Howe) and a day that never was (Samoa) are gaps like any other.
    """
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert datetime(2026, 10, 3, 15, 30, tzinfo=UTC) == moment_of(datetime(2026, 10, 4, 2, 15), lord_howe)
    apia = ZoneInfo("Pacific/Apia")
    skipped_day = moment_of(datetime(2011, 12, 30, 12, 0), apia)
    assert date(2011, 12, 31) == skipped_day.astimezone(apia).date()


def test_the_rarest_day():
    """
    29 February is found across a century without a leap year; 30 February never.
    """
    assert datetime(2104, 2, 29, tzinfo=UTC) == parse_cron("0 0 29 2 *").next_after(
        datetime(2097, 1, 1, tzinfo=UTC), ZoneInfo("UTC")
    )
    assert parse_cron("0 0 30 2 *").next_after(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC")) is None


@pytest.mark.parametrize(
    ("cron", "part"),
    [
        ("0 7 * *", "five fields"),
        ("0 0 7 * * *", "a sixth field for seconds"),
        ("60 * * * *", "The minute “60”"),
        ("* 5-2 * * *", "runs backwards"),
        ("* * * FOO *", "JAN, FEB"),
        ("*/0 * * * *", "a step is"),
        ("² * * * *", "“²” is no number"),
        ("99999999999999999999 * * * *", "is no number"),
    ],
)
def test_what_is_wrong_is_named(cron, part):
    """
    An expression that cannot be read says which part, and why.
    """
    with pytest.raises(BadInput) as caught:
        parse_cron(cron)
    assert part in caught.value.message
