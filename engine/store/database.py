"""
What the store needs of a database, whichever it is.

A `Database` hands out SQLAlchemy connections: one for the writer, a small pool for the readers. Transactions are begun
explicitly, and it knows what its driver's errors mean. `engine.store.sqlite` and `engine.store.postgresql` are the two there
are; the second is loaded only when it is asked for, since its driver takes a tenth of a second.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from engine.errors import StoreError

READERS: Final = 4

_OURS = (TypeError, ValueError, OverflowError)


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

    driver_error: ClassVar[type[Exception]]
    """What all errors of the driver are."""

    data_errors: ClassVar[tuple[type[Exception], ...]]
    """Those of them that one particular statement or value brought about."""

    def open(self) -> None:
        """Make sure it can be reached; raises `StoreError`."""
        try:
            with self.writer.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (DBAPIError, self.driver_error, OSError) as error:
            raise self.explain(error) from error

    def take_over(self, connection: Connection) -> None:
        """Make sure on the writer's new connection that this program may write; raises `StoreError` that says who else does."""
        return

    def lock_for_upgrade(self, connection: Connection) -> None:
        """Make sure until the end of the transaction that no engine runs on these tables; raises `StoreError`."""
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

    def log_size(self) -> int:
        """Return the bytes of a log beside the database, 0 where there is none."""
        return 0

    def close(self) -> None:
        """Give everything back."""
        self.reader.dispose()
        self.writer.dispose()

    def is_about_data(self, error: BaseException) -> bool:
        """Whether one particular record caused the error, rather than the disk or the server."""
        return isinstance(bare(error), (*self.data_errors, *_OURS))

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the disk or the server refused, so that nothing at all can be written just now."""
        return isinstance(bare(error), self.driver_error) and not self.is_about_data(error)

    @abstractmethod
    def explain(self, error: BaseException) -> StoreError:
        """Return the error as a sentence with a hint."""


def bare(error: BaseException) -> BaseException:
    """Return the driver's own error, where SQLAlchemy wrapped it."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def parse_database(
    where: str | Path, *, synchronous: str = "FULL", key: str | None = None, exclusive: bool = False
) -> Database:
    """
    Return the database that an address or a path means.

    `sqlite://` and `:memory:` are in memory, `sqlite:///path` and a plain path are files, `postgresql://…` is a server.
    """
    from .sqlite import SqliteDatabase

    text = str(where)
    if isinstance(where, str):
        if text in {"sqlite://", ":memory:", "sqlite:///:memory:"}:
            return SqliteDatabase(None, synchronous="OFF")
        if text.startswith(("postgresql:", "postgresql+", "postgres:")):
            from .postgresql import PostgresDatabase

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
