"""Functions on dates and moments. Time zones are those of the workflow unless one is named."""

from __future__ import annotations

import calendar
import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..budget import DEFAULT, METER, Meter
from ..errors import ExpressionError
from ..moments import add_duration, as_moment, between, find_zone, in_zone, on_wall, read_iso, zone_of
from ..values import kind_of
from .patterns_of_dates import read_by_pattern, write_by_pattern
from .spec import Moment, Number, Text, Value, When, Whole, function

UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")


def _zone(scope: Any, name: str | None) -> Any:
    return zone_of(scope) if name is None else find_zone(name)


def _present(scope: Any) -> datetime:
    meter: Meter = scope.get(METER) or Meter(DEFAULT, scope)
    return meter.now()


@function("date", ("now() >= now()", True), ('kind(now("Europe/Vienna"))', "datetime"), reads_clock=True)
def now(scope: Value, zone: Text | None = None) -> datetime:
    """Gives the present moment, in the zone of the workflow or another one."""
    return in_zone(_present(scope), _zone(scope, zone))


@function("date", ("kind(today())", "date"), reads_clock=True)
def today(scope: Value, zone: Text | None = None) -> date:
    """Gives the date of today, in the zone of the workflow or another one."""
    return now(scope, zone).date()


@function("date", ("today() - yesterday() == days(1)", True), reads_clock=True)
def yesterday(scope: Value, zone: Text | None = None) -> date:
    """Gives the date of yesterday."""
    return today(scope, zone) - timedelta(days=1)


@function("date", ("tomorrow() > today()", True), reads_clock=True)
def tomorrow(scope: Value, zone: Text | None = None) -> date:
    """Gives the date of tomorrow."""
    return today(scope, zone) + timedelta(days=1)


@function(
    "date",
    ('text(date("2026-11-23"))', "2026-11-23"),
    ("text(date(2026, 2, 28))", "2026-02-28"),
    ('text(date("2026-11-23T23:30:00Z", "Europe/Vienna"))', "2026-11-24"),
    ('date("soon")', None),
)
def date_(scope: Value, value: Value, month: Value = None, day: Whole | None = None) -> date | None:
    """Makes a date from text, from a moment (in a zone that may be named) or from year, month and day; null when it is none."""
    if type(value) is int and type(month) is int:
        return _built(value, month, 1 if day is None else day)
    zone = _zone(scope, month if isinstance(month, str) else None)
    found = read_iso(value, zone_of(scope)) if isinstance(value, str) else value
    if found is None:
        return None
    if isinstance(found, datetime):
        return in_zone(as_moment(found, zone), zone).date()
    if isinstance(found, date):
        return found
    raise ExpressionError(f"cannot make a date from {kind_of(value)}", hint="write date(2026, 11, 23) or date(“2026-11-23”)")


def _built(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        raise ExpressionError("there is no such date", hint="write date(year, month, day)") from None


@function(
    "date",
    ('text(datetime("2026-11-23T08:00:00Z"))', "2026-11-23T08:00:00Z"),
    ('text(datetime("2026-07-01T08:00", "Europe/Vienna"))', "2026-07-01T08:00:00+02:00"),
    ('datetime("soon")', None),
)
def datetime_(scope: Value, value: Value, zone: Text | None = None) -> datetime | None:
    """Makes a moment from text or a date; what has no offset is on the wall clock of the zone. Null when it is none."""
    place = _zone(scope, zone)
    found = read_iso(value, place) if isinstance(value, str) else value
    if found is None:
        return None
    if not isinstance(found, date):
        raise ExpressionError(f"cannot make a moment from {kind_of(value)}", hint="write datetime(“2026-11-23T08:00”)")
    moment = as_moment(found, place)
    return moment if zone is None else in_zone(moment, place)


@function(
    "date",
    ('format_date("2026-11-03", "d MMM yyyy")', "3 Nov 2026"),
    ('format_date("2026-11-03T09:05:00Z", "EEEE, dd.MM.yy HH:mm", "Europe/Vienna")', "Tuesday, 03.11.26 10:05"),
    ('format_date("2026-11-03", "yyyy\'th year\'")', "2026th year"),
)
def format_date(scope: Value, value: When, pattern: Text = "yyyy-MM-dd", zone: Text | None = None) -> str:
    """
    Writes a date by a pattern: yyyy yy, M MM MMM MMMM, d dd, E EEE EEEE, H HH, h hh, m mm, s ss, SSS, a, z, Z, XXX, Q, w;
    words stand in 'quotes'.
    """
    if zone is not None:
        value = in_zone(as_moment(value, find_zone(zone)), find_zone(zone))
    return write_by_pattern(value, pattern)


@function(
    "date",
    ('text(parse_date("3.11.2026", "d.M.yyyy"))', "2026-11-03"),
    ('text(parse_date("03/11/26 14:30", "dd/MM/yy HH:mm", "Europe/Vienna"))', "2026-11-03T14:30:00+01:00"),
    ('parse_date("soon", "d.M.yyyy")', None),
)
def parse_date(scope: Value, text: Text, pattern: Text, zone: Text | None = None) -> date | None:
    """Reads a date by the same kind of pattern as format_date; a moment when it has hours. Null when it does not fit."""
    found = read_by_pattern(text, pattern)
    return as_moment(found, _zone(scope, zone)) if isinstance(found, datetime) else found


@function("date", ('text(in_zone("2026-07-01T08:00:00Z", "Europe/Vienna"))', "2026-07-01T10:00:00+02:00"))
def in_zone_(scope: Value, value: Moment, zone: Text) -> datetime:
    """Shows the same moment on the wall clock of another zone."""
    return in_zone(value, find_zone(zone))


@function("date", ('year("2026-11-23")', 2026), is_flat=True)
def year(value: When) -> int:
    """Gives the year."""
    return value.year


@function("date", ('quarter("2026-11-23")', 4), is_flat=True)
def quarter(value: When) -> int:
    """Gives the quarter of the year, 1 to 4."""
    return (value.month + 2) // 3


@function("date", ('month("2026-11-23")', 11), is_flat=True)
def month(value: When) -> int:
    """Gives the month, 1 to 12."""
    return value.month


@function("date", ('day("2026-11-23")', 23), is_flat=True)
def day(value: When) -> int:
    """Gives the day of the month."""
    return value.day


@function("date", ('hour("2026-11-23T08:15:00Z")', 8), ('hour("2026-11-23")', 0), is_flat=True)
def hour(value: When) -> int:
    """Gives the hour, 0 to 23; of a date 0."""
    return value.hour if isinstance(value, datetime) else 0


@function("date", ('minute("2026-11-23T08:15:00Z")', 15), is_flat=True)
def minute(value: When) -> int:
    """Gives the minute, 0 to 59; of a date 0."""
    return value.minute if isinstance(value, datetime) else 0


@function("date", ('second("2026-11-23T08:15:42Z")', 42), is_flat=True)
def second(value: When) -> int:
    """Gives the second, 0 to 59; of a date 0."""
    return value.second if isinstance(value, datetime) else 0


@function("date", ('weekday("2026-11-23")', 1), is_flat=True)
def weekday(value: When) -> int:
    """Gives the day of the week: 1 is Monday, 7 is Sunday."""
    return value.isoweekday()


@function("date", ('week("2026-11-23")', 48), is_flat=True)
def week(value: When) -> int:
    """Gives the number of the week by ISO 8601."""
    return value.isocalendar().week


@function("date", ('is_weekend("2026-11-22")', True), is_flat=True)
def is_weekend(value: When) -> bool:
    """Tells whether it is a Saturday or a Sunday."""
    return value.isoweekday() > 5


@function(
    "date",
    ('text(add_months("2026-01-31", 1))', "2026-02-28"),
    ('text(add_months(date("2026-03-31"), -1))', "2026-02-28"),
    is_flat=True,
)
def add_months(value: When, count: Whole) -> date:
    """Moves by months; a day that the month does not have becomes its last one."""
    months = value.year * 12 + value.month - 1 + count
    target, index = divmod(months, 12)
    if not 1 <= target <= 9999:
        raise ExpressionError("the date leaves the years 1 to 9999")
    last = calendar.monthrange(target, index + 1)[1]
    if isinstance(value, datetime):
        moved = value.replace(tzinfo=None, year=target, month=index + 1, day=min(value.day, last))
        return on_wall(moved, value.tzinfo or UTC)
    return date(target, index + 1, min(value.day, last))


@function("date", ('text(add_years("2024-02-29", 1))', "2025-02-28"), is_flat=True)
def add_years(value: When, count: Whole) -> date:
    """Moves by years; 29 February becomes 28 where there is none."""
    return add_months(value, count * 12)


@function(
    "date",
    ('text(add_workdays("2026-11-20", 1))', "2026-11-23"),
    ('text(add_workdays("2026-11-23", -1))', "2026-11-20"),
    is_flat=True,
)
def add_workdays(scope: Value, value: When, count: Whole) -> date:
    """Moves by days from Monday to Friday; holidays are not known."""
    if abs(count) > 1_000_000:
        raise ExpressionError("the date leaves the years 1 to 9999")
    way = 1 if count >= 0 else -1
    weeks, rest = divmod(abs(count), 5)
    moved = add_duration(value, timedelta(weeks=way * weeks), zone_of(scope))
    while rest or moved.isoweekday() > 5:
        moved = add_duration(moved, timedelta(days=way), zone_of(scope))
        if moved.isoweekday() <= 5:
            rest = max(0, rest - 1)
    return moved


@function(
    "date",
    ('text(start_of("2026-11-23", "month"))', "2026-11-01"),
    ('text(start_of("2026-11-25", "week"))', "2026-11-23"),
    ('text(start_of("2026-11-23T08:15:42Z", "hour"))', "2026-11-23T08:00:00Z"),
    is_flat=True,
)
def start_of(value: When, unit: Text) -> date:
    """Goes back to the start of the year, quarter, month, week, day, hour, minute or second."""
    _check_unit(unit)
    place = UNITS.index(unit)
    if isinstance(value, datetime):
        clock = (
            {"minute": 0, "second": 0, "microsecond": 0}
            if place <= 5
            else {"second": 0, "microsecond": 0}
            if place == 6
            else {"microsecond": 0}
        )
        if place <= 4:
            first = start_of(value.date(), unit)
            return on_wall(datetime(first.year, first.month, first.day), value.tzinfo or UTC)  # noqa: DTZ001 - placed at once
        return value.replace(**clock)  # type: ignore[arg-type]
    if unit == "week":
        return date.fromordinal(max(1, value.toordinal() - value.weekday()))
    months = {"year": 1, "quarter": (value.month - 1) // 3 * 3 + 1, "month": value.month}
    return date(value.year, months[unit], 1) if unit in months else value


@function(
    "date",
    ('text(end_of("2026-02-10", "month"))', "2026-02-28"),
    ('text(end_of("2026-11-23T08:15:42Z", "day"))', "2026-11-23T23:59:59.999999Z"),
    is_flat=True,
)
def end_of(scope: Value, value: When, unit: Text) -> date:
    """Goes on to the last day, or the last moment, of the year, quarter, month, week, day, hour, minute or second."""
    _check_unit(unit)
    first = start_of(value, unit)
    months = {"year": 12, "quarter": 3, "month": 1}
    if unit in months:
        try:
            following = add_months(first, months[unit])
        except ExpressionError:
            return value
    else:
        spans = {
            "week": timedelta(weeks=1),
            "day": timedelta(days=1),
            "hour": timedelta(hours=1),
            "minute": timedelta(minutes=1),
        }
        following = add_duration(first, spans.get(unit, timedelta(seconds=1)), zone_of(scope))
    if not isinstance(value, datetime):
        if not isinstance(following, datetime):
            return following - timedelta(days=1)
        return value
    return in_zone(in_zone(as_moment(following, UTC), UTC) - timedelta(microseconds=1), value.tzinfo or UTC)


def _check_unit(unit: str) -> None:
    if unit not in UNITS:
        raise ExpressionError(f"there is no unit “{unit[:20]}”", hint="one of " + ", ".join(UNITS))


@function(
    "date", ('days_between("2026-11-01", "2026-11-23")', 22), ('days_between("2026-11-23", "2026-11-01")', -22), is_flat=True
)
def days_between(scope: Value, start: When, end: When) -> int:
    """Counts the days from one date to another; of moments the dates count."""
    zone = zone_of(scope)
    first, last = (in_zone(as_moment(side, zone), zone).date() if isinstance(side, datetime) else side for side in (start, end))
    return (last - first).days


@function("date", ('age("2000-11-24", "2026-11-23")', 25), reads_clock=True)
def age(scope: Value, born: When, at: When | None = None) -> int:
    """Counts the full years from a date to today, or to another date."""
    day_ = today(scope) if at is None else at
    return int(day_.year - born.year - ((day_.month, day_.day) < (born.month, born.day)))


@function("date", ('timestamp("1970-01-02")', 86400), ('timestamp("1970-01-01T00:00:01.5Z")', 1.5), is_flat=True)
def timestamp(value: Moment) -> float:
    """Counts the seconds since 1970-01-01 UTC."""
    seconds = between(value, datetime(1970, 1, 1, tzinfo=UTC), UTC) / timedelta(seconds=1)
    return int(seconds) if seconds == int(seconds) else seconds


@function(
    "date",
    ("text(from_timestamp(86400))", "1970-01-02T00:00:00Z"),
    ("text(from_timestamp(1500, true))", "1970-01-01T00:00:01.500000Z"),
)
def from_timestamp(scope: Value, seconds: Number, in_milliseconds: Value = False) -> datetime:
    """Makes a moment from the seconds (or milliseconds) since 1970-01-01 UTC."""
    amount = float(seconds)
    if not math.isfinite(amount):
        raise ExpressionError("the number is too big")
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + (
            timedelta(milliseconds=amount) if in_milliseconds is True else timedelta(seconds=amount)
        )
        return moment.astimezone(zone_of(scope))
    except OverflowError:
        raise ExpressionError(
            "the moment leaves the years 1 to 9999", hint="for milliseconds write from_timestamp(n, true)"
        ) from None
