"""
Durations as people write them: `30s`, `5m`, `1h30m`, `2d`.

One canonical spelling per length, so that a duration that was read is written back the same.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

UNITS: Final = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1000,
    "us": 1,
}
"""Microseconds per unit, the longest first: the order in which they must be written."""

WRITTEN: Final = ("d", "h", "m", "s", "ms", "us")
LONGEST: Final = timedelta(days=36_500)

_PART: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s?(ms|us|w|d|h|m|s)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})(?:\s?(?:{_PART.pattern}))*", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """
    Return the length of `1h30m`; raises `ValueError` with a sentence for the person who wrote it.

    Units are w, d, h, m, s, ms, us, each at most once and the longer before the shorter; a part may be a fraction (`1.5h`).
    At most 100 years; the microsecond is the finest step.
    """
    text = text.strip()
    if len(text) > 100 or not _WHOLE.fullmatch(text):
        raise ValueError("a duration is written like 30s, 5m, 1h30m or 2d")
    total, order = Decimal(0), list(UNITS)
    last = -1
    for number, unit in _PART.findall(text):
        place = order.index(unit)
        if place <= last:
            raise ValueError("a duration names each unit once, the longer before the shorter, like 1h30m")
        last = place
        total += Decimal(number) * UNITS[unit]
    if total > LONGEST // timedelta(microseconds=1):
        raise ValueError("a duration is at most 100 years")
    return timedelta(microseconds=int(total))


def format_duration(length: timedelta) -> str:
    """Return the canonical spelling (`90s` is `1m30s`, nothing is `0s`); raises `ValueError` for a negative length."""
    rest = length // timedelta(microseconds=1)
    if rest < 0:
        raise ValueError("a duration is not negative")
    parts = []
    for unit in WRITTEN:
        count, rest = divmod(rest, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
