"""The inbox in the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select, text, update

from engine.errors import NotFound
from engine.ids import FiringId, NodeId, RunId, WorkflowId
from engine.model.run import RunStatus
from engine.protocols import Firing, FiringState

from . import tables
from .payloads import Payloads
from .rows import firing_of, firing_values
from .values import insert_into

_COLUMNS = tables.firings.c


class SqlFirings:
    """Implements `engine.protocols.Firings`."""

    def __init__(self, connection: Connection, payloads: Payloads) -> None:
        self._connection, self._payloads = connection, payloads

    def accept(self, firing: Firing) -> tuple[Firing, bool]:
        """Keep the firing unless its key is known; returns the stored one and whether it is new."""
        owned: set[str] = set()
        values = firing_values(firing, self._payloads.pack(firing.payload, owned))
        statement = insert_into(self._connection, tables.firings).on_conflict_do_nothing(
            index_elements=["workflow_id", "node", "key"]
        )
        is_new = self._connection.execute(
            statement.returning(_COLUMNS.id), dict(zip(_COLUMNS.keys(), values, strict=True))
        ).first()
        if is_new is not None:
            own_blobs(self._connection, owned, firing.id)
            return firing, True
        row = self._connection.execute(
            select(tables.firings).where(
                _COLUMNS.workflow_id == firing.workflow_id, _COLUMNS.node == firing.node, _COLUMNS.key == firing.key
            )
        ).one()
        return firing_of(row, self._payloads.unpack), False

    def get(self, firing_id: FiringId) -> Firing:
        """Return it; raises `NotFound`."""
        row = self._connection.execute(select(tables.firings).where(_COLUMNS.id == firing_id)).first()
        if row is None:
            raise NotFound("firing", firing_id)
        return firing_of(row, self._payloads.unpack)

    def mark_started(self, firing_id: FiringId, run_id: RunId) -> None:
        """Remember which run it became."""
        self._connection.execute(update(tables.firings).where(_COLUMNS.id == firing_id).values(state="started", run_id=run_id))

    def set_state(self, firing_id: FiringId, state: FiringState) -> None:
        """Hold a firing, let it go, or discard it; one that became a run stays as it is."""
        self._connection.execute(
            update(tables.firings).where(_COLUMNS.id == firing_id, _COLUMNS.run_id.is_(None)).values(state=state)
        )

    def list_waiting(self, *, limit: int = 1000, states: Collection[FiringState] = ("held", "queued")) -> list[Firing]:
        """Return firings that were accepted and never became a run, oldest first; `states` narrows it to some."""
        found = self._connection.execute(
            select(tables.firings)
            .where(text(tables.WAITING_FIRINGS), _COLUMNS.state.in_(states), _COLUMNS.run_id.is_(None))
            .order_by(_COLUMNS.id)
            .limit(limit)
        )
        return [firing_of(row, self._payloads.unpack) for row in found]

    def list_keys(
        self, workflow_id: WorkflowId, node: NodeId, first: str, end: str, *, limit: int = 200_000
    ) -> list[tuple[str, FiringState, RunId | None, RunStatus | None]]:
        """Return the firings of a trigger whose keys lie from `first` up to `end`, in order, with the states of their runs."""
        key: Any = _COLUMNS.key
        if self._connection.dialect.name == "postgresql":
            key = key.collate("C")  # byte by byte, as SQLite compares
        found = self._connection.execute(
            select(_COLUMNS.key, _COLUMNS.state, tables.runs.c.id, tables.runs.c.status)
            .select_from(tables.firings.outerjoin(tables.runs, tables.runs.c.id == _COLUMNS.run_id))
            .where(_COLUMNS.workflow_id == workflow_id, _COLUMNS.node == node, key >= first, key < end)
            .order_by(key)
            .limit(limit)
        )
        return [(row[0], row[1], row[2] and RunId(row[2]), row[3] and RunStatus(row[3])) for row in found]


def own_blobs(connection: Connection, hashes: Collection[str], owner: str) -> None:
    """Note that a run or firing needs these bytes of the content-addressed store."""
    if hashes:
        connection.execute(
            insert_into(connection, tables.blobs).on_conflict_do_nothing(),
            [{"hash": digest, "owner": owner} for digest in sorted(hashes)],
        )
