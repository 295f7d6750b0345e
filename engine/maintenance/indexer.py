"""
Makes runs findable by their words, in the background.

It walks the runs by their ids and keeps how far it came, with the words, in one transaction: after a crash it goes on there. A
run that is open when it comes by is remembered and looked at again. What was given an id a moment ago may still be on its way
to the disk, so the last minute is walked again now and then; a clock that was set back sends it back too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter
from typing import Final

from engine.clock import Clock
from engine.errors import NotFound
from engine.ids import RunId, VersionId
from engine.maintenance.periodic import PeriodicService
from engine.model.run import Run
from engine.protocols import Found, Store, UnitOfWork

log = logging.getLogger(__name__)

AT_ONCE: Final = 200
"""Runs that are read in one go."""

MOST_WORDS: Final = 128 * 1024
"""Characters that go into one transaction: a few milliseconds of the writer's time."""

UNSETTLED: Final = timedelta(seconds=60)
LOOK_BACK_S: Final = 30.0
BUSY_PER_S: Final = 200.0
"""Records that runs write in a second from which on the search holds back."""

SHARE: Final = 20
"""While runs are busy the search takes at most one twentieth of the time; so does looking for late runs, always."""

LONGEST_REST_S: Final = 5.0


class Indexer(PeriodicService):
    """Walks new runs every two seconds; costs running nothing but its turns at the writer."""

    interval = timedelta(seconds=2)
    delay = timedelta(seconds=3)

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__()
        self._store, self._clock = store, clock
        self._seen: RunId | None = None
        self._looked_back = self._late_from = float("-inf")
        self._wanted: OrderedDict[VersionId, bool] = OrderedDict()

    async def run_once(self) -> int:
        """Take in every run that is over and not known yet; returns how many."""
        count = 0
        now = self._clock.monotonic()
        if self._seen is None or now - self._looked_back >= LOOK_BACK_S or self._seen > _id_at(self._clock, timedelta(0)):
            self._seen = min(await self._store.read(lambda work: work.search.cursor()), _id_at(self._clock, UNSETTLED))
            self._looked_back = now
        while True:
            after = self._seen
            turn = self._begin_turn()
            runs = await self._store.read(lambda work, after=after: work.search.find_new(after, limit=AT_ONCE))  # type: ignore[misc]
            if not runs:
                break
            count += await self._take(runs)
            self._seen = runs[-1].id
            await self._let_others(turn)
            if len(runs) < AT_ONCE:
                break
        return count + await self._take_late()

    async def _take_late(self) -> int:
        count = 0
        began = self._clock.monotonic()
        if began < self._late_from:
            return 0
        turn = self._begin_turn()
        while runs := await self._store.read(lambda work: work.search.find_late(limit=AT_ONCE)):
            count += await self._take(runs, is_late=True)
            await self._let_others(turn)
            turn = self._begin_turn()
        self._late_from = self._clock.monotonic() + SHARE * (self._clock.monotonic() - began)
        return count

    async def _take(self, runs: Sequence[Run], *, is_late: bool = False) -> int:
        over = [run for run in runs if run.status.is_final]
        late = [run.id for run in runs if not run.status.is_final]
        settled = [run.id for run in over] if is_late else []
        found = await self._store.read(lambda work: self._read(work, over))
        cursor = None if is_late else min(runs[-1].id, _id_at(self._clock, UNSETTLED))
        slices = _sliced(found) or [[]]
        for number, part in enumerate(slices):
            is_last = number == len(slices) - 1
            await self._store.write(
                lambda work, part=part, is_last=is_last: work.search.keep(  # type: ignore[misc]
                    part,
                    late=late if is_last else (),
                    settled=settled if is_last else (),
                    cursor=cursor if is_last else None,
                )
            )
        return len(found)

    def _read(self, work: UnitOfWork, runs: Sequence[Run]) -> list[Found]:
        wanted = [run for run in runs if self._is_wanted(work, run)]
        words = work.search.words_of(wanted)
        return [
            Found(run_id=run.id, workflow=run.workflow_id or "", status=run.status.value, words=words[run.id])
            for run in wanted
            if run.id in words
        ]

    def _is_wanted(self, work: UnitOfWork, run: Run) -> bool:
        """Whether the version that a run executed lets its data be searched."""
        if (known := self._wanted.get(run.version_id)) is not None:
            return known
        try:
            wanted = work.runs.get_document(run.id).settings.search
        except NotFound:
            wanted = True
        self._wanted[run.version_id] = wanted
        if len(self._wanted) > 1_000:
            self._wanted.popitem(last=False)
        return wanted

    def _begin_turn(self) -> tuple[float, int]:
        return perf_counter(), self._store.journal.committed

    async def _let_others(self, turn: tuple[float, int]) -> None:
        """Rest after a turn, so long that runs which are busy keep nearly all of the time."""
        began, committed = turn
        took = perf_counter() - began
        is_busy = self._store.journal.committed - committed > BUSY_PER_S * took
        await asyncio.sleep(min((SHARE - 1) * took, LONGEST_REST_S) if is_busy else 0)


def _id_at(clock: Clock, ago: timedelta) -> RunId:
    """Return the id that runs of that moment begin with."""
    return RunId(f"run_{int((clock.now() - ago).timestamp() * 1000) + 1:012x}")


def _sliced(found: Sequence[Found]) -> list[list[Found]]:
    slices: list[list[Found]] = []
    size = MOST_WORDS
    for one in found:
        if size >= MOST_WORDS:
            slices.append([])
            size = 0
        slices[-1].append(one)
        size += len(one.words)
    return slices
