"""
Frames: nodes that hold others, such as the body of a loop, and which node stands in which.

A frame has a port its body begins at and, mostly, a port where the body comes back. The body is everything that can be
reached from the first without passing through the frame again. Bodies nest; what stands in one is joined to the rest by the
frame alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.ids import NodeId
from engine.model.workflow import Document, Edge


@dataclass(frozen=True, slots=True)
class FrameShape:
    """The out-port that a frame's body begins at, and the in-port where it comes back (None: it does not)."""

    body: str
    back: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is in nobody's or somebody else's body; `index` is its place among the document's edges."""

    code: str
    text: str
    hint: str
    index: int
    node: NodeId


@dataclass(frozen=True, slots=True)
class Regions:
    """Who stands in whose body: `owner` names the innermost frame around a node; nodes at the top are not in it."""

    owner: Mapping[NodeId, NodeId] = field(default_factory=dict)
    back_edges: frozenset[Edge] = frozenset()
    faults: tuple[Fault, ...] = ()

    def around(self, node: NodeId) -> list[NodeId]:
        """Return the frames around a node, the innermost first."""
        found: list[NodeId] = []
        while (owner := self.owner.get(node)) is not None and owner not in found:
            found.append(owner)
            node = owner
        return found

    def inside(self, frame: NodeId) -> frozenset[NodeId]:
        """Return everything in a frame's body, also what stands in frames within it."""
        return frozenset(node for node in self.owner if frame in self.around(node))


FRAME_STEPS: Final[Mapping[str, FrameShape]] = {
    "flow.loop": FrameShape("each", "next"),
    "flow.try": FrameShape("body", "next"),
    "flow.compensate": FrameShape("undo"),
}
"""The frames that come with Treadle, for those who know the document but no catalogue."""


def regions_of(document: Document) -> Regions:
    """Find the bodies of the frames of a document."""
    shapes = {node.id: shape for node in document.nodes.values() if (shape := FRAME_STEPS.get(node.use)) is not None}
    return find_regions(document.nodes, document.edges, shapes)


def last_nodes(document: Document) -> list[NodeId]:
    """Return the nodes that nothing follows, in document order: what left them is what a run gave. Bodies do not count."""
    inside = regions_of(document).owner
    followed = {
        edge.source
        for edge in document.edges
        if (shape := FRAME_STEPS.get(document.nodes[edge.source].use if edge.source in document.nodes else "")) is None
        or edge.source_port != shape.body
    }
    return [node for node in document.nodes if node not in followed and node not in inside]


def find_regions(nodes: Iterable[NodeId], edges: Sequence[Edge], frames: Mapping[NodeId, FrameShape]) -> Regions:
    """
    Find the body of every frame, and each line that crosses the rim of one.

    Edges to nodes that do not exist are passed over. Circles that no frame closes are not this function's business; nodes on
    them may be given an owner all the same.
    """
    if not frames:
        return Regions()
    known = set(nodes)
    drawn = [(index, edge) for index, edge in enumerate(edges) if edge.source in known and edge.target in known]
    return _Finder(known, drawn, frames).find()


class _Finder:
    def __init__(self, known: set[NodeId], edges: Sequence[tuple[int, Edge]], frames: Mapping[NodeId, FrameShape]) -> None:
        self.edges = edges
        self.frames = frames
        self.forward: dict[NodeId, list[Edge]] = {node: [] for node in known}
        for _, edge in edges:
            if not self.is_back(edge):
                self.forward[edge.source].append(edge)
        self.bodies = {frame: self.reach(frame, from_body=True) for frame in frames}
        self.afters = {frame: self.reach(frame, from_body=False) for frame in frames}
        self.owner: dict[NodeId, NodeId] = {}
        self.faults: list[Fault] = []

    def find(self) -> Regions:
        """Give each node its owner, then look at each line."""
        for frame, body in sorted(self.bodies.items(), key=lambda found: -len(found[1])):
            for node in body:
                self.owner[node] = frame
        self.overlaps()
        if not self.faults:
            for index, edge in self.edges:
                self.check(index, edge)
        backs = frozenset(edge for _, edge in self.edges if self.is_back(edge))
        return Regions(self.owner, backs, tuple(self.faults))

    def is_back(self, edge: Edge) -> bool:
        """Whether the line leads to where a body comes back."""
        shape = self.frames.get(edge.target)
        return shape is not None and shape.back is not None and edge.target_port == shape.back

    def reach(self, frame: NodeId, *, from_body: bool) -> frozenset[NodeId]:
        """Return what can be reached from a frame by its body port, or by its other ports, without coming through it again."""
        port = self.frames[frame].body
        waiting = [edge.target for edge in self.forward[frame] if (edge.source_port == port) is from_body]
        seen: set[NodeId] = set()
        while waiting:
            node = waiting.pop()
            if node == frame or node in seen:
                continue
            seen.add(node)
            waiting += [edge.target for edge in self.forward[node]]
        return frozenset(seen)

    def overlaps(self) -> None:
        """Find frames that lie partly in each other."""
        frames = list(self.frames)
        for place, one in enumerate(frames):
            for other in frames[place + 1 :]:
                shared = self.bodies[one] & self.bodies[other]
                is_inside, is_around = one in self.bodies[other], other in self.bodies[one]
                if (shared and is_inside == is_around) or (is_inside and is_around):
                    node = min(shared) if shared else one
                    index = next((index for index, edge in self.edges if edge.target == node), 0)
                    text = f"The bodies of “{one}” and “{other}” overlap at “{node}”."
                    hint = "Let one stand wholly inside the other, or one after the other."
                    self.faults.append(Fault("frames_overlap", text, hint, index, node))

    def check(self, index: int, edge: Edge) -> None:
        """Find out whether a line stays within the body it begins in."""
        source = self.region(edge)
        if self.is_back(edge):
            if source != edge.target:
                text = f"“{edge}” leads back into “{edge.target}” from outside of its body."
                hint = f"Only what comes from “{edge.target}.{self.frames[edge.target].body}” leads back there."
                if source is not None and edge.target in self.around(source):
                    hint = f"It stands in the body of “{source}”; let it leave there first, by what follows “{source}”."
                self.faults.append(Fault("wrong_way_back", text, hint, index, edge.source))
            return
        for frame in [source, *self.around(source)] if source is not None else []:
            if edge.target in self.afters[frame] and (edge.source == frame or edge.source not in self.afters[frame]):
                text = f"“{edge}” leads out of the body of “{frame}”."
                back = self.frames[frame].back
                hint = (
                    f"Lead it to “{frame}.{back}”; what comes back leaves “{frame}” when it is done." if back else "Remove it."
                )
                self.faults.append(Fault("leads_out_of_body", text, hint, index, edge.source))
                return
        owner = self.owner.get(edge.target)
        if source == owner or owner is None or edge.target in self.afters[owner]:
            return  # in the last case the line that made it part of the body is told
        text = f"“{edge}” leads into the body of “{owner}” from outside."
        hint = f"What the body needs comes by “{owner}.{self.frames[owner].body}”, or by nodes.{edge.source} in an expression."
        self.faults.append(Fault("leads_into_body", text, hint, index, edge.target))

    def region(self, edge: Edge) -> NodeId | None:
        """Return in whose body a line begins."""
        shape = self.frames.get(edge.source)
        if shape is not None and edge.source_port == shape.body:
            return edge.source
        return self.owner.get(edge.source)

    def around(self, node: NodeId) -> list[NodeId]:
        """Return the frames around a node."""
        return Regions(self.owner).around(node)
