"""
How often the outside is called: one gate for all runs and steps of a Treadle.

The generic cell rate algorithm (ITU-T I.371): for each host or connection one moment is kept, from which on a call would be too
early for nobody. A turn is taken before it is waited for, so any number of runs and parallel steps stand in one line. A slow
rate keeps that moment in the store, written before the call goes out, so that neither a crash nor a restart lets more through;
a fast one (a second or less from call to call) begins each life with nothing in hand, which comes to the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.clock import Clock
from engine.model.limits import Rate
from engine.protocols import Store, UnitOfWork

SLOW: Final = timedelta(seconds=1)
"""Rates with a longer time between two calls are kept in the store."""

PATIENCE: Final[ContextVar[asyncio.Timeout | None]] = ContextVar("PATIENCE", default=None)
"""The time-out of the call that is going on: waiting for one's turn does not count in it."""

Pause = Callable[[datetime], Awaitable[None]]


class RateGate:
    """`pause_until` waits for a moment of the clock; `store` keeps slow rates (None: nothing outlives this object)."""

    def __init__(self, clock: Clock, pause_until: Pause, store: Store | None) -> None:
        self._clock, self._pause_until, self._store = clock, pause_until, store
        self._free_at: dict[str, datetime] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def pass_through(self, rates: Iterable[tuple[str, Rate]]) -> None:
        """Return when a call may go out by all of these; the turn is taken even if the caller goes away meanwhile."""
        turns = [await self._take_turn(name, rate) for name, rate in rates]
        if not turns or (wait := (max(turns) - self._clock.now()).total_seconds()) <= 0:
            return
        patience = PATIENCE.get()
        if patience is not None and (ends := patience.when()) is not None and not patience.expired():
            patience.reschedule(ends + wait)
        await self._pause_until(max(turns))

    async def _take_turn(self, name: str, rate: Rate) -> datetime:
        if rate.pause <= SLOW or self._store is None:
            now = self._clock.now()
            known = self._free_at.get(name, now + rate.pause * rate.burst if self._store is not None else now)
            turn, self._free_at[name] = _turn(known, now, rate)
            return turn
        async with self._locks.setdefault(name, asyncio.Lock()):
            # In the store's own order: what another program on it has taken counts as well.
            return await self._store.write(lambda work: self._take_stored(work, name, rate))

    def _take_stored(self, work: UnitOfWork, name: str, rate: Rate) -> datetime:
        key, now = f"rate {name}", self._clock.now()
        kept = work.values.get(key)
        known = datetime.fromtimestamp(float(kept), UTC) if kept is not None else now
        turn, free_at = _turn(min(known, now + rate.per * 2 + rate.pause * rate.burst * 2) if known > now else now, now, rate)
        work.values.set(key, free_at.timestamp())
        return turn


def _turn(free_at: datetime, now: datetime, rate: Rate) -> tuple[datetime, datetime]:
    """Return when the next call may go, and the moment to keep for the one after it."""
    turn = max(now, free_at - rate.pause * (rate.burst - 1))
    return turn, max(free_at, now) + rate.pause
