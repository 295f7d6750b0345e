"""
Those who wait for a run that is parked: it has left memory, they have not.

Whoever asked for the answer of a run goes over to the run's next life in this worker. What another process does with the run
is not told here; who waits for its end looks into the store every second.
"""

from __future__ import annotations

import asyncio
from typing import Final

from engine.ids import RunId
from engine.steps.contract import Response

Waiter = asyncio.Future[Response | None]

NET_S: Final = 1.0


class Patience:
    """Waiters for answers and for the return of parked runs; used on the event loop only."""

    def __init__(self) -> None:
        self._asking: dict[RunId, list[Waiter]] = {}
        self._returns: dict[RunId, list[asyncio.Event]] = {}

    @property
    def is_needed(self) -> bool:
        """Whether anybody waits."""
        return bool(self._asking or self._returns)

    def ask(self, run_id: RunId) -> Waiter:
        """Return a future for the answer of a parked run; None is its result when the run ends without one."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._asking.setdefault(run_id, []).append(waiter)
        return waiter

    def keep(self, run_id: RunId, waiters: list[Waiter]) -> None:
        """Take over those who ask a run that parks."""
        if open_ones := [waiter for waiter in waiters if not waiter.done()]:
            self._asking.setdefault(run_id, []).extend(open_ones)

    def forget(self, run_id: RunId, waiter: Waiter) -> None:
        """Drop one who has its answer or waits no longer."""
        waiters = self._asking.get(run_id)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._asking[run_id]

    def comes_back(self, run_id: RunId) -> list[Waiter] | None:
        """Say that a run is taken up again; returns those who ask it, who are the run's own from now on."""
        for event in self._returns.pop(run_id, ()):
            event.set()
        return self._asking.pop(run_id, None)

    def is_over(self, run_id: RunId) -> None:
        """Say that a parked run was ended without being taken up again."""
        for waiter in self.comes_back(run_id) or ():
            if not waiter.done():
                waiter.set_result(None)

    async def until_back(self, run_id: RunId, seconds: float) -> None:
        """Return when the run is taken up or ended here, or when it is time to look at the store."""
        event = asyncio.Event()
        self._returns.setdefault(run_id, []).append(event)
        try:
            async with asyncio.timeout(min(seconds, NET_S)):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            events = self._returns.get(run_id)
            if events is not None and event in events:
                events.remove(event)
                if not events:
                    del self._returns[run_id]

    def close(self) -> None:
        """Let all go: the worker stops."""
        for run_id in (*self._asking, *self._returns):
            self.is_over(run_id)
