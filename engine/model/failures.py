"""What stands on the failure desk: failures, their groups, and the replays that work them off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.ids import NodeId, RunId, WorkflowId

from .causes import Cause

FailureState = Literal["open", "replaying", "resolved", "replaced", "discarded"]
"""
`open` waits for somebody; `replaying` has a replay on its way; `resolved` was replayed and succeeded; `replaced` was replayed
and failed again, which stands on the desk in its place; `discarded` was put away with a reason.
"""

EVERY_STATE: tuple[FailureState, ...] = ("open", "replaying", "resolved", "replaced", "discarded")
ON_DESK: tuple[FailureState, ...] = ("open", "replaying")

ReplayFrom = Literal["failed_step", "start"]
ReplayVersion = Literal["same", "newest"]
ReplayState = Literal["running", "done", "cancelled"]
ItemState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    One run that failed, as the desk keeps it.

    `action` is the replay or discard that handled it last, `reason` why it was put away, `replay_run_id` the run that repeats
    it, `replay_of` the failed run that this one repeated. `alerts` tells whom the failure was told, or why it could not be:
    `{"workflow", "run"}` or `{"workflow", "problem"}`.
    """

    run_id: RunId
    group_id: str
    workflow_id: WorkflowId | None
    workflow_name: str
    node: NodeId | None
    at: datetime
    state: FailureState = "open"
    action: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None
    settled_by: str | None = None
    replay_run_id: RunId | None = None
    replay_of: RunId | None = None
    alerts: tuple[Mapping[str, Any], ...] = ()
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """
    Failures of one cause: how many there are in the states asked for, the first and the last of them, and whose they are.

    `workflows` counts per name; `message` is what the last of them said, word for word.
    """

    id: str
    cause: Cause
    count: int
    replaying: int
    first_at: datetime
    last_at: datetime
    last_run_id: RunId
    message: str
    workflows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFilter:
    """Which failures to look at; None means any. `offset` counts groups, `limit` is how many of them come."""

    states: tuple[FailureState, ...] = ON_DESK
    group_id: str | None = None
    workflow_id: WorkflowId | None = None
    action: str | None = None
    text: str = ""
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """
    A stored order to repeat failures, `at_once` at a time; it goes on after a restart.

    `input` is the encoded batch that takes the place of the data, None for the same data. `counts` tells how many of its
    failures stand where.
    """

    id: str
    group_id: str | None
    start: ReplayFrom = "failed_step"
    version: ReplayVersion = "same"
    input: bytes | None = None
    at_once: int = 10
    state: ReplayState = "running"
    created_at: datetime
    created_by: str
    finished_at: datetime | None = None
    counts: Mapping[ItemState, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many failures it is about."""
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """How many of them are over."""
        return self.total - self.counts.get("waiting", 0) - self.counts.get("running", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayItem:
    """One failure of a replay: the failed run, the run that repeats it, and why there is none."""

    replay_id: str
    run_id: RunId
    position: int
    state: ItemState = "waiting"
    new_run_id: RunId | None = None
    note: str | None = None
