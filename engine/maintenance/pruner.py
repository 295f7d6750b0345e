"""What is old enough goes, so that the disk does not fill up with yesterday's runs."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from engine.clock import Clock
from engine.maintenance.periodic import PeriodicService
from engine.protocols import Store

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Runs per transaction: few enough that nobody waits for the writer."""


class Sweeping(Store, Protocol):
    """A store that can tell which files nobody needs any more."""

    async def sweep_blobs(self) -> tuple[int, int]:
        """Remove them; returns how many and their bytes."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs went, and how many files with how many bytes."""

    runs: int = 0
    files: int = 0
    bytes: int = 0


class Pruner(PeriodicService):
    """Removes runs that ended longer ago than `keep`, with their journals and files. The newest work is never touched."""

    interval = timedelta(hours=6)
    delay = timedelta(minutes=2)

    def __init__(self, store: Sweeping, clock: Clock, *, keep: timedelta) -> None:
        super().__init__()
        self._store, self._clock, self._keep = store, clock, keep

    async def run_once(self) -> Pruned:
        """Remove what is old enough by now, in slices between which others get their turn."""
        before = self._clock.now() - self._keep
        count = 0
        while gone := await self._store.write(lambda work: work.runs.prune(before=before, limit=AT_ONCE)):
            count += gone
            await asyncio.sleep(0)
        files, size = await self._store.sweep_blobs()
        if count or files:
            log.info("old runs removed", extra={"runs": count, "files": files, "bytes": size})
        return Pruned(count, files, size)
