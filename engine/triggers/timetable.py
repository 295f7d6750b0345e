"""When a schedule is due: by cron or at even pauses, in a time zone, with the days when clocks change."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engine.errors import BadInput
from engine.model.calendar import Calendar, Calendars
from engine.model.cron import Cron, moment_of, parse_cron
from engine.model.durations import parse_duration

Missed = Literal["skip", "once", "all"]
MISSED: tuple[Missed, ...] = ("skip", "once", "all")
OnHoliday = Literal["skip", "next_business_day", "previous_business_day"]
ON_HOLIDAY: tuple[OnHoliday, ...] = ("skip", "next_business_day", "previous_business_day")
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=3660)
LONGEST_REST = 60
"""Days off in a row over which a time is moved."""


@dataclass(frozen=True, slots=True)
class Every:
    """An even pause between due times, counted from the first one; clock changes do not touch it."""

    pause: timedelta

    def next_after(self, moment: datetime, since: datetime | None = None) -> datetime:
        """Return the first due time later than `moment`, on the grid that `since` (a due time, or the start) lies on."""
        if since is None or since > moment:
            return since or moment + self.pause
        return since + self.pause * ((moment - since) // self.pause + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """
    What stands under `with` of a schedule, understood.

    `missed` says what becomes of times that passed while nothing ran: `skip` forgets them, `once` makes up for the latest
    one, `all` for each of them. With a `calendar` only its business days count: a time on any other day is left out (`skip`),
    or comes on the next or the previous business day at the same time of day; what then falls together is one time.
    """

    rule: Cron | Every
    zone: ZoneInfo
    missed: Missed = "once"
    calendar: Calendar | None = None
    on_holiday: OnHoliday = "skip"

    def next_after(self, moment: datetime, since: datetime | None = None) -> datetime | None:
        """
        Return the first due time later than `moment` in UTC, None when there is none any more.

        `since` is a due time of the past (or the moment it was switched on), which an even pause counts from.
        """
        if isinstance(self.rule, Every):
            return self._next_pause(self.rule, moment, since)
        return self.rule.next_after(moment, self.zone, None if self.calendar is None else self.counts)

    def between(self, start: datetime, end: datetime, since: datetime | None = None, *, most: int) -> list[datetime]:
        """
        Return the due times from `start` up to, and without, `end`, at most so many; `since` as for `next_after`.

        An even pause is counted backwards too, from a due time that lies behind `start`.
        """
        if isinstance(self.rule, Every) and since is not None and since > start:
            since -= self.rule.pause * ((since - start) // self.rule.pause + 1)
        found: list[datetime] = []
        due = self.next_after(start - timedelta(microseconds=1), since)
        while due is not None and due < end and len(found) < most:
            found.append(due)
            due = self.next_after(due, due)
        return found

    def counts(self, day: date) -> bool:
        """Whether the cron is due on that day, once the calendar has moved what falls on other days."""
        assert self.calendar is not None
        assert isinstance(self.rule, Cron)
        if not self.calendar.is_business_day(day):
            return False
        if self.rule.matches_date(day):
            return True
        if self.on_holiday == "skip":
            return False
        way = -1 if self.on_holiday == "next_business_day" else 1
        moved = day + timedelta(days=way)
        for _ in range(LONGEST_REST):
            if self.calendar.is_business_day(moved):
                return False
            if self.rule.matches_date(moved):
                return True
            moved += timedelta(days=way)
        return False

    def _next_pause(self, rule: Every, moment: datetime, since: datetime | None) -> datetime | None:
        due: datetime | None = rule.next_after(moment, since)
        if self.calendar is None:
            return due
        for _ in range(1000):
            assert due is not None
            here = due.astimezone(self.zone).date()
            if self.calendar.is_business_day(here):
                return due
            following = self.calendar.next_business_day(here)
            if following is None:
                return None
            morning = moment_of(datetime.combine(following, time()), self.zone)
            due = rule.next_after(max(morning - timedelta(microseconds=1), due), due)
        return None

    def local(self, due: datetime) -> str:
        """Return the due time as clocks in the zone show it, with its offset: `2026-03-29T07:00:00+02:00`."""
        return due.astimezone(self.zone).isoformat()


def parse_timetable(fields: Mapping[str, Any], default_zone: str = "UTC", calendars: Calendars | None = None) -> Timetable:
    """
    Read the fields of `trigger.schedule`: `cron` or `every`, `timezone`, `missed`, `calendar`, `on_holiday`.

    Raises `BadInput` that names the field. A cron that is never due is refused too.
    """
    cron, every = fields.get("cron"), fields.get("every")
    if (cron in (None, "")) == (every in (None, "")):
        raise BadInput(
            "cron",
            "A schedule needs either “cron” or “every”, and not both.",
            hint="cron: 0 7 * * MON-FRI for times of day, every: 15m for even pauses.",
        )
    missed = fields.get("missed") or "once"
    if missed not in MISSED:
        raise BadInput("missed", f"“missed” cannot be {missed!r}.", hint=f"It is one of {', '.join(MISSED)}.")
    zone = parse_zone(fields.get("timezone") or default_zone)
    rule: Cron | Every
    if cron in (None, ""):
        rule = Every(parse_pause(every))
    elif isinstance(cron, str):
        rule = parse_cron(cron)
        if rule.next_after(datetime(2024, 1, 1, tzinfo=UTC), zone) is None:
            raise BadInput("cron", f"“{rule.text}” is never due: no month has that day.")
    else:
        raise BadInput("cron", "“cron” has to be a text of five fields.", hint="Put it in quotes: cron: “0 7 * * *”.")
    calendar, on_holiday = _parse_calendar(fields, rule, calendars or Calendars())
    table = Timetable(rule=rule, zone=zone, missed=missed, calendar=calendar, on_holiday=on_holiday)
    if calendar is not None and table.next_after(datetime(2024, 1, 1, tzinfo=UTC), None) is None:
        raise BadInput("calendar", f"With the calendar “{calendar.name}” this schedule is never due.")
    return table


def _parse_calendar(fields: Mapping[str, Any], rule: Cron | Every, calendars: Calendars) -> tuple[Calendar | None, OnHoliday]:
    name, on_holiday = fields.get("calendar"), fields.get("on_holiday") or "skip"
    if on_holiday not in ON_HOLIDAY:
        raise BadInput("on_holiday", f"“on_holiday” cannot be {on_holiday!r}.", hint=f"It is one of {', '.join(ON_HOLIDAY)}.")
    if name in (None, ""):
        if on_holiday != "skip":
            raise BadInput("on_holiday", "“on_holiday” needs a “calendar”.", hint="calendar: weekdays is Monday to Friday.")
        return None, "skip"
    calendar = calendars.find(name) if isinstance(name, str) else None
    if calendar is None:
        raise BadInput("calendar", f"There is no calendar “{str(name)[:100]}”.", hint=calendars.nearest(str(name)))
    if isinstance(rule, Every) and on_holiday != "skip":
        raise BadInput(
            "on_holiday", "An even pause cannot be moved to another day.", hint="Use on_holiday: skip, or times of day (cron)."
        )
    return calendar, on_holiday


def parse_zone(name: Any) -> ZoneInfo:
    """Return the time zone of that IANA name; raises `BadInput` on the field `timezone` with the nearest name."""
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        near = difflib.get_close_matches(str(name), zoneinfo.available_timezones(), n=1)
        hint = f"Did you mean “{near[0]}”?" if near else "Use an IANA name such as Europe/Vienna."
        raise BadInput("timezone", f"There is no time zone “{name}”.", hint=hint) from error


def parse_pause(value: Any) -> timedelta:
    """Read `every`: `90s`, `15m`, `1h30m`, `1d`, or a number of seconds; raises `BadInput` when it makes no sense."""
    if isinstance(value, timedelta):
        pause = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        pause = timedelta(seconds=min(max(float(value), 0.0), LONGEST.total_seconds() + 1))
    else:
        try:
            pause = parse_duration(str(value))
        except ValueError as error:
            raise BadInput("every", f"“{value}” cannot be read: {error}.", hint="Write 90s, 15m, 1h30m or 1d.") from error
    if not SHORTEST <= pause <= LONGEST:
        raise BadInput("every", "A schedule can be due once a second at most, and once in ten years at least.")
    return pause


def preview(
    *,
    cron: str | None = None,
    every: Any = None,
    timezone: str = "UTC",
    calendar: str | None = None,
    on_holiday: str | None = None,
    calendars: Calendars | None = None,
    after: datetime,
    count: int = 5,
) -> list[datetime]:
    """
    Return the next due times after a moment as local times with their offsets, for people to check a schedule by.

    Fewer than `count` come back when the schedule ends. Raises `BadInput` like `parse_timetable`.
    """
    fields = {"cron": cron, "every": every, "timezone": timezone, "calendar": calendar, "on_holiday": on_holiday}
    table = parse_timetable(fields, calendars=calendars)
    found: list[datetime] = []
    due = table.next_after(after, after)
    while due is not None and len(found) < min(count, 100):
        found.append(due.astimezone(table.zone))
        due = table.next_after(due, due)
    return found
