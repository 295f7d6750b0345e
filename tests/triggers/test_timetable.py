"""What stands under `with` of a schedule, and what it comes to."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import BadInput
from engine.triggers.timetable import parse_timetable, preview

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_even_pauses_stay_on_their_grid():
    """
    A schedule that slept past some due times goes on at the next one of its grid.
    """
    table = parse_timetable({"every": "15m"})
    assert NOON + timedelta(minutes=15) == table.next_after(NOON, since=NOON)
    late = NOON + timedelta(minutes=52, seconds=7)
    assert NOON + timedelta(hours=1) == table.next_after(late, since=NOON)


def test_preview_shows_local_times():
    """
    The next times are shown as clocks in the zone show them.
    """
    times = preview(cron="0 7 * * MON-FRI", timezone="Europe/Vienna", after=NOON, count=2)
    assert ["2026-11-24T07:00:00+01:00", "2026-11-25T07:00:00+01:00"] == [time.isoformat() for time in times]
    assert [NOON + timedelta(hours=8 * n) for n in (1, 2, 3)] == preview(every="8h", after=NOON, count=3)


def test_the_zone_of_the_workflow_is_the_default():
    """
    A schedule without a zone of its own follows the workflow's.
    """
    assert "2026-11-24T07:00:00+01:00" == _first_local({"cron": "0 7 * * *"}, "Europe/Vienna")
    assert "2026-11-24T07:00:00-05:00" == _first_local({"cron": "0 7 * * *", "timezone": "America/New_York"}, "Europe/Vienna")


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({}, "cron", "either"),
        ({"cron": "* * * * *", "every": "1m"}, "cron", "not both"),
        ({"cron": "0 0 31 2 *"}, "cron", "never due"),
        ({"every": "tomorrow"}, "every", "cannot be read"),
        ({"every": "10ms"}, "every", "once a second"),
        ({"every": 1e400}, "every", "ten years"),
        ({"every": "1h", "missed": "never"}, "missed", "'never'"),
        ({"every": "1h", "timezone": "Europe/Wien"}, "timezone", "no time zone"),
        ({"every": "1h", "timezone": "../../etc/passwd"}, "timezone", "no time zone"),
    ],
)
def test_what_is_wrong_names_its_field(fields, field, text):
    """
    A schedule that cannot work says so at its field.
    """
    with pytest.raises(BadInput) as caught:
        parse_timetable(fields)
    assert (field, True) == (caught.value.field, text in caught.value.message)


def _first_local(fields, default):
    table = parse_timetable(fields, default)
    due = table.next_after(NOON, NOON)
    assert due is not None
    return table.local(due)
