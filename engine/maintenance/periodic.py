"""A service that does one thing every so often."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from datetime import timedelta

log = logging.getLogger(__name__)


class PeriodicService(ABC):
    """
    Calls `run_once` every `interval`, the first time after `delay`.

    Starting twice and stopping twice are harmless; `stop` returns when it is really over. A round that fails is logged, and
    the next one comes at its time.
    """

    interval: timedelta
    delay = timedelta(0)

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def run_once(self) -> object:
        """Do the one thing; what comes back tells how much there was to do."""

    async def start(self) -> None:
        """Begin."""
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name=type(self).__name__)

    async def stop(self) -> None:
        """End, in the middle of a round where there is one."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _serve(self) -> None:
        await asyncio.sleep(self.delay.total_seconds())
        while True:
            try:
                await self.run_once()
            except Exception:
                log.exception("a round of maintenance failed", extra={"service": type(self).__name__})
            await asyncio.sleep(self.interval.total_seconds())
