"""A PostgreSQL database through psycopg 3."""

from __future__ import annotations

import os
import socket
from typing import Final

import psycopg
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from engine.errors import StoreError

from .database import READERS, Database, bare
from .tables import metadata

for _index in (index for table in metadata.tables.values() for index in table.indexes):
    if (_where := _index.dialect_options["sqlite"]["where"]) is not None:
        _index.dialect_options["postgresql"]["where"] = _where

_ENGINE_LOCK: Final = 0x7_2EAD1F
_LOCK_HOLDER: Final = (
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s"
)


class PostgresDatabase(Database):
    """
    A PostgreSQL database through psycopg 3.

    With `exclusive` the writer's session holds an advisory lock: it dies with the connection, and a program that comes back to
    find it taken writes nothing.
    """

    driver_error = psycopg.Error
    data_errors = (
        psycopg.IntegrityError,
        psycopg.ProgrammingError,
        psycopg.DataError,
        psycopg.NotSupportedError,
    )

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
        if self._exclusive:
            with connection.begin():
                self._lock(connection, "pg_advisory_lock")

    def lock_for_upgrade(self, connection: Connection) -> None:
        """Take the engine's lock until the transaction ends, so that no tables change under a running engine."""
        self._lock(connection, "pg_advisory_xact_lock")

    def _lock(self, connection: Connection, function: str) -> None:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql("SET LOCAL lock_timeout = '3s'")
                connection.exec_driver_sql(f"SELECT {function}({_ENGINE_LOCK})")
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
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
        text = " ".join(str(bare(error)).split())
        if isinstance(bare(error), psycopg.errors.DiskFull):
            return StoreError(
                f"The database server's disk is full: {text}.", hint="Free some space; Treadle goes on as soon as it can write."
            )
        if isinstance(bare(error), psycopg.OperationalError):
            return StoreError(f"The database server does not answer: {text}.", hint=f"Check {self.name}.")
        return StoreError(f"The database {self.name} said no: {text}.", hint="Run `treadle db check`.")
