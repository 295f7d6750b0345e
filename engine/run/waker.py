"""
Wakes what is due: one look at the store for the earliest moment, one sleep until then, however many runs are parked.

New rows and wakings are told by the journal (`Journal.waits`), so nothing is polled; a look every half minute is the net for a
clock that was set forward and for rows that another program wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from engine.errors import TreadleError
from engine.ids import RunId
from engine.protocols import Store

from .env import RunEnv

log = logging.getLogger(__name__)

NET: Final = 30.0
AT_ONCE: Final = 2_000
"""How many are woken in one transaction; the rest follow at once, and others get to write in between."""


class Waker:
    """`woken` is told which runs have something to go on with, once that is on disk."""

    def __init__(self, store: Store, env: RunEnv, woken: Callable[[Sequence[RunId]], None]) -> None:
        self._store, self._env, self._woken = store, env, woken
        self._next: datetime | None = None
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def next_wake(self) -> datetime | None:
        """The earliest moment that is known."""
        return self._next

    async def start(self) -> None:
        """Begin to watch the time; what came due in the meantime is woken first."""
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="waker")

    async def stop(self) -> None:
        """Wake nobody any more; returns when it is over."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def note(self, moment: datetime) -> None:
        """Say that something is due at a moment."""
        if self._next is None or moment < self._next:
            self._next = moment
            self._bell.set()

    async def run_once(self) -> int:
        """Wake all that is due by the clock and remember what comes next; returns how many runs were woken."""
        count = 0
        while True:
            now = self._env.clock.now()
            self._next = None  # a row that is told of from here on is later than the look, or found by it
            found = await self._store.read(lambda work: work.waits.next_wake())
            if found is None or found > now:
                if found is not None:
                    self._next = found if self._next is None else min(self._next, found)
                return count
            run_ids = await self._store.write(lambda work, now=now: work.waits.wake_due(now, limit=AT_ONCE))  # type: ignore[misc]
            count += len(run_ids)
            self._woken(run_ids)

    async def _serve(self) -> None:
        while True:
            try:
                await self.run_once()
            except TreadleError:
                log.exception("what is due could not be woken")
                await asyncio.sleep(1)
                continue
            await self._sleep()

    async def _sleep(self) -> None:
        """Sleep until the next moment, or until an earlier one is told."""
        if self._env.sleep_until is not None and self._next is not None:
            sleep: asyncio.Future[None] = asyncio.ensure_future(_as_coroutine(self._env.sleep_until, self._next))
            bell = asyncio.ensure_future(self._bell.wait())
            try:
                await asyncio.wait((sleep, bell), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleep.cancel()
                bell.cancel()
        else:
            left = NET if self._next is None else (self._next - self._env.clock.now()).total_seconds()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(left, NET))):
                    await self._bell.wait()
        self._bell.clear()


async def _as_coroutine(sleep: Callable[[datetime], object], moment: datetime) -> None:
    await sleep(moment)  # type: ignore[misc]
