"""What a run is, and the facts its journal is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from engine.ids import FiringId, NodeId, RunId, VersionId, WorkflowId


class RunStatus(StrEnum):
    """Where a run stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    NEEDS_DECISION = "needs_decision"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self in FINAL


FINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})


class StepStatus(StrEnum):
    """Where a step of a run stands."""

    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class FactKind(StrEnum):
    """The kinds of line a journal has. New kinds join; none is ever renamed."""

    STEP_STARTED = "step_started"
    STEP_RETRYING = "step_retrying"
    STEP_SUCCEEDED = "step_succeeded"
    STEP_FAILED = "step_failed"
    STEP_SKIPPED = "step_skipped"
    STEP_CANCELLED = "step_cancelled"
    STEP_DECIDED = "step_decided"
    EFFECTS = "effects"
    FORKED = "forked"
    SCOPE_DONE = "scope_done"
    SCOPE_FAILED = "scope_failed"
    STEP_WAITING = "step_waiting"
    STEP_WOKEN = "step_woken"
    SIGNALLED = "signalled"
    RESPONDED = "responded"
    LOGGED = "logged"


@dataclass(slots=True, kw_only=True)
class PortSummary:
    """How much left by one port, known without decoding the payload."""

    count: int
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """
    One line of a run's journal.

    `seq` grows by one within a run. `scope` names the pass of a loop or the item of a child run ("" at the top level).
    `summary` is small JSON for lists and the canvas (ports with counts, error, next attempt at). `payload` holds the encoded
    outputs of the step, None where there are none; how it is encoded is the journal's business (`engine.run.payloads`).
    """

    run_id: RunId
    seq: int
    kind: FactKind
    node: NodeId
    at: datetime
    scope: str = ""
    attempt: int = 1
    summary: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    One execution of one version, as lists and headers show it.

    `start_node` is the trigger that fired or the node named by the caller. `error` is an error's `as_dict()` with the node in
    `where`. `epoch` grows each time a worker takes the run over; a worker with an old epoch writes nothing.
    `parent_run_id` is the run that called this one, `parent_step` the step of it that waits for the end (None: nobody does).
    `version_id` is None for a test of a draft, whose text then stands in `document`. `lease_key` is what the workflow's limit
    counts by, where it has a key; of runs that wait, those of a higher `priority` go first.
    """

    id: RunId
    workflow_id: WorkflowId | None
    workflow_name: str
    version_id: VersionId
    status: RunStatus
    trigger: str
    start_node: NodeId | None
    firing_id: FiringId | None = None
    is_test: bool = False
    retry_of: RunId | None = None
    epoch: int = 0
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Mapping[str, Any] | None = None
    cancel_requested: bool = False
    parent_run_id: RunId | None = None
    parent_step: str | None = None
    lease_key: str = ""
    priority: int = 0

    @property
    def line(self) -> str:
        """What the run waits in line with: its workflow, or the document it is of."""
        return self.workflow_id or f"document {self.version_id}"

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from start to finish, None while it is not over."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One node of one run, folded from the facts: the view that the timeline, the canvas and the API read.

    `waits_for` is there while the step waits for a moment or for somebody: `{"kind", "due_at", "name", "key", "details"}`.
    """

    run_id: RunId
    node: NodeId
    scope: str = ""
    status: StepStatus
    attempts: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    items_in: int = 0
    ports: Mapping[str, PortSummary] = field(default_factory=dict)
    ignored: int = 0
    error: Mapping[str, Any] | None = None
    retry_at: datetime | None = None
    waits_for: Mapping[str, Any] | None = None
    log: tuple[Mapping[str, Any], ...] = ()
