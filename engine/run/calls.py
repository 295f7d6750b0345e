"""
Child runs: one workflow calls another.

All children of one call are queued in one transaction, under ids made from the call itself, so a call that is made again after
a crash finds them and makes none. The end of the last one wakes the caller in the transaction that ends it
(`engine.store.children`); a caller that ends early takes its children with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.clock import Clock
from engine.errors import BadInput, Conflict, NotFound, StepError
from engine.ids import NodeId, RunId, VersionId
from engine.model.codec import document_hash, read_document
from engine.model.graph import Graph
from engine.model.items import Batch
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document, Workflow
from engine.protocols import Store, UnitOfWork
from engine.steps.contract import ChildResult

from .payloads import Payload, Reference, encode_batch

DEEPEST: Final = 20
"""How many calls may lie inside one another."""

MOST: Final = 100_000
"""How many children one call may have."""

ENTRANCES: Final = ("trigger.call", "trigger.manual", "trigger.workflow_failed")
RETURN: Final = "flow.return"

KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "any": lambda value: True,
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
"""What a field that a workflow declares can be; with a question mark behind it, it may be missing or null."""


class ChildFailed(StepError):
    """A workflow that was called failed or was cancelled; `where` names its run."""

    code = "child_failed"


@dataclass(frozen=True, slots=True)
class StepCalls:
    """Implements `engine.steps.contract.ChildRuns` for one step of one run; `key` names the call within its run."""

    store: Store
    clock: Clock
    run: Run
    key: str

    async def start(self, workflow: str, batches: Sequence[Batch], *, waits: bool, concurrency: int | None = None) -> None:
        """
        Queue a child for each batch; those that are there already stay as they are.

        Raises `BadInput` for a workflow that cannot be called or items it does not take.
        """
        if len(batches) > MOST:
            raise BadInput("workflow", f"One call starts up to {MOST:,} runs; this would be {len(batches):,}.")
        await self.store.write(lambda work: self._start(work, workflow, batches, waits, concurrency))

    async def results(self) -> list[ChildResult]:
        """Return what became of the children, in the order of their batches."""
        return await self.store.read(lambda work: children_results(work, self.run.id, self.key))

    def _start(self, work: UnitOfWork, name: str, batches: Sequence[Batch], waits: bool, concurrency: int | None) -> None:
        parent = work.runs.get(self.run.id)
        if parent.status.is_final or parent.epoch != self.run.epoch:
            raise Conflict(f"The run {parent.id} is over, or somebody else's; it calls nobody.")
        ids = [child_id(parent.id, self.key, index) for index in range(len(batches))]
        if not ids or work.runs.has(ids[0]):
            return
        check_depth(work, parent)
        workflow, version_id, document, is_draft = find_callee(work, name, is_test=parent.is_test)
        start, fields = entrance(document)
        for index, batch in enumerate(batches):
            check_items(fields, batch, workflow.name, index if len(batches) > 1 else 0)
        now = self.clock.now()
        most = concurrency if waits and concurrency else len(ids)
        children = [
            Run(
                id=run_id,
                workflow_id=workflow.id,
                workflow_name=workflow.name,
                version_id=version_id,
                status=RunStatus.QUEUED if index < most else RunStatus.WAITING,
                trigger="call",
                start_node=start,
                is_test=parent.is_test,
                queued_at=now,
                parent_run_id=parent.id,
                parent_step=self.key if waits else None,
            )
            for index, run_id in enumerate(ids)
        ]
        inputs = [encode_batch(batch) for batch in batches]
        work.runs.add_all(list(zip(children, inputs, strict=True)), document=document if is_draft else None)
        work.ring()


def child_id(parent: RunId, key: str, index: int) -> RunId:
    """Return the id of the child with that number: the same whenever the call is made, and no other call's."""
    call = hashlib.sha256(f"{parent} {key}".encode()).hexdigest()[:16]
    return RunId(f"{parent[:16]}{call}{index:06x}")


def number_of_child(child: RunId) -> int:
    """Return the number that `child_id` made the id from."""
    return int(child[-6:], 16)


def find_callee(work: UnitOfWork, name: str, *, is_test: bool) -> tuple[Workflow, VersionId, Document, bool]:
    """
    Return the workflow that a call names, and what of it runs: the draft in a test, else the active version, else the newest
    one, else the draft; the last says that it is a draft. Raises `BadInput`.
    """
    workflow = work.workflows.find_by_name(name)
    if workflow is None:
        raise BadInput("workflow", f"There is no workflow “{name}”.", hint="Write the name as the list of workflows does.")
    version_id = None if is_test else workflow.active_version
    if version_id is None and not is_test:
        newest = work.workflows.list_versions(workflow.id, limit=1)
        version_id = newest[0].id if newest else None
    if version_id is not None:
        return workflow, version_id, work.workflows.get_version(version_id).document, False
    document = read_document(workflow.draft)
    return workflow, document_hash(document), document, True


def entrance(document: Document) -> tuple[NodeId, Mapping[str, str]]:
    """Return the node that takes what a caller hands over, and the fields it declares. Raises `BadInput`."""
    for use in ENTRANCES:
        for node in document.nodes.values():
            if node.use == use and not node.disabled:
                fields = node.fields.get("input") if use == "trigger.call" else None
                return node.id, fields if isinstance(fields, Mapping) else {}
    raise BadInput(
        "workflow",
        f"“{document.name}” cannot be called: nothing in it takes what a caller hands over.",
        hint="Give it the trigger “When called by a workflow”, or a manual start.",
    )


def check_items(fields: Mapping[str, str], batch: Batch, workflow: str, first: int = 0) -> None:
    """Raise `BadInput` for the first item that lacks a field which the called workflow declares, or has another kind there."""
    for name, declared in fields.items():
        kind = str(declared).strip()
        is_optional = kind.endswith("?")
        fits = KINDS.get(kind.removesuffix("?").strip() or "any")
        if fits is None:
            raise BadInput("workflow", f"“{workflow}” declares “{name}” as “{kind}”.", hint=f"Kinds are {', '.join(KINDS)}.")
        for index, item in enumerate(batch, first):
            value = item.get(name)
            if value is None and (is_optional or (kind == "any" and name in item)):
                continue
            if value is None or not fits(value):
                found = "is missing" if value is None else f"is {_kind_of(value)}"
                raise BadInput(
                    name,
                    f"“{workflow}” wants “{name}” as {kind.removesuffix('?')}; in item {index} it {found}.",
                    hint="Set the field before the call, or change what the called workflow declares.",
                )


def check_depth(work: UnitOfWork, parent: Run) -> None:
    """Raise `BadInput` when a call from this run would lie too deep."""
    names = [parent.workflow_name]
    at: Run | None = parent
    while at is not None and at.parent_run_id is not None:
        try:
            at = work.runs.get(at.parent_run_id)
        except NotFound:
            break
        names.append(at.workflow_name)
        if len(names) >= DEEPEST:
            way = " → ".join(reversed(names[:4]))
            raise BadInput("workflow", f"Calls lie more than {DEEPEST} deep: … {way}.", hint="Does a workflow call itself?")


def children_results(work: UnitOfWork, parent: RunId, key: str) -> list[ChildResult]:
    """Return what became of the children of one call, in order."""
    documents: dict[VersionId, Document] = {}
    found = []
    for run in work.runs.list_children(parent, step=key, limit=MOST):
        items: Batch = []
        if run.status is RunStatus.SUCCEEDED:
            if run.version_id not in documents:
                documents[run.version_id] = work.runs.get_document(run.id)
            items = last_items(documents[run.version_id], work.runs.facts(run.id, with_payload=True))
        found.append(ChildResult(run_id=run.id, workflow=run.workflow_name, error=error_of(run), items=items))
    return found


def error_of(run: Run) -> ChildFailed | None:
    """Return how the failure of a child looks to its caller."""
    if run.status is RunStatus.SUCCEEDED:
        return None
    error = dict(run.error or {})
    said = str(error.get("message") or f"it is {run.status.value}.")
    cause = {name: error.get(name) for name in ("code", "where") if error.get(name)}
    where: dict[str, object] = {"run": run.id, "workflow": run.workflow_name, **({"cause": cause} if cause else {})}
    inner = error.get("where")
    if isinstance(inner, Mapping) and isinstance(inner.get("status"), int):
        where["status"] = inner["status"]
    return ChildFailed(f"“{run.workflow_name}” failed: {said}", hint=error.get("hint"), where=where)


def last_items(document: Document, facts: Sequence[Fact]) -> Batch:
    """Return what a run gave: what came to its `flow.return` steps, else what left the nodes that nothing follows."""
    payloads = _payloads(facts)
    items: Batch = []
    for node, port in _last_ports(document, payloads):
        items += _items_at(payloads, node, port)
    return items


def last_counts(document: Document, facts: Sequence[Fact]) -> list[tuple[NodeId, str, int]]:
    """Return the nodes and ports by which `last_items` left, in its order, each with how many."""
    payloads = _payloads(facts)
    return [(node, port, payloads[node].counts[port]) for node, port in _last_ports(document, payloads)]


def _payloads(facts: Sequence[Fact]) -> dict[NodeId, Payload]:
    return {
        fact.node: Payload(fact.payload) for fact in facts if fact.kind is FactKind.STEP_SUCCEEDED and fact.payload is not None
    }


def _last_ports(document: Document, payloads: Mapping[NodeId, Payload]) -> list[Reference]:
    graph = Graph.of(document)
    returns = [node.id for node in document.nodes.values() if node.use == RETURN and node.id in payloads]
    last = returns or [name for name in graph.order if name in payloads and not graph.out_of(name)]
    return [(node, port) for node in last for port in payloads[node].ports]


def _items_at(payloads: Mapping[NodeId, Payload], node: NodeId, port: str) -> Batch:
    reference = payloads[node].reference(port)
    while reference is not None:
        node, port = reference
        reference = payloads[node].reference(port)
    return payloads[node].items(port)


def _kind_of(value: Any) -> str:
    return next((name for name in ("text", "boolean", "integer", "number", "list", "object") if KINDS[name](value)), "else")
