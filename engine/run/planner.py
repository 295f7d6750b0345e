"""
A document made ready to run: nodes by number, edges resolved, steps looked up.

A plan is made once per version and shared by all its runs; nothing in it changes while they go.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from engine.errors import InvalidDocument, NotFound
from engine.ids import NodeId, VersionId
from engine.model.problems import Problem
from engine.model.workflow import DEFAULT_IN, DEFAULT_OUT, Document, Node
from engine.steps.catalog import Catalog
from engine.steps.computed import FieldPlan, plan_fields
from engine.steps.spec import StepSpec

Source = tuple[int, str]
"""The number of a node and the name of one of its out-ports."""


@dataclass(slots=True)
class PlanNode:
    """
    One node as the executor sees it.

    `ins` lists the in-ports with the out-ports that lead to them, in edge order; `targets` the nodes that each out-port leads
    to, once per edge; `single` is in-port, node and out-port of the only edge, where there is just one. `writes` says that the
    step changes something outside, `may_repeat` that doing so twice is harmless.
    `is_plain` says that the step is pure, takes whole batches, and asks for no patience (time-out, retry), so that its function
    may be called on the spot. `ready_fields` keeps the fields of a step whose expressions mention nothing but the item, with
    the clock they were rendered for.
    """

    index: int
    id: NodeId
    node: Node
    spec: StepSpec | None
    ins: tuple[tuple[str, tuple[Source, ...]], ...] = ()
    targets: tuple[tuple[str, int], ...] = ()
    single: tuple[str, int, str] | None = None
    in_degree: int = 0
    has_effect: bool = False
    writes: bool = False
    may_repeat: bool = True
    is_trigger: bool = False
    is_plain: bool = False
    call: Callable[..., Any] | None = None
    _fields: FieldPlan | None = None
    ready_fields: tuple[object, dict[str, Any]] | None = None
    has_ready_fields: bool | None = None

    @property
    def fields(self) -> FieldPlan:
        """What stands under `with`, compiled when first needed; raises `BadInput` or `ExpressionError` when it cannot be."""
        if self._fields is None:
            assert self.spec is not None
            self._fields = plan_fields(self.spec, self.node.fields)
        return self._fields

    @property
    def first_in(self) -> str:
        """The in-port that a batch goes to when nobody says which."""
        if self.spec is not None and self.spec.ports_in:
            return self.spec.ports_in[0].name
        return DEFAULT_IN

    @property
    def first_out(self) -> str:
        """The out-port that a batch leaves by when the node is switched off."""
        if self.spec is not None and (ports := self.spec.outs(self.node.fields)):
            return ports[0].name
        return DEFAULT_OUT


@dataclass(frozen=True, slots=True)
class Opening:
    """
    Where every node stands when a run begins at one start.

    `ready` begin at once, `left` counts per node the edges that are still to settle, `skipped` are the nodes that the run
    cannot come to (the other triggers among them).
    """

    ready: tuple[int, ...]
    left: tuple[int, ...]
    skipped: tuple[int, ...]


@dataclass(slots=True)
class Plan:
    """The compiled document. `order` is one in which every node stands behind those that lead to it."""

    document: Document
    nodes: tuple[PlanNode, ...]
    index: Mapping[NodeId, int]
    order: tuple[int, ...]
    _first: tuple[NodeId | None] | None = None
    _before: list[int] = field(default_factory=list)
    _openings: dict[NodeId | None, Opening] = field(default_factory=dict)

    def node(self, node_id: NodeId) -> PlanNode:
        """Return the node of that id; raises `NotFound`."""
        found = self.index.get(node_id)
        if found is None:
            raise NotFound("node", node_id, hint="The nodes are: " + ", ".join(self.index) + ".")
        return self.nodes[found]

    def choose_start(self, wanted: NodeId | None = None) -> NodeId | None:
        """
        Return the node a run starts at: the wanted one, else the manual trigger, else the first trigger, else None.

        None means that the run starts at every node that nothing leads to.
        """
        if wanted is not None:
            return self.node(wanted).id
        if self._first is None:
            self._first = (self._find_first(),)
        return self._first[0]

    def _find_first(self) -> NodeId | None:
        triggers = [node for node in self.nodes if node.is_trigger and not node.node.disabled]
        manual = next((node for node in triggers if node.node.use == "trigger.manual"), None)
        chosen = manual or next(iter(triggers), None)
        return chosen.id if chosen else None

    def opening(self, start: NodeId | None) -> Opening:
        """
        Return how a run begins.

        With a start node, that one is ready, and so are the sources, which have no in-port at all. Without one, all nodes that
        nothing leads to are, triggers left out.
        """
        if (known := self._openings.get(start)) is not None:
            return known
        if start is None:
            ready = [node.index for node in self.nodes if not node.in_degree and not node.is_trigger]
        else:
            first = self.node(start).index
            ready = [first, *(node.index for node in self.nodes if node.index != first and self._is_source(node))]
        reached = self._reached(ready)
        left = [node.in_degree for node in self.nodes]
        for index in reached.symmetric_difference(range(len(self.nodes))):
            for _, target in self.nodes[index].targets:
                left[target] -= 1
        skipped = tuple(index for index in self.order if index not in reached)
        opening = self._openings[start] = Opening(tuple(ready), tuple(left), skipped)
        return opening

    def leads_to(self, source: int, target: int) -> bool:
        """Tell whether a line leads from one node to the other, over however many others."""
        if not self._before:
            before = [0] * len(self.nodes)
            for index in self.order:
                for _, follower in self.nodes[index].targets:
                    before[follower] |= before[index] | 1 << index
            self._before = before
        return bool(self._before[target] >> source & 1)

    def _reached(self, ready: list[int]) -> set[int]:
        seen, todo = set(ready), list(ready)
        while todo:
            for _, target in self.nodes[todo.pop()].targets:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    @staticmethod
    def _is_source(node: PlanNode) -> bool:
        return not node.is_trigger and not node.in_degree and node.spec is not None and not node.spec.ports_in


def compile_plan(document: Document, catalog: Catalog) -> Plan:
    """
    Make a checked document ready to run.

    Raises `NotFound` for an edge to nowhere and `InvalidDocument` for a circle; a step that nobody knows stays in the plan and
    fails when it is reached.
    """
    nodes = tuple(_plan_node(index, node, catalog.find(node.use)) for index, node in enumerate(document.nodes.values()))
    plan = Plan(document, nodes, {node.id: node.index for node in nodes}, ())
    ins: list[dict[str, list[Source]]] = [
        {port.name: [] for port in (node.spec.ports_in if node.spec else ())} for node in nodes
    ]
    targets: list[list[tuple[str, int]]] = [[] for _ in nodes]
    for edge in document.edges:
        source, target = plan.node(edge.source), plan.node(edge.target)
        ins[target.index].setdefault(edge.target_port, []).append((source.index, edge.source_port))
        targets[source.index].append((edge.source_port, target.index))
        target.in_degree += 1
    for node in nodes:
        node.ins = tuple((port, tuple(sources)) for port, sources in ins[node.index].items())
        node.targets = tuple(targets[node.index])
        if len(node.ins) == 1 and len(node.ins[0][1]) == 1:
            node.single = (node.ins[0][0], *node.ins[0][1][0])
    plan.order = _in_order(plan)
    return plan


def _plan_node(index: int, node: Node, spec: StepSpec | None) -> PlanNode:
    planned = PlanNode(index, node.id, node, spec)
    if spec is not None:
        planned.call = spec.call
        planned.is_trigger = spec.is_trigger
        effect = "none" if node.disabled else spec.effect_of(node.fields)
        planned.has_effect = effect != "none"
        planned.writes = effect in ("write", "destroy")
        planned.may_repeat = not planned.writes or spec.may_repeat(node.fields)
        planned.is_plain = (
            spec.mode == "batch"
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
        self._catalog = catalog
        self._keep = keep
        self._plans: OrderedDict[VersionId, Plan] = OrderedDict()

    def get(self, version_id: VersionId, document: Document) -> Plan:
        """Return the plan of a version; a document that is not the one kept under that id is compiled anew."""
        plan = self._plans.get(version_id)
        if plan is None or (plan.document is not document and plan.document != document):
            plan = self._plans[version_id] = compile_plan(document, self._catalog)
            while len(self._plans) > self._keep:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(version_id)
        return plan
