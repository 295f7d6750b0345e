"""A run's journal folded into its steps: what the timeline, the canvas and the API show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from engine.ids import NodeId
from engine.model.run import Fact, FactKind, PortSummary, Step, StepStatus


def fold_steps(facts: Iterable[Fact]) -> dict[NodeId, Step]:
    """
    Return the steps of a run by node, in the order they began; payloads are not needed.

    What the summary of a fact holds: `in` items that arrived, `ports` items that left by port, `ms` of work, `ignored` and
    `routed` items that failed, `error`, `retry_at`, and for a line of the step's log `level`, `text`, `details`.
    """
    steps: dict[NodeId, Step] = {}
    for fact in facts:
        step = steps.get(fact.node)
        if step is None:
            step = Step(run_id=fact.run_id, node=fact.node, scope=fact.scope, status=StepStatus.RUNNING, started_at=fact.at)
        steps[fact.node] = _after(step, fact)
    return steps


def _after(step: Step, fact: Fact) -> Step:
    summary = fact.summary
    match fact.kind:
        case FactKind.STEP_STARTED:
            return replace(
                step, status=StepStatus.RUNNING, attempts=fact.attempt, items_in=int(summary.get("in", 0)), retry_at=None
            )
        case FactKind.STEP_RETRYING:
            retry_at = datetime.fromisoformat(summary["retry_at"])
            return replace(
                step, status=StepStatus.WAITING, attempts=fact.attempt, error=summary.get("error"), retry_at=retry_at
            )
        case FactKind.STEP_SUCCEEDED:
            return _settled(step, fact, StepStatus.SUCCEEDED, error=None)
        case FactKind.STEP_FAILED:
            return _settled(step, fact, StepStatus.FAILED, error=summary.get("error"))
        case FactKind.STEP_SKIPPED:
            return replace(step, status=StepStatus.SKIPPED, started_at=None, finished_at=None)
        case FactKind.STEP_CANCELLED:
            return replace(step, status=StepStatus.CANCELLED, finished_at=fact.at, retry_at=None)
        case FactKind.LOGGED:
            return replace(step, log=(*step.log, {"at": fact.at.isoformat(), **summary}))
        case _:
            return step


def _settled(step: Step, fact: Fact, status: StepStatus, *, error: Mapping[str, Any] | None) -> Step:
    summary = fact.summary
    began = fact.at - timedelta(milliseconds=float(summary.get("ms", 0)))
    return replace(
        step,
        status=status,
        attempts=fact.attempt,
        started_at=min(step.started_at or began, began),
        finished_at=fact.at,
        items_in=int(summary.get("in", 0)),
        ports={port: PortSummary(count=count) for port, count in summary.get("ports", {}).items()},
        ignored=int(summary.get("ignored", 0)),
        error=error,
        retry_at=None,
    )
