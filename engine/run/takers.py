"""
Taking many runs over at once: those that are asked for in one turn are claimed in one transaction and read in one query each.

A crowd of timers, or a start after a crash, then costs a few statements instead of several for every run.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from engine.clock import Clock
from engine.errors import Damaged
from engine.ids import RunId
from engine.model.run import Run
from engine.protocols import Store, UnitOfWork

from .payloads import decode_batch
from .takeover import Taken

AT_ONCE: Final = 250
"""How many are taken in one go: the first can be at work while the next are read."""


class Takers:
    """Natural batching of `take`: while one lot is on its way, the next one fills up."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._asked: dict[RunId, asyncio.Future[Taken | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def take(self, run_id: RunId) -> Taken | None:
        """Claim a run and read its journal; None when it is over by now. Whoever had it before writes nothing more."""
        future = self._asked.get(run_id)
        if future is None:
            future = self._asked[run_id] = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="takers")
        return await asyncio.shield(future)

    async def _serve(self) -> None:
        try:
            await asyncio.sleep(0)
            while self._asked:
                lot = {run_id: self._asked.pop(run_id) for run_id in list(self._asked)[:AT_ONCE]}
                try:
                    found = await self._take(list(lot))
                except BaseException as error:
                    for future in lot.values():
                        if not future.done():
                            future.set_exception(error)
                            future.exception()  # whoever asked may have left
                    if not isinstance(error, Exception):
                        raise
                else:
                    for run_id, future in lot.items():
                        if not future.done():
                            future.set_result(found.get(run_id))
        finally:
            self._task = None

    async def _take(self, run_ids: list[RunId]) -> dict[RunId, Taken]:
        now = self._clock.now()
        claimed = await self._store.write(lambda work: work.runs.claim_many(run_ids, now=now))
        return await self._store.read(lambda work: _read_all(work, claimed)) if claimed else {}


def _read_all(work: UnitOfWork, claimed: list[Run]) -> dict[RunId, Taken]:
    """Read a lot in one go; where something is damaged, run by run, so that it is the matter of one run alone."""
    try:
        return _read(work, claimed)
    except Damaged as error:
        if len(claimed) == 1:
            return {claimed[0].id: Taken(claimed[0], [], [], damage=error)}
        return {run_id: taken for run in claimed for run_id, taken in _read_all(work, [run]).items()}


def _read(work: UnitOfWork, claimed: list[Run]) -> dict[RunId, Taken]:
    run_ids = [run.id for run in claimed]
    inputs, facts = work.runs.inputs_of(run_ids), work.runs.facts_of(run_ids)
    woken: dict[RunId, list[object]] = {}
    for waiting in work.waits.woken(run_ids):
        woken.setdefault(waiting.run_id, []).append(waiting)
    return {
        run.id: Taken(replace(run, error=None), decode_batch(inputs[run.id]), facts.get(run.id, []), woken.get(run.id, []))  # type: ignore[arg-type]
        for run in claimed
        if run.id in inputs
    }
