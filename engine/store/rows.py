"""Rows and the model's own classes: the one place that knows how the one becomes the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from engine.ids import FiringId, NodeId, RunId, VersionId, WorkflowId
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.model.workflow import Version, Workflow
from engine.protocols import Firing, Token, TriggerState

from .documents import document_of, document_text
from .payloads import Packed

Row = Sequence[Any]
Values = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEEPEST: Final = 100


def moment(at: datetime) -> int:
    """Return whole microseconds since 1970; exact until the year 2255, where a double runs out of digits."""
    return round(at.timestamp() * 1_000_000)


def optional_moment(at: datetime | None) -> int | None:
    """Return `moment(at)`, None for None."""
    return None if at is None else round(at.timestamp() * 1_000_000)


def moment_of(microseconds: int) -> datetime:
    """Return the aware UTC `datetime`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def optional_moment_of(microseconds: int | None) -> datetime | None:
    """Return `moment_of(microseconds)`, None for None."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def json_text(value: Any) -> str:
    """Return compact JSON; a value that JSON does not know becomes its text, because a journal line must never fail on it."""
    try:
        return orjson.dumps(value, default=_as_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return orjson.dumps(_tamed(value)).decode()


def _as_plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _tamed(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Take out what makes orjson refuse: half surrogates, integers beyond 64 bits, structures without an end."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        if id(value) in above or len(above) >= _DEEPEST:
            return "…"
        above = (*above, id(value))
        if isinstance(value, Mapping):
            return {_tamed(str(key)): _tamed(inner, above) for key, inner in value.items()}
        return [_tamed(inner, above) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else _tamed(str(value))


def run_values(run: Run) -> Values:
    """Return the columns of `runs`, in order."""
    return (
        run.id,
        run.workflow_id,
        run.workflow_name,
        run.version_id,
        run.status._value_,
        run.trigger,
        run.start_node,
        run.firing_id,
        run.is_test,
        run.retry_of,
        run.epoch,
        moment(run.queued_at),
        optional_moment(run.started_at),
        optional_moment(run.finished_at),
        None if run.error is None else json_text(run.error),
        run.cancel_requested,
        run.parent_run_id,
        run.parent_step,
        run.line,
        run.lease_key,
        -run.priority,
    )


def run_of(row: Row) -> Run:
    """Return the run that stands in a row of `runs`."""
    return Run(
        id=RunId(row[0]),
        workflow_id=None if row[1] is None else WorkflowId(row[1]),
        workflow_name=row[2],
        version_id=VersionId(row[3]),
        status=RunStatus(row[4]),
        trigger=row[5],
        start_node=None if row[6] is None else NodeId(row[6]),
        firing_id=None if row[7] is None else FiringId(row[7]),
        is_test=bool(row[8]),
        retry_of=None if row[9] is None else RunId(row[9]),
        epoch=row[10],
        queued_at=moment_of(row[11]),
        started_at=optional_moment_of(row[12]),
        finished_at=optional_moment_of(row[13]),
        error=None if row[14] is None else orjson.loads(row[14]),
        cancel_requested=bool(row[15]),
        parent_run_id=None if row[16] is None else RunId(row[16]),
        parent_step=row[17],
        lease_key=row[19],
        priority=-row[20],
    )


def fact_values(fact: Fact, packed: Packed) -> Values:
    """Return the columns of `facts`, in order."""
    return (
        fact.run_id,
        fact.seq,
        fact.kind._value_,
        fact.node,
        fact.scope,
        fact.attempt,
        round(fact.at.timestamp() * 1_000_000),
        json_text(fact.summary) if fact.summary else None,
        packed[0],
        packed[1],
    )


def fact_of(row: Row, unpack: Callable[[int, bytes | None], bytes | None]) -> Fact:
    """Return the fact that stands in a row of `facts`; `unpack` is asked only where the row brings a payload."""
    return Fact(
        run_id=RunId(row[0]),
        seq=row[1],
        kind=FactKind(row[2]),
        node=NodeId(row[3]),
        scope=row[4],
        attempt=row[5],
        at=moment_of(row[6]),
        summary={} if row[7] is None else orjson.loads(row[7]),
        payload=unpack(row[8], row[9]) if len(row) > 8 else None,
    )


def workflow_values(workflow: Workflow) -> dict[str, Any]:
    """Return the columns of `workflows` by name."""
    return {
        "id": workflow.id,
        "name": workflow.name,
        "draft": workflow.draft,
        "revision": workflow.revision,
        "active_version": workflow.active_version,
        "created_at": moment(workflow.created_at),
        "updated_at": moment(workflow.updated_at),
    }


def workflow_of(row: Row) -> Workflow:
    """Return the workflow that stands in a row of `workflows`."""
    return Workflow(
        id=WorkflowId(row[0]),
        name=row[1],
        draft=row[2],
        revision=row[3],
        active_version=None if row[4] is None else VersionId(row[4]),
        created_at=moment_of(row[5]),
        updated_at=moment_of(row[6]),
    )


def version_values(version: Version) -> dict[str, Any]:
    """Return the columns of `versions` by name."""
    return {
        "workflow_id": version.workflow_id,
        "id": version.id,
        "document": document_text(version.document),
        "parents": json_text(list(version.parents)),
        "created_at": moment(version.created_at),
        "author": version.author,
        "message": version.message,
    }


def version_of(row: Row) -> Version:
    """Return the version that stands in a row of `versions`."""
    return Version(
        workflow_id=WorkflowId(row[0]),
        id=VersionId(row[1]),
        document=document_of(row[2]),
        parents=tuple(orjson.loads(row[3])),
        created_at=moment_of(row[4]),
        author=row[5],
        message=row[6],
    )


def trigger_values(trigger: TriggerState) -> dict[str, Any]:
    """Return the columns of `triggers` by name."""
    return {
        "workflow_id": trigger.workflow_id,
        "node": trigger.node,
        "version_id": trigger.version_id,
        "workflow_name": trigger.workflow_name,
        "kind": trigger.kind,
        "fields": json_text(trigger.fields),
        "timezone": trigger.timezone,
        "path": trigger.path,
        "methods": json_text(list(trigger.methods)),
        "next_due": optional_moment(trigger.next_due),
        "cursor": None if trigger.cursor is None else json_text(trigger.cursor),
        "is_paused": trigger.is_paused,
    }


def trigger_of(row: Row) -> TriggerState:
    """Return the trigger that stands in a row of `triggers`."""
    return TriggerState(
        workflow_id=WorkflowId(row[0]),
        node=NodeId(row[1]),
        version_id=VersionId(row[2]),
        workflow_name=row[3],
        kind=row[4],
        fields=orjson.loads(row[5]),
        timezone=row[6],
        path=row[7],
        methods=tuple(orjson.loads(row[8])),
        next_due=optional_moment_of(row[9]),
        cursor=None if row[10] is None else orjson.loads(row[10]),
        is_paused=bool(row[11]),
    )


def firing_values(firing: Firing, packed: Packed) -> Values:
    """Return the columns of `firings`, in order."""
    return (
        firing.id,
        firing.workflow_id,
        firing.version_id,
        firing.node,
        firing.key,
        *packed,
        moment(firing.accepted_at),
        firing.state,
        firing.run_id,
    )


def firing_of(row: Row, unpack: Callable[[int, bytes | None], bytes | None]) -> Firing:
    """Return the firing that stands in a row of `firings`."""
    return Firing(
        id=FiringId(row[0]),
        workflow_id=WorkflowId(row[1]),
        version_id=VersionId(row[2]),
        node=NodeId(row[3]),
        key=row[4],
        payload=unpack(row[5], row[6]) or b"",
        accepted_at=moment_of(row[7]),
        state=row[8],
        run_id=None if row[9] is None else RunId(row[9]),
    )


def token_values(token: Token) -> dict[str, Any]:
    """Return the columns of `tokens` by name."""
    return {
        "id": token.id,
        "name": token.name,
        "hash": token.hash,
        "scopes": json_text(list(token.scopes)),
        "created_at": moment(token.created_at),
        "expires_at": optional_moment(token.expires_at),
        "revoked_at": optional_moment(token.revoked_at),
        "last_used_at": optional_moment(token.last_used_at),
    }


def token_of(row: Row) -> Token:
    """Return the token that stands in a row of `tokens`."""
    return Token(
        id=row[0],
        name=row[1],
        hash=row[2],
        scopes=tuple(orjson.loads(row[3])),
        created_at=moment_of(row[4]),
        expires_at=optional_moment_of(row[5]),
        revoked_at=optional_moment_of(row[6]),
        last_used_at=optional_moment_of(row[7]),
    )
