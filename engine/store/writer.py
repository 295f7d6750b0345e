"""
The one thread that writes.

Everything that waits in the queue becomes one transaction (natural batching: while one commit is on its way to the disk, the
next one fills up; there is no timer). Journal records and changes keep their order; each change stands in a savepoint, so one
that raises takes nobody along.

When the disk or the server refuses, changes fail with a `StoreError` and are forgotten, because their callers are told so;
journal records are kept and tried again, because what a run did is true whether or not it could be written.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from engine.errors import StoreError
from engine.events.types import Event
from engine.ids import RunId
from engine.model.run import Run

from .children import Call
from .database import Database
from .flush import FACT, START, WHOLE, Segment
from .flush_waits import WaitsWritten
from .payloads import Payloads
from .statements import statements_for
from .work import SqlUnitOfWork

log = logging.getLogger(__name__)

CHANGE: Final = 3
MOST_PER_FLUSH: Final = 20_000
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 5.0

Change = Callable[[Any], Any]
Entry = tuple[int, Any, Any]
"""A journal record, or `(CHANGE, function, future)`."""


Settled = tuple[Any, Any, BaseException | None]
"""A change's future, its result, and what it raised."""


@dataclass(slots=True)
class Report:
    """What became of a flush; `upto` counts all entries ever taken, `error` says that the records are still waiting."""

    upto: int
    settled: list[Settled] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lost: set[RunId] = field(default_factory=set)
    waits: WaitsWritten | None = None
    has_rung: bool = False
    cancelled: set[RunId] = field(default_factory=set)
    error: StoreError | None = None

    def hear(self, work: SqlUnitOfWork) -> None:
        """Note what a unit of work wants to be told once it is committed."""
        self.events.extend(work.events)
        self.has_rung |= work.has_rung
        self.cancelled |= work.cancelled
        if work.woken:
            self.waits = self.waits or WaitsWritten()
            self.waits.woken |= work.woken

    def take(self, lost: set[RunId], waits: WaitsWritten) -> None:
        """Note what a segment tells."""
        self.lost |= lost
        if waits.woken or waits.wake_at is not None:
            self.waits = self.waits or WaitsWritten()
            self.waits.woken |= waits.woken
            known = [at for at in (self.waits.wake_at, waits.wake_at) if at is not None]
            self.waits.wake_at = min(known, default=None)


@dataclass(slots=True)
class Flush:
    """
    A batch on its way to the disk, over as many tries as it takes.

    The first `in_doubt` records may be there already, because the last try failed in the very commit.
    """

    batch: list[Entry]
    in_doubt: int = 0
    is_renewed: bool = False
    pause: float = FIRST_PAUSE_S
    failure: StoreError | None = None


class Writer:
    """
    Owns the database for writing.

    `entries` is shared with the event loop, which only appends to it. `report` is called in this thread after each flush.
    """

    def __init__(
        self,
        database: Database,
        payloads: Payloads,
        make_work: Callable[[Connection], SqlUnitOfWork],
        report: Callable[[Report], None],
    ) -> None:
        self.entries: deque[Entry] = deque()
        self.is_idle = True
        self._database, self._payloads, self._make_work, self._report = database, payloads, make_work, report
        self._statements = statements_for(database.dialect)
        self._wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="treadle-writer", daemon=True)
        self._open: tuple[Connection, Any, SqlUnitOfWork] | None = None
        self._taken = 0
        self._is_committing = False
        self.unwritten = 0

    def open(self) -> None:
        """Connect; raises `StoreError` when another program is the one that writes."""
        try:
            self._connect()
        except DBAPIError as error:
            raise self._database.explain(error) from error

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the sleeping thread that there is work; called by the event loop."""
        if self.is_idle and self.entries:
            self.is_idle = False
            self._wakes.put(True)

    def stop(self) -> None:
        """Write what is left and end; returns when the thread is over. `unwritten` then counts what the disk refused."""
        self._stopping.set()
        self._wakes.put(False)
        self._thread.join()

    def _run(self) -> None:
        go_on = True
        while go_on:
            go_on = self._wakes.get()
            while True:
                while self.entries:
                    self._flush(self._take())
                # Idle first, then look again: the loop appends first, then looks whether we are idle. One of us sees the other.
                self.is_idle = True
                if not self.entries:
                    break
        if self._open is not None:
            with suppress(Exception):
                self._database.give_back(self._open[0])
        self._disconnect()

    def _take(self) -> list[Entry]:
        entries = self.entries
        batch = [entries.popleft() for _ in range(min(len(entries), MOST_PER_FLUSH))]
        self._taken += len(batch)
        return batch

    def _flush(self, batch: list[Entry]) -> None:
        """Commit the batch, however long it takes."""
        flush = Flush(batch)
        while (pause := self._try(flush)) is not None:
            if self._stopping.wait(pause):
                assert flush.failure is not None
                self._give_up(flush.batch + self._take(), flush.failure)
                return
            flush.batch += self._take()

    def _try(self, flush: Flush) -> float | None:
        """
        Try to commit once and report what came of it; None when it is done, else the seconds to pause before the next try.

        A refused flush keeps its journal records; its changes are forgotten, for their callers were told.
        """
        while True:
            report = Report(upto=self._taken)
            self._is_committing = False
            try:
                if flush.in_doubt and self._is_written(flush.batch[: flush.in_doubt]):
                    flush.batch = flush.batch[flush.in_doubt :]
                flush.in_doubt = 0
                parts = self._prepare(flush.batch)
                with self._database.gate:
                    self._commit(parts, report)
            except Exception as error:
                failure = self._database.explain(error)
                failure.__cause__ = error
            else:
                self._tell(report)
                self._database.after_commit()
                return None
            is_gone = self._open is not None and self._database.is_gone(self._open[0])
            self._disconnect()
            if not is_gone or self._is_committing or flush.is_renewed:
                break
            # The server closed a connection that slept: nothing of this was committed, so all of it may go again.
            flush.is_renewed = True
        changes = [entry for entry in flush.batch if entry[0] == CHANGE]
        flush.batch = [entry for entry in flush.batch if entry[0] != CHANGE]
        if self._is_committing:
            flush.in_doubt = len(flush.batch)
            failure.hint = f"It is not certain whether the change was kept. {failure.hint or ''}".strip()
        log.error("the database refused a transaction", exc_info=failure, extra={"records_waiting": len(flush.batch)})
        failed: list[Settled] = [(entry[2], None, failure) for entry in changes]
        self._tell(Report(upto=self._taken, settled=failed, error=failure))
        flush.failure = failure
        pause, flush.pause = flush.pause, min(flush.pause * 2, LONGEST_PAUSE_S)
        return pause

    def _is_written(self, records: Sequence[Entry]) -> bool:
        """
        Whether records whose commit failed half way are on disk all the same: the whole transaction is there, or nothing.

        The first fact of each run is looked for, since one run's records may have been dropped for good reasons.
        """
        firsts: dict[str, Entry] = {}
        for record in records:
            if record[0] == FACT:
                firsts.setdefault(record[1].run_id, record)
            elif record[0] == WHOLE or (record[0] == START and record[2][0] is not None):
                firsts.setdefault(record[1].id, record)
        connection, cursor, _ = self._connect()
        with self._database.gate, connection.begin():
            for run_id, (kind, thing, _) in firsts.items():
                if kind == FACT:
                    cursor.execute(self._statements.find_fact, (run_id, thing.seq))
                else:
                    cursor.execute(self._statements.find_run, (run_id,))
                if cursor.fetchone() is not None:
                    return True
        return False

    def _give_up(self, batch: list[Entry], failure: StoreError) -> None:
        """Stopping on a disk that refuses: one last try for the records, and a loud count of what is left behind."""
        settled: list[Settled] = [(entry[2], None, failure) for entry in batch if entry[0] == CHANGE]
        batch = [entry for entry in batch if entry[0] != CHANGE]
        report = Report(upto=self._taken, settled=settled)
        try:
            with self._database.gate:
                self._commit(self._prepare(batch), report)
        except Exception as error:
            self.unwritten += len(batch)
            report.error = self._database.explain(error)
            log.critical("journal records could not be written before the end", extra={"records": len(batch)})
            self._disconnect()
        self._tell(report)

    def _prepare(self, batch: Sequence[Entry]) -> list[Segment | Entry]:
        """Part the batch into segments of journal records and the changes between them, and encode the records."""
        parts: list[Segment | Entry] = []
        start = 0
        for end in [*(index for index, entry in enumerate(batch) if entry[0] == CHANGE), len(batch)]:
            if start < end:
                segment = Segment(self._payloads)
                segment.prepare(batch[start:end])
                parts.append(segment)
            if end < len(batch):
                parts.append(batch[end])
            start = end + 1
        return parts

    def _commit(self, parts: Sequence[Segment | Entry], report: Report) -> None:
        connection, cursor, work = self._connect()
        # What stands alone needs no savepoint: rolling back the transaction takes back nothing else.
        is_alone = len(parts) == 1
        transaction = connection.begin()
        try:
            for part in parts:
                if isinstance(part, Segment):
                    if not self._write_segment(cursor, work, part, report, is_alone=is_alone):
                        transaction.rollback()
                        transaction = connection.begin()
                        self._write_one_by_one(cursor, work, part, report)
                elif not self._carry_out(cursor, work, part, report, is_alone=is_alone):
                    transaction.rollback()
                    return
            self._is_committing = True
            transaction.commit()
        except BaseException:
            with suppress(Exception):
                transaction.rollback()
            raise

    def _write_segment(self, cursor: Any, work: SqlUnitOfWork, segment: Segment, report: Report, *, is_alone: bool) -> bool:
        """Write a segment; False says that it stands alone, one of its records was refused, and all has to begin anew."""
        try:
            if is_alone:
                report.take(segment.write(cursor, self._statements), segment.waits)
            else:
                with self._savepoint(cursor):
                    report.take(segment.write(cursor, self._statements), segment.waits)
            if segment.ended or segment.begun:
                self._settle(cursor, work, segment.ended, segment.begun, report)
        except Exception as error:
            if not self._database.is_about_data(error):
                raise
            log.exception("a journal record was refused; looking for it")
            if is_alone:
                return False
            self._write_one_by_one(cursor, work, segment, report)
        return True

    def _settle(self, cursor: Any, work: SqlUnitOfWork, ended: Sequence[Run], begun: Sequence[Call], report: Report) -> None:
        """
        Do what belongs to the end of runs, in the transaction that ends them.

        A bug there must not keep the end itself from being written: then each run is tried by itself, and one that cannot be
        dealt with is logged and left.
        """
        work.begin()
        try:
            with self._savepoint(cursor):
                work.settle(ended, begun)
        except Exception as error:
            if self._database.is_refusal(error):
                raise
            log.exception("what follows from the end of runs failed", extra={"runs": [run.id for run in ended[:20]]})
            if len(ended) + len(begun) > 1:
                for run in ended:
                    self._settle(cursor, work, [run], (), report)
                for call in begun:
                    self._settle(cursor, work, (), [call], report)
            return
        report.hear(work)

    def _write_one_by_one(self, cursor: Any, work: SqlUnitOfWork, segment: Segment, report: Report) -> None:
        """Write all but what the database refuses; a run that loses one record loses all that follow, so a prefix stays."""
        for single in segment.singles():
            run_id = single.run_id
            if run_id in report.lost:
                continue
            try:
                with self._savepoint(cursor):
                    report.take(single.write(cursor, self._statements), single.waits)
                if single.ended or single.begun:
                    self._settle(cursor, work, single.ended, single.begun, report)
            except Exception as error:
                if not self._database.is_about_data(error):
                    raise
                log.exception("journal record refused", extra={"run": run_id})
                report.lost.add(run_id)

    def _carry_out(self, cursor: Any, work: SqlUnitOfWork, entry: Entry, report: Report, *, is_alone: bool) -> bool:
        """Run one change; False says that it stands alone and failed, so that nothing may be committed."""
        _, change, future = entry
        work.begin()
        try:
            if is_alone:
                result = change(work)
            else:
                with self._savepoint(cursor):
                    result = change(work)
        except Exception as error:
            if self._database.is_refusal(error):
                raise
            ours = self._database.explain(error) if isinstance(error, DBAPIError) else error
            report.settled.append((future, None, ours))
            return not is_alone
        report.settled.append((future, result, None))
        report.hear(work)
        return True

    def _connect(self) -> tuple[Connection, Any, SqlUnitOfWork]:
        if self._open is None:
            connection = self._database.writer.connect()
            try:
                self._database.take_over(connection)
            except BaseException:
                connection.close()
                raise
            driver = connection.connection.driver_connection
            assert driver is not None
            self._open = (connection, driver.cursor(), self._make_work(connection))
        return self._open

    def _disconnect(self) -> None:
        if self._open is not None:
            connection, self._open = self._open[0], None
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()

    def _tell(self, report: Report) -> None:
        try:
            self._report(report)
        except RuntimeError:
            # The loop is gone: nobody is left to be told, and what was committed is on disk.
            log.debug("the event loop ended before a flush was reported")

    @contextmanager
    def _savepoint(self, cursor: Any) -> Iterator[None]:
        cursor.execute("SAVEPOINT part")
        try:
            yield
        except Exception as error:
            if not self._database.is_refusal(error):
                cursor.execute("ROLLBACK TO SAVEPOINT part")
                cursor.execute("RELEASE SAVEPOINT part")
            raise
        cursor.execute("RELEASE SAVEPOINT part")
