"""A test of a part of a workflow: which steps run, and which outputs of earlier runs (or pins) stand in for the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from engine.errors import Conflict, NotFound
from engine.ids import NodeId, RunId, WorkflowId, new_run_id
from engine.model.codec import document_hash
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import UnitOfWork
from engine.steps.catalog import Catalog

from .compiling import compile_plan
from .fork import EffectsToDecide, behind
from .forked import Forked
from .payloads import encode_batch
from .planner import sample_items
from .reuse import Pins, Reuse

Extent = Literal["all", "to", "only", "from"]
"""All of it; up to a step; that step alone; that step and all behind it."""
Consent = Literal["ask", "again", "dry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    What is to be tested. `node` names the step that `extent` speaks of.

    `effects` says what becomes of steps that have changed something outside already and would do so again: `ask` refuses and
    lists them, `again` does it, `dry` describes it (for these and all other changes outside).
    """

    extent: Extent = "all"
    node: NodeId | None = None
    effects: Consent = "ask"


def start_part(
    work: UnitOfWork,
    workflow_id: WorkflowId,
    document: Document,
    part: Part,
    catalog: Catalog,
    pins: Pins,
    *,
    now: datetime,
) -> tuple[Run, Document]:
    """
    Queue a test of a part, with the outputs it reuses, in this transaction; return the run and what it executes.

    Raises `NotFound` for a step that is not there, `EffectsToDecide`, and `Conflict` where a step before has given nothing yet.
    """
    if part.node is not None and part.node not in document.nodes:
        raise NotFound("node", part.node, hint=f"The nodes are: {', '.join(document.nodes)}.")
    reuse = Reuse(work, workflow_id, document, catalog, pins)
    runs, stands_in = _choose(reuse, part)
    if part.effects == "ask":
        _ask(reuse, runs)
    wanted = runs | stands_in
    inside = _enclosed(reuse, wanted)
    shown = _cut(document, inside)
    plan = compile_plan(shown, catalog)
    triggers = [node for node in stands_in if plan.node(node).is_trigger]
    start = triggers[0] if triggers else plan.choose_start()
    run = Run(
        id=new_run_id(now),
        workflow_id=workflow_id,
        workflow_name=document.name,
        version_id=document_hash(shown),
        status=RunStatus.QUEUED,
        trigger="manual",
        start_node=start,
        is_test=True,
        queued_at=now,
    )
    work.runs.add(run, input=encode_batch(sample_items(plan, start)), document=shown)
    facts = [_as_given(reuse, node, now) for node in shown.nodes if node in stands_in]
    facts += [_as_left_out(node, now) for node in shown.nodes if node not in wanted]
    facts = [replace(fact, run_id=run.id, seq=seq) for seq, fact in enumerate(facts)]
    base = next((standing.run_id for node in stands_in if (standing := reuse.standings[node]).run_id), None)
    forked = Forked(of=base or RunId(""), is_dry=part.effects == "dry")
    work.runs.add_facts([*facts, forked.as_fact(run.id, len(facts), now)])
    return run, shown


def _choose(reuse: Reuse, part: Part) -> tuple[set[NodeId], set[NodeId]]:
    """Return the steps that run, and those whose outputs stand in for a run of theirs."""
    nodes, pinned, standings = set(reuse.document.nodes), set(reuse.pins), reuse.standings
    if part.extent == "all" or part.node is None:
        return nodes - pinned, pinned
    if part.extent == "only":
        sources = {source for _, source, _ in reuse.sources[part.node]}
        missing = [source for source in sorted(sources) if standings[source].reason == "never_ran"]
        if missing:
            names = ", ".join(f"“{reuse.document.nodes[source].label}”" for source in missing)
            raise Conflict(f"{names} has given nothing yet.", hint="Test up to this step first.", where={"node": missing[0]})
        before = {node for node in reuse.before(part.node) if standings[node].reason != "never_ran"}
        return {part.node}, (before | sources) - {part.node}
    runs = set(behind(reuse.document, [part.node])) if part.extent == "from" else {part.node}
    runs -= pinned - {part.node}
    stands_in: set[NodeId] = set()
    todo = list(runs)
    while todo:
        for _, source, _ in reuse.sources[todo.pop()]:
            if source in runs or source in stands_in:
                continue
            standing = standings[source]
            holds = standing.state != "stale" or (part.extent == "from" and standing.reason != "never_ran")
            (stands_in if holds else runs).add(source)
            if not holds:
                todo.append(source)
    # What a step looks back at with `nodes` is given too, where there is something to give.
    back = {node for one in runs for node in reuse.before(one)} - runs
    return runs, stands_in | {node for node in back if standings[node].state != "stale"}


def _ask(reuse: Reuse, runs: Iterable[NodeId]) -> None:
    steps: list[dict[str, object]] = []
    for node in runs:
        if (standing := reuse.standings[node]).has_changed_outside and standing.run_id is not None:
            title = reuse.document.nodes[node].label
            steps.append({"node": node, "title": title, "done": sum(reuse.counts(node).values()), "uncertain": 0})
    if steps:
        raise EffectsToDecide(sorted(steps, key=lambda step: str(step["node"])))


def _enclosed(reuse: Reuse, wanted: set[NodeId]) -> set[NodeId]:
    """Return these nodes and all that lead to them; what is not wanted among them is left out of the run, its lines stay."""
    return wanted | {before for node in wanted for before in reuse.before(node)}


def _cut(document: Document, nodes: set[NodeId]) -> Document:
    if nodes >= document.nodes.keys():
        return document
    return replace(
        document,
        nodes={node: known for node, known in document.nodes.items() if node in nodes},
        edges=tuple(edge for edge in document.edges if edge.source in nodes and edge.target in nodes),
        layout={node: at for node, at in document.layout.items() if node in nodes},
    )


def _as_given(reuse: Reuse, node: NodeId, now: datetime) -> Fact:
    counts = reuse.counts(node)
    mark = {"pinned": True} if node in reuse.pins else {"reused": reuse.standings[node].run_id}
    summary = {"ports": counts, "in": 0, "ms": 0.0, **mark}
    return Fact(
        run_id=RunId(""), seq=0, kind=FactKind.STEP_SUCCEEDED, node=node, at=now, summary=summary, payload=reuse.payload(node)
    )


def _as_left_out(node: NodeId, now: datetime) -> Fact:
    return Fact(run_id=RunId(""), seq=0, kind=FactKind.STEP_SKIPPED, node=node, at=now, summary={"reason": "left_out"})
