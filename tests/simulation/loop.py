"""An event loop whose time is made up, and in which nothing happens by chance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

BEGINNING = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


class Stuck(Exception):
    """Nothing is left that could ever happen, and somebody still waits."""


class _Nothing:
    """Stands where an event loop keeps its sockets: waiting for them is how virtual time passes."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits for somebody else")
        self._loop.now += timeout
        return []

    def close(self) -> None:
        return


class VirtualLoop(asyncio.BaseEventLoop):
    """
    Plain asyncio without sockets: when nothing is ready, time leaps to the next timer.

    What is handed to a thread happens in this one, at a moment of the future that `chance` draws, so that the same seed gives
    the same history. `now` is in seconds.
    """

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.now = 0.0
        self.chance = chance
        self._selector = _Nothing(self)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the virtual seconds since the beginning."""
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **more: Any) -> asyncio.TimerHandle:
        """Call it then, a microsecond from now at the earliest: as on a real machine, no pause takes no time at all."""
        return super().call_at(max(when, self.now + 1e-6), callback, *args, **more)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call the function here, a moment later."""
        future = self.create_future()

        def call() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self.chance.uniform(0.0001, 0.003), call)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        return

    def _write_to_self(self) -> None:
        return


class VirtualClock:
    """Tells the loop's time as a moment; `jump` sets the wall clock, as people and time servers do."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the moment that the wall clock shows."""
        return BEGINNING + self._offset + timedelta(seconds=self._loop.now)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return self._loop.now

    def jump(self, by: timedelta) -> None:
        """Set the wall clock forward or back."""
        self._offset += by
