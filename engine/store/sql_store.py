"""The store: a database, its one writer thread, its readers, and the files beside it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from engine.clock import Clock
from engine.errors import StoreError
from engine.events.types import Event
from engine.model.run import Run
from engine.protocols import Settle, UnitOfWork

from . import tables
from .ask import Answer, Question, ask_in_child, ask_postgres, ask_sqlite
from .ask import check as check_question
from .blobs import BlobStore
from .database import READERS, Database, parse_database
from .journal import SqlJournal
from .lock import DataLock
from .payloads import Payloads
from .schema import check, upgrade
from .sqlite import SqliteDatabase
from .usage import Usage, measure, needed_size, used_by_database
from .work import SqlUnitOfWork
from .writer import Report, Writer

log = logging.getLogger(__name__)
T = TypeVar("T")

BLOB_GRACE: Final = timedelta(days=1)
"""How long a file that nothing names is left alone."""


class SqlStore:
    """
    Implements `engine.protocols.Store`.

    Made by `open_store`; `start` opens the database, brings its tables up to date and starts the writer, `stop` writes what
    is left. Both are harmless when done twice. `journal` is there between the two. `trouble` says why the disk refuses just
    now, None while all is well.
    """

    def __init__(self, database: Database, *, clock: Clock, blobs: BlobStore, exclusive: bool = True) -> None:
        self.database, self.blobs = database, blobs
        self._clock, self._payloads = clock, Payloads(blobs)
        lock_path = database.lock_path if isinstance(database, SqliteDatabase) and exclusive else None
        self._lock = None if lock_path is None else DataLock(lock_path)
        self.trouble: StoreError | None = None
        self._settle: Settle | None = None
        self._publish: Callable[[Iterable[Event]], None] | None = None
        self._journal: SqlJournal | None = None
        self._writer: Writer | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        clock: Clock,
        blobs_dir: Path,
        synchronous: str = "FULL",
        key: str | None = None,
        exclusive: bool = True,
    ) -> SqlStore:
        """Return the store that an address or a path means, not started yet; see `open_store`."""
        database = parse_database(where, synchronous=synchronous, key=key, exclusive=exclusive)
        return cls(database, clock=clock, blobs=BlobStore(blobs_dir), exclusive=exclusive)

    @property
    def journal(self) -> SqlJournal:
        """The hot path of running; raises `StoreError` while the store is not started."""
        if self._journal is None:
            raise _not_open()
        return self._journal

    async def start(self) -> None:
        """
        Open the database, upgrade it, start the writer.

        Raises `StoreError` when it cannot be reached, is newer than this program, or another program runs the engine on it.
        """
        if self._writer is not None:
            return
        self._loop = asyncio.get_running_loop()
        writer = Writer(self.database, self._payloads, self._unit_of_work, self._hand_over)
        await asyncio.to_thread(self._open, writer)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="treadle-reader")
        self._writer = writer
        self._journal = SqlJournal(self._loop, self._writer)
        self._writer.start()

    async def stop(self) -> None:
        """Write what is left and close; raises `StoreError` when the disk refused records to the last."""
        writer, self._writer = self._writer, None
        if writer is None or self._readers is None:
            return
        await asyncio.to_thread(writer.stop)
        await asyncio.sleep(0)
        readers, self._readers, self._journal = self._readers, None, None
        await asyncio.to_thread(readers.shutdown)
        await asyncio.to_thread(self._close)
        if writer.unwritten:
            raise StoreError(
                f"{writer.unwritten} records could not be written before the end.",
                hint="The runs they belong to go on from their last written step at the next start.",
            )

    async def __aenter__(self) -> SqlStore:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def write(self, change: Callable[[UnitOfWork], T]) -> T:
        """Run `change` in the writer's next transaction and return its result once that is committed."""
        if self._loop is None or self._writer is None:
            raise _not_open()
        future: asyncio.Future[Any] = self._loop.create_future()
        self.journal.change(change, future)
        result: T = await future
        return result

    async def read(self, query: Callable[[UnitOfWork], T]) -> T:
        """Run `query` on a snapshot in a reader thread."""
        return await self._in_reader(lambda connection: query(self._unit_of_work(connection)))

    async def check(self) -> list[str]:
        """Return what is wrong: revision, tables, pages, and files that are needed but gone; nothing when all is well."""
        problems = await asyncio.to_thread(check, self.database)
        needed = await self._in_reader(_needed_blobs)
        gone = await asyncio.to_thread(lambda: [digest for digest in needed if not self.blobs.has(digest)])
        if gone:
            problems.append(f"{len(gone)} files that runs need are gone from {self.blobs.folder}, such as {gone[0]}.")
        return problems

    async def sweep_blobs(self) -> tuple[int, int]:
        """
        Remove files of the content-addressed store that no run and no firing needs any more; returns how many and their bytes.

        What was kept within the last day stays: a running step may hold it, and no row names it yet.
        """
        needed = await self._in_reader(_needed_blobs)
        before = self._clock.now() - BLOB_GRACE
        return await asyncio.to_thread(self.blobs.sweep, needed, older_than=before)

    async def usage(self) -> Usage:
        """Return what fills the database and the content-addressed store."""
        sizes = await asyncio.to_thread(self.blobs.sizes)
        usage = await measure(self._in_reader, self.blobs, sizes)
        usage.log = await asyncio.to_thread(self.database.log_size)
        return usage

    async def used(self) -> int:
        """Return the bytes that runs take in the database and the content-addressed store: what retention can bring down."""
        sizes = await asyncio.to_thread(self.blobs.sizes)
        return await self._in_reader(lambda connection: used_by_database(connection) + needed_size(connection, sizes))

    def settle_with(self, settle: Settle) -> None:
        """Call `settle` with the runs that end in a transaction, inside it; runs nobody else is touched by are left out."""
        self._settle = settle

    async def ask(self, question: Question) -> Answer:
        """Answer one SELECT over the documented views; raises `BadRequest`, `TimedOut` or `StoreError`."""
        check_question(question)
        schedules = await self.read(_public_schedules)
        return await asyncio.to_thread(self._ask, question, schedules)

    def _ask(self, question: Question, schedules: list[list[Any]]) -> Answer:
        database = self.database
        if not isinstance(database, SqliteDatabase):
            return ask_postgres(database.writer, question, schedules)
        if database.path is not None and not getattr(sys, "frozen", False):
            return ask_in_child(database.path, database.key, question, schedules)
        with database.gate:
            return ask_sqlite(database.connect_for_questions, question, schedules)

    def emit_to(self, publish: Callable[[Iterable[Event]], None]) -> None:
        """Hand events of committed transactions to `publish`, on the event loop."""
        self._publish = publish

    async def _in_reader(self, query: Callable[[Connection], T]) -> T:
        if self._loop is None or self._readers is None:
            raise _not_open()
        return await self._loop.run_in_executor(self._readers, self._read, query)

    def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            with self.database.gate, self.database.reader.connect() as connection, connection.begin():
                return query(connection)
        except DBAPIError as error:
            raise self.database.explain(error) from error

    def _open(self, writer: Writer) -> None:
        if self._lock is not None:
            self._lock.acquire()
        try:
            self.database.open()
            upgrade(self.database, clock=self._clock, has_lock=self._lock is not None)
            writer.open()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        self.database.close()
        if self._lock is not None:
            self._lock.release()

    def _unit_of_work(self, connection: Connection) -> SqlUnitOfWork:
        return SqlUnitOfWork(connection, self._payloads, self._clock, settle=self._on_ended)

    def _on_ended(self, work: UnitOfWork, ended: Sequence[Run]) -> None:
        if self._settle is not None:
            self._settle(work, ended)

    def _hand_over(self, report: Report) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._on_report, report)

    def _on_report(self, report: Report) -> None:
        self.trouble = report.error
        if self._journal is not None:
            self._journal.reported(report)
        if report.events and self._publish is not None:
            self._publish(report.events)


def open_store(
    url_or_path: str | Path,
    *,
    clock: Clock,
    blobs_dir: Path,
    synchronous: str = "FULL",
    key: str | None = None,
    exclusive: bool = True,
) -> SqlStore:
    """
    Return the store at an address or path, not started yet.

    `sqlite://` is a throw-away store in memory, `sqlite:///path` or a plain path a file, `postgresql://…` a server.
    `synchronous` is SQLite's: FULL survives a power cut, NORMAL the death of the program. With `key` the file is encrypted.
    `exclusive` is for whoever runs the engine: there can be only one on a database. Without it, others may read and queue.
    Raises `StoreError` for an address that makes no sense.
    """
    return SqlStore.open(url_or_path, clock=clock, blobs_dir=blobs_dir, synchronous=synchronous, key=key, exclusive=exclusive)


def _public_schedules(work: UnitOfWork) -> list[list[Any]]:
    """Return the rows of `v_schedules`: of a schedule's fields, those that are no secret."""
    return [
        [
            one.workflow_id,
            one.workflow_name,
            one.node,
            one.fields.get("cron"),
            None if one.fields.get("every") is None else str(one.fields["every"]),
            one.timezone,
            one.fields.get("calendar"),
            None if one.next_due is None else one.next_due.isoformat().replace("+00:00", "Z"),
            one.is_paused,
        ]
        for one in work.triggers.list_all("trigger.schedule")
    ]


def _needed_blobs(connection: Connection) -> set[str]:
    return set(connection.execute(select(tables.blobs.c.hash).distinct()).scalars())


def _not_open() -> StoreError:
    return StoreError("The store is not open.", hint="Start it first, and use it before it is stopped.")
