"""When a schedule is due: by cron or at even pauses, in a time zone, with the days when clocks change."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engine.errors import BadInput
from engine.model.cron import Cron, parse_cron
from engine.model.durations import parse_duration

Missed = Literal["skip", "once", "all"]
MISSED: tuple[Missed, ...] = ("skip", "once", "all")
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=3660)


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
    one, `all` for each of them.
    """

    rule: Cron | Every
    zone: ZoneInfo
    missed: Missed = "once"

    def next_after(self, moment: datetime, since: datetime | None = None) -> datetime | None:
        """
        Return the first due time later than `moment` in UTC, None when there is none any more.

        `since` is a due time of the past (or the moment it was switched on), which an even pause counts from.
        """
        if isinstance(self.rule, Every):
            return self.rule.next_after(moment, since)
        return self.rule.next_after(moment, self.zone)

    def local(self, due: datetime) -> str:
        """Return the due time as clocks in the zone show it, with its offset: `2026-03-29T07:00:00+02:00`."""
        return due.astimezone(self.zone).isoformat()


def parse_timetable(fields: Mapping[str, Any], default_zone: str = "UTC") -> Timetable:
    """
    Read the fields of `trigger.schedule`: `cron` or `every`, `timezone`, `missed`.

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
    return Timetable(rule=rule, zone=zone, missed=missed)


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
    *, cron: str | None = None, every: Any = None, timezone: str = "UTC", after: datetime, count: int = 5
) -> list[datetime]:
    """
    Return the next due times after a moment as local times with their offsets, for people to check a schedule by.

    Fewer than `count` come back when the schedule ends. Raises `BadInput` like `parse_timetable`.
    """
    table = parse_timetable({"cron": cron, "every": every, "timezone": timezone})
    found: list[datetime] = []
    due = table.next_after(after, after)
    while due is not None and len(found) < min(count, 100):
        found.append(due.astimezone(table.zone))
        due = table.next_after(due, due)
    return found
