"""A SQLite file, or a SQLite database in memory, through the sqlcipher3 driver."""

from __future__ import annotations

import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool, QueuePool
from sqlcipher3 import dbapi2 as sqlcipher

from engine.errors import StoreError

from .checkpoints import Checkpointer
from .database import READERS, Database, bare

BUSY_TIMEOUT_S: Final = 10.0


class SqliteDatabase(Database):
    """
    A SQLite file, or a database in memory (`path` None) that all its connections share.

    The writer takes the write lock at the beginning of a transaction (`BEGIN IMMEDIATE`) instead of finding it taken half way
    through; readers stand on one snapshot. In memory, where there is no log to read beside, they take turns at the `gate`.
    """

    driver_error = sqlcipher.Error
    data_errors = (
        sqlcipher.IntegrityError,
        sqlcipher.ProgrammingError,
        sqlcipher.InterfaceError,
        sqlcipher.DataError,
        sqlcipher.NotSupportedError,
    )

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

    @property
    def lock_path(self) -> Path | None:
        """The file whose lock says who runs the engine here, None in memory."""
        return None if self.path is None else self.path.with_name(self.path.name + ".lock")

    def open(self) -> None:
        """Make the folder and the file; raises `StoreError` when it is no database of ours or the key is wrong."""
        if self.path is None:
            self._anchor = self._connect()
        else:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _keep_private(self.path)
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

    @property
    def key(self) -> str | None:
        """The key of an encrypted file."""
        return self._key

    def connect_for_questions(self) -> Any:
        """Return a new connection for one question in SQL."""
        return self._connect()

    def log_size(self) -> int:
        """Return the bytes of the write-ahead log."""
        return 0 if self._checkpointer is None else self._checkpointer.log_size()

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
        _keep_private(target)
        connection = self._connect()
        try:
            connection.execute("VACUUM INTO ?", (str(target),))
        finally:
            connection.close()

    def explain(self, error: BaseException) -> StoreError:
        """Return the error as a sentence with a hint."""
        if isinstance(error, StoreError):
            return error
        text = str(bare(error))
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


def _keep_private(path: Path) -> None:
    """
    Make sure that a file is there, empty if it is new, and that nobody else on this machine may read it.

    The database holds the key that signs its owner in; its log gets the rights of the file.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened: closing a file takes the locks away that SQLite has on it in this process.
        if os.name != "nt" and path.stat().st_mode & 0o077:
            with suppress(PermissionError):
                path.chmod(0o600)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _casefold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
