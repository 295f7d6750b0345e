"""
Which outputs of earlier runs still hold for a draft, and why the others do not: the ground of testing parts of a workflow.

What a step gave counts as fresh while it is the same step (its kind, fields, connection) and the same data arrives at it, by
content and not by when it was made. A step whose fields look back with `nodes` depends on all that stands before it, on
where each item came from too. What the hash stands over is what the store has already; a run pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Literal

import orjson

from engine.errors import NotFound
from engine.ids import NodeId, RunId, WorkflowId
from engine.model.items import Batch, Output
from engine.model.run import FactKind
from engine.model.workflow import Document, Node
from engine.protocols import RunFilter, UnitOfWork
from engine.steps.catalog import Catalog

from .fork import definition
from .payloads import Payload, Reference, StoredOutputs, encode_outputs, show

RUNS_TO_SEARCH: Final = 10
Pins = Mapping[NodeId, Mapping[str, Batch]]
"""The outputs that stand in for those of a step in tests, by node and port."""

State = Literal["fresh", "stale", "pinned"]
Reason = Literal["same", "pinned", "never_ran", "changed", "input_changed", "effect_done"]
"""`same` step and data; `changed`: the step; `input_changed`: what arrives; `effect_done`: fresh, and not repeated unasked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    Whether what a step gave still holds, and why.

    `has_changed_outside` says that the step writes and did so in a run that was looked at: it is not repeated without being
    asked for. `run_id` and `seq` name the outputs that are taken (of a stale step: the newest it gave).
    """

    state: State
    reason: Reason
    run_id: RunId | None = None
    seq: int | None = None
    has_changed_outside: bool = False


class _PastRun:
    """What one run left behind, opened as far as somebody asks."""

    def __init__(self, work: UnitOfWork, run_id: RunId, document: Document) -> None:
        self.id, self.document = run_id, document
        self._work = work
        facts = [fact for fact in work.runs.facts(run_id) if not fact.scope]
        self.is_dry = any(fact.kind is FactKind.FORKED and fact.summary.get("dry") for fact in facts)
        done = (FactKind.STEP_SUCCEEDED,)
        self.seqs = {
            fact.node: fact.seq
            for fact in facts
            if fact.kind in done and "ends" not in fact.summary and not fact.summary.get("pinned")
        }
        self._outputs: dict[NodeId, StoredOutputs] = {}
        self._digests: dict[tuple[NodeId, str], bytes] = {}

    def outputs(self, node: NodeId) -> Mapping[str, Output]:
        """Return what left a node; nothing where it did not get its work done."""
        if node not in self.seqs:
            return {}
        if node not in self._outputs:
            data = self._work.runs.payload(self.id, self.seqs[node])
            if data is None:
                return {}
            self._outputs[node] = StoredOutputs(Payload(data), self._follow)
        return self._outputs[node]

    def _follow(self, reference: Reference) -> Batch:
        return self.outputs(reference[0])[reference[1]].items

    def digest(self, node: NodeId, port: str) -> bytes:
        """Return the hash of the items that left a node by a port."""
        key = (node, port)
        if key not in self._digests:
            output = self.outputs(node).get(port)
            self._digests[key] = digest_of(output.items if output is not None else [])
        return self._digests[key]


def digest_of(items: Batch) -> bytes:
    """Return the hash of a batch by content."""
    return blake2b(orjson.dumps([show(item) for item in items]), digest_size=16).digest()


class Reuse:
    """
    One look at a draft, the runs before it and the pins; `standings` tells about each node, in the order of the document.

    `output_digest` and the rest are worked out once; nothing is kept between two looks.
    """

    def __init__(self, work: UnitOfWork, workflow_id: WorkflowId, document: Document, catalog: Catalog, pins: Pins) -> None:
        self.document, self.pins = document, {node: ports for node, ports in pins.items() if node in document.nodes}
        self._catalog = catalog
        self.sources: dict[NodeId, list[tuple[str, NodeId, str]]] = {node: [] for node in document.nodes}
        for edge in document.edges:
            if edge.target in self.sources and edge.source in self.sources:
                self.sources[edge.target].append((edge.target_port, edge.source, edge.source_port))
        self.runs = _past_runs(work, workflow_id)
        self.standings: dict[NodeId, Standing] = {}
        for node in self._in_order():
            self.standings[node] = self._stand(document.nodes[node])

    def run(self, run_id: RunId) -> _PastRun:
        """Return one of the runs that were looked at."""
        return next(run for run in self.runs if run.id == run_id)

    def payload(self, node: NodeId) -> bytes:
        """Return what a node gave, written down so that it refers to nothing else."""
        if node in self.pins:
            return encode_outputs({port: Output(list(items)) for port, items in self.pins[node].items()})[0]
        standing = self.standings[node]
        assert standing.run_id is not None
        outputs = self.run(standing.run_id).outputs(node)
        return encode_outputs({port: Output(list(output.items), output.origins) for port, output in outputs.items()})[0]

    def counts(self, node: NodeId) -> dict[str, int]:
        """Return how many items a node gave by port."""
        if node in self.pins:
            return {port: len(items) for port, items in self.pins[node].items()}
        standing = self.standings[node]
        assert standing.run_id is not None
        return {port: len(output.items) for port, output in self.run(standing.run_id).outputs(node).items()}

    def writes(self, node: NodeId) -> bool:
        """Whether the step changes something outside."""
        known = self.document.nodes[node]
        spec = self._catalog.find(known.use)
        return spec is not None and not known.disabled and spec.effect_of(known.fields) in ("write", "destroy")

    def before(self, node: NodeId) -> set[NodeId]:
        """Return every node that a line leads from to this one."""
        seen: set[NodeId] = set()
        todo = [node]
        while todo:
            for _, source, _ in self.sources[todo.pop()]:
                if source not in seen:
                    seen.add(source)
                    todo.append(source)
        return seen

    def _in_order(self) -> list[NodeId]:
        """Return the nodes, each behind those that lead to it; those of a circle come last, in the document's order."""
        order: list[NodeId] = []
        placed: set[NodeId] = set()
        left = list(self.document.nodes)
        while left:
            ready = [node for node in left if all(source in placed for _, source, _ in self.sources[node])] or left
            order += ready
            placed.update(ready)
            left = [node for node in left if node not in placed]
        return order

    def _stand(self, node: Node) -> Standing:
        if node.id in self.pins:
            return Standing(state="pinned", reason="pinned")
        having = [run for run in self.runs if node.id in run.seqs]
        if not having:
            return Standing(state="stale", reason="never_ran")
        newest = having[0]
        did = self.writes(node.id)
        stale = {"state": "stale", "run_id": newest.id, "seq": newest.seqs[node.id], "has_changed_outside": did}
        same = [run for run in having if self._is_same(node, run)]
        if not same:
            return Standing(reason="changed", **stale)  # type: ignore[arg-type]
        if all(self.standings[source].state != "stale" for _, source, _ in self.sources[node.id] if source in self.standings):
            wanted = self._key(node, None)
            for run in same:
                if self._key(node, run) == wanted:
                    return Standing(
                        state="fresh",
                        reason="effect_done" if did else "same",
                        run_id=run.id,
                        seq=run.seqs[node.id],
                        has_changed_outside=did,
                    )
        return Standing(reason="input_changed", **stale)  # type: ignore[arg-type]

    def _is_same(self, node: Node, run: _PastRun) -> bool:
        known = run.document.nodes.get(node.id)
        is_here = run.document.settings.timezone == self.document.settings.timezone
        return known is not None and is_here and definition(known) == definition(node)

    def _key(self, node: Node, run: _PastRun | None) -> bytes:
        """Return the hash of what arrives at a node: in the draft as it stands (run None), or as it was in a run."""
        hashed = blake2b(digest_size=16)
        sources = self.sources[node.id] if run is None else _sources(run.document, node.id)
        for port, source, port_out in sources:
            hashed.update(port.encode() + b"\0" + self._digest(source, port_out, run))
        if _looks_back(node.fields):
            before = self.before(node.id) if run is None else _before(run.document, node.id)
            for source in sorted(before):
                hashed.update(source.encode() + b"\0" + self._whole(source, run))
        return hashed.digest()

    def _digest(self, node: NodeId, port: str, run: _PastRun | None) -> bytes:
        if run is not None:
            return run.digest(node, port)
        if node in self.pins:
            return digest_of(list(self.pins[node].get(port, [])))
        standing = self.standings[node]
        return self.run(standing.run_id).digest(node, port) if standing.run_id is not None else digest_of([])

    def _whole(self, node: NodeId, run: _PastRun | None) -> bytes:
        """Return the hash of all that left a node, and of where it came from."""
        if run is None and node in self.pins:
            return digest_of([{port: list(items)} for port, items in sorted(self.pins[node].items())])
        if run is None:
            run_id = self.standings[node].run_id
            run = self.run(run_id) if run_id is not None else None
        hashed = blake2b(digest_size=16)
        for port, output in sorted(run.outputs(node).items()) if run is not None else ():
            hashed.update(port.encode() + b"\0" + run.digest(node, port) if run is not None else b"")
            for port_in, origins in sorted(output.origins.items()):
                came_from = [origins[index] for index in range(len(output.items))] if isinstance(origins, Sequence) else []
                plain = [list(one) if isinstance(one, Sequence) else one for one in came_from]
                hashed.update(port_in.encode() + b"\0" + repr(plain).encode())
        return hashed.digest()


def _past_runs(work: UnitOfWork, workflow_id: WorkflowId) -> list[_PastRun]:
    found = []
    for run in work.runs.list_page(RunFilter(workflow_id=workflow_id, limit=RUNS_TO_SEARCH)):
        try:
            past = _PastRun(work, run.id, work.runs.get_document(run.id))
        except NotFound:
            continue  # its version is gone
        if not past.is_dry:
            found.append(past)
    return found


def _sources(document: Document, node: NodeId) -> list[tuple[str, NodeId, str]]:
    return [(edge.target_port, edge.source, edge.source_port) for edge in document.edges if edge.target == node]


def _before(document: Document, node: NodeId) -> set[NodeId]:
    seen: set[NodeId] = set()
    todo = [node]
    while todo:
        for _, source, _ in _sources(document, todo.pop()):
            if source not in seen:
                seen.add(source)
                todo.append(source)
    return seen


def _looks_back(value: Any) -> bool:
    """Whether a field mentions `nodes`, in an expression or by chance; where it is by chance, the hash is only stricter."""
    if isinstance(value, str):
        return "nodes" in value
    if isinstance(value, Mapping):
        return any(_looks_back(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(_looks_back(inner) for inner in value)
