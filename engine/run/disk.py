"""Waiting for the disk, however long it takes: what must not go on before it is written does not go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from engine.errors import Damaged, StoreError
from engine.protocols import Journal

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


async def reach_disk(journal: Journal) -> None:
    """
    Return when everything recorded so far is committed.

    The journal keeps what a full or broken disk refused and tries again, so this waits too: a run stands still before its
    next effect until its past is safe.
    """
    await despite_refusals(journal.barrier)


async def despite_refusals(attempt: Callable[[], Awaitable[T]]) -> T:
    """
    Return what `attempt` returns, once the disk lets it; it is made again for as long as that takes.

    What is damaged stays so, and is raised. For what may be done twice, and whose failing would be blamed on a run that has
    nothing to do with it.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except Damaged:
            raise
        except StoreError as error:
            log.error("the disk refuses; waiting", extra={"reason": error.message})
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
