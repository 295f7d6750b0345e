"""
The words of runs, for finding them: an FTS5 table on SQLite, a `tsvector` with its index on PostgreSQL.

Both lie outside the declared tables, because each database has a kind of its own. A document's number is made from the run's
id, so walking the numbers down is walking the runs from the newest to the oldest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, select, text

from engine.errors import BadRequest
from engine.ids import RunId
from engine.protocols import Found

from . import tables

WORDS: Final = "search_words"
LONGEST_SEARCH: Final = 500
_PARTS: Final = re.compile(r'"([^"]*)"?|(\S+)')
MOST_CHARACTERS: Final = 64_000

SQLITE_DDL: Final = (
    "CREATE VIRTUAL TABLE search_words USING fts5("
    "workflow, status, words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')",
)
POSTGRES_DDL: Final = (
    "CREATE TABLE search_words (doc BIGINT PRIMARY KEY, workflow TEXT NOT NULL, status TEXT NOT NULL, words TSVECTOR NOT NULL)",
    "CREATE INDEX search_words_words ON search_words USING GIN (words)",
)

_KEEP: Final = {
    "sqlite": text("INSERT INTO search_words (rowid, workflow, status, words) VALUES (:doc, :workflow, :status, :words)"),
    "postgresql": text("INSERT INTO search_words VALUES (:doc, :workflow, :status, to_tsvector('simple', :words))"),
}


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
        return (int(run_id[4:16], 16) << 15) | (int(run_id[16:20] or "0", 16) >> 1)
    except ValueError:
        return 0


def add_words(connection: Connection, found: Sequence[Found]) -> None:
    """Make runs findable by their words; one that is known already stays as it is."""
    columns = tables.searched.c
    ids = [one.run_id for one in found]
    known = set(connection.execute(select(columns.run_id).where(columns.run_id.in_(ids))).scalars())
    fresh = {one.run_id: one for one in found if one.run_id not in known}
    if not fresh:
        return
    numbers = _free_numbers(connection, sorted(fresh))
    connection.execute(tables.searched.insert(), [{"doc": doc, "run_id": run_id} for run_id, doc in numbers.items()])
    rows = [
        {
            "doc": numbers[one.run_id],
            "workflow": one.workflow,
            "status": one.status,
            "words": one.words.replace("\0", " ")[:MOST_CHARACTERS],
        }
        for one in fresh.values()
    ]
    connection.execute(_KEEP[connection.dialect.name], rows)


def _free_numbers(connection: Connection, run_ids: Sequence[RunId]) -> dict[RunId, int]:
    """Return a document's number for each run: the first from its own on that nobody has."""
    doc = tables.searched.c.doc
    wanted = [number_of(run_id) for run_id in run_ids]
    taken: set[int] = set(connection.execute(select(doc).where(doc.in_(wanted))).scalars())
    numbers: dict[RunId, int] = {}
    for run_id, number in zip(run_ids, wanted, strict=True):
        while number in taken:
            number += 1
            if number not in taken and connection.execute(select(doc).where(doc == number)).first() is not None:
                taken.add(number)
        taken.add(number)
        numbers[run_id] = number
    return numbers


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


def match_of(
    connection: Connection, wanted: str, *, workflow: str | None, statuses: Collection[str]
) -> tuple[str, dict[str, Any]]:
    """
    Return the condition that a run's words match, and its parameters; raises `BadRequest` for a text without a word.

    Words stand for themselves (all of them), `"…"` for a phrase, `word*` for a beginning, `-word` for what must not be there.
    """
    parts = parse_search(wanted)
    if connection.dialect.name == "sqlite":
        having = [_quoted(text) + ("*" if kind == "prefix" else "") for kind, text in parts if kind != "not"]
        match = f"words : ({' AND '.join(having)})"
        if workflow is not None:
            match += f" AND workflow : {_quoted(workflow)}"
        if statuses:
            match += f" AND status : ({' OR '.join(map(_quoted, statuses))})"
        for kind, text in parts:
            if kind == "not":
                match = f"({match}) NOT words : {_quoted(text)}"
        return "search_words MATCH :match", {"match": match}
    given: dict[str, Any] = {}
    queries = []
    for number, (kind, text) in enumerate(parts):
        given[f"q{number}"] = f"'{text}':*" if kind == "prefix" else text
        made = "to_tsquery" if kind == "prefix" else "phraseto_tsquery"
        queries.append(f"{'!!' if kind == 'not' else ''}{made}('simple', CAST(:q{number} AS text))")
    return f"search_words.words @@ ({' && '.join(queries)})", given


def parse_search(wanted: str) -> list[tuple[str, str]]:
    """Return what is looked for as (`word`, `prefix` or `not`, text); raises `BadRequest` when nothing is."""
    parts: list[tuple[str, str]] = []
    for phrase, word in _PARTS.findall(wanted[:LONGEST_SEARCH]):
        text = (phrase or word).strip()
        kind = "word"
        if word.startswith("-") and len(word) > 1:
            kind, text = "not", word[1:]
        elif word.endswith("*"):
            kind, text = "prefix", word.rstrip("*")
        text = " ".join(re.findall(r"\w+", text))
        if kind == "prefix":
            words = text.split()
            parts += [("word", one) for one in words[:-1]]
            text = words[-1] if words else ""
        if text:
            parts.append((kind, text))
    if not any(kind != "not" for kind, _ in parts):
        raise BadRequest("There is no word to search for.", hint="Words, “a phrase” in quotes, begin*, -without.")
    return parts[:20]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
