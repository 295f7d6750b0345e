"""The journal as the event loop sees it: records in, barriers out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

from engine.errors import StoreError
from engine.ids import RunId
from engine.model.run import Fact, Run
from engine.model.workflow import Document
from engine.protocols import Firing, Line

from .flush import FACT, FINISH, START, WHOLE
from .rows import optional_moment_of
from .writer import CHANGE, Change, Report, Writer

log = logging.getLogger(__name__)

MOST_BYTES: Final = 64 * 1024 * 1024
MOST_ENTRIES: Final = 100_000


def _nobody(run_ids: tuple[RunId, ...]) -> None:
    return


def _no_waits(run_ids: tuple[RunId, ...], wake_at: datetime | None) -> None:
    return


def _no_door() -> None:
    return


class SqlJournal:
    """
    Implements `engine.protocols.Journal`.

    `append` costs well under a microsecond: it puts the record where the writer thread will find it and, once per turn of the
    loop, plans to wake the writer. `lost` may be set to a function; it is told, on the loop, which runs lost their records
    because another worker has them, they were cancelled or deleted, or a record could not be stored at all. `waits` is told
    which runs were woken while they parked, and the earliest moment at which something that has just begun to wait is due.
    `rung` is called on the loop after a transaction that queued a run, `cancelled` with running runs that one wants to end.
    """

    __slots__ = (
        "_bytes",
        "_committed",
        "_entries",
        "_given",
        "_is_planned",
        "_landing",
        "_loop",
        "_taken_bytes",
        "_waiting",
        "_writer",
        "cancelled",
        "flushes",
        "lost",
        "rung",
        "waits",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: Writer) -> None:
        self.lost: Callable[[tuple[RunId, ...]], None] = _nobody
        self.waits: Callable[[tuple[RunId, ...], datetime | None], None] = _no_waits
        self.cancelled: Callable[[tuple[RunId, ...]], None] = _nobody
        self.rung: Callable[[], None] = _no_door
        self._loop, self._writer, self._entries = loop, writer, writer.entries
        self._given = self._committed = 0
        self.flushes = 0
        self._bytes = 0
        self._taken_bytes: deque[tuple[int, int]] = deque()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._landing: deque[tuple[int, Callable[[], None]]] = deque()
        self._is_planned = False

    def start(
        self, run: Run, *, input: bytes | None = None, document: Document | None = None, firing: Firing | None = None
    ) -> None:
        """Record a run that is starting now (status `running`). `input` is given when the run is not in the store yet."""
        self._given += 1
        self._entries.append((START, run, (input, document, firing)))
        if input:
            self._hold(len(input))
        if not self._is_planned:
            self._plan()

    def append(self, fact: Fact, *, epoch: int) -> None:
        """Record one fact."""
        self._given += 1
        self._entries.append((FACT, fact, epoch))
        if fact.payload:
            self._hold(len(fact.payload))
        if not self._is_planned:
            self._plan()

    def whole(
        self, run: Run, lines: list[Line], size: int, *, input: bytes, document: Document | None, firing: Firing | None
    ) -> None:
        """Record a run that is over already, with its whole journal: `lines`, whose payloads have `size` bytes together."""
        self._given += 1
        self._entries.append((WHOLE, run, (input, document, firing, lines)))
        self._hold(size + len(input))
        if not self._is_planned:
            self._plan()

    def finish(self, run: Run) -> None:
        """Record the run's final or parked status, error and times."""
        self._given += 1
        self._entries.append((FINISH, run, None))
        if not self._is_planned:
            self._plan()

    def change(self, change: Change, future: asyncio.Future[object]) -> None:
        """Queue a change behind everything recorded so far; the future gets its result."""
        self._given += 1
        self._entries.append((CHANGE, change, future))
        if not self._is_planned:
            self._plan()

    async def barrier(self) -> None:
        """Return when everything recorded so far is committed; raises `StoreError` when the disk refused it."""
        if self._given == self._committed:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((self._given, future))
        await future

    def when_kept(self, told: Callable[[], None]) -> None:
        """Call `told` on the loop once everything recorded so far is committed, however long the disk refuses."""
        if self._given == self._committed:
            self._loop.call_soon(told)
        else:
            self._landing.append((self._given, told))

    @property
    def is_full(self) -> bool:
        """Whether more waits for the disk than should; who records much then waits at a `barrier` before going on."""
        return self._bytes > MOST_BYTES or self._given - self._committed > MOST_ENTRIES

    @property
    def committed(self) -> int:
        """How many records and changes are on disk since the start; `flushes` counts the transactions they came in."""
        return self._committed

    @property
    def waiting(self) -> int:
        """How many records and changes are not committed yet."""
        return self._given - self._committed

    def reported(self, report: Report) -> None:
        """Take note of a flush; called on the loop."""
        if report.error is None:
            self._committed = report.upto
            self.flushes += 1
            while self._taken_bytes and self._taken_bytes[0][0] <= report.upto:
                self._bytes -= self._taken_bytes.popleft()[1]
        for future, result, error in report.settled:
            if not future.done():
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)
        while self._waiting and self._waiting[0][0] <= report.upto:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                if report.error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(_copy_of(report.error))
        if report.has_rung and report.error is None:
            self.rung()
        if report.cancelled and report.error is None:
            self.cancelled(tuple(sorted(report.cancelled)))
        if report.error is None:
            landing = self._landing
            while landing and landing[0][0] <= report.upto:
                told = landing.popleft()[1]
                try:
                    told()
                except Exception:
                    log.exception("who asked to be told of the disk failed")
        if report.lost:
            try:
                self.lost(tuple(sorted(report.lost)))
            except Exception:
                log.exception("who asked to be told of lost runs failed", extra={"runs": len(report.lost)})

        if report.waits is not None:
            self.waits(tuple(sorted(report.waits.woken)), optional_moment_of(report.waits.wake_at))

    def _hold(self, size: int) -> None:
        self._bytes += size
        self._taken_bytes.append((self._given, size))

    def _plan(self) -> None:
        # At the end of this turn, so that everything recorded in it goes out together.
        self._is_planned = True
        self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._is_planned = False
        self._writer.wake()


def _copy_of(error: StoreError) -> StoreError:
    """Each waiter gets its own, since an exception that is raised in several tasks would grow one shared traceback."""
    copy = StoreError(error.message, hint=error.hint, where=error.where)
    copy.__cause__ = error.__cause__
    return copy
