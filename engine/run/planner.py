"""
A document made ready to run: nodes by number, edges resolved, steps looked up.

A plan is made once per version and shared by all its runs; nothing in it changes while they go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from engine.errors import BadRequest, NotFound
from engine.ids import NodeId
from engine.model.items import Batch
from engine.model.workflow import DEFAULT_IN, DEFAULT_OUT, Document, Node
from engine.steps.computed import FieldPlan, plan_fields
from engine.steps.spec import StepSpec

ENTRY: Final = 0
LEADS_NOWHERE: Final = ""
"""The port by which a node of a body that nothing follows settles the body's exit; nothing ever leaves by it."""
Source = tuple[int, str]
"""The number of a node and the name of one of its out-ports."""


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """
    What a node is to the frames: one that holds a body, a `break`, or the `exit` of the body it stands in.

    `catches` says that what fails in the body ends there and not the whole run.
    """

    kind: Literal["loop", "try", "compensate", "break", "exit"]
    body: Plan | None = None
    catches: bool = False


@dataclass(slots=True)
class PlanNode:
    """
    One node as the executor sees it.

    `ins` lists the in-ports with the out-ports that lead to them, in edge order; `targets` the nodes that each out-port leads
    to, once per edge; `single` is in-port, node and out-port of the only edge, where there is just one. `writes` says that the
    step changes something outside, `may_repeat` that doing so twice is harmless, `counts_items` that the effect ledger keeps
    an account of each item.
    `is_plain` says that the step is pure, takes whole batches, and asks for no patience (time-out, retry), so that its function
    may be called on the spot. `ready_fields` keeps the fields of a step whose expressions mention nothing but the item, with
    the clock they were rendered for. `frame` is set on the nodes that `engine.run.frames` carries out; `is_rim` marks the first
    and the last node of a body, which stand for its frame.
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
    counts_items: bool = False
    is_trigger: bool = False
    is_plain: bool = False
    call: Callable[..., Any] | None = None
    frame: PlannedFrame | None = None
    is_rim: bool = False
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
        if self.spec is not None and self.spec.frame is not None:
            return self.spec.frame.passed
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
    """
    The compiled document, or the body of one of its frames. `order` is one in which every node stands behind those before it.

    The first node of a body (`ENTRY`) stands for what the frame gives it, and its last for what comes back: it is ready when
    every other node of the body has settled. `outer` is the plan that the frame stands in, `frame` its number there.
    """

    document: Document
    nodes: tuple[PlanNode, ...]
    index: Mapping[NodeId, int]
    order: tuple[int, ...]
    outer: Plan | None = None
    frame: int = -1
    bodies: dict[NodeId, Plan] = field(default_factory=dict)
    _first: tuple[NodeId | None] | None = None
    _before: list[int] = field(default_factory=list)
    _openings: dict[NodeId | None, Opening] = field(default_factory=dict)
    express: dict[NodeId | None, Any] = field(default_factory=dict)

    def node(self, node_id: NodeId) -> PlanNode:
        """Return the node of that id; raises `NotFound`."""
        found = self.index.get(node_id)
        if found is None:
            raise NotFound("node", node_id, hint="The nodes are: " + ", ".join(self.index) + ".")
        return self.nodes[found]

    @property
    def owner(self) -> PlanNode:
        """The frame whose body this is."""
        assert self.outer is not None
        return self.outer.nodes[self.frame]

    def at(self, scope: str) -> Plan | None:
        """Return the plan that a scope belongs to, None when this version has no such frame."""
        plan: Plan | None = self
        for part in scope.split("/") if scope else ():
            plan = plan.bodies.get(NodeId(part.rpartition(":")[0])) if plan is not None else None
        return plan

    def choose_start(self, wanted: NodeId | None = None) -> NodeId | None:
        """
        Return the node a run starts at: the wanted one, else the manual trigger, else the first trigger, else None.

        None means that the run starts at every node that nothing leads to.
        """
        if wanted is not None:
            if wanted in self.document.nodes and wanted not in self.index:
                raise BadRequest(
                    f"“{wanted}” stands in the body of a frame, so a run cannot start there.",
                    hint="Start at the frame itself.",
                    where={"node": wanted},
                )
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


def sample_items(plan: Plan, start: NodeId | None) -> Batch:
    """Return the items a run starts with when nobody gives any: the trigger's sample, else one empty item."""
    sample = plan.node(start).node.fields.get("sample") if start is not None else None
    if isinstance(sample, dict):
        return [sample]
    if isinstance(sample, list) and all(isinstance(item, dict) for item in sample):
        return list(sample)
    return [{}]
