"""What the search's indexer reads and writes: which runs are new, what words they have, where it stands."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence
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
_SUCCEEDED: Final = FactKind.STEP_SUCCEEDED.value
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

    def words_of(self, runs: Sequence[Run]) -> Mapping[RunId, str]:
        """Return the words of runs: bounded parts of input and outputs, errors and log; one without data is left out."""
        trimmed = tables.trimmed.c
        ids = [run.id for run in runs]
        bare = set(self._connection.execute(select(trimmed.run_id).where(trimmed.run_id.in_(ids))).scalars())
        told = {run.id: _Words(run) for run in runs if run.id not in bare}
        self._add_inputs(told)
        self._add_facts(told)
        return {run_id: words.text for run_id, words in told.items()}

    def keep(
        self, found: Sequence[Found], *, late: Collection[RunId], settled: Collection[RunId], cursor: RunId | None
    ) -> None:
        """Make runs findable, remember the open ones, forget those that are settled, and note how far it came."""
        add_words(self._connection, found)
        if late:
            into = insert_into(self._connection, tables.search_late).on_conflict_do_nothing()
            self._connection.execute(into, [{"run_id": run_id} for run_id in late])
        if settled:
            self._connection.execute(delete(tables.search_late).where(tables.search_late.c.run_id.in_(list(settled))))
        if cursor is not None:
            SqlValues(self._connection).set(CURSOR, cursor)

    def _add_inputs(self, told: Mapping[RunId, _Words]) -> None:
        inputs = tables.inputs.c
        statement = select(inputs.run_id, inputs.payload_form, inputs.payload).where(inputs.run_id.in_(list(told)))
        for run_id, form, payload in self._connection.execute(statement):
            told[run_id].add(self._peek(form, payload, OF_INPUT))

    def _add_facts(self, told: Mapping[RunId, _Words]) -> None:
        facts = tables.facts.c
        statement = (
            select(facts.run_id, facts.kind, facts.summary, facts.payload_form, facts.payload)
            .where(facts.run_id.in_(list(told)), facts.seq < MOST_FACTS)
            .order_by(facts.run_id, facts.seq)
        )
        for run_id, kind, summary, form, payload in self._connection.execute(statement):
            words = told[run_id]
            if words.is_full:
                continue
            if kind != _SUCCEEDED:
                if summary is not None:
                    said = orjson.loads(summary)
                    words.add(_texts(said.get("error") if "error" in said else said))
            elif payload is not None:
                words.add(self._peek(form, payload, OF_STEP))

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


class _Words:
    """The words of one run as they are gathered."""

    __slots__ = ("_parts", "_size")

    def __init__(self, run: Run) -> None:
        self._parts: list[str] = [run.workflow_name, run.id]
        self._size = 0
        if run.error is not None:
            self.add(_texts(run.error))

    def add(self, text: str) -> None:
        """Take in a text, unless there is enough."""
        if not self.is_full:
            self._parts.append(text)
            self._size += len(text)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken in."""
        return self._size > OF_RUN

    @property
    def text(self) -> str:
        """All of it, of a bounded length."""
        return " ".join(self._parts)[:OF_RUN]


def _texts(value: Any) -> str:
    """Return the texts in an error or a line of the log."""
    if isinstance(value, str):
        return value[:OF_STEP]
    if isinstance(value, dict):
        return " ".join(_texts(inner) for inner in value.values())[:OF_STEP]
    if isinstance(value, list):
        return " ".join(_texts(inner) for inner in value[:50])[:OF_STEP]
    return "" if value is None or isinstance(value, bool | float) else str(value)
