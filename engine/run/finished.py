"""What is left of a run in the store: the batches of its steps page by page, where items came from, and its final result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.errors import NotFound
from engine.ids import NodeId, RunId
from engine.model.items import Batch, Outputs
from engine.model.run import FactKind, Run
from engine.model.workflow import Document
from engine.protocols import Store, UnitOfWork
from engine.steps.catalog import Catalog

from .lineage import Hop, Lineage
from .payloads import Payload, Reference, StoredOutputs, show
from .planner import compile_plan


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a batch, and how long the whole batch is."""

    items: Batch
    total: int


class StoredSteps(Mapping[NodeId, Outputs]):
    """
    The outputs of the steps of one run, read from the store as they are asked for; lives as long as its unit of work.

    A step that did not succeed has none.
    """

    def __init__(self, work: UnitOfWork, run_id: RunId) -> None:
        self._work, self._run_id = work, run_id
        self._seqs = {
            fact.node: fact.seq for fact in work.runs.facts(run_id) if fact.kind is FactKind.STEP_SUCCEEDED and not fact.scope
        }
        self._payloads: dict[NodeId, Payload] = {}
        self._outputs: dict[NodeId, Outputs] = {}

    def __getitem__(self, node: NodeId) -> Outputs:
        if (known := self._outputs.get(node)) is None:
            payload = self.payload(node)
            known = self._outputs[node] = {} if payload is None else StoredOutputs(payload, self._follow)
        return known

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._seqs)

    def __len__(self) -> int:
        return len(self._seqs)

    def payload(self, node: NodeId) -> Payload | None:
        """Return a step's payload with nothing of it decoded; raises `KeyError` when the step did not succeed."""
        if (known := self._payloads.get(node)) is not None:
            return known
        data = self._work.runs.payload(self._run_id, self._seqs[node])
        if data is None:
            return None
        payload = self._payloads[node] = Payload(data)
        return payload

    def page(self, node: NodeId, port: str, offset: int = 0, limit: int | None = None) -> Page:
        """Return part of the batch that left by a port, following it to the step that made it; empty when there is none."""
        payload = self.payload(node) if node in self._seqs else None
        if payload is None or port not in payload.counts:
            return Page([], 0)
        if (reference := payload.reference(port)) is not None:
            return self.page(*reference, offset, limit)
        return Page(payload.items(port, offset, limit), payload.counts[port])

    def _follow(self, reference: Reference) -> Batch:
        return self[reference[0]][reference[1]].items


def port_page(work: UnitOfWork, run_id: RunId, node: NodeId, port: str, *, offset: int = 0, limit: int | None = None) -> Page:
    """Return part of what left a step by a port, as plain JSON."""
    page = StoredSteps(work, run_id).page(node, port, offset, limit)
    return Page([show(item) for item in page.items], page.total)


def input_pages(
    work: UnitOfWork, run_id: RunId, document: Document, node: NodeId, *, offset: int = 0, limit: int = 50
) -> dict[str, Page]:
    """Return, by in-port, part of what arrived at a node, edges joined in their order, as plain JSON."""
    stored = StoredSteps(work, run_id)
    pages: dict[str, Page] = {}
    for edge in document.edges:
        if edge.target != node:
            continue
        before = pages.get(edge.target_port, Page([], 0))
        missing = limit - len(before.items)
        skip = max(0, offset - before.total)
        page = stored.page(edge.source, edge.source_port, skip, max(0, missing))
        pages[edge.target_port] = Page([*before.items, *map(show, page.items)], before.total + page.total)
    return pages


def trace(
    work: UnitOfWork, run_id: RunId, catalog: Catalog, node: NodeId, port: str, index: int, *, most: int = 1_000
) -> tuple[Hop, ...]:
    """
    Return the way back from one item of a finished or running step to where it came from (see `Lineage.trace`).

    Raises `NotFound` when the step has no such item.
    """
    plan = compile_plan(work.runs.get_document(run_id), catalog)
    stored = StoredSteps(work, run_id)
    if not 0 <= index < stored.page(node, port, 0, 0).total:
        raise NotFound("item", f"{node}.{port}[{index}]")
    return Lineage(plan, [stored.get(planned.id) for planned in plan.nodes]).trace(node, port, index, most=most)


async def finished_run(store: Store, run_id: RunId) -> dict[str, Any]:
    """
    Return a run as the command line and the API show it, with the outputs of the nodes that nothing follows.

    A run that is not over has the outputs it has so far. Raises `NotFound`.
    """
    return await store.read(lambda work: _finished(work, run_id))


def _finished(work: UnitOfWork, run_id: RunId) -> dict[str, Any]:
    run = work.runs.get(run_id)
    try:
        document = work.runs.get_document(run_id)
    except NotFound:
        return run_as_json(run, {})
    followed = {edge.source for edge in document.edges}
    stored = StoredSteps(work, run_id)
    outputs: dict[str, dict[str, Batch]] = {
        node: {port: [show(item) for item in stored[node][port].items] for port in stored[node]}
        for node in document.nodes
        if node in stored and node not in followed
    }
    return run_as_json(run, outputs)


def run_as_json(run: Run, outputs: Mapping[str, Mapping[str, Batch]]) -> dict[str, Any]:
    """Return the public form of a run."""
    return {
        "id": run.id,
        "workflow": run.workflow_name,
        "version": run.version_id,
        "status": run.status.value,
        "trigger": run.trigger,
        "queued_at": _moment(run.queued_at),
        "started_at": _moment(run.started_at),
        "finished_at": _moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "error": dict(run.error) if run.error is not None else None,
        "outputs": outputs,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
