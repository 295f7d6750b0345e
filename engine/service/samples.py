"""The data of the last run, laid under the draft as it is now: what previews and suggestions look at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from engine.ids import NodeId, RunId, WorkflowId
from engine.model.items import Batch, Output
from engine.model.run import Fact, FactKind, Run
from engine.model.workflow import Document
from engine.protocols import RunFilter, UnitOfWork
from engine.run.compiling import compile_flat
from engine.run.payloads import Payload, Reference, StoredOutputs
from engine.run.planner import Plan
from engine.run.progress import Progress
from engine.run.scope import NodesScope
from engine.steps.catalog import Catalog

RUNS_TO_SEARCH = 10
"""How many runs back a node's data is looked for."""

KEPT = 3 * RUNS_TO_SEARCH
KEPT_BYTES = 64 * 1024 * 1024
"""How much run data stays opened: more runs than one search looks at, as long as they are small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    What arrives at a node of the draft.

    `items` is the batch at its first in-port; `run_id` the run it is from, None when it is a trigger's sample. `plan` and
    `progress` hold the other nodes' outputs for `nodes.<id>`.
    """

    items: Batch
    run_id: RunId | None
    plan: Plan
    progress: Progress
    node: NodeId

    def nodes(self, index: int) -> NodesScope:
        """Return what `nodes` means for one of the items, found by real lineage."""
        planned = self.plan.node(self.node)
        return NodesScope(self.plan, self.progress, planned, planned.first_in, index, self.items)

    def before(self) -> list[NodeId]:
        """Return the nodes before this one that left data."""
        target = self.plan.node(self.node).index
        return [
            node.id for node in self.plan.nodes if self.progress.outputs[node.index] and self.plan.leads_to(node.index, target)
        ]

    def first_item(self, node: NodeId) -> Any:
        """Return the first item that left a node, None when it left none."""
        outputs = self.progress.outputs[self.plan.node(node).index] or {}
        return next((output.items[0] for output in outputs.values() if output.items), None)


class Samples:
    """Finds samples; the data of the last few runs stays opened, so that typing does not read it again and again."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[RunId, WorkflowId], tuple[Document, Plan, Progress, int]] = OrderedDict()

    def find(self, work: UnitOfWork, workflow_id: WorkflowId, document: Document, node_id: NodeId) -> Sample:
        """
        Return the data that the newest run with data brings to the node, else the sample of a trigger before it.

        Raises `NotFound` when the document has no such node, `InvalidDocument` while it goes in circles.
        """
        plan: Plan | None = None
        for run in work.runs.list_page(RunFilter(workflow_id=workflow_id, limit=RUNS_TO_SEARCH)):
            plan, progress = self._open(work, run, workflow_id, document)
            batches = progress.gather(plan.node(node_id))
            items = next((batch for batch in batches.values() if batch), [])
            if items:
                return Sample(items=items, run_id=run.id, plan=plan, progress=progress, node=node_id)
        plan = plan or compile_flat(document, self._catalog)
        progress = Progress(plan, plan.choose_start())
        for node in plan.nodes:
            if sample := _trigger_sample(node.node.fields.get("sample")):
                progress.outputs[node.index] = {node.first_out: Output(sample)}
        batches = progress.gather(plan.node(node_id))
        items = next((batch for batch in batches.values() if batch), [])
        if not items:
            target = plan.node(node_id).index
            ahead = (node for node in plan.nodes if progress.outputs[node.index] and plan.leads_to(node.index, target))
            items = next((output.items for node in ahead for output in (progress.outputs[node.index] or {}).values()), [])
        return Sample(items=items, run_id=None, plan=plan, progress=progress, node=node_id)

    def _open(self, work: UnitOfWork, run: Run, workflow_id: WorkflowId, document: Document) -> tuple[Plan, Progress]:
        key = (run.id, workflow_id)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == document:
                self._kept.move_to_end(key)
                return kept[1], kept[2]
        plan = compile_flat(document, self._catalog)
        progress = Progress(plan, None)
        facts = [fact for fact in work.runs.facts(run.id, with_payload=True) if fact.kind is FactKind.STEP_SUCCEEDED]
        outputs = stored_outputs(facts)
        for node_id, stored in outputs.items():
            if node_id in plan.index:
                progress.outputs[plan.index[node_id]] = stored
        for index in plan.order:
            node = plan.nodes[index]
            if node.spec is not None and (frame := node.spec.frame) is not None and frame.body:
                given = progress.gather(node).get(node.first_in, [])
                progress.outputs[index] = {**(progress.outputs[index] or {}), frame.body: Output(given)}
        if run.status.is_final:
            self._keep(key, (document, plan, progress, sum(len(fact.payload or b"") for fact in facts)))
        return plan, progress

    def _keep(self, key: tuple[RunId, WorkflowId], opened: tuple[Document, Plan, Progress, int]) -> None:
        with self._lock:  # readers are threads
            self._kept.pop(key, None)
            self._kept[key] = opened
            size = sum(kept[3] for kept in self._kept.values())
            while len(self._kept) > 1 and (size > KEPT_BYTES or len(self._kept) > KEPT):
                size -= self._kept.popitem(last=False)[1][3]


def stored_outputs(facts: list[Fact]) -> dict[NodeId, StoredOutputs]:
    """Return the outputs of the steps that succeeded, each decoded when it is asked for."""
    opened: dict[NodeId, StoredOutputs] = {}

    def follow(reference: Reference) -> Batch:
        return opened[reference[0]][reference[1]].items

    for fact in facts:
        if fact.payload is not None:
            opened[fact.node] = StoredOutputs(Payload(fact.payload), follow)
    return opened


def _trigger_sample(sample: Any) -> Batch:
    if isinstance(sample, dict):
        return [sample]
    return [item for item in sample if isinstance(item, dict)] if isinstance(sample, list) else []
