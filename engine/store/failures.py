"""The failure desk in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Connection, Select, case, func, select, update

from engine.errors import NotFound
from engine.ids import NodeId, RunId, WorkflowId
from engine.model.causes import Cause
from engine.model.failures import ON_DESK, Failure, FailureFilter, FailureGroup

from . import tables
from .rows import Values, json_text, moment, moment_of, optional_moment, optional_moment_of
from .search import contains
from .values import insert_into

_F: Final = tables.failures.c
_G: Final = tables.failure_groups.c
_RUN: Final = tables.runs.c
_NAMES: Final = tuple(_F.keys())


class SqlFailures:
    """Implements `engine.protocols.Failures`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, failures: Sequence[tuple[Failure, Cause]]) -> None:
        """Put failures on the desk, each into the group of its cause; one that stands there already stays as it is."""
        if not failures:
            return
        causes = {cause.id: cause for _, cause in failures}
        self._connection.execute(
            insert_into(self._connection, tables.failure_groups).on_conflict_do_nothing(),
            [
                {"id": name, "step": cause.step, "code": cause.code, "status": cause.status, "message": cause.message}
                for name, cause in sorted(causes.items())
            ],
        )
        self._connection.execute(
            insert_into(self._connection, tables.failures).on_conflict_do_nothing(),
            [dict(zip(_NAMES, failure_values(failure), strict=True)) for failure, _ in failures],
        )

    def find(self, run_id: RunId) -> Failure | None:
        """Return the failure of a run."""
        row = self._connection.execute(_with_error().where(_F.run_id == run_id)).first()
        return None if row is None else failure_of(row)

    def get(self, run_id: RunId) -> Failure:
        """Return the failure of a run; raises `NotFound`."""
        if (found := self.find(run_id)) is None:
            raise NotFound("failure", run_id, hint="Only runs that failed and were no tests come to the failure desk.")
        return found

    def list_page(self, filter: FailureFilter, *, before: RunId | None = None) -> list[Failure]:
        """Return failures one by one, newest run first; `before` is the run id of the last one of the page before."""
        statement = _with_error().where(*self._narrow(filter)).order_by(_F.run_id.desc()).limit(filter.limit)
        if before is not None:
            statement = statement.where(_F.run_id < before)
        return [failure_of(row) for row in self._connection.execute(statement)]

    def list_groups(self, filter: FailureFilter) -> list[FailureGroup]:
        """Return the groups that have failures of this kind, the latest failure first."""
        last = func.max(_F.at)
        statement = (
            select(
                _F.group_id,
                func.count(),
                func.sum(case((_F.state == "replaying", 1), else_=0)),
                func.min(_F.at),
                last,
                func.max(_F.run_id),
            )
            .where(*self._narrow(filter))
            .group_by(_F.group_id)
            .order_by(last.desc(), _F.group_id)
            .limit(filter.limit)
            .offset(filter.offset)
        )
        rows = self._connection.execute(statement).all()
        if not rows:
            return []
        ids = [row[0] for row in rows]
        causes = {
            row[0]: Cause(step=row[1], code=row[2], status=row[3], message=row[4])
            for row in self._connection.execute(select(tables.failure_groups).where(_G.id.in_(ids)))
        }
        messages = {
            row[0]: _message(row[1])
            for row in self._connection.execute(select(_RUN.id, _RUN.error).where(_RUN.id.in_([row[5] for row in rows])))
        }
        workflows = self._workflows(ids, filter)
        return [
            FailureGroup(
                id=row[0],
                cause=causes[row[0]],
                count=row[1],
                replaying=int(row[2] or 0),
                first_at=moment_of(row[3]),
                last_at=moment_of(row[4]),
                last_run_id=RunId(row[5]),
                message=messages.get(row[5]) or causes[row[0]].message,
                workflows=workflows[row[0]],
            )
            for row in rows
        ]

    def count(self, filter: FailureFilter) -> int:
        """Return how many failures there are of this kind."""
        return int(
            self._connection.execute(
                select(func.count()).select_from(tables.failures).where(*self._narrow(filter))
            ).scalar_one()
        )

    def put_away(
        self, filter: FailureFilter, run_ids: Collection[RunId] | None, *, action: str, reason: str, by: str, at: datetime
    ) -> int:
        """Discard the open failures that are meant; returns how many those were."""
        statement = update(tables.failures).where(_F.state == "open", *self._narrow(filter))
        if run_ids is not None:
            statement = statement.where(_F.run_id.in_(run_ids))
        return self._connection.execute(
            statement.values(state="discarded", action=action, reason=reason, settled_at=moment(at), settled_by=by)
        ).rowcount

    def bring_back(self, filter: FailureFilter, run_ids: Collection[RunId] | None) -> int:
        """Undo a discard: what was put away is open again; returns how many those were."""
        statement = update(tables.failures).where(_F.state == "discarded", *self._narrow(filter, with_states=False))
        if run_ids is not None:
            statement = statement.where(_F.run_id.in_(run_ids))
        return self._connection.execute(
            statement.values(state="open", action=None, reason=None, settled_at=None, settled_by=None)
        ).rowcount

    def on_replayed(self, run_id: RunId, new_run_id: RunId) -> None:
        """Note which run repeats a failure."""
        self._connection.execute(
            update(tables.failures)
            .where(_F.run_id == run_id, _F.state.in_(ON_DESK))
            .values(state="replaying", replay_run_id=new_run_id)
        )

    def on_replay_ended(self, run_id: RunId, new_run_id: RunId, state: str, *, at: datetime) -> None:
        """
        Note how the run came out that repeats a failure: `resolved`, `replaced` by its own failure, or `open` again.

        A failure that another run settled, or that a newer replay is about, stays as it is.
        """
        settled = None if state == "open" else moment(at)
        self._connection.execute(
            update(tables.failures)
            .where(
                _F.run_id == run_id,
                _F.state.in_((*ON_DESK, "discarded")) if state != "open" else _F.state == "replaying",
                _F.replay_run_id == new_run_id if state == "open" else _F.run_id == run_id,
            )
            .values(state=state, replay_run_id=new_run_id, settled_at=settled)
        )

    def open_again(self, replay_id: str, run_id: RunId | None = None) -> None:
        """Let failures wait for somebody again that a replay will not come to: all that are left, or one."""
        statement = update(tables.failures).where(_F.action == replay_id, _F.state == "replaying", _F.replay_run_id.is_(None))
        if run_id is not None:
            statement = statement.where(_F.run_id == run_id)
        self._connection.execute(statement.values(state="open", action=None))

    def note_alerts(self, alerts: Mapping[RunId, Sequence[Mapping[str, Any]]]) -> None:
        """Note whom failures were told."""
        for run_id, told in alerts.items():
            self._connection.execute(update(tables.failures).where(_F.run_id == run_id).values(alerts=json_text(list(told))))

    def _workflows(self, ids: Sequence[str], filter: FailureFilter) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {name: {} for name in ids}
        narrow = [*self._narrow(filter), _F.group_id.in_(ids)]
        for group_id, name, count in self._connection.execute(
            select(_F.group_id, _F.workflow_name, func.count())
            .where(*narrow)
            .group_by(_F.group_id, _F.workflow_name)
            .order_by(func.count().desc(), _F.workflow_name)
        ):
            found[group_id][name] = count
        return found

    def _narrow(self, filter: FailureFilter, *, with_states: bool = True) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [_F.state.in_(filter.states)] if with_states else []
        if filter.group_id is not None:
            found.append(_F.group_id == filter.group_id)
        if filter.workflow_id is not None:
            found.append(_F.workflow_id == filter.workflow_id)
        if filter.action is not None:
            found.append(_F.action == filter.action)
        if filter.text:
            of_cause = contains(self._connection, filter.text, _G.message, _G.step, _G.code)
            groups = select(_G.id).where(of_cause)
            found.append(_F.group_id.in_(groups) | contains(self._connection, filter.text, _F.workflow_name))
        return found


def failure_values(failure: Failure) -> Values:
    """Return the columns of `failures`, in order."""
    return (
        failure.run_id,
        failure.group_id,
        failure.workflow_id,
        failure.workflow_name,
        failure.node,
        moment(failure.at),
        failure.state,
        failure.action,
        failure.reason,
        optional_moment(failure.settled_at),
        failure.settled_by,
        failure.replay_run_id,
        failure.replay_of,
        json_text(list(failure.alerts)) if failure.alerts else None,
    )


def failure_of(row: Sequence[Any]) -> Failure:
    """Return the failure that stands in a row of `failures`, followed by its run's error."""
    return Failure(
        run_id=RunId(row[0]),
        group_id=row[1],
        workflow_id=None if row[2] is None else WorkflowId(row[2]),
        workflow_name=row[3],
        node=None if row[4] is None else NodeId(row[4]),
        at=moment_of(row[5]),
        state=row[6],
        action=row[7],
        reason=row[8],
        settled_at=optional_moment_of(row[9]),
        settled_by=row[10],
        replay_run_id=None if row[11] is None else RunId(row[11]),
        replay_of=None if row[12] is None else RunId(row[12]),
        alerts=() if row[13] is None else tuple(orjson.loads(row[13])),
        error=None if row[14] is None else orjson.loads(row[14]),
    )


def _with_error() -> Select[Any]:
    return select(*_F, _RUN.error).join_from(tables.failures, tables.runs, _RUN.id == _F.run_id, isouter=True)


def _message(error: str | None) -> str:
    return "" if error is None else str(orjson.loads(error).get("message") or "")
