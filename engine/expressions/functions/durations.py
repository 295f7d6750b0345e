"""Functions on durations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..errors import ExpressionError
from ..moments import read_duration
from ..values import kind_of
from .spec import Duration, Number, Text, Value, function

_SECONDS = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}


def _lasting(amount: Any, unit: str) -> timedelta:
    try:
        return timedelta(**{unit: float(amount) if type(amount) is not int else amount})
    except (OverflowError, ValueError):
        raise ExpressionError("the duration is too long") from None


@function("duration", ('text(date("2026-11-23") + weeks(1))', "2026-11-30"), is_flat=True)
def weeks(count: Number) -> timedelta:
    """Gives a duration of weeks."""
    return _lasting(count, "weeks")


@function("duration", ('text(date("2026-11-23") + days(3))', "2026-11-26"), is_flat=True)
def days(count: Number) -> timedelta:
    """Gives a duration of days. Added to a date, whole days keep the time on the wall clock."""
    return _lasting(count, "days")


@function("duration", ('text(datetime("2026-11-23T08:00:00Z") + hours(1.5))', "2026-11-23T09:30:00Z"), is_flat=True)
def hours(count: Number) -> timedelta:
    """Gives a duration of hours."""
    return _lasting(count, "hours")


@function("duration", ("text(minutes(90))", "PT1H30M"), is_flat=True)
def minutes(count: Number) -> timedelta:
    """Gives a duration of minutes."""
    return _lasting(count, "minutes")


@function("duration", ("text(seconds(90))", "PT1M30S"), is_flat=True)
def seconds(count: Number) -> timedelta:
    """Gives a duration of seconds."""
    return _lasting(count, "seconds")


@function("duration", ("text(milliseconds(1500))", "PT1.5S"), is_flat=True)
def milliseconds(count: Number) -> timedelta:
    """Gives a duration of milliseconds."""
    return _lasting(count, "milliseconds")


@function(
    "duration",
    ('text(duration("1h 30m"))', "PT1H30M"),
    ('text(duration("P3D"))', "P3D"),
    ('duration("soon")', None),
    is_flat=True,
)
def duration(value: Value) -> timedelta | None:
    """Reads a duration from text such as "1h 30m", "2d" or "PT90S"; null when it is none."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return read_duration(value)
    if value is None:
        return None
    raise ExpressionError(f"cannot read a duration from {kind_of(value)}", hint="write days(3), hours(2) or duration(“1h 30m”)")


@function(
    "duration",
    ('in_unit(hours(36), "days")', 1.5),
    ('in_unit(date("2026-11-23") - date("2026-11-01"), "weeks").round(2)', 3.14),
    is_flat=True,
)
def in_unit(value: Duration, unit: Text) -> float:
    """Counts a duration in weeks, days, hours, minutes, seconds or milliseconds."""
    if unit not in _SECONDS:
        raise ExpressionError(f"there is no unit “{unit[:20]}”", hint="one of " + ", ".join(_SECONDS))
    amount = value / timedelta(**{unit: 1})
    return int(amount) if amount == int(amount) else amount
