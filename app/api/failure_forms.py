"""How the failure desk looks in the API and on the command line: plain JSON made of the model's own classes."""

from __future__ import annotations

from typing import Any

from app.api.forms import moment
from engine.model.failures import Failure, FailureGroup, Replay


def group_form(group: FailureGroup) -> dict[str, Any]:
    """Return a group as the API tells it."""
    cause = group.cause
    return {
        "id": group.id,
        "cause": {"step": cause.step, "code": cause.code, "status": cause.status, "message": cause.message},
        "message": group.message,
        "count": group.count,
        "replaying": group.replaying,
        "first_at": moment(group.first_at),
        "last_at": moment(group.last_at),
        "last_run": group.last_run_id,
        "workflows": dict(group.workflows),
    }


def failure_form(failure: Failure) -> dict[str, Any]:
    """Return a failure as the API tells it."""
    return {
        "run": failure.run_id,
        "group": failure.group_id,
        "workflow": failure.workflow_name,
        "workflow_id": failure.workflow_id,
        "node": failure.node,
        "at": moment(failure.at),
        "state": failure.state,
        "action": failure.action,
        "reason": failure.reason,
        "settled_at": moment(failure.settled_at),
        "settled_by": failure.settled_by,
        "replay_run": failure.replay_run_id,
        "replay_of": failure.replay_of,
        "alerts": [dict(alert) for alert in failure.alerts],
        "error": failure.error,
    }


def replay_form(replay: Replay) -> dict[str, Any]:
    """Return a replay as the API tells it."""
    return {
        "id": replay.id,
        "group": replay.group_id,
        "start": replay.start,
        "version": replay.version,
        "at_once": replay.at_once,
        "state": replay.state,
        "created_at": moment(replay.created_at),
        "created_by": replay.created_by,
        "finished_at": moment(replay.finished_at),
        "total": replay.total,
        "finished": replay.finished,
        "counts": dict(replay.counts),
    }
