"""
Finds callers that nobody woke.

The end of a child wakes its caller in the same transaction, so there should be none. A bug, or a row that was changed by hand,
must still not leave a run waiting for ever: this looks at the start and every few minutes.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from engine.maintenance.periodic import PeriodicService
from engine.protocols import Store

log = logging.getLogger(__name__)


class Callers(PeriodicService):
    """Wakes calls whose children are all over; nothing is written where there are none."""

    interval = timedelta(minutes=5)

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    async def run_once(self) -> int:
        """Wake every such call; returns how many there were."""
        if not await self._store.read(lambda work: work.waits.count("child")):
            return 0
        count = await self._store.write(lambda work: work.settle_missed())
        if count:
            log.warning("callers whose children were over had not been woken", extra={"calls": count})
        return count
