"""The triggers of active versions in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from engine.errors import NotFound
from engine.ids import NodeId, WorkflowId
from engine.protocols import TriggerState

from . import tables
from .rows import json_text, optional_moment, trigger_of, trigger_values

_COLUMNS = tables.triggers.c


class SqlTriggers:
    """Implements `engine.protocols.Triggers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def replace(self, workflow_id: WorkflowId, triggers: Sequence[TriggerState]) -> None:
        """
        Make these the triggers of the workflow; `[]` switches it off.

        A node is unchanged when its kind, fields and time zone are what they were: it keeps its cursor, its next due time and
        whether it is paused. A changed one takes these from what is given.
        """
        before = {state.node: state for state in self._list(_COLUMNS.workflow_id == workflow_id)}
        self._connection.execute(delete(tables.triggers).where(_COLUMNS.workflow_id == workflow_id))
        states = [_kept(state, before.get(state.node)) for state in triggers]
        if states:
            self._connection.execute(insert(tables.triggers), [trigger_values(state) for state in states])

    def list_all(self, kind: str | None = None) -> list[TriggerState]:
        """Return the triggers of all active versions, by workflow and node; of one kind when it is named."""
        return self._list(*([] if kind is None else [_COLUMNS.kind == kind]))

    def get(self, workflow_id: WorkflowId, node: NodeId) -> TriggerState:
        """Return one; raises `NotFound`."""
        found = self._list(_COLUMNS.workflow_id == workflow_id, _COLUMNS.node == node)
        if not found:
            raise NotFound("trigger", f"{workflow_id}/{node}", hint="Only triggers of active workflows are kept here.")
        return found[0]

    def set_next_due(self, workflow_id: WorkflowId, node: NodeId, due: datetime | None) -> None:
        """Remember the next slot of a schedule; nothing happens when the trigger was switched off meanwhile."""
        self._set(workflow_id, node, next_due=optional_moment(due))

    def set_cursor(self, workflow_id: WorkflowId, node: NodeId, cursor: Any) -> None:
        """Remember what a polling trigger has seen; nothing happens when the trigger was switched off meanwhile."""
        self._set(workflow_id, node, cursor=None if cursor is None else json_text(cursor))

    def set_paused(self, workflow_id: WorkflowId, node: NodeId, is_paused: bool) -> None:
        """Hold a trigger's firings, or let them go again."""
        self._set(workflow_id, node, is_paused=is_paused)

    def _set(self, workflow_id: WorkflowId, node: NodeId, **columns: Any) -> None:
        self._connection.execute(
            update(tables.triggers).where(_COLUMNS.workflow_id == workflow_id, _COLUMNS.node == node).values(columns)
        )

    def _list(self, *conditions: Any) -> list[TriggerState]:
        return [trigger_of(row) for row in self._connection.execute(_select().where(*conditions))]


def _select() -> Select[Any]:
    """The columns in the order of `trigger_of`, with the name that the workflow has now."""
    name = func.coalesce(tables.workflows.c.name, _COLUMNS.workflow_name)
    return (
        select(*(name if column.name == "workflow_name" else column for column in _COLUMNS))
        .select_from(tables.triggers.outerjoin(tables.workflows, tables.workflows.c.id == _COLUMNS.workflow_id))
        .order_by(_COLUMNS.workflow_id, _COLUMNS.node)
    )


def _kept(state: TriggerState, before: TriggerState | None) -> TriggerState:
    if before is None or (before.kind, json_text(before.fields), before.timezone) != (
        state.kind,
        json_text(state.fields),
        state.timezone,
    ):
        return state
    return replace(state, cursor=before.cursor, next_due=before.next_due, is_paused=before.is_paused)
