"""
Telling a failure to those who asked for it: the workflow that `settings.on_failure` names, and every active
`trigger.workflow_failed`.

The firing is kept and its run queued in the transaction that ends the failed run, so an alert is never lost and never doubled.
An alert never leads back to where it came from: a workflow is not told of a failure that it, or a run it took part in causing,
brought about, and a chain of alerts about alerts ends after `DEEPEST`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.clock import Clock
from engine.errors import NotFound, TreadleError
from engine.ids import FiringId, NodeId, VersionId, WorkflowId, new_id, new_run_id
from engine.model.causes import Cause
from engine.model.codec import document_hash, read_document
from engine.model.failures import Failure
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import Firing, TriggerState, UnitOfWork

from .payloads import encode_batch

log = logging.getLogger(__name__)

WORKFLOW_FAILED: Final = "trigger.workflow_failed"
KIND: Final = "alert"
"""What the ids of an alert's firing begin with: by them a run is known to be one."""

DEEPEST: Final = 3
"""How many alerts about alerts there may be."""

FARTHEST: Final = 100
"""How many runs back are looked at for where an alert came from."""

Failed = tuple[Run, Document | None, tuple[Failure, Cause]]


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to tell: a workflow, the version that will run, and the node that takes the failure."""

    workflow_id: WorkflowId
    name: str
    version_id: VersionId
    node: NodeId
    is_paused: bool = False
    draft: Document | None = None


class Alerts:
    """Tells failures; one per store, called in the writer's thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def tell(self, work: UnitOfWork, failed: Sequence[Failed]) -> None:
        """Queue a run for everyone who is to be told of these failures, and note on the desk who that is."""
        listeners = work.triggers.list_all(WORKFLOW_FAILED)
        told: dict[Any, list[Mapping[str, Any]]] = {}
        for run, document, kept in failed:
            on_failure = document.settings.on_failure if document is not None else None
            if on_failure or listeners:
                notes = self._tell_one(work, run, kept, on_failure, listeners)
                if notes:
                    told[run.id] = notes
        if told:
            work.failures.note_alerts(told)

    def _tell_one(
        self,
        work: UnitOfWork,
        run: Run,
        kept: tuple[Failure, Cause],
        on_failure: str | None,
        listeners: Sequence[TriggerState],
    ) -> list[Mapping[str, Any]]:
        notes: list[Mapping[str, Any]] = []
        targets: dict[tuple[WorkflowId, NodeId], Target] = {}
        for state in listeners:
            if is_meant(state.fields, run):
                targets[state.workflow_id, state.node] = Target(
                    state.workflow_id, state.workflow_name, state.version_id, state.node, state.is_paused
                )
        if on_failure:
            try:
                target = find_target(work, on_failure)
            except TreadleError as error:
                notes.append({"workflow": on_failure, "problem": error.message})
            else:
                targets.setdefault((target.workflow_id, target.node), target)
        if not targets:
            return notes
        chain, depth = came_from(work, run)
        for target in targets.values():
            if target.workflow_id in chain:
                notes.append({"workflow": target.name, "problem": "It is part of what failed, and is not told of it."})
            elif depth >= DEEPEST:
                notes.append({"workflow": target.name, "problem": f"Alerts about alerts end after {DEEPEST}."})
            else:
                notes.append(self._queue(work, run, kept, target))
        return notes

    def _queue(self, work: UnitOfWork, run: Run, kept: tuple[Failure, Cause], target: Target) -> Mapping[str, Any]:
        now = self._clock.now()
        payload = _encoded(failure_item(run, *kept))
        firing, is_new = work.firings.accept(
            Firing(
                id=FiringId(new_id(KIND, now)),
                workflow_id=target.workflow_id,
                version_id=target.version_id,
                node=target.node,
                key=f"failed {run.id}",
                payload=payload,
                accepted_at=now,
                state="held" if target.is_paused else "queued",
            )
        )
        if not is_new or target.is_paused:
            return {"workflow": target.name, "run": firing.run_id, "firing": firing.id}
        alert = Run(
            id=new_run_id(now),
            workflow_id=target.workflow_id,
            workflow_name=target.name,
            version_id=target.version_id,
            status=RunStatus.QUEUED,
            trigger=WORKFLOW_FAILED.removeprefix("trigger."),
            start_node=target.node,
            firing_id=firing.id,
            queued_at=now,
        )
        work.runs.add(alert, input=payload, document=target.draft)
        work.firings.mark_started(firing.id, alert.id)
        work.ring()
        return {"workflow": target.name, "run": alert.id}


def failure_item(run: Run, failure: Failure, cause: Cause) -> dict[str, Any]:
    """Return the item that an alert begins with."""
    error = dict(run.error or {})
    return {
        "run": run.id,
        "workflow": run.workflow_name,
        "workflow_id": run.workflow_id,
        "trigger": run.trigger,
        "step": failure.node,
        "error": error,
        "message": str(error.get("message") or ""),
        "group": failure.group_id,
        "cause": cause.message,
        "replay_of": run.retry_of,
        "queued_at": run.queued_at.isoformat(),
        "failed_at": failure.at.isoformat(),
        "link": f"/runs/{run.id}",
    }


def _encoded(item: dict[str, Any]) -> bytes:
    """Write the item down; an error that holds what JSON cannot is told in words alone, for an alert must not fail on it."""
    try:
        return encode_batch([item])
    except TreadleError:
        error = {key: _plain(item["error"].get(key)) for key in ("code", "message", "hint")}
        return encode_batch([{**{key: _plain(value) for key, value in item.items()}, "error": error}])


def _plain(value: Any) -> str | None:
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def is_meant(fields: Mapping[str, Any], run: Run) -> bool:
    """Tell whether a `trigger.workflow_failed` with these fields wants to know of a run: of any workflow, or of those named."""
    named = fields.get("workflows") or ()
    names: Iterable[Any] = [named] if isinstance(named, str) else named
    wanted = [str(name) for name in names if name]
    return not wanted or run.workflow_name in wanted or (run.workflow_id or "") in wanted


def find_target(work: UnitOfWork, name: str) -> Target:
    """
    Return the workflow that `settings.on_failure` names, and where a failure comes in.

    Its active version runs, else its newest one, else its draft. Raises a `TreadleError` that says why it cannot be told.
    """
    workflow = work.workflows.find_by_name(name)
    if workflow is None:
        raise NotFound("workflow", name)
    draft: Document | None = None
    if workflow.active_version is not None:
        version_id, document = workflow.active_version, work.workflows.get_version(workflow.active_version).document
    elif newest := work.workflows.list_versions(workflow.id, limit=1):
        version_id, document = newest[0].id, newest[0].document
    else:
        draft = document = read_document(workflow.draft)
        version_id = document_hash(document)
    return Target(workflow.id, workflow.name, version_id, entrance(document), draft=draft)


def entrance(document: Document) -> NodeId:
    """Return the node of a document that takes what somebody hands to the workflow; raises `NotFound`."""
    nodes = [node for node in document.nodes.values() if not node.disabled]
    for use in (WORKFLOW_FAILED, "trigger.call", "trigger.manual"):
        for node in nodes:
            if node.use == use:
                return node.id
    raise NotFound(
        "trigger",
        "workflow failed",
        hint=f"Give “{document.name}” the trigger “When a workflow fails” or a manual start.",
    )


def came_from(work: UnitOfWork, run: Run) -> tuple[set[WorkflowId], int]:
    """
    Return the workflows that led to a run, its own included, and how many alerts stand between them.

    From a run the way back leads to the run it repeats, else to the one that called it, and from an alert to the failure that
    it tells of.
    """
    chain: set[WorkflowId] = set()
    depth = 0
    at: Run | None = run
    for _ in range(FARTHEST):
        if at is None:
            break
        if at.workflow_id is not None:
            chain.add(at.workflow_id)
        before = at.retry_of or at.parent_run_id
        if before is None and at.firing_id is not None and at.firing_id.startswith(f"{KIND}_"):
            depth += 1
            before = _told_of(work, at.firing_id)
        at = _find(work, before) if before is not None else None
    return chain, depth


def _told_of(work: UnitOfWork, firing_id: FiringId) -> Any:
    try:
        return work.firings.get(firing_id).key.removeprefix("failed ")
    except NotFound:
        return None


def _find(work: UnitOfWork, run_id: Any) -> Run | None:
    try:
        return work.runs.get(run_id)
    except NotFound:
        return None
