"""
Cron expressions: five fields, names, lists, ranges, steps, and what they mean on the days when clocks change.

Fields and their rules are those of POSIX `crontab` with Paul Vixie's additions (names, steps, `@daily`): when both day fields
are restricted, either of them is enough. Clock changes follow Vixie's cron too. A job with a fixed hour runs exactly once
per day: a time that the spring change skips runs at the first moment after the gap, a time that autumn brings twice runs
the first time. A job whose hour begins with `*` follows real time: it pauses for the gap and runs in both repeated hours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.errors import BadInput

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
HORIZON = timedelta(days=366 * 8 + 10)
"""The longest pause a cron can have: 29 February, over a century that is no leap year."""

Matches = Callable[[date], bool]
Step = Callable[[date], date]

LAST_DAY = 32
"""Stands for `L`, the last day of the month, among the days of the month."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields: its name in messages, its bounds, and the names its numbers have."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 7, DAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed cron expression; `days_of_week` counts from Sunday as 0."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    days_of_week: frozenset[int]
    is_any_day: bool
    is_any_weekday: bool
    follows_real_time: bool

    def next_after(self, moment: datetime, zone: ZoneInfo, matches: Matches | None = None) -> datetime | None:
        """
        Return the first due time later than `moment`, in UTC; None when there is none (`0 0 30 2 *`).

        `matches` says which days count in the place of the expression's own day fields.
        """
        day_counts = matches or self.matches_date
        step = self._next_day if matches is None else _tomorrow
        if self.follows_real_time:
            return self._next_in_real_time(moment, zone, day_counts, step)
        return self._next_by_wall(moment, zone, day_counts, step)

    def matches_date(self, day: date) -> bool:
        """Whether the expression names this day."""
        if day.month not in self.months:
            return False
        in_month = day.day in self.days or (LAST_DAY in self.days and (day + timedelta(days=1)).month != day.month)
        in_week = day.isoweekday() % 7 in self.days_of_week
        if self.is_any_day or self.is_any_weekday:
            return in_month and in_week
        return in_month or in_week

    def _next_by_wall(self, moment: datetime, zone: ZoneInfo, matches: Matches, step: Step) -> datetime | None:
        here = moment.astimezone(zone).replace(tzinfo=None)
        earliest = here - timedelta(hours=26)
        day, last = here.date() - timedelta(days=1), here.date() + HORIZON
        while day <= last:
            if matches(day):
                for hour in self.hours:
                    for minute in self.minutes:
                        wall = datetime.combine(day, time(hour, minute))
                        if wall >= earliest and (due := moment_of(wall, zone)) > moment:
                            return due
            day = step(day)
        return None

    def _next_day(self, day: date) -> date:
        if day.month in self.months:
            return day + timedelta(days=1)
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)

    def _next_in_real_time(self, moment: datetime, zone: ZoneInfo, matches: Matches, step: Step) -> datetime | None:
        at = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last = at + HORIZON
        while at <= last:
            here = at.astimezone(zone)
            if not matches(here.date()):
                midnight = moment_of(datetime.combine(step(here.date()), time()), zone)
                at = max(midnight, at + timedelta(minutes=1))
            elif here.hour not in self.hours:
                at += timedelta(minutes=60 - here.minute)
            elif here.minute not in self.minutes:
                ahead = next((minute for minute in self.minutes if minute > here.minute), 60)
                at += timedelta(minutes=ahead - here.minute)
            else:
                return at
        return None


def _tomorrow(day: date) -> date:
    return day + timedelta(days=1)


def parse_cron(text: str) -> Cron:
    """Read a cron expression; raises `BadInput` on the field `cron` that names the part that is wrong."""
    source = " ".join(text.lower().split())
    parts = SHORTHANDS.get(source, source).split(" ")
    if len(parts) != len(FIELDS):
        count = "a sixth field for seconds is not known" if len(parts) == 6 else f"this one has {len(source.split())}"
        raise BadInput(
            "cron",
            f"A cron expression has five fields; {count}.",
            hint="minute hour day month weekday, such as “0 7 * * MON-FRI” for seven on working days.",
        )
    minutes, hours, days, months, weekdays = (_values(part, field) for part, field in zip(parts, FIELDS, strict=True))
    return Cron(
        text=text.strip(),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        days_of_week=frozenset(day % 7 for day in weekdays),
        is_any_day=parts[2][0] in "*?",
        is_any_weekday=parts[4][0] in "*?",
        follows_real_time=parts[1].startswith("*"),
    )


def _values(part: str, field: Field) -> set[int]:
    found: set[int] = set()
    for piece in part.split(","):
        span, slash, step_text = piece.partition("/")
        step = 1
        if slash:
            if not step_text.isdecimal() or len(step_text) > 3 or int(step_text) == 0:
                raise _wrong(piece, field, "a step is a whole number from 1 on")
            step = int(step_text)
        if span in {"*", "?"}:
            low, high = field.low, field.high if field.names != DAYS else 6
        elif span == "l" and field.high == 31 and not slash:
            found.add(LAST_DAY)
            continue
        else:
            first, dash, second = span.partition("-")
            low = _number(first, piece, field)
            high = _number(second, piece, field) if dash else field.high if slash else low
        if high < low:
            if field.names != DAYS:
                raise _wrong(piece, field, "the range runs backwards")
            high += 7
        found.update(value if value <= field.high else value - 7 for value in range(low, high + 1, step))
    return found


def _number(text: str, piece: str, field: Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isascii() or not text.isdecimal() or len(text) > 3:
        known = f"; names are {', '.join(name.upper() for name in field.names)}" if field.names else ""
        raise _wrong(piece, field, f"“{text}” is no number{known}")
    if not field.low <= int(text) <= field.high:
        raise _wrong(piece, field, f"it goes from {field.low} to {field.high}")
    return int(text)


def _wrong(piece: str, field: Field, why: str) -> BadInput:
    return BadInput("cron", f"The {field.name} “{piece}” of the cron expression cannot be read: {why}.")


def moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """
    Return the UTC moment when clocks in `zone` show `wall` (naive).

    A time that comes twice means its first; one that is skipped means the first moment after the gap.
    """
    early, late = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = early.utcoffset(), late.utcoffset()
    assert before is not None
    assert after is not None
    if before >= after:
        return early.astimezone(UTC)
    naive = wall.replace(tzinfo=UTC)
    low, high = naive - after, naive - before
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (low, middle) if middle.astimezone(zone).utcoffset() == after else (middle, high)
    return high if low.astimezone(zone).utcoffset() != after else low
