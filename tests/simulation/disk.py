"""The store of a history: real tables and real transactions, on a disk that is slow, refuses, or loses its power."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlcipher3 import dbapi2 as sqlcipher

from engine.clock import Clock
from engine.store import tables
from engine.store.blobs import BlobStore
from engine.store.journal import SqlJournal
from engine.store.schema import upgrade
from engine.store.sql_store import SqlStore
from engine.store.sqlite import SqliteDatabase
from engine.store.writer import Flush, Report, Writer

from .loop import VirtualLoop

T = TypeVar("T")


class Disk:
    """
    What one life of the program sees of the disk.

    `slowness` is the longest a commit takes, in seconds; `refusal` how often one fails, of 1. After `lose_power` nothing of
    this life reaches it any more.
    """

    def __init__(self, chance: Random, *, slowness: float, refusal: float) -> None:
        self.chance, self.slowness, self.refusal = chance, slowness, refusal
        self.has_power = True
        self.commits = 0
        self.refused = 0

    def lose_power(self) -> None:
        """From now on everything is as if it had never been asked."""
        self.has_power = False

    def pause(self) -> float:
        """Return how long the next commit takes."""
        return self.chance.uniform(0.0001, self.slowness)


class VirtualWriter(Writer):
    """The writer without its thread: the same flushes, at moments that the disk chooses."""

    def __init__(self, loop: VirtualLoop, disk: Disk, *made_of: Any) -> None:
        super().__init__(*made_of)
        self._loop, self._disk = loop, disk
        self._going: Flush | None = None

    def start(self) -> None:
        """Begin; there is no thread to start."""

    def wake(self) -> None:
        """Take what waits and commit it after a while."""
        if self.is_idle and self.entries and self._disk.has_power:
            self.is_idle = False
            self._begin()

    def stop(self) -> None:
        """Write what is left at once; the last try of a program that ends finds a disk that works."""
        self._disk.refusal = 0.0
        while self._disk.has_power and (self._going is not None or self.entries):
            self._turn()
        self._disk.lose_power()
        self.drop()

    def drop(self) -> None:
        """Let the connection go, with what it had not committed."""
        self._disconnect()

    def _begin(self) -> None:
        self._going = Flush(self._take())
        self._loop.call_later(self._disk.pause(), self._turn)

    def _turn(self) -> None:
        if not self._disk.has_power:
            return
        if self._going is None:
            if not self.entries:
                self.is_idle = True
                return
            self._going = Flush(self._take())
        if (pause := self._try(self._going)) is not None:
            self._going.batch += self._take()
            self._loop.call_later(pause, self._turn)
            return
        self._going = None
        if self.entries:
            self._begin()
        else:
            self.is_idle = True

    def _commit(self, parts: Any, report: Report) -> None:
        disk = self._disk
        disk.commits += 1
        if disk.refusal and disk.chance.random() < disk.refusal:
            disk.refused += 1
            how = disk.chance.choice(("before", "lost in the commit", "kept in the commit"))
            if how == "kept in the commit":
                super()._commit(parts, report)
            if how != "before":
                self._is_committing = True
            raise sqlcipher.OperationalError("disk I/O error")
        super()._commit(parts, report)


class VirtualStore(SqlStore):
    """A `SqlStore` for one life on a database that outlives it."""

    def __init__(self, database: SqliteDatabase, loop: VirtualLoop, disk: Disk, *, clock: Clock, blobs: BlobStore) -> None:
        super().__init__(database, clock=clock, blobs=blobs, exclusive=False)
        self._virtual, self.disk = loop, disk
        self._told_at = 0.0

    async def start(self) -> None:
        """Begin a life."""
        self._loop = self._virtual
        writer = VirtualWriter(self._virtual, self.disk, self.database, self._payloads, self._unit_of_work, self._hand_over)
        self._writer = writer
        self._journal = SqlJournal(self._virtual, writer)

    async def stop(self) -> None:
        """End a life in good order."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.stop()
            await asyncio.sleep(0.01)

    def lose_power(self) -> None:
        """End a life as a power cut does."""
        self.disk.lose_power()
        assert isinstance(self._writer, VirtualWriter)
        self._writer.drop()

    async def _in_reader(self, query: Callable[[Connection], T]) -> T:
        await asyncio.sleep(self._virtual.chance.uniform(0.0001, 0.002))
        if not self.disk.has_power:
            await asyncio.get_running_loop().create_future()
        result: T = self._read(query)
        return result

    def look(self, query: Callable[[Any], T]) -> T:
        """Return what is on the disk now, for whoever checks the history."""
        return self._read(lambda connection: query(self._unit_of_work(connection)))

    def _hand_over(self, report: Report) -> None:
        # Reports come in order, each a little after its commit: a power cut may fall between the two.
        self._told_at = max(self._told_at, self._virtual.now + self._virtual.chance.uniform(0, 0.001))
        self._virtual.call_at(self._told_at, self._on_report, report)

    def _on_report(self, report: Report) -> None:
        if self.disk.has_power or self._writer is None:
            super()._on_report(report)


def make_database(clock: Clock) -> SqliteDatabase:
    """Return a database in memory with all its tables, to be used for one history after the other."""
    database = SqliteDatabase(None, synchronous="OFF")
    database.open()
    upgrade(database, clock=clock, has_lock=False)
    return database


def empty(database: SqliteDatabase) -> None:
    """Make the database as good as new."""
    with database.gate, database.writer.connect() as connection, connection.begin():
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(table.delete())
