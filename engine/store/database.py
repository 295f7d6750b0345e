"""
How each database is opened, and what its errors mean.

A `Database` hands out SQLAlchemy connections: one for the writer, a small pool for the readers. Transactions are begun
explicitly: on SQLite the writer takes the write lock at once (`BEGIN IMMEDIATE`) instead of finding it taken half way through,
and readers stand on one snapshot.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool
from sqlcipher3 import dbapi2 as sqlcipher

from engine.errors import StoreError

from .checkpoints import Checkpointer

READERS: Final = 4
BUSY_TIMEOUT_S: Final = 10.0

_ENGINE_LOCK: Final = 0x7_2EAD1F
_LOCK_HOLDER: Final = (
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s"
)

_OUR_FAULT = (
    sqlcipher.IntegrityError,
    sqlcipher.ProgrammingError,
    sqlcipher.InterfaceError,
    sqlcipher.DataError,
    sqlcipher.NotSupportedError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    TypeError,
    ValueError,
    OverflowError,
)


def _bare(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def is_about_data(error: BaseException) -> bool:
    """Whether one particular record caused the error, rather than the disk or the server."""
    return isinstance(_bare(error), _OUR_FAULT)


def is_refusal(error: BaseException) -> bool:
    """Whether the disk or the server refused, so that nothing at all can be written just now."""
    return isinstance(_bare(error), sqlcipher.Error | psycopg.Error) and not is_about_data(error)


class Database(ABC):
    """One database: where it is, how to connect, what to do around commits."""

    name: str
    """What messages call it."""

    dialect: Dialect
    """Positional parameters, as the drivers' cursors take them."""

    writer: Engine
    reader: Engine

    gate: AbstractContextManager[Any] = nullcontext()
    """Held by whoever is in a transaction, where the database cannot keep readers and the writer apart by itself."""

    def open(self) -> None:
        """Make sure it can be reached; raises `StoreError`."""
        try:
            with self.writer.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (DBAPIError, sqlcipher.Error, OSError) as error:
            raise self.explain(error) from error

    def take_over(self, connection: Connection) -> None:
        """Make sure on the writer's new connection that this program may write; raises `StoreError` that says who else does."""
        return

    def give_back(self, connection: Connection) -> None:
        """Undo `take_over` on a connection that is about to be closed in good order."""
        return

    def is_gone(self, connection: Connection) -> bool:
        """Whether the connection itself is broken, so that a new one may well work."""
        return False

    def after_commit(self) -> None:
        """Do what the database wants done now and then; called by the writer after each commit and must be quick."""
        return

    def close(self) -> None:
        """Give everything back."""
        self.reader.dispose()
        self.writer.dispose()

    @abstractmethod
    def explain(self, error: BaseException) -> StoreError:
        """Return the error as a sentence with a hint."""


class SqliteDatabase(Database):
    """A SQLite file through the sqlcipher3 driver, or a database in memory (`path` None) that all its connections share."""

    def __init__(self, path: Path | None, *, synchronous: str = "FULL", key: str | None = None) -> None:
        if synchronous.upper() not in {"OFF", "NORMAL", "FULL", "EXTRA"}:
            raise StoreError(f"“{synchronous}” is no way to write to the disk.", hint="FULL, NORMAL or EXTRA.")
        self.path, self._synchronous, self._key = path, synchronous.upper(), key
        self.name = str(path) if path else "the database in memory"
        self.dialect = sqlite.dialect(paramstyle="qmark")
        self._memory = f"file:/treadle-{uuid.uuid4().hex}?vfs=memdb" if path is None else None
        self._anchor: Any = None
        if path is None:
            self.gate = threading.Lock()
        self.writer = create_engine("sqlite://", creator=self._connect_writer, module=sqlcipher, poolclass=NullPool)
        self.reader = create_engine(
            "sqlite://",
            creator=self._connect_reader,
            module=sqlcipher,
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=0,
            pool_reset_on_return="rollback",
        )
        event.listen(self.writer, "begin", _begin_immediate)
        event.listen(self.reader, "begin", _begin)
        self._checkpointer: Checkpointer | None = None

    def open(self) -> None:
        """Make the folder and the file; raises `StoreError` when it is no database of ours or the key is wrong."""
        if self.path is None:
            self._anchor = self._connect()
        else:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self.explain(error) from error
        super().open()
        if self.path is not None:
            self._checkpointer = Checkpointer(self.path, self._connect)
            self._checkpointer.start()

    def after_commit(self) -> None:
        """Let the checkpointer look at the log's length."""
        if self._checkpointer is not None:
            self._checkpointer.committed()

    def close(self) -> None:
        """Close all connections; the last one folds the log into the file."""
        if self._checkpointer is not None:
            self._checkpointer.stop()
            self._checkpointer = None
        super().close()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def copy_to(self, target: Path) -> None:
        """Write a compact copy of the whole database to a file that does not exist yet; it gets the same key."""
        connection = self._connect()
        try:
            connection.execute("VACUUM INTO ?", (str(target),))
        finally:
            connection.close()

    def explain(self, error: BaseException) -> StoreError:
        """Return the error as a sentence with a hint."""
        if isinstance(error, StoreError):
            return error
        text = str(_bare(error))
        for mark, sentence, hint in (
            ("full", "The disk is full", "Free some space; Treadle goes on by itself as soon as it can write."),
            ("locked", "Another program holds the database", "Close other programs that have the file open."),
            ("readonly", "The database may not be written", "Check the permissions of the data folder."),
            ("unable to open", "The database cannot be opened", "Check the folder and its permissions."),
            ("not a database", "The file is no Treadle database, or its key is wrong", "Check the path and the key."),
            ("malformed", "The database is damaged", "Restore it from a snapshot or a backup."),
            ("I/O error", "The disk reported an error", "Check the disk; the latest snapshot may be of use."),
        ):
            if mark in text:
                return StoreError(f"{sentence}: {self.name} ({text}).", hint=hint)
        return StoreError(f"The database {self.name} said no: {text}.", hint="Run `treadle db check`.")

    def _connect(self) -> Any:
        target = self._memory or str(self.path)
        connection = sqlcipher.connect(
            target,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=self._memory is not None,
        )
        try:
            if self._key is not None:
                quoted = self._key.replace("'", "''")
                connection.execute(f"PRAGMA key = '{quoted}'")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("SELECT count(*) FROM sqlite_master")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> Any:
        connection = self._connect()
        try:
            if self._memory is None:
                if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    # The first page of a new file fixes the kind of vacuum; later this would only ask for the write lock.
                    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA wal_autocheckpoint = 0")
                connection.execute("PRAGMA cache_size = -16000")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> Any:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        connection.create_function("casefold", 1, _casefold, deterministic=True)
        return connection


class PostgresDatabase(Database):
    """
    A PostgreSQL database through psycopg 3.

    With `exclusive` the writer's session holds an advisory lock: it dies with the connection, and a program that comes back to
    find it taken writes nothing.
    """

    def __init__(self, url: str, *, exclusive: bool = False) -> None:
        self._exclusive = exclusive
        try:
            address = make_url(url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError) as error:
            raise StoreError("The address of the database cannot be read.", hint="postgresql://user@host/name") from error
        self.name = address.render_as_string(hide_password=True)
        self.dialect = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
        arguments = {
            "application_name": f"treadle on {socket.gethostname()}, process {os.getpid()}"[:63],
            "connect_timeout": 10,
        }
        self.writer = create_engine(address, poolclass=NullPool, connect_args=arguments)
        self.reader = create_engine(
            address,
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            connect_args=arguments | {"options": "-c default_transaction_read_only=on"},
        )

    def take_over(self, connection: Connection) -> None:
        """Take the engine's lock, waiting a moment for a program that is just ending; raises `StoreError`."""
        if not self._exclusive:
            return
        try:
            with connection.begin():
                connection.exec_driver_sql("SET LOCAL lock_timeout = '3s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ENGINE_LOCK})")
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            with connection.begin():
                holder = connection.exec_driver_sql(_LOCK_HOLDER, (_ENGINE_LOCK,)).scalar()
            raise StoreError(
                f"Treadle is already running on {self.name}" + (f" ({holder})." if holder else "."),
                hint="Use that one, stop it, or give another database.",
                where={"process": holder},
            ) from error

    def give_back(self, connection: Connection) -> None:
        """Give the engine's lock back at once, instead of when the server notices that the session is over."""
        if self._exclusive:
            with connection.begin():
                connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")

    def is_gone(self, connection: Connection) -> bool:
        """Whether the server closed the connection."""
        return connection.invalidated or bool(getattr(connection.connection.driver_connection, "closed", False))

    def explain(self, error: BaseException) -> StoreError:
        """Return the error as a sentence with a hint."""
        if isinstance(error, StoreError):
            return error
        text = " ".join(str(_bare(error)).split())
        if isinstance(_bare(error), psycopg.OperationalError):
            return StoreError(f"The database server does not answer: {text}.", hint=f"Check {self.name}.")
        return StoreError(f"The database {self.name} said no: {text}.", hint="Run `treadle db check`.")


def parse_database(
    where: str | Path, *, synchronous: str = "FULL", key: str | None = None, exclusive: bool = False
) -> Database:
    """
    Return the database that an address or a path means.

    `sqlite://` and `:memory:` are in memory, `sqlite:///path` and a plain path are files, `postgresql://…` is a server.
    """
    text = str(where)
    if isinstance(where, str):
        if text in {"sqlite://", ":memory:", "sqlite:///:memory:"}:
            return SqliteDatabase(None, synchronous="OFF")
        if text.startswith(("postgresql:", "postgresql+", "postgres:")):
            url = text.replace("postgres:", "postgresql:", 1) if text.startswith("postgres:") else text
            return PostgresDatabase(url, exclusive=exclusive)
        if text.startswith("sqlite:///"):
            return SqliteDatabase(Path(text.removeprefix("sqlite:///")), synchronous=synchronous, key=key)
        if "://" in text:
            raise StoreError(
                f"Treadle keeps its data in SQLite or PostgreSQL, not in “{text.partition(':')[0]}”.",
                hint="Use a path, sqlite:///path or postgresql://user@host/name.",
            )
    return SqliteDatabase(Path(text), synchronous=synchronous, key=key)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _casefold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
