"""
Brings a database's tables up to date, and tells whether they are what the program expects.

The revisions lie in the `migrations` package. The usual start finds the newest one in place and is over after one query;
Alembic is loaded only when there is something to do. Before a file with data is changed, a snapshot of it is taken.
"""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

import migrations
from engine.clock import Clock
from engine.errors import StoreError

from .database import Database
from .lock import DataLock
from .search_index import create_words, is_ours
from .sqlite import SqliteDatabase
from .tables import metadata

log = logging.getLogger(__name__)

FOLDER: Final = Path(migrations.__file__).parent
SNAPSHOTS_KEPT: Final = 3


def revisions() -> list[str]:
    """Return the ids of all revisions this program knows, oldest first: the digits that their files' names begin with."""
    return sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def upgrade(database: Database, *, clock: Clock, has_lock: bool = False) -> None:
    """
    Bring the tables to the newest revision, in one transaction.

    `has_lock` says that the caller holds the engine's lock of a SQLite file. Raises `StoreError` when the database was made by
    a newer program, when another one runs the engine on it, or when a step fails; then everything is as before.
    """
    known = revisions()
    try:
        with database.writer.connect() as connection:
            current = _revision(connection)
        if current == known[-1]:
            return
        if current is not None and current not in known:
            raise StoreError(
                f"{database.name} was written by a newer Treadle (revision {current}; this one knows {known[-1]}).",
                hint="Install the newer version again.",
            )
        if isinstance(database, SqliteDatabase) and database.lock_path is None:
            _create_all(database, known[-1])
        elif isinstance(database, SqliteDatabase) and database.lock_path is not None:
            with nullcontext() if has_lock else DataLock(database.lock_path):
                if current is not None:
                    snapshot = take_snapshot(database, clock=clock)
                    log.info("snapshot before the upgrade", extra={"file": str(snapshot)})
                _run_alembic(database, known[-1])
        else:
            _run_alembic(database, known[-1])
    except (DBAPIError, OSError) as error:
        raise database.explain(error) from error


def check(database: Database) -> list[str]:
    """Return what is wrong with the database, as sentences: its revision, its tables, and on SQLite its pages."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    problems = []
    try:
        with database.writer.connect() as connection:
            current, newest = _revision(connection), revisions()[-1]
            if current != newest:
                problems.append(f"The tables are at revision {current}, not at {newest}.")
            context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": _is_declared})
            problems += [
                f"The tables differ from the program's: {_told(entry)}." for entry in compare_metadata(context, metadata)
            ]
            if connection.dialect.name == "sqlite":
                found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
                problems += [f"The file is damaged: {line}." for line in found if line != "ok"]
    except DBAPIError as error:
        problems.append(str(database.explain(error)))
    return problems


def take_snapshot(database: SqliteDatabase, *, clock: Clock) -> Path:
    """
    Copy the database, as it is at this moment, to `snapshots/` beside it and return where; the last three are kept.

    The copy is complete and synced before it gets its name, and encrypted with the same key as the original.
    """
    assert database.path is not None
    folder = database.path.parent / "snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{database.path.stem}-{clock.now():%Y%m%dT%H%M%S%f}.db"
    unfinished = target.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    try:
        database.copy_to(unfinished)
        handle = os.open(unfinished, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in sorted(folder.glob(f"{database.path.stem}-*.db"))[:-SNAPSHOTS_KEPT]:
        with suppress(OSError):
            old.unlink()
    return target


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _create_all(database: Database, newest: str) -> None:
    """The short way for a throw-away database; a test sees that it leads to the same tables."""
    with database.writer.begin() as connection:
        metadata.create_all(connection)
        create_words(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": newest})


def _run_alembic(database: Database, target: str) -> None:
    from alembic import command
    from alembic.config import Config

    with database.writer.begin() as connection:
        database.lock_for_upgrade(connection)
        if _revision(connection) == target:
            return
        config = Config()
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, target)


def _is_declared(_: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out what the search keeps in a form of the database's own."""
    return not (kind in ("table", "index") and reflected and compare_to is None and is_ours(name))


def _told(entry: Any) -> str:
    """Say one difference of Alembic's comparison in a few words."""
    if isinstance(entry, list):
        return "; ".join(_told(one) for one in entry)
    return " ".join(str(getattr(part, "name", part)) for part in entry if isinstance(part, str) or hasattr(part, "name"))
