"""Writing and reading dates by a pattern such as `d MMM yyyy HH:mm` (the letters of Unicode's date patterns, English names)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from ..errors import ExpressionError, did_you_mean
from ..moments import find_zone

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_KNOWN = {
    "y": (1, 2, 4), "M": (1, 2, 3, 4), "d": (1, 2), "E": (1, 2, 3, 4), "H": (1, 2), "h": (1, 2), "m": (1, 2), "s": (1, 2),
    "S": (1, 2, 3, 4, 5, 6), "a": (1,), "z": (1,), "Z": (1,), "X": (1, 2, 3), "Q": (1,), "w": (1, 2),
}  # fmt: skip
MAX_PATTERN = 200


@lru_cache(maxsize=256)
def _pieces(pattern: str) -> tuple[tuple[str, int], ...]:
    """Cut a pattern into letters with their number, and texts with the number 0."""
    if len(pattern) > MAX_PATTERN:
        raise ExpressionError(f"a date pattern may have at most {MAX_PATTERN} characters")
    pieces: list[tuple[str, int]] = []
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "'":
            end = pattern.find("'", place + 1)
            if end < 0:
                raise ExpressionError("a quote in the date pattern is never closed")
            pieces.append((pattern[place + 1 : end] or "'", 0))
            place = end + 1
        elif letter.isascii() and letter.isalpha():
            count = len(pattern[place:]) - len(pattern[place:].lstrip(letter))
            if count not in _KNOWN.get(letter, ()):
                wrong = letter * min(count, 10)
                hint = _PATTERN_HINTS.get(wrong) or did_you_mean(wrong, [key * n for key, ns in _KNOWN.items() for n in ns])
                raise ExpressionError(f"“{wrong}” is not part of a date pattern", hint=hint or "put words into 'quotes'")
            pieces.append((letter, count))
            place += count
        else:
            pieces.append((letter, 0))
            place += 1
    return tuple(pieces)


_PATTERN_HINTS = {
    "YYYY": "did you mean “yyyy”?",
    "YY": "did you mean “yy”?",
    "DD": "did you mean “dd”?",
    "D": "did you mean “d”?",
    "dddd": "did you mean “EEEE”?",
    "ddd": "did you mean “EEE”?",
    "A": "did you mean “a”?",
}


def write_by_pattern(value: date, pattern: str) -> str:
    """Write a date or a moment by a pattern; a date has the time 00:00."""
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001 - only its parts are read
    return "".join(letter if count == 0 else _written(moment, letter, count) for letter, count in _pieces(pattern))


def _written(moment: datetime, letter: str, count: int) -> str:
    if letter in _NUMBERS:
        return str(_NUMBERS[letter](moment)).zfill(count)
    match letter:
        case "y":
            return (
                str(moment.year).zfill(4) if count == 4 else str(moment.year % 100).zfill(2) if count == 2 else str(moment.year)
            )
        case "M":
            name = MONTHS[moment.month - 1]
            return str(moment.month).zfill(count) if count < 3 else name[:3] if count == 3 else name
        case "E":
            name = DAYS[moment.weekday()]
            return name if count == 4 else name[:3]
        case "S":
            return str(moment.microsecond).zfill(6)[:count]
        case "a":
            return "AM" if moment.hour < 12 else "PM"
        case "z":
            return moment.tzname() or "UTC"
    return _offset(moment, letter, count)


_NUMBERS: dict[str, Any] = {
    "d": lambda moment: moment.day,
    "H": lambda moment: moment.hour,
    "h": lambda moment: (moment.hour - 1) % 12 + 1,
    "m": lambda moment: moment.minute,
    "s": lambda moment: moment.second,
    "Q": lambda moment: (moment.month + 2) // 3,
    "w": lambda moment: moment.isocalendar().week,
}


def _offset(moment: datetime, letter: str, count: int) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    if letter == "X" and minutes == 0:
        return "Z"
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    joint = ":" if count == 3 else ""
    return f"{sign}{minutes // 60:02d}{joint}{minutes % 60:02d}"


@lru_cache(maxsize=256)
def _reader(pattern: str) -> tuple[re.Pattern[str], bool]:
    """Return what reads a pattern; our own pieces only, each of fixed or bounded length, so it cannot run away."""
    written, seen = [], set()
    for letter, count in _pieces(pattern):
        if count == 0:
            written.append(re.escape(letter) if letter != " " else r"\s{1,3}")
            continue
        if letter in seen or letter in "wQ":
            raise ExpressionError(f"“{letter}” cannot be read twice" if letter in seen else f"“{letter}” cannot be read")
        seen.add(letter)
        written.append(f"(?P<{letter}>{_read_form(letter, count)})")
    return re.compile("".join(written) + r"\Z", re.IGNORECASE | re.ASCII), bool(seen & set("Hhms"))


def _read_form(letter: str, count: int) -> str:
    match letter:
        case "y":
            return r"\d{2}" if count == 2 else r"\d{4}"
        case "M" if count >= 3:
            return "|".join(name if count == 4 else name[:3] for name in MONTHS)
        case "E":
            return "|".join(name if count == 4 else name[:3] for name in DAYS)
        case "S":
            return rf"\d{{{count}}}"
        case "a":
            return "[AP]M"
        case "z":
            return r"[A-Za-z_]{1,30}(?:/[A-Za-z_]{1,30}){0,2}"
        case "Z" | "X":
            return r"Z|[+-]\d{2}:?\d{2}"
    return r"\d{2}" if count == 2 else r"\d{1,2}"


def read_by_pattern(text: str, pattern: str) -> date | datetime | None:
    """Read a date, or a moment when the pattern has hours; None when the text does not fit or names no real date."""
    reader, has_clock = _reader(pattern)
    found = reader.match(text.strip()) if len(text) <= 500 else None
    if found is None:
        return None
    parts = found.groupdict()
    try:
        year = int(parts.get("y") or 1970)
        if len(parts.get("y") or "") == 2:
            year += 2000 if year < 70 else 1900
        day = date(year, _month(parts.get("M")), int(parts.get("d") or 1))
        if not has_clock:
            return day
        hour = int(parts.get("H") or 0)
        if parts.get("h"):
            hour = int(parts["h"]) % 12 + (12 if (parts.get("a") or "").upper() == "PM" else 0)
        micro = int((parts.get("S") or "0").ljust(6, "0"))
        moment = datetime(day.year, day.month, day.day, hour, int(parts.get("m") or 0), int(parts.get("s") or 0), micro)  # noqa: DTZ001
    except ValueError:
        return None
    zone = parts.get("X") or parts.get("Z") or parts.get("z")
    return moment.replace(tzinfo=find_zone("UTC" if zone in ("Z", "z") else zone)) if zone else moment


def _month(written: str | None) -> int:
    if written is None:
        return 1
    if written.isdigit():
        return int(written)
    return next(number for number, name in enumerate(MONTHS, 1) if name[:3].lower() == written[:3].lower())
