"""
Where items came from: a walk back along the edges, from the indexes that each step left beside its batch.

Nothing is kept per item while a run goes; the way back is found when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from engine.ids import NodeId
from engine.model.items import Item, Outputs, Same

from .planner import Plan, PlanNode

Place = tuple[int, str, int]
"""The number of a node, one of its out-ports, and an index in the batch that left by it."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One item on the way back; `came_from` are the positions, in the same trace, of the hops it was made from."""

    node: NodeId
    port: str
    index: int
    came_from: tuple[int, ...]


class Lineage:
    """Answers where items came from, for one run: its plan and what left its nodes so far."""

    __slots__ = ("_outputs", "_plan")

    def __init__(self, plan: Plan, outputs: Sequence[Outputs | None]) -> None:
        self._plan = plan
        self._outputs = outputs

    def arrived_from(self, node: PlanNode, port_in: str, index: int) -> Place | None:
        """Return which item, of which node before, arrived as number `index` at an in-port; None when there is none."""
        for port, sources in node.ins:
            if port != port_in:
                continue
            for source, port_out in sources:
                outputs = self._outputs[source]
                output = outputs.get(port_out) if outputs is not None else None
                if output is None:
                    continue
                if index < len(output.items):
                    return (source, port_out, index)
                index -= len(output.items)
        return None

    def parents(self, place: Place) -> Iterator[Place]:
        """Give the items that an item was made from, one step back."""
        number, port, index = place
        outputs = self._outputs[number]
        output = outputs.get(port) if outputs is not None else None
        if output is None:
            return
        node = self._plan.nodes[number]
        for port_in, origins in output.origins.items():
            if isinstance(origins, Same):
                indexes: Sequence[int] = (index,)
            elif index >= len(origins):
                continue  # nothing had arrived at this port
            else:
                found = origins[index]
                indexes = (found,) if isinstance(found, int) else found
            for one in indexes:
                if one >= 0 and (parent := self.arrived_from(node, port_in, one)) is not None:
                    yield parent

    def origins_at(self, places: Iterator[Place], wanted: int, *, most: int = 2) -> list[Place]:
        """Return the items of node `wanted` that these items came from; the search ends once `most` are found."""
        return list(islice(self.walk(places, wanted), most))

    def walk(self, places: Iterator[Place], wanted: int) -> Iterator[Place]:
        """Give the items of node `wanted` that these items came from, each once, as they are found."""
        seen: set[Place] = set()
        todo = [places]
        while todo:
            place = next(todo[-1], None)
            if place is None:
                todo.pop()
            elif place[0] == wanted:
                if place not in seen:
                    seen.add(place)
                    yield place
            elif place not in seen and self._plan.leads_to(wanted, place[0]):
                seen.add(place)
                todo.append(self.parents(place))

    def origin_of(self, node_id: NodeId, port: str, index: int, wanted: NodeId) -> tuple[str, int] | None:
        """Return port and index of the one item of node `wanted` that this item came from; None when it is none or several."""
        start = iter([(self._plan.node(node_id).index, port, index)])
        found = self.origins_at(start, self._plan.node(wanted).index)
        return (found[0][1], found[0][2]) if len(found) == 1 else None

    def item(self, place: Place) -> Item:
        """Return the item at a place."""
        outputs = self._outputs[place[0]]
        assert outputs is not None
        return outputs[place[1]].items[place[2]]

    def trace(self, node_id: NodeId, port: str, index: int, *, most: int = 1_000) -> tuple[Hop, ...]:
        """
        Return the way back from one item to its sources: the item itself first, each item once, at most `most` of them.

        A hop's `came_from` names the positions of its parents; one that names none is a source (or where the list was cut).
        """
        places: list[Place] = [(self._plan.node(node_id).index, port, index)]
        position = {places[0]: 0}
        hops: list[Hop] = []
        at = 0
        while at < len(places):
            came_from: list[int] = []
            for parent in self.parents(places[at]):
                known = position.get(parent)
                if known is None:
                    if len(places) >= most:
                        break
                    known = position[parent] = len(places)
                    places.append(parent)
                came_from.append(known)
            number, place_port, place_index = places[at]
            hops.append(Hop(self._plan.nodes[number].id, place_port, place_index, tuple(came_from)))
            at += 1
        return tuple(hops)
