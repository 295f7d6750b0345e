"""Waiting for the disk, however long it takes: what must not go on before it is written does not go on."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from engine.errors import StoreError
from engine.protocols import Journal

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


async def reach_disk(journal: Journal) -> None:
    """
    Return when everything recorded so far is committed.

    The journal keeps what a full or broken disk refused and tries again, so this waits too: a run stands still before its
    next effect until its past is safe.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            await journal.barrier()
        except StoreError as error:
            log.error("the journal does not reach the disk; waiting", extra={"reason": error.message})
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            return
