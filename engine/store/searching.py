"""What the search's indexer reads and writes: which runs are new, what words they have, where it stands."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import orjson
import zstandard
from sqlalchemy import Connection, delete, select

from engine.ids import RunId
from engine.model.run import FINAL, FactKind, Run
from engine.protocols import Found

from . import tables
from .payloads import KEPT, PLAIN, Payloads
from .rows import run_of
from .search_index import add_words
from .values import SqlValues, insert_into

_RUN = tables.runs.c
_FINAL: Final = tuple(status.value for status in FINAL)
CURSOR: Final = "search_cursor"
OF_INPUT: Final = 4_000
OF_STEP: Final = 2_000
OF_RUN: Final = 32_000
MOST_FACTS: Final = 200
ONE_BLOCK: Final = 160 * 1024
"""Holds at least one whole block of zstd, which has at most 128 KB."""
_ESCAPES: Final = re.compile(r'\\[nrtbf"/\\]')


class SqlSearch:
    """Implements `engine.protocols.Search`."""

    def __init__(self, connection: Connection, payloads: Payloads) -> None:
        self._connection, self._payloads = connection, payloads

    def cursor(self) -> RunId:
        """Return the run up to which all are known or remembered as late."""
        return RunId(SqlValues(self._connection).get(CURSOR, ""))

    def find_new(self, after: RunId, *, limit: int) -> list[Run]:
        """Return runs behind `after` that the search does not know, in order, open ones included."""
        searched = tables.searched.c
        statement = (
            select(tables.runs)
            .where(_RUN.id > after, ~select(searched.doc).where(searched.run_id == _RUN.id).exists())
            .order_by(_RUN.id)
            .limit(limit)
        )
        return [run_of(row) for row in self._connection.execute(statement)]

    def find_late(self, *, limit: int) -> list[Run]:
        """Return runs that were open when they were passed, and are over now."""
        late = tables.search_late.c
        statement = (
            select(tables.runs)
            .select_from(tables.search_late.join(tables.runs, _RUN.id == late.run_id))
            .where(_RUN.status.in_(_FINAL))
            .limit(limit)
        )
        return [run_of(row) for row in self._connection.execute(statement)]

    def words_of(self, run: Run) -> str:
        """Return the words of a run: a bounded part of its input and outputs, its errors and log; empty without data."""
        trimmed = tables.trimmed.c
        if self._connection.execute(select(trimmed.run_id).where(trimmed.run_id == run.id)).first() is not None:
            return ""
        parts: list[str] = [run.workflow_name, run.id]
        size = 0
        for part in self._parts(run):
            parts.append(part)
            size += len(part)
            if size > OF_RUN:
                break
        return " ".join(parts)[:OF_RUN]

    def keep(
        self, found: Sequence[Found], *, late: Collection[RunId], settled: Collection[RunId], cursor: RunId | None
    ) -> None:
        """Make runs findable, remember the open ones, forget those that are settled, and note how far it came."""
        for one in found:
            add_words(self._connection, one.run_id, workflow=one.workflow, status=one.status, words=one.words)
        if late:
            into = insert_into(self._connection, tables.search_late).on_conflict_do_nothing()
            self._connection.execute(into, [{"run_id": run_id} for run_id in late])
        if settled:
            self._connection.execute(delete(tables.search_late).where(tables.search_late.c.run_id.in_(list(settled))))
        if cursor is not None:
            SqlValues(self._connection).set(CURSOR, cursor)

    def _parts(self, run: Run) -> Iterator[str]:
        if run.error is not None:
            yield _texts(run.error)
        inputs, facts = tables.inputs.c, tables.facts.c
        row = self._connection.execute(select(inputs.payload_form, inputs.payload).where(inputs.run_id == run.id)).first()
        if row is not None:
            yield self._peek(row[0], row[1], OF_INPUT)
        statement = (
            select(facts.kind, facts.summary, facts.payload_form, facts.payload)
            .where(facts.run_id == run.id)
            .order_by(facts.seq)
            .limit(MOST_FACTS)
        )
        for kind, summary, form, payload in self._connection.execute(statement):
            if summary is not None and kind != FactKind.STEP_SUCCEEDED.value:
                told = orjson.loads(summary)
                yield _texts(told.get("error") if "error" in told else told)
            if payload is not None and kind == FactKind.STEP_SUCCEEDED.value:
                yield self._peek(form, payload, OF_STEP)

    def _peek(self, form: int, payload: bytes | None, most: int) -> str:
        """Return the beginning of a batch as text, without reading the rest of a large one."""
        if payload is None:
            return ""
        data = bytes(payload)
        if form >= KEPT:
            data = self._payloads.beginning(data.decode(), ONE_BLOCK)
            form -= KEPT
        if form != PLAIN:
            try:
                data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(6 + 4 * most)
            except zstandard.ZstdError:
                return ""
        start = 6 + int.from_bytes(data[2:6], "little") if data[:2] == b"T1" else 0
        text = data[start : start + most].decode("utf-8", "ignore")
        return _ESCAPES.sub(" ", text)


def _texts(value: Any) -> str:
    """Return the texts in an error or a line of the log."""
    if isinstance(value, str):
        return value[:OF_STEP]
    if isinstance(value, dict):
        return " ".join(_texts(inner) for inner in value.values())[:OF_STEP]
    if isinstance(value, list):
        return " ".join(_texts(inner) for inner in value[:50])[:OF_STEP]
    return "" if value is None or isinstance(value, bool | float) else str(value)
