"""Reads for the screen: steps folded from a journal, and pages of the data at every port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from engine.errors import NotFound
from engine.ids import NodeId, RunId
from engine.model.frames import FRAME_STEPS, last_nodes, regions_of
from engine.model.graph import Graph
from engine.model.items import Batch
from engine.model.run import Fact, FactKind, PortSummary, Run, RunStatus, Step, StepStatus
from engine.model.workflow import DEFAULT_OUT, Document, Edge
from engine.protocols import UnitOfWork
from engine.run.payloads import Payload, decode_batch

_SETTLED = {
    FactKind.STEP_SUCCEEDED: StepStatus.SUCCEEDED,
    FactKind.STEP_FAILED: StepStatus.FAILED,
    FactKind.STEP_SKIPPED: StepStatus.SKIPPED,
    FactKind.STEP_CANCELLED: StepStatus.CANCELLED,
    FactKind.SCOPE_DONE: StepStatus.SUCCEEDED,
    FactKind.SCOPE_FAILED: StepStatus.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPage:
    """Some of the items at a port; `total` counts all of them. Items are as the run has them, file handles included."""

    items: Batch
    total: int
    offset: int = 0


def fold_steps(facts: Iterable[Fact]) -> list[Step]:
    """Return the steps that a journal tells of, in the order they began."""
    steps: dict[tuple[NodeId, str], Step] = {}
    for fact in facts:
        if fact.kind is FactKind.FORKED:
            continue
        key = (fact.node, fact.scope)
        step = steps.get(key) or Step(run_id=fact.run_id, node=fact.node, scope=fact.scope, status=StepStatus.RUNNING)
        steps[key] = _fold(step, fact)
    return list(steps.values())


def _fold(step: Step, fact: Fact) -> Step:
    summary = fact.summary
    match fact.kind:
        case FactKind.STEP_STARTED:
            return replace(
                step, status=StepStatus.RUNNING, attempts=fact.attempt, started_at=step.started_at or fact.at, retry_at=None
            )
        case FactKind.STEP_RETRYING:
            return replace(
                step,
                status=StepStatus.WAITING,
                attempts=fact.attempt,
                started_at=step.started_at or fact.at,
                error=summary.get("error"),
                retry_at=datetime.fromisoformat(summary["retry_at"]),
            )
        case FactKind.STEP_WAITING:
            began = step.started_at or fact.at
            return replace(step, status=StepStatus.WAITING, started_at=began, retry_at=None, waits_for=waits_for(summary))
        case FactKind.STEP_WOKEN:
            return replace(step, status=StepStatus.RUNNING, waits_for=None)
        case FactKind.LOGGED:
            return replace(step, log=(*step.log, {"at": fact.at, **summary}), started_at=step.started_at or fact.at)
        case kind if kind not in _SETTLED:
            return step
    took = timedelta(milliseconds=float(summary.get("ms", 0)))
    return replace(
        step,
        status=_SETTLED[fact.kind],
        attempts=fact.attempt,
        started_at=step.started_at or fact.at - took,
        finished_at=fact.at,
        items_in=int(summary.get("in", 0)),
        ports={port: PortSummary(count=count) for port, count in summary.get("ports", {}).items()},
        ignored=int(summary.get("ignored", 0)),
        error=summary.get("error"),
        retry_at=None,
        waits_for=None,
    )


def waits_for(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a step waits for, in one form, of the summary of its fact."""
    empty: dict[str, Any] = {"kind": "timer", "due_at": None, "name": "", "key": "", "details": {}}
    return {name: summary.get(name, default) for name, default in empty.items()}


def settle_open(steps: list[Step], run: Run) -> list[Step]:
    """Return the steps of a run that is over with none of them left as running or waiting."""
    if not run.status.is_final:
        return steps
    over = StepStatus.CANCELLED if run.status is RunStatus.CANCELLED else StepStatus.FAILED
    return [
        replace(step, status=over, finished_at=step.finished_at or run.finished_at, retry_at=None, waits_for=None)
        if step.status in {StepStatus.RUNNING, StepStatus.WAITING}
        else step
        for step in steps
    ]


class RunData:
    """
    The data of one run, read page by page; payloads are opened once and only when they are asked for.

    `scope` names the pass of a frame; where it is None, the last pass that has data of the node is meant.
    """

    def __init__(self, work: UnitOfWork, run_id: RunId, document: Document) -> None:
        self._work, self._run_id, self._document, self._graph = work, run_id, document, Graph.of(document)
        self._regions = regions_of(document)
        self._seqs: dict[tuple[NodeId, str], int] = {}
        self._last: dict[NodeId, str] = {}
        self._sizes: dict[tuple[NodeId, str], int | None] = {}
        for fact in work.runs.facts(run_id):
            if fact.kind in (FactKind.STEP_SUCCEEDED, FactKind.SCOPE_DONE):
                self._seqs[fact.node, fact.scope] = fact.seq
                if fact.kind is FactKind.STEP_SUCCEEDED:
                    self._last[fact.node] = fact.scope
            elif fact.kind is FactKind.STEP_STARTED and "size" in fact.summary:
                self._sizes[fact.node, fact.scope] = fact.summary["size"]
        self._payloads: dict[tuple[NodeId, str], Payload | None] = {}

    def output(
        self, node: NodeId, port: str, offset: int = 0, limit: int | None = None, *, scope: str | None = None
    ) -> DataPage:
        """
        Return what left a node by a port; an empty page where nothing did.

        With the scope of a pass and the node of its frame, the port `next` is what came back from that pass.
        """
        scope = self._last.get(node, "") if scope is None else scope
        payload = self._payload(node, scope)
        if payload is None or port not in payload.ports:
            return DataPage(items=[], total=0, offset=offset)
        total = payload.counts[port]
        reference = payload.reference(port)
        if reference is not None:
            return replace(self.output(reference[0], reference[1], offset, limit, scope=scope), total=total)
        return DataPage(items=payload.items(port, offset, limit), total=total, offset=offset)

    def input(
        self, node: NodeId, port: str, offset: int = 0, limit: int | None = None, *, scope: str | None = None
    ) -> DataPage:
        """Return what arrived at a port, joined in edge order; for the node the run started at, what it began with."""
        if node == self._work.runs.get(self._run_id).start_node:
            given = decode_batch(self._work.runs.get_input(self._run_id))
            end = None if limit is None else offset + limit
            return DataPage(items=given[offset:end], total=len(given), offset=offset)
        scope = self._last.get(node, "") if scope is None else scope
        items: Batch = []
        total = 0
        for edge in self._graph.into(node):
            if edge.target_port != port or edge in self._regions.back_edges:
                continue
            count = self._count(edge, scope)
            first = max(0, offset - total)
            wanted = None if limit is None else limit - len(items)
            if count and first < count and (wanted is None or wanted > 0):
                items += self._along(edge, scope, first, wanted).items
            total += count
        return DataPage(items=items, total=total, offset=offset)

    def given(self, scope: str, offset: int = 0, limit: int | None = None) -> DataPage:
        """Return what the frame of a pass gave it."""
        outer, _, last = scope.rpartition("/")
        name, _, text = last.rpartition(":")
        node, number = NodeId(name), int(text)
        size = self._sizes.get((node, outer), 0)
        if size is None and number:
            return self.output(node, "next", offset, limit, scope=f"{scope[: -len(text)]}{number - 1}")
        came = self.input(node, "in", 0, None, scope=outer).items
        mine = came[number * size : (number + 1) * size] if size else came
        end = None if limit is None else offset + limit
        return DataPage(items=mine[offset:end], total=len(mine), offset=offset)

    def has_output(self, node: NodeId) -> bool:
        """Tell whether the node got its work done in this run."""
        return node in self._last

    def last_outputs(self) -> Mapping[str, Mapping[str, Batch]]:
        """Return everything that left the nodes that nothing follows."""
        outputs: dict[str, dict[str, Batch]] = {}
        for node in last_nodes(self._document):
            if node in self._last:
                payload = self._payload(node, "")
                ports = payload.ports if payload else (DEFAULT_OUT,)
                outputs[node] = {port: self.output(node, port).items for port in ports}
        return outputs

    def _is_given(self, edge: Edge) -> bool:
        shape = FRAME_STEPS.get(self._document.nodes[edge.source].use)
        return shape is not None and edge.source_port == shape.body

    def _along(self, edge: Edge, scope: str, offset: int, limit: int | None) -> DataPage:
        """Return what came along a line, within a scope."""
        if self._is_given(edge):
            return self.given(scope, offset, limit) if scope else DataPage(items=[], total=0, offset=offset)
        return self.output(edge.source, edge.source_port, offset, limit, scope=scope)

    def _count(self, edge: Edge, scope: str) -> int:
        if self._is_given(edge):
            return self._along(edge, scope, 0, 0).total
        payload = self._payload(edge.source, scope)
        return payload.counts.get(edge.source_port, 0) if payload else 0

    def _payload(self, node: NodeId, scope: str) -> Payload | None:
        key = (node, scope)
        if key not in self._payloads:
            data = self._work.runs.payload(self._run_id, self._seqs[key]) if key in self._seqs else None
            self._payloads[key] = Payload(data) if data else None
        return self._payloads[key]


def node_of(document: Document, node: str) -> NodeId:
    """Return the node's id; raises `NotFound` when the document has no such node."""
    node_id = NodeId(node)
    if node_id not in document.nodes:
        raise NotFound("node", node, hint=f"The nodes are: {', '.join(document.nodes)}.")
    return node_id


def finished_form(run: Run, outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a run as the command line and the API tell it."""

    def moment(value: datetime | None) -> str | None:
        return value.isoformat().replace("+00:00", "Z") if value else None

    return {
        "id": run.id,
        "workflow": run.workflow_name,
        "version": run.version_id,
        "status": run.status.value,
        "trigger": run.trigger,
        "queued_at": moment(run.queued_at),
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "error": run.error,
        "outputs": outputs,
    }
