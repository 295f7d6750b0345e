"""Steps that wait, and signals that nobody waited for yet, in the database."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Connection, and_, delete, func, select, text, update

from engine.ids import NodeId, RunId
from engine.model.run import RunStatus
from engine.model.waits import DUE, Signal, Wait, Waiting, WaitKind, Waking

from . import tables
from .firings import own_blobs
from .flush_waits import WaitStatements, pack_signal, send_signal
from .payloads import NOTHING, Packed, Payloads
from .rows import json_text, moment, moment_of, optional_moment_of

_WAIT: Final = tables.waits.c
_SIGNAL: Final = tables.signals.c
_RUN: Final = tables.runs.c


class SqlWaits:
    """Implements `engine.protocols.Waits`."""

    def __init__(self, connection: Connection, payloads: Payloads) -> None:
        self._connection, self._payloads = connection, payloads

    # — reading —

    def find(self, run_id: RunId, node: NodeId, scope: str = "") -> Waiting | None:
        """Return the step that waits there."""
        found = self._select(_WAIT.run_id == run_id, _WAIT.node == node, _WAIT.scope == scope, limit=1)
        return found[0] if found else None

    def of_run(self, run_id: RunId) -> list[Waiting]:
        """Return all that waits in a run."""
        return self._select(_WAIT.run_id == run_id)

    def woken(self, run_ids: Collection[RunId]) -> list[Waiting]:
        """Return what was woken in these runs and has not been taken note of."""
        return self._select(_WAIT.run_id.in_(run_ids), _WAIT.woken_at.is_not(None))

    def list_for(self, kind: WaitKind, name: str | None = None, key: str | None = None, *, limit: int = 1000) -> list[Waiting]:
        """Return what sleeps for a kind of thing, of one name and key where they are given, the longest waiting first."""
        narrow = [_WAIT.kind == kind, _WAIT.woken_at.is_(None)]
        narrow += [] if name is None else [_WAIT.name == name]
        narrow += [] if key is None else [_WAIT.key == key]
        return self._select(*narrow, limit=limit, order=(_WAIT.since, _WAIT.run_id))

    def next_wake(self) -> datetime | None:
        """Return the earliest moment at which something has to be looked at."""
        return optional_moment_of(
            self._connection.execute(
                select(_WAIT.wake_at).where(text(tables.SLEEPING)).order_by(_WAIT.wake_at).limit(1)
            ).scalar()
        )

    def count(self, kind: WaitKind | None = None) -> int:
        """Return how many steps wait."""
        statement = select(func.count()).select_from(tables.waits)
        return int(self._connection.execute(statement if kind is None else statement.where(_WAIT.kind == kind)).scalar() or 0)

    # — waking —

    def wake(self, run_id: RunId, node: NodeId, scope: str, waking: Waking) -> bool:
        """
        Wake a step; False when nothing sleeps there (any more), so that nobody is woken twice.

        A run that was parked is queued in the same transaction; tell the worker (`Worker.woken`) once that is committed.
        """
        self._connection.execute(select(_RUN.id).where(_RUN.id == run_id).with_for_update())
        owned: set[str] = set()
        packed = self._payloads.pack(waking.payload, owned)
        found = self._connection.execute(
            update(tables.waits)
            .where(_WAIT.run_id == run_id, _WAIT.node == node, _WAIT.scope == scope, _WAIT.woken_at.is_(None))
            .values(_waking_values(waking, packed))
        )
        if not found.rowcount:
            return False
        own_blobs(self._connection, owned, run_id)
        self._queue([run_id])
        return True

    def wake_due(self, now: datetime, *, limit: int = 1000) -> list[RunId]:
        """Wake what is due, the longest due first; returns the runs, each once."""
        due = and_(text(tables.SLEEPING), _WAIT.wake_at <= moment(now))
        rows = self._connection.execute(
            select(_WAIT.run_id, _WAIT.node, _WAIT.scope).where(due).order_by(_WAIT.wake_at).limit(limit)
        ).all()
        if not rows:
            return []
        run_ids = list(dict.fromkeys(RunId(row[0]) for row in rows))
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(_RUN.id).where(_RUN.id.in_(run_ids)).order_by(_RUN.id).with_for_update())
        values = _waking_values(Waking(how=DUE, at=now), NOTHING)
        if len(rows) < limit:
            self._connection.execute(update(tables.waits).where(due).values(values))
        else:
            one = "run_id = :r AND node = :n AND scope = :s AND woken_at IS NULL"
            self._connection.execute(
                update(tables.waits).where(text(one)).values(values), [{"r": row[0], "n": row[1], "s": row[2]} for row in rows]
            )
        self._queue(run_ids)
        return run_ids

    def forget(self, run_id: RunId) -> None:
        """Let nothing wait in a run any more: it is over."""
        self._connection.execute(delete(tables.waits).where(_WAIT.run_id == run_id))

    def _queue(self, run_ids: Sequence[RunId]) -> None:
        self._connection.execute(
            update(tables.runs)
            .where(_RUN.id.in_(run_ids), _RUN.status == RunStatus.WAITING.value)
            .values(status=RunStatus.QUEUED.value)
        )

    def _select(self, *where: Any, limit: int | None = None, order: tuple[Any, ...] = ()) -> list[Waiting]:
        statement = select(tables.waits).where(*where).order_by(*(order or (_WAIT.run_id, _WAIT.node, _WAIT.scope)))
        rows = self._connection.execute(statement if limit is None else statement.limit(limit))
        return [self._waiting(row) for row in rows]

    def _waiting(self, row: Sequence[Any]) -> Waiting:
        waking = None
        if row[10] is not None:
            waking = Waking(
                how=row[11], at=moment_of(row[10]), note=_json(row[12]), payload=self._payloads.unpack(row[13], row[14])
            )
        return Waiting(
            run_id=RunId(row[0]),
            node=NodeId(row[1]),
            scope=row[2],
            wait=Wait(kind=row[3], name=row[4], key=row[5], due_at=optional_moment_of(row[7]), details=_json(row[9])),
            since=moment_of(row[6]),
            wake_at=optional_moment_of(row[8]),
            waking=waking,
        )


class SqlSignals:
    """Implements `engine.protocols.Signals`."""

    def __init__(self, connection: Connection, payloads: Payloads) -> None:
        self._connection, self._payloads = connection, payloads

    def send(self, signal: Signal) -> list[RunId]:
        """
        Wake every step that waits for a signal; returns their runs, those that were parked are queued now.

        Where nobody waits, one with `expires_at` is kept until then for the first that will. Tell the worker (`Worker.woken`)
        of the runs once this is committed.
        """
        driver = self._connection.connection.driver_connection
        assert driver is not None
        cursor = driver.cursor()
        try:
            return send_signal(cursor, _statements(self._connection.dialect.name), pack_signal(signal, self._payloads))
        finally:
            cursor.close()

    def list_kept(self, *, limit: int = 1000) -> list[Signal]:
        """Return the signals that are kept, oldest first."""
        rows = self._connection.execute(select(tables.signals).order_by(_SIGNAL.id).limit(limit))
        return [
            Signal(
                id=row[0],
                name=row[1],
                key=row[2],
                at=moment_of(row[3]),
                expires_at=optional_moment_of(row[4]),
                note=_json(row[5]),
                payload=self._payloads.unpack(row[6], row[7]),
            )
            for row in rows
        ]

    def drop_expired(self, now: datetime) -> int:
        """Forget the signals whose time is over; returns how many."""
        doomed = list(self._connection.execute(select(_SIGNAL.id).where(_SIGNAL.expires_at <= moment(now))).scalars())
        if doomed:
            self._connection.execute(delete(tables.signals).where(_SIGNAL.id.in_(doomed)))
            self._connection.execute(delete(tables.blobs).where(tables.blobs.c.owner.in_(doomed)))
        return len(doomed)


@cache
def _statements(name: str) -> WaitStatements:
    module = importlib.import_module(f"sqlalchemy.dialects.{name}")
    return WaitStatements(module.dialect(paramstyle="qmark" if name == "sqlite" else "format"))


def _waking_values(waking: Waking, packed: Packed) -> dict[str, Any]:
    return {
        "woken_at": moment(waking.at),
        "how": waking.how,
        "note": json_text(waking.note) if waking.note else None,
        "payload_form": packed[0],
        "payload": packed[1],
    }


def _json(data: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = {} if data is None else orjson.loads(data)
    return found
