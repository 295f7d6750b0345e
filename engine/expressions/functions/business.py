"""Functions on business days: what a day is, the calendar of that name says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from ..budget import SCOPE
from ..errors import ExpressionError
from ..moments import add_duration, zone_of
from .spec import Text, When, Whole, function

MOST = 20_000
"""Business days that one call moves by; the search goes day by day."""


class Weekdays:
    """Monday to Friday: the calendar where nobody handed in others."""

    def is_business_day(self, day: date) -> bool:
        """Whether it is no Saturday or Sunday."""
        return day.isoweekday() < 6

    def add_business_days(self, day: date, count: int) -> date | None:
        """Move by so many of them; None beyond the years 1 to 9999."""
        way = 1 if count >= 0 else -1
        left = abs(count)
        try:
            while left or day.isoweekday() > 5:
                day += timedelta(days=way)
                left -= day.isoweekday() < 6 and left > 0
        except OverflowError:
            return None
        return day


def _calendar(scope: Mapping[str, Any], name: str) -> Any:
    known = scope.get(SCOPE, scope).get("$calendars")
    found = known.find(name) if known is not None else Weekdays() if name == "weekdays" else None
    if found is None:
        hint = known.nearest(name) if known is not None else "“weekdays” is always there"
        raise ExpressionError(f"there is no calendar “{name[:60]}”", hint=hint)
    return found


@function(
    "date",
    ('is_business_day("2026-11-23")', True),
    ('is_business_day("2026-11-22", "weekdays")', False),
    reads_clock=True,
)
def is_business_day(scope: Any, value: When, calendar: Text = "weekdays") -> bool:
    """Tells whether a date is a business day of a calendar: “weekdays”, “target”, or one kept in the settings."""
    day = value.astimezone(zone_of(scope)).date() if isinstance(value, datetime) else value
    return bool(_calendar(scope, calendar).is_business_day(day))


@function(
    "date",
    ('text(add_business_days("2026-11-20", 1))', "2026-11-23"),
    ('text(add_business_days("2026-11-23", -1, "weekdays"))', "2026-11-20"),
    reads_clock=True,
)
def add_business_days(scope: Any, value: When, count: Whole, calendar: Text = "weekdays") -> date:
    """Moves by business days of a calendar; 0 goes on to the next business day, or stays. A moment keeps its time of day."""
    if abs(count) > MOST:
        raise ExpressionError(f"add_business_days(…) moves by {MOST:,} days at most")
    day = value.astimezone(zone_of(scope)).date() if isinstance(value, datetime) else value
    found = _calendar(scope, calendar).add_business_days(day, count)
    if found is None:
        raise ExpressionError("there is no such business day", hint="look at the working days of the calendar")
    moved: date = add_duration(value, timedelta(days=(found - day).days), zone_of(scope))
    return moved
