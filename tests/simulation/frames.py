"""Loops and tries of chance, and the model of what goes through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from engine.model.workflow import Document, Edge, Node

Items = list[dict[str, Any]]
Leave = Callable[..., dict[str, Items]]

PATHS_OUT = {"flow.loop": ("done",), "flow.try": ("done", "caught", "finally")}
INNER = ("sim.mark", "sim.break", "sim.send", "sim.send", "sim.put", "sim.read", "sim.wait")
BREAK_WHEN = "item.n % 3 == 0"


@dataclass
class Expected:
    """
    What a run must come to.

    `changes` are the changes it makes outside, as (scope and node, number of the item); a run that `fails` may have made any
    part of them.
    """

    fails: bool = False
    outputs: dict[str, dict[str, Items]] = field(default_factory=dict)
    changes: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Body:
    """What stands in a frame: a line of nodes, in which another frame may stand; `edges` lead from the frame back to it."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    line: list[str] = field(default_factory=list)

    @classmethod
    def all_of(cls, document: Document) -> dict[str, Body]:
        """Return the bodies of a document's frames by frame; a body knows the nodes of the frames inside it too."""
        found: dict[str, Body] = {}
        for frame in (node for node in document.nodes.values() if node.use in PATHS_OUT):
            nodes = {id: node for id, node in document.nodes.items() if id.startswith(f"{frame.id}_")}
            line = [id for id in nodes if id.count("_") == frame.id.count("_") + 1]
            found[frame.id] = cls(nodes, [], line)
        return found


class Failing(Exception):
    """A step in a try failed over this item."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item


def a_frame(chance: Random, id: str, a_node: Callable[..., Node], *, in_try: bool = False, depth: int = 0) -> tuple[Node, Body]:
    """
    Return a loop or a try with a body of one to three nodes, named after it.

    In a try its passes go one after the other, so that it is sure which item fails first.
    """
    use = chance.choice(("flow.loop", "flow.try"))
    body, fields = Body(), dict[str, Any]()
    if use == "flow.loop":
        fields = {"over": "items"} if chance.random() < 0.6 else {"over": "batches", "size": chance.choice((2, 3))}
        fields["concurrency"] = 1 if in_try else chance.choice((1, 1, 2, 5))
        breaks = fields["over"] == "items" and fields["concurrency"] == 1 and chance.random() < 0.4
        if breaks:
            fields["break_when"] = BREAK_WHEN
    at, port = id, "each" if use == "flow.loop" else "body"
    kinds = tuple(kind for kind in INNER if "break_when" not in fields or kind != "sim.break")
    for number in range(chance.randint(1, 3)):
        name = f"{id}_{number}"
        if depth < 1 and "break_when" not in fields and chance.random() < 0.2:
            node, inner = a_frame(chance, name, a_node, in_try=in_try or use == "flow.try", depth=depth + 1)
            body.nodes |= inner.nodes
            body.edges += inner.edges
        else:
            node = a_node(chance, name, kinds)
            if node.on_error == "route":
                node = Node(id=name, use=node.use, on_error="stop")
        body.nodes[name] = node
        body.edges.append(Edge(at, name, port))
        at, port = name, "done" if node.use in PATHS_OUT else "out"
    body.edges.append(Edge(at, id, port, "next"))
    return Node(id=id, use=use, fields=fields), body


def go_through(
    frame: Node, bodies: dict[str, Body], given: Items, found: Expected, leave: Leave, scope: str = "", *, in_try: bool = False
) -> dict[str, Items]:
    """Return what leaves a frame; raises `Failing` where a frame around it is to catch it."""
    body = bodies[frame.id]

    def go(number: int, items: Items, *, in_try: bool) -> Items:
        inner = f"{scope}{frame.id}:{number}/"
        for id in body.line:
            node = body.nodes[id]
            if not items:
                return []
            if id in bodies:
                items = go_through(node, bodies, items, found, leave, inner, in_try=in_try).get("done", [])
                continue
            if node.use == "sim.break" and node.on_error == "stop" and in_try:
                for item in items:
                    if item["n"] % 5 == 0:
                        raise Failing(item)
            items = leave(node, items, found, inner)["out"]
        return items

    if frame.use == "flow.try":
        try:
            done = go(0, given, in_try=True)
        except Failing as failed:
            return {"caught": [failed.item], "finally": [failed.item]}
        return {"done": done, "finally": done or given}
    size = 1 if frame.fields["over"] == "items" else frame.fields["size"]
    all_of_them: Items = []
    for number, first in enumerate(range(0, len(given), size)):
        came = go(number, given[first : first + size], in_try=in_try)
        all_of_them += came
        if "break_when" in frame.fields and came and came[0]["n"] % 3 == 0:
            break
    return {"done": all_of_them}
