"""Looking after a database from outside, while no store is open on it in this process."""

from __future__ import annotations

from pathlib import Path

from engine.clock import Clock

from . import schema
from .database import parse_database
from .sqlite import SqliteDatabase


def upgrade_schema(url_or_path: str | Path, *, clock: Clock) -> list[str]:
    """
    Bring a database to this program's tables, after a snapshot of the file, and return what is wrong with it still.

    Raises `StoreError` when it cannot be reached, was made by a newer program, or a step fails; then all is as before.
    """
    database = parse_database(url_or_path)
    database.open()
    try:
        schema.upgrade(database, clock=clock)
        return schema.check(database)
    finally:
        database.close()


def check_schema(url_or_path: str | Path) -> list[str]:
    """Return what is wrong with a database, as sentences: its revision, its tables, and on SQLite its pages; none is good."""
    database = parse_database(url_or_path)
    if isinstance(database, SqliteDatabase) and database.path is not None and not database.path.exists():
        return [f"There is no database at {database.path}; it is made at the first start."]
    database.open()
    try:
        return schema.check(database)
    finally:
        database.close()
