"""
Calendars: which days are business days.

A calendar has weekly working days, holidays on given dates, holidays that come every year by a rule, and days that are worked
all the same. It is plain JSON outside (`read_calendar`, `Calendar.as_json`):

    {"working_days": ["mon", …], "holidays": {"2026-12-24": "Christmas Eve"}, "yearly": {"12-25": "Christmas",
     "easter+1": "Easter Monday", "4 thu nov": "Thanksgiving", "last mon may": "Memorial Day"}, "working": ["2026-10-24"]}
"""

from __future__ import annotations

import calendar as months
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from engine.errors import BadRequest

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MOST_DAYS: Final = 5_000
LONGEST_NAME: Final = 100
LONGEST_PAUSE: Final = 400
"""Days without a business day after which there is none any more."""

KEYS: Final = ("working_days", "holidays", "yearly", "working")
_FIXED = re.compile(r"(\d{1,2})-(\d{1,2})\Z", re.ASCII)
_EASTER = re.compile(r"easter(?:([+-])(\d{1,3}))?\Z", re.ASCII)
_NTH = re.compile(r"(\d|last) ([a-z]{3}) ([a-z]{3})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Yearly:
    """A day that comes every year: a date, so many days from Easter, or the nth weekday of a month (5 stands for the last)."""

    month: int = 0
    day: int = 0
    easter: int | None = None
    nth: int = 0
    weekday: int = 0

    def in_year(self, year: int) -> date | None:
        """Return the day it falls on; None in a year that does not have it (29 February)."""
        if self.easter is not None:
            return easter_sunday(year) + timedelta(days=self.easter)
        if not self.nth:
            return date(year, self.month, self.day) if self.day <= months.monthrange(year, self.month)[1] else None
        first, length = months.monthrange(year, self.month)
        day = 1 + (self.weekday - first) % 7
        if self.nth == 5:
            return date(year, self.month, day + (length - day) // 7 * 7)
        return date(year, self.month, day + (self.nth - 1) * 7)

    def __str__(self) -> str:
        """The rule as it is written."""
        if self.easter is not None:
            return f"easter{self.easter:+d}" if self.easter else "easter"
        if self.nth:
            return f"{'last' if self.nth == 5 else self.nth} {WEEKDAYS[self.weekday]} {MONTHS[self.month - 1]}"
        return f"{self.month:02d}-{self.day:02d}"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are business days, under a name that schedules and expressions use."""

    name: str
    working_days: frozenset[int] = frozenset(range(5))
    holidays: Mapping[date, str] = field(default_factory=dict)
    yearly: Mapping[Yearly, str] = field(default_factory=dict)
    working: frozenset[date] = frozenset()
    _years: dict[int, Mapping[date, str]] = field(default_factory=dict, compare=False, repr=False)

    def holiday(self, day: date) -> str | None:
        """Return the name of the holiday on that day, None when there is none."""
        if day in self.holidays:
            return self.holidays[day]
        if not self.yearly:
            return None
        if (known := self._years.get(day.year)) is None:
            known = self._years[day.year] = _yearly_days(self.yearly, day.year)
        return known.get(day)

    def is_business_day(self, day: date) -> bool:
        """Whether work goes on that day."""
        if day in self.working:
            return True
        return day.weekday() in self.working_days and self.holiday(day) is None

    def next_business_day(self, day: date, *, way: int = 1) -> date | None:
        """Return the first business day from `day` on (itself included), or backwards with `way=-1`; None when none comes."""
        try:
            for _ in range(LONGEST_PAUSE):
                if self.is_business_day(day):
                    return day
                day += timedelta(days=way)
        except OverflowError:
            pass
        return None

    def add_business_days(self, day: date, count: int) -> date | None:
        """Move by so many business days; 0 stays, or goes on to the next business day. None when none comes."""
        way = 1 if count >= 0 else -1
        found = self.next_business_day(day, way=way) if not count else day
        for _ in range(abs(count)):
            try:
                found = None if found is None else self.next_business_day(found + timedelta(days=way), way=way)
            except OverflowError:
                return None
        return found

    def as_json(self) -> dict[str, Any]:
        """Return what `read_calendar` reads."""
        return {
            "working_days": [WEEKDAYS[day] for day in sorted(self.working_days)],
            "holidays": {day.isoformat(): name for day, name in sorted(self.holidays.items())},
            "yearly": {str(rule): name for rule, name in self.yearly.items()},
            "working": [day.isoformat() for day in sorted(self.working)],
        }


BUILT_IN: Final[Mapping[str, Calendar]] = {
    "weekdays": Calendar("weekdays"),
    "target": Calendar(
        "target",
        yearly={
            Yearly(1, 1): "New Year",
            Yearly(easter=-2): "Good Friday",
            Yearly(easter=1): "Easter Monday",
            Yearly(5, 1): "Labour Day",
            Yearly(12, 25): "Christmas Day",
            Yearly(12, 26): "26 December",
        },
    ),
}
"""Always there: Monday to Friday, and the days on which the euro's payment system TARGET is open (ECB, since 2002)."""


class Calendars:
    """Every calendar there is by name: the built-in ones and those of the store; `replace` brings what changed there."""

    __slots__ = ("_known",)

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        self._known: dict[str, Calendar] = dict(BUILT_IN)
        self.replace(kept or {})

    def replace(self, kept: Mapping[str, Any]) -> None:
        """Take these, in JSON by name, in the place of those before."""
        self._known = {**BUILT_IN, **{name: read_calendar(name, value) for name, value in kept.items()}}

    def find(self, name: str) -> Calendar | None:
        """Return the calendar of that name, None when there is none."""
        return self._known.get(name)

    def names(self) -> list[str]:
        """Return all names in order."""
        return sorted(self._known)

    def nearest(self, name: str) -> str:
        """Return a hint for a name that is not known."""
        near = difflib.get_close_matches(name, self._known, n=1)
        return f"Did you mean “{near[0]}”?" if near else f"The calendars are: {', '.join(self.names())}."

    def __iter__(self) -> Any:
        return iter(sorted(self._known.values(), key=lambda one: one.name))


def read_calendar(name: str, value: Any) -> Calendar:
    """Read a calendar from JSON; raises `BadRequest` that lists everything that is wrong with it."""
    problems: list[str] = []
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        problems.append(f"a calendar's name has 1 to {LONGEST_NAME} printable letters")
    if not isinstance(value, Mapping):
        raise BadRequest(
            "A calendar is an object.", hint="Such as {“working_days”: [“mon”, “tue”], “yearly”: {“12-25”: “Christmas”}}."
        )
    problems += [f"“{key}” is not known; there are {', '.join(KEYS)}" for key in value if key not in KEYS]
    working = _weekdays(value.get("working_days", list(WEEKDAYS[:5])), problems)
    holidays = {
        day: label for text, label in _named(value.get("holidays"), "holidays", problems) if (day := _date(text, problems))
    }
    yearly = {rule: label for text, label in _named(value.get("yearly"), "yearly", problems) if (rule := _rule(text, problems))}
    extra = [day for text, _ in _named(value.get("working"), "working", problems) if (day := _date(text, problems))]
    if len(holidays) + len(yearly) + len(extra) > MOST_DAYS:
        problems.append(f"a calendar has at most {MOST_DAYS:,} days")
    if not working and not extra:
        problems.append("a calendar needs at least one working day")
    if problems:
        raise BadRequest(
            f"The calendar “{str(name)[:100]}” cannot be used: {'; '.join(problems[:20])}.",
            hint="Days are written 2026-12-24, rules 12-25, easter+1, 4 thu nov or last mon may.",
            where={"problems": problems[:20]},
        )
    return Calendar(name, working, holidays, yearly, frozenset(extra))


def read_rule(text: str) -> Yearly | None:
    """Read `12-25`, `easter-2`, `4 thu nov` or `last mon may`; None when it is none of these."""
    text = " ".join(text.lower().split())
    if found := _FIXED.match(text):
        month, day = int(found[1]), int(found[2])
        return Yearly(month, day) if 1 <= month <= 12 and 1 <= day <= months.monthrange(2024, month)[1] else None
    if found := _EASTER.match(text):
        return Yearly(easter=int(f"{found[1] or ''}{found[2] or 0}"))
    found = _NTH.match(text)
    if found is None or found[2] not in WEEKDAYS or found[3] not in MONTHS:
        return None
    nth = 5 if found[1] == "last" else int(found[1])
    if not 1 <= nth <= 4 and found[1] != "last":
        return None
    return Yearly(MONTHS.index(found[3]) + 1, nth=nth, weekday=WEEKDAYS.index(found[2]))


def easter_sunday(year: int) -> date:
    """Return Easter by the Gregorian reckoning (the anonymous algorithm of 1876; Meeus, Astronomical Algorithms, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    w = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * w) // 451
    month, day = divmod(h + w - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _yearly_days(rules: Mapping[Yearly, str], year: int) -> Mapping[date, str]:
    """Return the yearly holidays that fall into a year; a rule may reach over from the year beside it."""
    found: dict[date, str] = {}
    for rule, name in rules.items():
        for near in (year - 1, year, year + 1) if rule.easter else (year,):
            if 1 <= near <= 9999 and (day := rule.in_year(near)) is not None and day.year == year:
                found[day] = name
    return found


def _weekdays(value: Any, problems: list[str]) -> frozenset[int]:
    if not isinstance(value, list):
        problems.append("“working_days” is a list such as [“mon”, “tue”]")
        return frozenset()
    unknown = [day for day in value if not isinstance(day, str) or day.lower()[:3] not in WEEKDAYS]
    problems.extend(f"{day!r} is no weekday; they are {', '.join(WEEKDAYS)}" for day in unknown)
    return frozenset(WEEKDAYS.index(day.lower()[:3]) for day in value if day not in unknown)


def _named(value: Any, key: str, problems: list[str]) -> Iterable[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [(one, "") for one in value]
    if isinstance(value, Mapping):
        return [(str(text), str(label or "")[:LONGEST_NAME]) for text, label in value.items()]
    problems.append(f"“{key}” is an object of days with their names, or a list of days")
    return []


def _date(text: str, problems: list[str]) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.append(f"“{text[:40]}” is no date")
        return None


def _rule(text: str, problems: list[str]) -> Yearly | None:
    rule = read_rule(text)
    if rule is None:
        problems.append(f"“{text[:40]}” is no yearly rule")
    return rule
