"""Brings queued runs from the store to the line they stand in, a window at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from engine.errors import NotFound, TreadleError
from engine.ids import RunId, VersionId
from engine.model.run import Run
from engine.model.workflow import Document
from engine.protocols import QueuedRuns, QueueWish, Store, UnitOfWork

from .disk import reach_disk
from .flight import Flight
from .places import place_of
from .queue import AHEAD, Appetite, Place, RunQueue

log = logging.getLogger(__name__)


class Taker(Protocol):
    """Who the runs are brought to."""

    def bring(self, run: Run, document: Document | None) -> Flight | None:
        """Make a stored run ready to be started; None when that cannot be (it is told then, or it is in hand)."""

    def begin(self, flight: Flight) -> None:
        """Start it."""

    def key_of(self, run: Run, document: Document, payload: bytes) -> str:
        """Return what the limit of its workflow counts a run by."""


class Feeder:
    """
    Watches a queue and fetches what it is hungry for.

    `flights` are the runs in hand, by id. A run is fetched after everything recorded so far is on disk, so that one that was
    only just left to the store is seen.
    """

    def __init__(self, store: Store, queue: RunQueue[Flight], flights: Mapping[RunId, Flight], taker: Taker) -> None:
        self._store, self._queue, self._flights, self._taker = store, queue, flights, taker
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._limits: dict[str, int | None] = {}
        queue.on_hungry = self._bell.set

    def start(self) -> None:
        """Begin to watch."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="queue feeder")

    async def stop(self) -> None:
        """End; returns when it is over."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def feed(self) -> int:
        """Bring what is wanted now and start what may start; returns how many runs were brought."""
        count = 0
        self._bell.clear()
        for line in sorted(self._queue.hungry):
            count += await self._feed(line)
        return count

    async def _watch(self) -> None:
        while True:
            await self._bell.wait()
            try:
                await self.feed()
            except TreadleError:
                log.exception("bringing queued runs failed")
                await asyncio.sleep(1)
                self._bell.set()

    async def _feed(self, line: str) -> int:
        await reach_disk(self._store.journal)
        asked = self._queue.appetite(line)
        known: defaultdict[str, set[RunId]] = defaultdict(set)
        for flight in self._flights.values():
            if flight.run.line == line:
                known[flight.run.lease_key].add(flight.run.id)
        limits: dict[str, int | None] = {}

        def look(work: UnitOfWork) -> tuple[QueuedRuns, dict[RunId, Document | None]]:
            wish = QueueWish(
                line=line, wanted=asked.wanted, room=lambda key: room_for(asked, self._limits.get(line), key),
                cursor=asked.cursor, known=known,
            )  # fmt: skip
            found = work.runs.next_queued(wish)
            return found, documents_of(work, found.runs)

        found, documents = await self._store.read(look)
        fresh: list[tuple[Flight, Place]] = []
        rekeyed = False
        for run in found.runs:
            if run.id in self._flights and self._flights[run.id].task is not None:
                continue
            if await self._is_keyed_now(run, documents[run.id]):
                rekeyed = True
                continue
            if (taken := self._taker.bring(run, documents[run.id])) is not None:
                taken.place = place_of(taken.run, taken.plan)
                limits[line] = taken.place.of_key
                fresh.append((taken, taken.place))
        self._limits.update(limits)
        self._queue.fed(line, fresh, asked, is_all=found.is_all and not rekeyed, has_rest=found.has_rest, has_changed=rekeyed)
        for ready in self._queue.next_ones():
            self._taker.begin(ready)
        return len(fresh)

    async def _is_keyed_now(self, run: Run, document: Document | None) -> bool:
        """
        Give a run its key that was queued in the store without one (by an alert, a replay); it is fetched again by that.

        One whose key cannot be computed is counted as a run without a key.
        """
        if document is None or run.lease_key or document.settings.limits is None or document.settings.limits.key is None:
            return False
        payload = await self._store.read(lambda work: work.runs.get_input(run.id))
        try:
            key = self._taker.key_of(run, document, payload)
        except TreadleError:
            return False
        if not key:
            return False
        await self._store.write(lambda work: work.runs.set_lease_key(run.id, key))
        return True


def room_for(asked: Appetite, of_key: int | None, key: str) -> int:
    """Return how many more of a key are worth bringing: as many as may go, and a few ahead; all that are wanted if no limit."""
    if of_key is None:
        # What the limit of the line's keys is shows when the first of them is here: a keyed line starts with few of each.
        return asked.wanted if not key else AHEAD
    return of_key + AHEAD - asked.near[key]


def documents_of(work: UnitOfWork, runs: Sequence[Run]) -> dict[RunId, Document | None]:
    """Return the document of each run, None where it is gone; those of one version are read once."""
    by_version: dict[VersionId, Document | None] = {}
    found: dict[RunId, Document | None] = {}
    for run in runs:
        if run.version_id not in by_version or run.is_test:
            try:
                by_version[run.version_id] = work.runs.get_document(run.id)
            except NotFound:
                by_version[run.version_id] = None
        found[run.id] = by_version[run.version_id]
    return found


__all__ = ["Feeder", "Taker", "documents_of"]
