"""Brings a database's tables up to date."""

from __future__ import annotations

from engine.clock import Clock

from .database import Database
from .tables import metadata


def upgrade(database: Database, *, clock: Clock) -> None:
    """Make the tables."""
    with database.writer.begin() as connection:
        metadata.create_all(connection)
