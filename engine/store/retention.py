"""
Taking things away: the data of runs first, then the runs themselves; only of runs that are over.

What a run left behind is its input, its outputs, the event that started it, and its words in the search. Its line in the lists,
its steps with their times and errors, and its log stay until the run itself goes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from engine.ids import RunId, VersionId, WorkflowId
from engine.model.run import FINAL, RunStatus
from engine.model.workflow import Document

from . import tables
from .documents import document_of
from .rows import moment, moment_of
from .search_index import forget_words

_RUN = tables.runs.c
_TRIMMED = tables.trimmed.c
_FINAL: Final = tuple(status.value for status in FINAL)


class SqlRetention:
    """Implements `engine.protocols.Retention`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_over(
        self,
        *,
        before: datetime | None = None,
        workflow_id: WorkflowId | None = None,
        not_of: Collection[WorkflowId] = (),
        statuses: Collection[RunStatus] = (),
        older_than: RunId | None = None,
        with_data: bool = False,
        limit: int = 200,
    ) -> list[RunId]:
        """Return runs that are over and that no open run needs, oldest first."""
        conditions: list[ColumnElement[bool]] = [_RUN.status.in_([status.value for status in statuses] or _FINAL)]
        if before is not None:
            # Who ended before was queued before, and ids begin with that moment: the rest of the table is not looked at.
            conditions += [_RUN.id < f"run_{int(before.timestamp() * 1000) + 1:012x}", _RUN.finished_at < moment(before)]
        if workflow_id is not None:
            conditions.append(_RUN.workflow_id == workflow_id)
        if not_of:
            conditions.append(or_(_RUN.workflow_id.is_(None), _RUN.workflow_id.not_in(list(not_of))))
        if older_than is not None:
            conditions.append(_RUN.id < older_than)
        if with_data:
            conditions.append(~select(_TRIMMED.run_id).where(_TRIMMED.run_id == _RUN.id).exists())
        found = select(_RUN.id).where(*conditions, ~self._is_needed()).order_by(_RUN.id).limit(limit)
        return [RunId(run_id) for run_id in self._connection.execute(found).scalars()]

    def nth_newest(self, workflow_id: WorkflowId, count: int) -> RunId | None:
        """Return the oldest of the newest `count` runs of a workflow that are over; None when there are not as many."""
        found = (
            select(_RUN.id)
            .where(_RUN.workflow_id == workflow_id, _RUN.status.in_(_FINAL))
            .order_by(_RUN.id.desc())
            .limit(1)
            .offset(count - 1)
        )
        run_id = self._connection.execute(found).scalar()
        return None if run_id is None else RunId(run_id)

    def workflow_ids(self) -> list[WorkflowId]:
        """Return the workflows there are."""
        return [WorkflowId(one) for one in self._connection.execute(select(tables.workflows.c.id)).scalars()]

    def documents(self) -> Mapping[WorkflowId, Document]:
        """Return what each workflow says now: its active version, or its draft where that names a policy."""
        workflows, versions = tables.workflows.c, tables.versions.c
        rows = self._connection.execute(
            select(workflows.id, versions.document)
            .select_from(
                tables.workflows.join(
                    tables.versions, and_(versions.workflow_id == workflows.id, versions.id == workflows.active_version)
                )
            )
            .where(or_(versions.document.contains('"keep"'), versions.document.contains('"search"')))
        )
        return {WorkflowId(row[0]): document_of(row[1]) for row in rows}

    def drafts(self) -> Mapping[WorkflowId, str]:
        """Return the drafts of workflows that are off and whose text speaks of what is kept."""
        workflows = tables.workflows.c
        rows = self._connection.execute(
            select(workflows.id, workflows.draft).where(
                workflows.active_version.is_(None),
                or_(workflows.draft.contains("keep:"), workflows.draft.contains("search:")),
            )
        )
        return {WorkflowId(row[0]): row[1] for row in rows}

    def drop_data(self, run_ids: Sequence[RunId], *, at: datetime) -> int:
        """Take away the data of these runs, leaving their steps, errors and logs; returns how many had some."""
        known = set(self._connection.execute(select(_TRIMMED.run_id).where(_TRIMMED.run_id.in_(run_ids))).scalars())
        doomed = [run_id for run_id in run_ids if run_id not in known]
        if not doomed:
            return 0
        fired = self._fired(doomed)
        nothing: dict[str, Any] = {"payload": None, "payload_form": 0}
        for table in tables.OF_A_RUN:
            if "payload_form" in table.c:
                full = and_(table.c.run_id.in_(doomed), table.c.payload.is_not(None))
                self._connection.execute(update(table).where(full).values(nothing))
        self._connection.execute(update(tables.firings).where(tables.firings.c.id.in_(fired)).values(nothing))
        self._disown([*doomed, *fired])
        forget_words(self._connection, doomed)
        self._connection.execute(insert(tables.trimmed), [{"run_id": run_id, "at": moment(at)} for run_id in doomed])
        return len(doomed)

    def remove(self, run_ids: Sequence[RunId]) -> int:
        """Remove these runs with everything that belongs to them alone; returns how many there were."""
        if not run_ids:
            return 0
        fired = self._fired(run_ids)
        forget_words(self._connection, run_ids)
        for table in tables.OF_A_RUN:
            self._connection.execute(delete(table).where(table.c.run_id.in_(run_ids)))
        gone = self._connection.execute(delete(tables.runs).where(_RUN.id.in_(run_ids))).rowcount
        self._connection.execute(delete(tables.firings).where(tables.firings.c.id.in_(fired)))
        self._disown([*run_ids, *fired])
        return int(gone)

    def removed_at(self, run_id: RunId) -> datetime | None:
        """Return when the data of a run was taken away, None while it is there."""
        at = self._connection.execute(select(_TRIMMED.at).where(_TRIMMED.run_id == run_id)).scalar()
        return None if at is None else moment_of(at)

    def removed_among(self, run_ids: Collection[RunId]) -> Mapping[RunId, datetime]:
        """Return those of some runs whose data was taken away, with the moment."""
        rows = self._connection.execute(select(_TRIMMED.run_id, _TRIMMED.at).where(_TRIMMED.run_id.in_(list(run_ids))))
        return {RunId(row[0]): moment_of(row[1]) for row in rows}

    def drop_orphans(self, *, limit: int = 200) -> int:
        """Remove versions of deleted workflows that no run executed any more, and replays whose failures are all gone."""
        return self._drop_versions(limit) + self._drop_replays(limit)

    def _drop_versions(self, limit: int) -> int:
        versions, workflows = tables.versions.c, tables.workflows.c
        found = self._connection.execute(
            select(versions.workflow_id, versions.id)
            .where(
                ~select(workflows.id).where(workflows.id == versions.workflow_id).exists(),
                ~select(_RUN.id).where(_RUN.version_id == versions.id, _RUN.workflow_id == versions.workflow_id).exists(),
            )
            .limit(limit)
        ).all()
        for workflow_id, version_id in found:
            self._connection.execute(
                delete(tables.versions).where(versions.workflow_id == workflow_id, versions.id == VersionId(version_id))
            )
        return len(found)

    def _drop_replays(self, limit: int) -> int:
        replays, items = tables.replays.c, tables.replay_items.c
        found = self._connection.execute(
            select(replays.id)
            .where(replays.state != "running", ~select(items.run_id).where(items.replay_id == replays.id).exists())
            .limit(limit)
        ).scalars()
        if doomed := list(found):
            self._connection.execute(delete(tables.replays).where(replays.id.in_(doomed)))
            self._disown(doomed)
        return len(doomed)

    def give_back(self, pages: int) -> int:
        """Give so many free pages of a SQLite file back to the disk; returns how many are free still (0 on a server)."""
        if self._connection.dialect.name != "sqlite":
            return 0
        driver: Any = self._connection.connection.driver_connection
        driver.execute(f"PRAGMA incremental_vacuum({int(pages)})").fetchall()
        return int(driver.execute("PRAGMA freelist_count").fetchone()[0])

    def _is_needed(self) -> ColumnElement[bool]:
        """Whether an open run leans on this one: it called it, or was called by it."""
        other = tables.runs.alias("other")
        is_open = other.c.status.not_in(_FINAL)
        return or_(
            select(other.c.id).where(other.c.id == _RUN.parent_run_id, is_open).exists(),
            select(other.c.id).where(other.c.parent_run_id == _RUN.id, is_open).exists(),
        )

    def _fired(self, run_ids: Sequence[RunId]) -> list[str]:
        """Return the firings that became these runs and no others that stay."""
        found = select(_RUN.firing_id).where(_RUN.id.in_(run_ids), _RUN.firing_id.is_not(None), _RUN.retry_of.is_(None))
        return list(self._connection.execute(found).scalars())

    def _disown(self, owners: Sequence[str]) -> None:
        self._connection.execute(delete(tables.blobs).where(tables.blobs.c.owner.in_(owners)))
