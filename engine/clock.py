"""The time, handed in so that tests can own it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time; everything in the engine asks one of these."""

    def now(self) -> datetime:
        """Return the present moment as an aware UTC `datetime`."""

    def monotonic(self) -> float:
        """Return seconds that only grow, for measuring how long something took."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment as an aware UTC `datetime`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the moment the clock was last moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which the clock was moved since it was made."""
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        self._now += by
        self._monotonic += by.total_seconds()
