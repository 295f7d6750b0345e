"""
What a workflow allows itself: how many runs at a time, how much one run may use, how often it may call.

Sizes are whole bytes and are written like `500 MB` (powers of ten); rates like `10 per second`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

WhenFull = Literal["queue", "drop_newest", "cancel_oldest"]

MOST_RUNS: Final = 100_000
PRIORITIES: Final = (-100, 100)
UNITS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_SIZES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kKMGT]?B)\s*", re.ASCII)
_RATE: Final = re.compile(r"\s*([0-9]{1,9})\s*(?:per|/|a|an)\s*(second|minute|hour|day|s|min|h|d)\s*", re.ASCII)
_SHORT: Final = {"s": "second", "min": "minute", "h": "hour", "d": "day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """
    How many runs may go at the same time.

    `limit` counts the runs of the workflow, or, with a `key`, those of each value of the key (a template over the first item
    a run starts with); `total` then bounds the workflow as a whole. `when_full` says what becomes of a run that finds no place.
    """

    limit: int
    key: str | None = None
    total: int | None = None
    when_full: WhenFull = "queue"

    @property
    def of_workflow(self) -> int | None:
        """How many runs of the whole workflow may go at a time, None for no limit."""
        return self.limit if self.key is None else self.total

    @property
    def of_key(self) -> int | None:
        """How many runs of one key may go at a time, None where there is no key."""
        return None if self.key is None else self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    What one run may use before it is ended; None is no limit.

    `items` and `bytes` count what leaves all its steps (bytes as they are written down), `minutes` the time its steps take
    together, `calls` its requests to the outside.
    """

    items: int | None = None
    bytes: int | None = None
    minutes: float | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """
    How often one host, or whatever one connection leads to, may be called: `count` times per `per`, evenly spread.

    `burst` calls may come at once after a pause. The host `*` means each host by itself.
    """

    count: int
    per: timedelta
    host: str | None = None
    connection: str | None = None
    burst: int = 1

    @property
    def pause(self) -> timedelta:
        """The time from one call to the next, when they are evenly spread."""
        return self.per / self.count


def parse_size(text: str | int) -> int:
    """Return the bytes that `500 MB` or a bare number means; raises `ValueError` that says how it is written."""
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"“{text[:40]}” is no size; write it like 500 MB or 2 GB")
    return round(float(match[1]) * _SIZES[match[2].upper()])


def format_size(size: int) -> str | int:
    """Return how a size is written: with the largest unit that leaves it whole, else as bare bytes."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]} {unit.replace('KB', 'kB')}"
    return size


def say_size(size: float) -> str:
    """Return a size for people, with at most one digit behind the point."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= _SIZES[unit]:
            return f"{size / _SIZES[unit]:.1f}".rstrip("0").rstrip(".") + f" {unit.replace('KB', 'kB')}"
    return f"{size:.0f} bytes"


def parse_rate(text: str) -> tuple[int, timedelta]:
    """Return how many and in what time `10 per second` allows; raises `ValueError` that says how it is written."""
    match = _RATE.fullmatch(text)
    if match is None or int(match[1]) < 1:
        raise ValueError(f"“{text[:40]}” is no rate; write it like 10 per second or 100 per minute")
    return int(match[1]), UNITS[_SHORT.get(match[2], match[2])]


def format_rate(count: int, per: timedelta) -> str:
    """Return how a rate is written."""
    return f"{count} per {next(word for word, length in UNITS.items() if length == per)}"
