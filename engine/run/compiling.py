"""
From a document to a plan: edges resolved, steps looked up, the bodies of frames set apart.

A plan is made once per version and shared by all its runs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace
from inspect import iscoroutinefunction

from engine.errors import InvalidDocument, NotFound
from engine.ids import NodeId, VersionId
from engine.model.frames import FrameShape, find_regions
from engine.model.problems import Problem
from engine.model.workflow import Document, Edge, Node
from engine.steps.catalog import Catalog
from engine.steps.spec import FrameSpec, StepSpec

from .planner import LEADS_NOWHERE, Plan, PlannedFrame, PlanNode, Source


def compile_plan(document: Document, catalog: Catalog) -> Plan:
    """
    Make a checked document ready to run.

    Raises `NotFound` for an edge to nowhere and `InvalidDocument` for a circle, or a line that crosses the rim of a frame's
    body; a step that nobody knows stays in the plan and fails when it is reached.
    """
    planned = [_plan_node(node, catalog.find(node.use)) for node in document.nodes.values()]
    if any(_frame_of(node.spec) is not None for node in planned):
        return _compile_framed(document, planned)
    return _compile(document, planned, document.edges)


def compile_flat(document: Document, catalog: Catalog) -> Plan:
    """
    Return a plan that has all nodes side by side and no bodies, for looking at data; it is not for running.

    What leads back into a frame is left out. Raises as `compile_plan` does.
    """
    planned = [_plan_node(node, catalog.find(node.use)) for node in document.nodes.values()]
    shapes = frame_shapes(document, catalog)
    edges = [edge for edge in document.edges if (shape := shapes.get(edge.target)) is None or edge.target_port != shape.back]
    return _compile(document, planned, edges)


def _compile_framed(document: Document, planned: list[PlanNode]) -> Plan:
    """Compile a document with frames: one plan for the top, and one for each body."""
    shapes = {node.id: FrameShape(spec.body, spec.back) for node in planned if (spec := _frame_of(node.spec)) is not None}
    regions = find_regions(document.nodes, document.edges, shapes)
    if regions.faults:
        raise InvalidDocument(
            [Problem(code=fault.code, text=fault.text, hint=fault.hint, node=fault.node) for fault in regions.faults]
        )
    members: dict[NodeId | None, list[PlanNode]] = {None: []}
    lines: dict[NodeId | None, list[Edge]] = {None: []}
    for node in planned:
        members.setdefault(regions.owner.get(node.id), []).append(node)
    for edge in document.edges:
        for end in (edge.source, edge.target):
            if end not in document.nodes:
                raise NotFound("node", end, hint="The nodes are: " + ", ".join(document.nodes) + ".")
        home = edge.target if edge in regions.back_edges else regions.owner.get(edge.target)
        lines.setdefault(home, []).append(edge)
    top = _compile(document, members[None], lines[None])
    todo = [top]
    while todo:
        outer = todo.pop()
        for node in outer.nodes:
            if (shape := shapes.get(node.id)) is None or node.is_rim:
                continue
            body = _compile_body(outer, node, shape, members.get(node.id, []), lines.get(node.id, []))
            outer.bodies[node.id] = body
            if (spec := _frame_of(node.spec)) is not None and not node.node.disabled:
                kind = spec.kind
                catches = kind != "loop" or node.node.on_error != "stop"
                node.frame = PlannedFrame(kind, body, catches)
            todo.append(body)
    return top


def _compile_body(outer: Plan, frame: PlanNode, shape: FrameShape, members: list[PlanNode], edges: list[Edge]) -> Plan:
    """Compile a frame's body, between what the frame gives it and what comes back."""
    entry = PlanNode(0, frame.id, frame.node, None, is_rim=True)
    leave = PlanNode(0, frame.id, replace(frame.node, run_on_empty=True), None, frame=PlannedFrame("exit"), is_rim=True)
    back = shape.back or "next"
    body = _compile(outer.document, [entry, *members, leave], edges, back=back)
    body.outer, body.frame = outer, frame.index
    return body


def _compile(document: Document, nodes: list[PlanNode], edges: Sequence[Edge], *, back: str | None = None) -> Plan:
    """
    Join nodes by their edges.

    With `back`, the first and the last node are the rim of a body: what a frame gives leaves the first, and edges into the
    frame arrive at the last, which also waits for every node that leads nowhere.
    """
    for index, node in enumerate(nodes):
        node.index = index
    inner = nodes[1:-1] if back is not None else nodes
    plan = Plan(document, tuple(nodes), {node.id: node.index for node in inner}, ())
    ins: list[dict[str, list[Source]]] = [
        {port.name: [] for port in (node.spec.ports_in if node.spec else ())} for node in nodes
    ]
    for node in inner:
        if node.spec is not None and node.spec.frame is not None and node.spec.frame.back is not None:
            del ins[node.index][node.spec.frame.back]  # what arrives there is the business of the body's exit
    if back is not None:
        ins[-1][back] = []
    targets: list[list[tuple[str, int]]] = [[] for _ in nodes]
    for edge in edges:
        source = nodes[0] if back is not None and edge.source not in plan.index else plan.node(edge.source)
        target = nodes[-1] if back is not None and edge.target not in plan.index else plan.node(edge.target)
        ins[target.index].setdefault(edge.target_port, []).append((source.index, edge.source_port))
        targets[source.index].append((edge.source_port, target.index))
        target.in_degree += 1
    if back is not None:
        for node in nodes[:-1]:
            if not targets[node.index]:
                targets[node.index].append((LEADS_NOWHERE, nodes[-1].index))
                nodes[-1].in_degree += 1
    for node in nodes:
        node.ins = tuple((port, tuple(sources)) for port, sources in ins[node.index].items())
        node.targets = tuple(targets[node.index])
        if len(node.ins) == 1 and len(node.ins[0][1]) == 1:
            node.single = (node.ins[0][0], *node.ins[0][1][0])
    plan.order = _in_order(plan)
    return plan


def frame_shapes(document: Document, catalog: Catalog) -> dict[NodeId, FrameShape]:
    """Return the nodes of a document that hold others, with the ports of their bodies."""
    return {
        node.id: FrameShape(spec.body, spec.back)
        for node in document.nodes.values()
        if (spec := _frame_of(catalog.find(node.use))) is not None
    }


def _frame_of(spec: StepSpec | None) -> FrameSpec | None:
    return spec.frame if spec is not None and spec.frame is not None and spec.frame.body else None


def _plan_node(node: Node, spec: StepSpec | None) -> PlanNode:
    planned = PlanNode(0, node.id, node, spec)
    if spec is not None:
        planned.call = spec.call
        planned.is_trigger = spec.is_trigger
        effect = "none" if node.disabled else spec.effect_of(node.fields)
        planned.has_effect = effect != "none"
        planned.writes = effect in ("write", "destroy")
        planned.counts_items = planned.writes and spec.mode == "each"
        planned.may_repeat = not planned.writes or spec.may_repeat(node.fields)
        if spec.frame is not None and spec.frame.kind == "break" and not node.disabled:
            planned.frame = PlannedFrame("break")
        planned.is_plain = (
            spec.mode == "batch"
            and spec.frame is None
            and not planned.has_effect
            and spec.call is not None
            and not iscoroutinefunction(spec.call)
            and not node.disabled
            and node.timeout is None
            and spec.timeout is None
            and node.retry is None
            and node.connection is None
        )
    return planned


def _in_order(plan: Plan) -> tuple[int, ...]:
    """Sort by who leads to whom (Kahn 1962); raises `InvalidDocument` that names the nodes of a circle."""
    left = [node.in_degree for node in plan.nodes]
    ready = deque(node.index for node in plan.nodes if not node.in_degree)
    order: list[int] = []
    while ready:
        index = ready.popleft()
        order.append(index)
        for _, target in plan.nodes[index].targets:
            left[target] -= 1
            if not left[target]:
                ready.append(target)
    if len(order) == len(plan.nodes):
        return tuple(order)
    stuck = [node.id for node in plan.nodes if left[node.index]]
    raise InvalidDocument(
        [
            Problem(
                code="circle",
                text="These nodes lead back to themselves: " + ", ".join(stuck) + ".",
                hint="Remove the line that leads back.",
                node=stuck[0],
            )
        ]
    )


class PlanCache:
    """Plans of the versions that ran last, so that a busy workflow is compiled once."""

    def __init__(self, catalog: Catalog, *, keep: int = 256) -> None:
        self.catalog = catalog
        self._keep = keep
        self._plans: OrderedDict[VersionId, Plan] = OrderedDict()

    def get(self, version_id: VersionId, document: Document) -> Plan:
        """Return the plan of a version; a document that is not the one kept under that id is compiled anew."""
        plan = self._plans.get(version_id)
        if plan is None or (plan.document is not document and plan.document != document):
            plan = self._plans[version_id] = compile_plan(document, self.catalog)
            while len(self._plans) > self._keep:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(version_id)
        return plan
