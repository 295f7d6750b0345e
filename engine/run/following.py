"""Waiting for a run that parks for a while because it waits for runs it called: to its caller that is one long run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from typing import Final

from engine.ids import RunId
from engine.model.run import Run, RunStatus
from engine.protocols import Store

AGAIN_S: Final = 0.05
"""How long until a look at a run that was ended where nobody rings."""

Look = Callable[[RunId, timedelta | None], Awaitable[Run]]


async def follow(store: Store, look: Look, run_id: RunId, timeout: timedelta | None) -> Run:  # noqa: ASYNC109 - the run goes on
    """Return the run as `look` does, but go on looking while it is parked for nothing but its children."""
    began = monotonic()
    while True:
        left = None if timeout is None else timedelta(seconds=max(0.0, timeout.total_seconds() - (monotonic() - began)))
        run = await look(run_id, left)
        if run.status not in (RunStatus.WAITING, RunStatus.QUEUED) or (left is not None and left <= timedelta()):
            return run
        if run.status is RunStatus.WAITING and not await _waits_for_children(store, run_id):
            latest = await store.read(lambda work: work.runs.get(run_id))
            if latest.status is RunStatus.WAITING:
                return latest
            continue
        await asyncio.sleep(AGAIN_S if left is None else min(AGAIN_S, left.total_seconds()))


async def _waits_for_children(store: Store, run_id: RunId) -> bool:
    waiting = await store.read(lambda work: work.waits.of_run(run_id))
    return bool(waiting) and all(one.wait.kind == "child" for one in waiting)
