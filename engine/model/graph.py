"""The shape of a workflow: what leads where, asked often, indexed once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from engine.ids import NodeId
from engine.model.workflow import Document, Edge, Node

Edges = tuple[Edge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """
    Nodes and edges with their neighbours at hand.

    `order` holds every node, sources before targets and otherwise as the document has them; where a cycle makes that
    impossible, the nodes on it and behind it come last, in document order. `cycles` lists the groups of nodes that reach
    themselves. Edges to nodes that do not exist are in `dangling` and nowhere else.
    """

    nodes: Mapping[NodeId, Node]
    edges: Edges
    order: tuple[NodeId, ...]
    cycles: tuple[tuple[NodeId, ...], ...] = ()
    dangling: Edges = ()
    _into: Mapping[NodeId, Edges] = field(default_factory=dict)
    _out_of: Mapping[NodeId, Edges] = field(default_factory=dict)
    _before: dict[NodeId, int] = field(default_factory=dict, compare=False, repr=False)
    _index: Mapping[NodeId, int] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, document: Document) -> Graph:
        """Index a document; a document with problems has a graph too."""
        return cls.build(document.nodes, document.edges)

    @classmethod
    def build(cls, nodes: Mapping[NodeId, Node], edges: Iterable[Edge]) -> Graph:
        """Index nodes and edges."""
        into: dict[NodeId, list[Edge]] = {node_id: [] for node_id in nodes}
        out_of: dict[NodeId, list[Edge]] = {node_id: [] for node_id in nodes}
        kept: list[Edge] = []
        dangling: list[Edge] = []
        for edge in edges:
            if edge.source in out_of and edge.target in into:
                kept.append(edge)
                out_of[edge.source].append(edge)
                into[edge.target].append(edge)
            else:
                dangling.append(edge)
        index = {node_id: place for place, node_id in enumerate(nodes)}
        order, stuck = _topological(index, into, out_of)
        return cls(
            nodes=nodes,
            edges=tuple(kept),
            order=(*order, *stuck),
            cycles=_cycles(stuck, out_of) if stuck else (),
            dangling=tuple(dangling),
            _into={node_id: tuple(found) for node_id, found in into.items()},
            _out_of={node_id: tuple(found) for node_id, found in out_of.items()},
            _index=index,
        )

    def into(self, node_id: NodeId) -> Edges:
        """Return the edges that arrive at a node, in edge order; raises `KeyError` for a node that does not exist."""
        return self._into[node_id]

    def out_of(self, node_id: NodeId) -> Edges:
        """Return the edges that leave a node, in edge order; raises `KeyError` for a node that does not exist."""
        return self._out_of[node_id]

    def triggers(self, is_trigger: Callable[[str], bool] | None = None) -> tuple[NodeId, ...]:
        """
        Return the nodes that start a run, in document order.

        `is_trigger` answers for a step name; without it, steps of the family `trigger.` count.
        """
        answers = is_trigger or (lambda use: use.startswith("trigger."))
        return tuple(node_id for node_id, node in self.nodes.items() if answers(node.use))

    @property
    def ends(self) -> tuple[NodeId, ...]:
        """The nodes that nothing follows, in document order: their outputs are the run's."""
        return tuple(node_id for node_id in self.nodes if not self._out_of[node_id])

    def reachable_from(self, *starts: NodeId) -> frozenset[NodeId]:
        """Return everything that can be reached from these nodes along the edges, they themselves included."""
        return self._walk(starts, self._out_of, lambda edge: edge.target)

    def upstream_of(self, node_id: NodeId) -> frozenset[NodeId]:
        """Return everything that leads to a node; the node itself only if it lies on a cycle."""
        return self._walk([edge.source for edge in self._into[node_id]], self._into, lambda edge: edge.source)

    def is_upstream(self, source: NodeId, target: NodeId) -> bool:
        """
        Whether `source` leads to `target`; quick for many questions about one graph.

        The answers for all nodes are worked out at the first question, as sets of bits: 5,000 nodes take 3 MB at most.
        """
        if not self._before:
            self._fill_before()
        return source in self._index and bool(self._before[target] >> self._index[source] & 1)

    def _fill_before(self) -> None:
        before = dict.fromkeys(self.nodes, 0)
        is_changing = True
        while is_changing:
            is_changing = False
            for node_id in self.order:
                found = before[node_id]
                for edge in self._into[node_id]:
                    found |= before[edge.source] | 1 << self._index[edge.source]
                if found != before[node_id]:
                    before[node_id] = found
                    # Without a cycle one pass in topological order is all it takes.
                    is_changing = bool(self.cycles)
        self._before.update(before)

    def _walk(
        self, starts: Iterable[NodeId], edges: Mapping[NodeId, Edges], far_end: Callable[[Edge], NodeId]
    ) -> frozenset[NodeId]:
        seen = {start for start in starts if start in self.nodes}
        waiting = list(seen)
        while waiting:
            for edge in edges[waiting.pop()]:
                end = far_end(edge)
                if end not in seen:
                    seen.add(end)
                    waiting.append(end)
        return frozenset(seen)


def _topological(
    index: Mapping[NodeId, int], into: Mapping[NodeId, list[Edge]], out_of: Mapping[NodeId, list[Edge]]
) -> tuple[list[NodeId], list[NodeId]]:
    """Return the nodes that can be ordered, and those on or behind a cycle (Kahn 1962, the earliest in the document first)."""
    names = list(index)
    missing = {node_id: len(edges) for node_id, edges in into.items()}
    ready = [index[node_id] for node_id, count in missing.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        node_id = names[heapq.heappop(ready)]
        order.append(node_id)
        for edge in out_of[node_id]:
            missing[edge.target] -= 1
            if not missing[edge.target]:
                heapq.heappush(ready, index[edge.target])
    if len(order) == len(names):
        return order, []
    done = set(order)
    return order, [node_id for node_id in names if node_id not in done]


def _cycles(stuck: list[NodeId], out_of: Mapping[NodeId, list[Edge]]) -> tuple[tuple[NodeId, ...], ...]:
    """Return the groups of nodes that reach each other (Tarjan 1972, without recursion), each in document order."""
    place = {node_id: position for position, node_id in enumerate(stuck)}
    number: dict[NodeId, int] = {}
    lowest: dict[NodeId, int] = {}
    open_: list[NodeId] = []
    is_open: set[NodeId] = set()
    found: list[tuple[NodeId, ...]] = []
    for root in stuck:
        if root in number:
            continue
        work = [(root, iter(out_of[root]))]
        number[root] = lowest[root] = len(number)
        open_.append(root)
        is_open.add(root)
        while work:
            node_id, edges = work[-1]
            for edge in edges:
                target = edge.target
                if target not in place:
                    continue
                if target not in number:
                    number[target] = lowest[target] = len(number)
                    open_.append(target)
                    is_open.add(target)
                    work.append((target, iter(out_of[target])))
                    break
                if target in is_open:
                    lowest[node_id] = min(lowest[node_id], number[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[node_id])
                if lowest[node_id] == number[node_id]:
                    group = open_[open_.index(node_id) :] if open_[-1] != node_id else [node_id]
                    del open_[len(open_) - len(group) :]
                    is_open.difference_update(group)
                    if len(group) > 1 or any(edge.target == node_id for edge in out_of[node_id]):
                        found.append(tuple(sorted(group, key=place.__getitem__)))
    return tuple(sorted(found, key=lambda group: place[group[0]]))
