"""Dates, moments and durations: time zones, reading ISO 8601, arithmetic that respects the clock on the wall."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from .errors import ExpressionError

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])\Z")
_ISO_DURATION = re.compile(
    r"([+-]?)P(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)S)?)?\Z",
    re.ASCII,
)
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s{0,4}(ms|[wdhms])\s{0,4}", re.ASCII)
_PART_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}


@lru_cache(maxsize=256)
def find_zone(name: str) -> tzinfo:
    """Return the time zone called `name` (an IANA name, `UTC`, or an offset such as `+02:00`); raises ExpressionError."""
    if name in ("UTC", "Z", "utc"):
        return UTC
    if offset := _OFFSET.match(name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    if name in known_zones():
        return ZoneInfo(name)
    near = _zones_by_word().get(name[:60].rpartition("/")[2].strip().replace(" ", "_").lower())
    hint = f"did you mean “{near}”?" if near else "write its name, for example Europe/Vienna"
    raise ExpressionError(f"there is no time zone “{name[:60]}”", hint=hint)


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """Return the names of all time zones; asked before a zone is opened, so that no other file ever is."""
    return frozenset(available_timezones())


@lru_cache(maxsize=1)
def _zones_by_word() -> dict[str, str]:
    return {name.rpartition("/")[2].lower(): name for name in sorted(known_zones())}


def zone_of(scope: Mapping[str, Any]) -> tzinfo:
    """Return the time zone of the workflow, UTC where none is set."""
    name = scope.get("$timezone")
    if name is None:
        return UTC
    return name if isinstance(name, tzinfo) else find_zone(str(name))


def read_iso(text: str, zone: tzinfo) -> date | datetime | None:
    """
    Read a date or a moment in ISO 8601; None when the text is neither.

    A moment without an offset is taken to be on the wall clock of `zone`.
    """
    text = text.strip() if len(text) <= 64 else text
    if not 8 <= len(text) <= 40 or not text.isascii() or not text[:4].isdigit():
        return None
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else on_wall(moment, zone)


def read_duration(text: str) -> timedelta | None:
    """Read a duration such as `PT1H30M`, `P3D` or `2h 30m`; None when the text is not one."""
    text = text.strip() if len(text) <= 64 else text
    if not 1 < len(text) <= 64:
        return None
    try:
        if (iso := _ISO_DURATION.match(text)) and text[-1] not in "PT":
            sign, weeks, days, hours, minutes, seconds = iso.groups()
            amount = timedelta(
                weeks=int(weeks or 0),
                days=int(days or 0),
                hours=int(hours or 0),
                minutes=int(minutes or 0),
                seconds=float(seconds or 0),
            )
            return -amount if sign == "-" else amount
        place, total = 0, timedelta()
        while place < len(text) and (part := _PART.match(text, place)):
            total += timedelta(**{_PART_UNITS[part[2]]: float(part[1])})
            place = part.end()
    except OverflowError:
        return None
    return total if place == len(text) else None


def on_wall(moment: datetime, zone: tzinfo) -> datetime:
    """Put a moment without offset on the wall clock of a zone; a time that the clock skips moves on past the gap."""
    placed = moment.replace(tzinfo=zone)
    try:
        return placed.astimezone(UTC).astimezone(zone)
    except (OverflowError, ValueError):
        return placed


def as_moment(value: date, zone: tzinfo) -> datetime:
    """Return a moment for a date (its first) or a moment (itself, with an offset)."""
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else on_wall(value, zone)
    return on_wall(datetime(value.year, value.month, value.day), zone)  # noqa: DTZ001 - placed in its zone at once


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Show a moment on the wall clock of a zone; raises ExpressionError at the edge of the years 1 and 9999."""
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        raise ExpressionError("the date leaves the years 1 to 9999") from None


def add_duration(value: date, by: timedelta, zone: tzinfo) -> date:
    """
    Move a date or a moment. Whole days keep the time on the wall clock; anything finer counts real time.

    A date moved by whole days stays a date, else it becomes a moment. Raises ExpressionError outside the years 1 to 9999.
    """
    try:
        is_whole = by.seconds == 0 and by.microseconds == 0
        if not isinstance(value, datetime):
            if is_whole:
                return value + by
            value = as_moment(value, zone)
        value = as_moment(value, zone)
        if is_whole:
            return on_wall(value.replace(tzinfo=None) + by, value.tzinfo or UTC)
        return in_zone(in_zone(value, UTC) + by, value.tzinfo or UTC)
    except OverflowError:
        raise ExpressionError("the date leaves the years 1 to 9999") from None


def between(later: date, earlier: date, zone: tzinfo) -> timedelta:
    """Return the duration from `earlier` to `later`; two dates differ by whole days."""
    if not isinstance(later, datetime) and not isinstance(earlier, datetime):
        return later - earlier
    return in_zone(as_moment(later, zone), UTC) - in_zone(as_moment(earlier, zone), UTC)
