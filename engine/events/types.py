"""The facts Treadle tells while it works; all in the past tense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; `at` is when."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(Event):
    """A run was accepted."""

    run_id: str
    workflow_id: str | None
    workflow_name: str
    is_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A worker took the run."""

    run_id: str
    workflow_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step began its try."""

    run_id: str
    workflow_id: str | None
    node: str
    attempt: int = 1
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step settled: `status` is a StepStatus, `ports` counts the items that left by each port."""

    run_id: str
    workflow_id: str | None
    node: str
    status: str
    ports: Mapping[str, int]
    duration_ms: float = 0.0
    error: Mapping[str, Any] | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetrying(Event):
    """A try failed and another one is planned."""

    run_id: str
    workflow_id: str | None
    node: str
    attempt: int
    retry_at: datetime
    error: Mapping[str, Any]
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWaiting(Event):
    """A step waits for a moment or for somebody; `waits_for` is `{"kind", "due_at", "name", "key", "details"}`."""

    run_id: str
    workflow_id: str | None
    node: str
    waits_for: Mapping[str, Any]
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWoken(Event):
    """What a step waited for is there; `how` says what woke it."""

    run_id: str
    workflow_id: str | None
    node: str
    how: str
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A run is over or parked, and that is on disk."""

    run_id: str
    workflow_id: str | None
    workflow_name: str
    status: str
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowChanged(Event):
    """A workflow was created, its draft saved, it was switched on or off, or deleted; `change` says which."""

    workflow_id: str
    change: str
    revision: int = 0
