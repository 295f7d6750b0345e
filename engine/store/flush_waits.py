"""
What the journal's facts mean for the table of waits, written in the transaction that writes the facts.

A fact `step_waiting` makes a row, `step_woken` and every fact that settles a step take it away. A run that parks while one of
its steps was woken a moment ago is queued at once, and a step that begins to wait for a signal that was kept finds it: so no
order of parking, waking and sending loses anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, delete, literal_column, or_, select, update
from sqlalchemy.engine import Dialect

from engine.ids import RunId
from engine.model.run import Fact, FactKind
from engine.model.waits import Signal, Wait

from . import tables
from .payloads import PLAIN, Packed, Payloads
from .rows import Values, json_text, moment, optional_moment
from .values import insert_of

TOUCHING: Final = frozenset(
    {
        FactKind.STEP_WAITING,
        FactKind.STEP_WOKEN,
        FactKind.STEP_FAILED,
        FactKind.STEP_CANCELLED,
        FactKind.STEP_SKIPPED,
        FactKind.SIGNALLED,
    }
)
"""The facts that may change what waits; a step that succeeded was woken before."""

SIGNAL: Final = "signal"
_KIND, _NAME, _KEY, _SINCE = 3, 4, 5, 6


@dataclass(slots=True)
class WaitChange:
    """One row that comes (`row`) or goes (None), or a signal that is sent."""

    run_id: str
    node: str
    scope: str
    row: Values | None = None
    signal: PackedSignal | None = None


@dataclass(frozen=True, slots=True)
class PackedSignal:
    """A signal as it goes into rows; it is kept, under `id`, until `keep_until` when nobody waits for it."""

    id: str
    name: str
    key: str
    at: int
    note: str | None
    packed: Packed
    owned: frozenset[str]
    keep_until: int | None = None


@dataclass(slots=True)
class WaitsWritten:
    """What the event loop has to know after a flush: runs to be taken up again, and the earliest moment of a new wait."""

    woken: set[RunId] = field(default_factory=set)
    wake_at: int | None = None


def pack_signal(signal: Signal, payloads: Payloads) -> PackedSignal:
    """Return a signal as rows hold it."""
    owned: set[str] = set()
    packed = payloads.pack(signal.payload, owned)
    note = json_text(signal.note) if signal.note else None
    keep_until = optional_moment(signal.expires_at)
    return PackedSignal(signal.id, signal.name, signal.key, moment(signal.at), note, packed, frozenset(owned), keep_until)


def wait_change(fact: Fact, payloads: Payloads) -> WaitChange:
    """Return what a fact of a kind in `TOUCHING` does to the table."""
    if fact.kind is FactKind.SIGNALLED:
        keep_until = fact.summary.get("keep_until")
        signal = Signal(
            id=f"sig_{fact.run_id}_{fact.seq}",
            name=fact.summary.get("name", ""),
            key=fact.summary.get("key", ""),
            at=fact.at,
            expires_at=datetime.fromisoformat(keep_until) if keep_until else None,
            note={"run": fact.run_id, "step": fact.node},
            payload=fact.payload,
        )
        return WaitChange(fact.run_id, fact.node, fact.scope, signal=pack_signal(signal, payloads))
    if fact.kind is not FactKind.STEP_WAITING:
        return WaitChange(fact.run_id, fact.node, fact.scope)
    wait = Wait.of_summary(fact.summary)
    wake_at = fact.summary.get("wake_at")
    due_at = optional_moment(wait.due_at)
    row = (
        fact.run_id,
        fact.node,
        fact.scope,
        wait.kind,
        wait.name,
        wait.key,
        moment(fact.at),
        due_at,
        due_at if wake_at is None else moment(datetime.fromisoformat(wake_at)),
        json_text(wait.details) if wait.details else None,
        None,
        None,
        None,
        PLAIN,
        None,
    )
    return WaitChange(fact.run_id, fact.node, fact.scope, row)


class WaitStatements:
    """The SQL of it, compiled once for one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        self._is_sqlite = dialect.name == "sqlite"
        waits, signals = tables.waits.c, tables.signals.c

        def sql(statement: Any) -> str:
            return str(statement.compile(dialect=dialect))

        into = insert_of(dialect.name)(tables.waits)
        columns = [column.name for column in tables.waits.primary_key]
        self.keep = sql(
            into.on_conflict_do_update(
                index_elements=columns,
                set_={column.name: into.excluded[column.name] for column in tables.waits.c if column.name not in columns},
            )
        )
        here = (waits.run_id == bindparam("r"), waits.node == bindparam("n"), waits.scope == bindparam("s"))
        self.drop = sql(delete(tables.waits).where(*here))
        kept = select(signals.id, signals.note, signals.payload_form, signals.payload).order_by(signals.id)
        lives = or_(signals.expires_at.is_(None), signals.expires_at > bindparam("t"))
        kept = kept.where(signals.name == bindparam("n"), signals.key == bindparam("k"), lives)
        self.find_signal = sql(kept) + " LIMIT 1"
        self.give_signal = sql(
            update(tables.waits)
            .values(
                {name: bindparam(f"new_{name}") for name in ("woken_at", "how", "note", "payload_form", "payload")},
            )
            .where(*here)
        )
        self.drop_signal = sql(delete(tables.signals).where(signals.id == bindparam("i")))
        blobs = tables.blobs.c
        own = insert_of(dialect.name)(tables.blobs).from_select(
            ["hash", "owner"], select(blobs.hash, bindparam("r", type_=tables.Id)).where(blobs.owner == bindparam("i"))
        )
        self.own = sql(own.on_conflict_do_nothing())
        self.own_one = sql(insert_of(dialect.name)(tables.blobs).on_conflict_do_nothing())
        self.keep_signal = sql(insert_of(dialect.name)(tables.signals).on_conflict_do_nothing())
        sleeping = (
            waits.kind == literal_column("'signal'"),
            waits.name == bindparam("n"),
            waits.key == bindparam("k"),
            waits.woken_at.is_(None),
        )
        self.find_sleeping = sql(select(waits.run_id).distinct().where(*sleeping).order_by(waits.run_id))
        self.lock_runs = None if self._is_sqlite else "SELECT id FROM runs WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
        changed = ("woken_at", "how", "note", "payload_form", "payload")
        woken: dict[str, Any] = {name: bindparam(f"new_{name}") for name in changed}
        self.wake_sleeping = sql(update(tables.waits).values(woken).where(*sleeping))
        self.disown = sql(delete(tables.blobs).where(blobs.owner == bindparam("i")))
        which = "id IN (SELECT value FROM json_each(?))" if self._is_sqlite else "id = ANY(%s)"
        self.requeue = (
            f"UPDATE runs SET status = 'queued' WHERE {which} AND status = 'waiting' AND EXISTS "  # noqa: S608 - all ours
            "(SELECT 1 FROM waits WHERE waits.run_id = runs.id AND waits.woken_at IS NOT NULL) RETURNING id"
        )
        self.id_list: Callable[[Iterable[str]], Any] = _json_list if self._is_sqlite else list
        self.lock_signals = None if self._is_sqlite else "LOCK TABLE signals IN SHARE ROW EXCLUSIVE MODE"


def write_waits(cursor: Any, statements: WaitStatements, changes: list[WaitChange], told: WaitsWritten) -> None:
    """Bring the table up to date, in the order of the facts: a signal wakes nobody who begins to wait after it."""
    if statements.lock_signals is not None and any(change.signal is not None for change in changes):
        cursor.execute(statements.lock_signals)
    stretch: list[WaitChange] = []
    for change in changes:
        if change.signal is None:
            stretch.append(change)
            continue
        _write_stretch(cursor, statements, stretch, told)
        stretch = []
        told.woken.update(send_signal(cursor, statements, change.signal))
    _write_stretch(cursor, statements, stretch, told)


def _write_stretch(cursor: Any, statements: WaitStatements, changes: list[WaitChange], told: WaitsWritten) -> None:
    """Write what began and ceased to wait between two signals; of several changes of one step the last counts."""
    last = {(change.run_id, change.node, change.scope): change for change in changes}
    gone = [(*where,) for where, change in last.items() if change.row is None]
    rows = [change.row for change in last.values() if change.row is not None]
    if gone:
        cursor.executemany(statements.drop, gone)
    if rows:
        _keep_rows(cursor, statements, rows, told)


def _keep_rows(cursor: Any, statements: WaitStatements, rows: list[Values], told: WaitsWritten) -> None:
    cursor.executemany(statements.keep, rows)
    due = [row[8] for row in rows if row[8] is not None]
    if due:
        told.wake_at = min(due) if told.wake_at is None else min(told.wake_at, *due)
    if listeners := [row for row in rows if row[_KIND] == SIGNAL]:
        if statements.lock_signals is not None:
            cursor.execute(statements.lock_signals)
        for row in listeners:
            _give_kept(cursor, statements, row, told)


def send_signal(cursor: Any, statements: WaitStatements, signal: PackedSignal) -> list[RunId]:
    """
    Wake every step that waits for a signal, and queue the runs of them that are parked; returns the runs.

    Where nobody waits, the signal is kept if it says until when. Whoever waits a moment later finds it: beginning to wait and
    sending exclude each other.
    """
    if statements.lock_signals is not None:
        cursor.execute(statements.lock_signals)
    cursor.execute(statements.find_sleeping, (signal.name, signal.key))
    runs = [row[0] for row in cursor.fetchall()]
    if not runs:
        if signal.keep_until is not None:
            row = (signal.id, signal.name, signal.key, signal.at, signal.keep_until, signal.note, *signal.packed)
            cursor.execute(statements.keep_signal, row)
            _own(cursor, statements, signal, signal.id)
        return []
    if statements.lock_runs is not None:
        cursor.execute(statements.lock_runs, (runs,))
    cursor.execute(statements.wake_sleeping, (signal.at, SIGNAL, signal.note, *signal.packed, signal.name, signal.key))
    for run_id in runs:
        _own(cursor, statements, signal, run_id)
    cursor.execute(statements.requeue, (statements.id_list(runs),))
    cursor.fetchall()
    return [RunId(run_id) for run_id in runs]


def _own(cursor: Any, statements: WaitStatements, signal: PackedSignal, owner: str) -> None:
    for digest in sorted(signal.owned):
        cursor.execute(statements.own_one, (digest, owner))


def _json_list(ids: Iterable[str]) -> str:
    return orjson.dumps(list(ids)).decode()


def queue_woken(cursor: Any, statements: WaitStatements, parked: Any, told: WaitsWritten) -> None:
    """Queue those of the runs parked just now that were woken before they were; `parked` is `Statements.id_list` of them."""
    cursor.execute(statements.requeue, (parked,))
    told.woken.update(RunId(row[0]) for row in cursor.fetchall())


def _give_kept(cursor: Any, statements: WaitStatements, row: Values, told: WaitsWritten) -> None:
    cursor.execute(statements.find_signal, (row[_NAME], row[_KEY], row[_SINCE]))
    found = cursor.fetchone()
    if found is None:
        return
    signal_id, note, form, payload = found
    cursor.execute(statements.give_signal, (row[_SINCE], SIGNAL, note, form, payload, *row[:2], row[2]))
    cursor.execute(statements.own, (row[0], signal_id))
    cursor.execute(statements.disown, (signal_id,))
    cursor.execute(statements.drop_signal, (signal_id,))
    told.woken.add(RunId(row[0]))
