"""
Runs in line: who is next, and whether there is a place.

A lease is the row of a run that says `running`: it comes and goes with the status, in the same statement, so it can neither
leak nor be counted wrongly. What is asked here walks the index `runs_line`: ten queued runs or a million cost it the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, func, literal_column, select, text

from engine.errors import NoPlace
from engine.model.limits import Concurrency
from engine.model.run import Run
from engine.protocols import QueuedRuns, QueueWish

from . import tables
from .rows import run_of

_RUN = tables.runs.c
_MOST_KEYS: Final = 4096


def check_place(connection: Connection, run: Run, limits: Concurrency) -> None:
    """
    Raise `NoPlace` when the run's workflow or key has as many leases as it may have.

    On PostgreSQL, where several programs may claim, those of one line take turns until the transaction is over.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:line, 1))"), {"line": run.line})
    for most, key in ((limits.of_workflow, None), (limits.of_key, run.lease_key)):
        if most is None:
            continue
        statement = select(func.count()).where(*_standing("running", run.line))
        if key is not None:
            statement = statement.where(_RUN.lease_key == key)
        if connection.execute(statement).scalar_one() >= most:
            what = f"of the key “{key}” " if key is not None else ""
            raise NoPlace(f"{most} runs {what}are going already, which is all that “{run.workflow_name}” allows.")


def count_queued(connection: Connection) -> Mapping[str, tuple[int, int]]:
    """Return, for each line in which runs are queued, how many and the highest priority among them."""
    statement = select(_RUN.line, func.count(), func.min(_RUN.rank)).where(*_are("queued")).group_by(_RUN.line)
    return {line: (count, -rank) for line, count, rank in connection.execute(statement)}


def next_queued(connection: Connection, wish: QueueWish) -> QueuedRuns:
    """
    Return who is next in a line.

    Walks from key to key by the index (each step is one look-up), beginning behind the wish's cursor and once around.
    """
    found: list[Run] = []
    has_rest = False
    for steps, key in enumerate(_keys(connection, wish.line, wish.cursor)):
        if len(found) >= wish.wanted or steps >= _MOST_KEYS:
            return QueuedRuns(found, is_all=False, has_rest=True)
        known, room = wish.known.get(key, ()), max(0, wish.room(key))
        statement = (
            select(tables.runs)
            .where(*_standing("queued", wish.line), _RUN.lease_key == key)
            .order_by(_RUN.rank, _RUN.id)
            .limit(room + 1 + len(known))
        )
        fresh = [run for run in map(run_of, connection.execute(statement)) if run.id not in known]
        found += fresh[:room]
        has_rest = has_rest or len(fresh) > room
    return QueuedRuns(found, is_all=True, has_rest=has_rest)


def _keys(connection: Connection, line: str, cursor: str) -> Iterator[str]:
    """Give the keys of which runs are queued: those behind the cursor, then those up to it."""
    first = select(_RUN.lease_key).where(*_standing("queued", line)).order_by(_RUN.lease_key).limit(1)
    # SQLite walks the index only where the key is compared with something.
    key = connection.execute(first.where(_RUN.lease_key > cursor if cursor else _RUN.lease_key >= "")).scalar()
    while key is not None:
        yield key
        key = connection.execute(first.where(_RUN.lease_key > key)).scalar()
    key = connection.execute(first.where(_RUN.lease_key >= "")).scalar() if cursor else None
    while key is not None and key <= cursor:
        yield key
        key = connection.execute(first.where(_RUN.lease_key > key)).scalar()


def _standing(status: str, line: str) -> tuple[Any, ...]:
    return (*_are(status), _RUN.line == line)


def _are(status: str) -> tuple[Any, ...]:
    # Word for word the condition of the partial index, and the status written out, so that SQLite sees that the index helps.
    return (text(tables.READY_RUNS), _RUN.status == literal_column(f"'{status}'"))
