"""
The words of runs, for finding them: an FTS5 table on SQLite, a `tsvector` with its index on PostgreSQL.

Both lie outside the declared tables, because each database has a kind of its own. A document's number is made from the run's
id, so walking the numbers down is walking the runs from the newest to the oldest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, select, text

from engine.ids import RunId

from . import tables

WORDS: Final = "search_words"
MOST_CHARACTERS: Final = 64_000

SQLITE_DDL: Final = (
    "CREATE VIRTUAL TABLE search_words USING fts5("
    "workflow, status, words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')",
)
POSTGRES_DDL: Final = (
    "CREATE TABLE search_words (doc BIGINT PRIMARY KEY, workflow TEXT NOT NULL, status TEXT NOT NULL, words TSVECTOR NOT NULL)",
    "CREATE INDEX search_words_words ON search_words USING GIN (words)",
)


def create_words(connection: Connection) -> None:
    """Make the table of words."""
    for statement in SQLITE_DDL if connection.dialect.name == "sqlite" else POSTGRES_DDL:
        connection.exec_driver_sql(statement)


def is_ours(name: str | None) -> bool:
    """Whether a table belongs to the search and is not declared; FTS5 makes several of its own."""
    return name is not None and name.startswith(WORDS)


def number_of(run_id: RunId) -> int:
    """Return the first number a run's document may have: its millisecond, and some of its chance."""
    try:
        return (int(run_id[4:16], 16) << 15) | (int(run_id[16:20] or "0", 16) & 0x7FFF)
    except ValueError:
        return 0


def add_words(connection: Connection, run_id: RunId, *, workflow: str, status: str, words: str) -> None:
    """Make a run findable by its words; one that is known already stays as it is."""
    columns = tables.searched.c
    if connection.execute(select(columns.doc).where(columns.run_id == run_id)).first() is not None:
        return
    doc = number_of(run_id)
    while connection.execute(select(columns.doc).where(columns.doc == doc)).first() is not None:
        doc += 1
    connection.execute(tables.searched.insert(), {"doc": doc, "run_id": run_id})
    words = words.replace("\0", " ")[:MOST_CHARACTERS]
    values = {"doc": doc, "workflow": workflow, "status": status, "words": words}
    if connection.dialect.name == "sqlite":
        sql = "INSERT INTO search_words (rowid, workflow, status, words) VALUES (:doc, :workflow, :status, :words)"
    else:
        sql = "INSERT INTO search_words VALUES (:doc, :workflow, :status, to_tsvector('simple', :words))"
    connection.execute(text(sql), values)


def forget_words(connection: Connection, run_ids: Collection[RunId] | Sequence[RunId]) -> None:
    """Make runs no longer findable by their words."""
    columns = tables.searched.c
    docs = list(connection.execute(select(columns.doc).where(columns.run_id.in_(list(run_ids)))).scalars())
    if not docs:
        return
    key = "rowid" if connection.dialect.name == "sqlite" else "doc"
    numbers: list[dict[str, Any]] = [{"doc": doc} for doc in docs]
    connection.execute(text(f"DELETE FROM search_words WHERE {key} = :doc"), numbers)  # noqa: S608 - one of two words of ours
    connection.execute(delete(tables.searched).where(columns.doc.in_(docs)))
