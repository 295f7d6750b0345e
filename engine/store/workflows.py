"""Workflows and their versions in the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from engine.errors import BadRequest, Conflict, NotFound
from engine.ids import VersionId, WorkflowId
from engine.model.workflow import Version, Workflow
from engine.protocols import WorkflowRow

from . import tables
from .rows import run_of, version_of, version_values, workflow_of, workflow_values
from .search import contains
from .values import insert_into

_WORKFLOW = tables.workflows.c
_VERSION = tables.versions.c
_WIDTH = len(_WORKFLOW)


class SqlWorkflows:
    """Implements `engine.protocols.Workflows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, workflow: Workflow) -> None:
        """Keep a new workflow; raises `Conflict` when the name is taken."""
        self._check_name(workflow)
        try:
            self._connection.execute(insert(tables.workflows), workflow_values(workflow))
        except IntegrityError as error:
            raise _taken(workflow.name) from error

    def get(self, workflow_id: WorkflowId) -> Workflow:
        """Return it; raises `NotFound`."""
        row = self._connection.execute(select(tables.workflows).where(_WORKFLOW.id == workflow_id)).first()
        if row is None:
            raise NotFound("workflow", workflow_id)
        return workflow_of(row)

    def find_by_name(self, name: str) -> Workflow | None:
        """Return the workflow of that exact name."""
        row = self._connection.execute(select(tables.workflows).where(_WORKFLOW.name == name)).first()
        return None if row is None else workflow_of(row)

    def update(self, workflow: Workflow, *, expected_revision: int | None = None) -> None:
        """Write all columns; raises `Conflict` when `expected_revision` is given and no longer true."""
        self._check_name(workflow)
        statement = update(tables.workflows).where(_WORKFLOW.id == workflow.id)
        if expected_revision is not None:
            statement = statement.where(_WORKFLOW.revision == expected_revision)
        try:
            changed = self._connection.execute(statement, workflow_values(workflow))
        except IntegrityError as error:
            raise _taken(workflow.name) from error
        if changed.rowcount == 0:
            stored = self.get(workflow.id)
            raise Conflict(
                f"“{stored.name}” was changed meanwhile: revision {stored.revision} is newer than {expected_revision}.",
                hint="Load it again and make your change there.",
                where={"workflow": workflow.id, "revision": stored.revision},
            )

    def delete(self, workflow_id: WorkflowId) -> None:
        """
        Remove the workflow, its versions, triggers and firings; its runs stay readable.

        They keep the workflow's id and name, and so do the versions that they executed.
        """
        executed = select(tables.runs.c.version_id).where(tables.runs.c.workflow_id == workflow_id)
        firings = tables.firings.c
        owners = select(firings.id).where(firings.workflow_id == workflow_id)
        self._connection.execute(delete(tables.blobs).where(tables.blobs.c.owner.in_(owners)))
        self._connection.execute(delete(tables.firings).where(firings.workflow_id == workflow_id))
        self._connection.execute(delete(tables.triggers).where(tables.triggers.c.workflow_id == workflow_id))
        self._connection.execute(
            delete(tables.versions).where(_VERSION.workflow_id == workflow_id, _VERSION.id.not_in(executed))
        )
        self._connection.execute(delete(tables.workflows).where(_WORKFLOW.id == workflow_id))

    def list_rows(self, *, text: str = "", limit: int = 200, offset: int = 0) -> list[WorkflowRow]:
        """Return the list page: by name, filtered by text, each with its last run that was no test."""
        statement = _list_rows().limit(limit).offset(offset)
        if text:
            statement = statement.where(contains(self._connection, text, _WORKFLOW.name))
        found = self._connection.execute(statement).all()
        kinds = self._trigger_kinds([row[0] for row in found])
        return [
            WorkflowRow(
                workflow=workflow_of(row[:_WIDTH]),
                last_run=None if row[_WIDTH] is None else run_of(row[_WIDTH:]),
                trigger_kinds=kinds.get(row[0], ()),
            )
            for row in found
        ]

    def add_version(self, version: Version) -> None:
        """Keep a version; one that is known already stays as it is."""
        self._connection.execute(
            insert_into(self._connection, tables.versions).on_conflict_do_nothing(), version_values(version)
        )

    def get_version(self, version_id: VersionId) -> Version:
        """Return it; raises `NotFound`."""
        row = self._connection.execute(
            select(tables.versions).where(_VERSION.id == version_id).order_by(_VERSION.created_at.desc()).limit(1)
        ).first()
        if row is None:
            raise NotFound("version", version_id)
        return version_of(row)

    def list_versions(self, workflow_id: WorkflowId, *, limit: int = 50) -> list[Version]:
        """Return the newest versions first."""
        found = self._connection.execute(
            select(tables.versions)
            .where(_VERSION.workflow_id == workflow_id)
            .order_by(_VERSION.created_at.desc(), _VERSION.id)
            .limit(limit)
        )
        return [version_of(row) for row in found]

    def find_version(self, workflow_id: WorkflowId, beginning: str) -> Version:
        """Return the workflow's version whose id begins so; raises `NotFound`, `BadRequest` where several do."""
        found = self._connection.execute(
            select(tables.versions)
            .where(_VERSION.workflow_id == workflow_id, _VERSION.id.startswith(beginning, autoescape=True))
            .limit(2)
        ).all()
        if not found or not beginning:
            raise NotFound("version", beginning, hint="The list of its versions shows every id.")
        if len(found) > 1:
            raise BadRequest(f"Several versions begin with {beginning}.", hint="Give more of the id.")
        return version_of(found[0])

    def describe_version(self, workflow_id: WorkflowId, version_id: VersionId, message: str) -> None:
        """Give a version another message."""
        self._connection.execute(
            update(tables.versions)
            .where(_VERSION.workflow_id == workflow_id, _VERSION.id == version_id)
            .values(message=message)
        )

    def _check_name(self, workflow: Workflow) -> None:
        # Asked first, because on PostgreSQL a failed INSERT ends the whole transaction.
        taken = select(_WORKFLOW.id).where(_WORKFLOW.name == workflow.name, _WORKFLOW.id != workflow.id)
        if self._connection.execute(taken).first() is not None:
            raise _taken(workflow.name)

    def _trigger_kinds(self, workflow_ids: list[str]) -> Mapping[str, tuple[str, ...]]:
        kinds: dict[str, tuple[str, ...]] = {}
        if workflow_ids:
            triggers = tables.triggers.c
            found = self._connection.execute(
                select(triggers.workflow_id, triggers.kind)
                .where(triggers.workflow_id.in_(workflow_ids))
                .order_by(triggers.workflow_id, triggers.node)
            )
            for workflow_id, kind in found:
                kinds[workflow_id] = tuple(dict.fromkeys((*kinds.get(workflow_id, ()), kind)))
        return kinds


def _list_rows() -> Select[Any]:
    runs = tables.runs.alias("last_run")
    newest = tables.runs.alias("newest")
    last = (
        select(newest.c.id)
        .where(newest.c.workflow_id == _WORKFLOW.id, newest.c.is_test.is_(False))
        .order_by(newest.c.id.desc())
        .limit(1)
        .correlate(tables.workflows)
        .scalar_subquery()
    )
    return (
        select(*_WORKFLOW, *runs.c)
        .select_from(tables.workflows.outerjoin(runs, runs.c.id == last))
        .order_by(func.lower(_WORKFLOW.name), _WORKFLOW.id)
    )


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a workflow named “{name}” already.", hint="Choose another name.", where={"name": name})
