"""Holidays out of an iCalendar file (RFC 5545): all-day events, once or every year."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from engine.errors import BadRequest

from .calendar import MOST_DAYS, Yearly

LONGEST_EVENT: Final = 366
MOST_BYTES: Final = 5 * 1024 * 1024
_BY_DAY = re.compile(r"(-1|[1-4])(MO|TU|WE|TH|FR|SA|SU)\Z")
_SHORT = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(slots=True)
class Holidays:
    """What an iCalendar file held; `left_out` says, by event, what could not be taken over."""

    days: dict[date, str] = field(default_factory=dict)
    yearly: dict[Yearly, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_ics(text: str) -> Holidays:
    """
    Read the all-day events of an iCalendar file as holidays.

    An event that repeats every year becomes a yearly rule; one with times of day, or one that repeats in another way, is
    named in `left_out`. Raises `BadRequest` for text that is no iCalendar file.
    """
    if len(text) > MOST_BYTES:
        raise BadRequest("The calendar file is larger than 5 MB.", hint="Export only the holidays.")
    lines = list(_unfolded(text))
    if not lines or lines[0].strip().upper() != "BEGIN:VCALENDAR":
        raise BadRequest("This is no iCalendar file.", hint="It begins with BEGIN:VCALENDAR; its name mostly ends in .ics.")
    found = Holidays()
    event: dict[str, tuple[str, str]] | None = None
    for line in lines:
        head, _, value = line.partition(":")
        name, _, parameters = head.upper().partition(";")
        if name == "BEGIN" and value.upper() == "VEVENT":
            event = {}
        elif name == "END" and value.upper() == "VEVENT" and event is not None:
            _take(event, found)
            event = None
            if len(found.days) + len(found.yearly) > MOST_DAYS:
                raise BadRequest(f"The file has more than {MOST_DAYS:,} days.", hint="Export only the holidays.")
        elif event is not None and name not in event:
            event[name] = (parameters, value.strip())
    return found


def _unfolded(text: str) -> Iterator[str]:
    """Give the lines with their folds taken out: a line that begins with a space goes on the one before."""
    whole: str | None = None
    for line in text.lstrip("﻿").splitlines():
        if whole is not None and line[:1] in (" ", "\t"):
            whole += line[1:]
            continue
        if whole is not None:
            yield whole
        whole = line
    if whole is not None:
        yield whole


def _take(event: Mapping[str, tuple[str, str]], found: Holidays) -> None:
    name = _plain(event.get("SUMMARY", ("", ""))[1])[:100] or "Holiday"
    first = _day(event.get("DTSTART"))
    if first is None:
        found.left_out.append(f"“{name}” is no all-day event")
        return
    if event.get("STATUS", ("", ""))[1].upper() == "CANCELLED":
        return
    last = _day(event.get("DTEND")) or first + timedelta(days=1)
    length = max(1, (last - first).days)
    rule = event.get("RRULE")
    if rule is not None:
        yearly = _yearly(rule[1], first) if length == 1 else None
        if yearly is None:
            found.left_out.append(f"“{name}” repeats in a way that is not taken over ({rule[1][:80]})")
        else:
            found.yearly[yearly] = name
        return
    if length > LONGEST_EVENT:
        found.left_out.append(f"“{name}” lasts longer than a year")
        return
    for number in range(length):
        found.days[first + timedelta(days=number)] = name


def _day(value: tuple[str, str] | None) -> date | None:
    """Return the date of a property that holds one; None for a time of day."""
    if value is None or not re.fullmatch(r"\d{8}", value[1]):
        return None
    try:
        return date(int(value[1][:4]), int(value[1][4:6]), int(value[1][6:]))
    except ValueError:
        return None


def _yearly(rule: str, first: date) -> Yearly | None:
    parts = dict(part.upper().partition("=")[::2] for part in rule.split(";") if part)
    if parts.pop("FREQ", "") != "YEARLY" or parts.pop("INTERVAL", "1") != "1":
        return None
    parts.pop("WKST", None)
    month, day, by_day = parts.pop("BYMONTH", str(first.month)), parts.pop("BYMONTHDAY", ""), parts.pop("BYDAY", "")
    if parts or not month.isdecimal() or not 1 <= int(month) <= 12:
        return None  # COUNT and UNTIL end some day: such a rule would go on for ever here
    if by_day:
        nth = _BY_DAY.match(by_day)
        if nth is None or day:
            return None
        return Yearly(int(month), nth=5 if nth[1] == "-1" else int(nth[1]), weekday=_SHORT.index(nth[2]))
    if day and (not day.isdecimal() or not 1 <= int(day) <= 31):
        return None
    return Yearly(int(month), int(day or first.day))


def _plain(text: str) -> str:
    return re.sub(r"\\([,;\\nN])", lambda found: " " if found[1] in "nN" else found[1], text).strip()
