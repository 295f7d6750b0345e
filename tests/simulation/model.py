"""Documents of chance, and a small model that knows what a run of one must come to; frames stand in `frames`."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from random import Random

from engine.model.limits import Concurrency
from engine.model.workflow import DEFAULT_OUT, Document, Edge, Node, RetryPolicy, Settings

from .frames import PATHS_OUT, Body, Expected, Items, a_frame, go_through

KINDS = ("sim.mark", "sim.mark", "sim.part", "sim.break", "sim.send", "sim.send", "sim.put", "sim.read", "sim.wait")
PATIENT = RetryPolicy(attempts=40, first=timedelta(milliseconds=50), longest=timedelta(seconds=5))


def a_workflow(chance: Random, name: str) -> Document:
    """Return a document of two to eight nodes, joined by chance; its trigger is `start`."""
    nodes = {"start": Node(id="start", use="trigger.manual")}
    edges: list[Edge] = []
    inside: dict[str, Node] = {}
    bodies: list[Edge] = []
    for number in range(1, chance.randint(2, 8)):
        node = _a_node(chance, f"n{number}")
        if chance.random() < 0.15:
            node, body = a_frame(chance, f"n{number}", _a_node)
            inside |= body.nodes
            bodies += body.edges
        for _ in range(chance.choice((1, 1, 1, 2))):
            source = chance.choice(list(nodes.values()))
            edge = Edge(source.id, node.id, chance.choice(_ports(source)))
            if edge not in edges:
                edges.append(edge)
        nodes[node.id] = node
    settings = Settings(concurrency=a_limit(chance))
    return Document(name=name, nodes=nodes | inside, edges=(*edges, *bodies), settings=settings)


def a_limit(chance: Random) -> int | Concurrency | None:
    """Return how many runs may go at a time: of the workflow, or of each group of events; a full house may turn runs away."""
    if chance.random() < 0.7:
        return chance.choice((None, None, 1, 2))
    by_group = chance.random() < 0.5
    return Concurrency(
        limit=chance.choice((1, 2)),
        key="{{ item.g }}" if by_group else None,
        total=chance.choice((None, 2, 3)) if by_group else None,
        when_full=chance.choice(("queue", "drop_newest", "cancel_oldest")),
    )


def _a_node(chance: Random, id: str, kinds: tuple[str, ...] = KINDS) -> Node:
    use = chance.choice(kinds)
    if use == "sim.break":
        return Node(id=id, use=use, on_error=chance.choice(("route", "ignore", "stop")))
    if use in ("sim.send", "sim.put"):
        fields = {"concurrency": chance.choice((1, 1, 3)), "failing": chance.choice((0, 0, 0.3))}
        return Node(id=id, use=use, fields=fields, retry=PATIENT, on_uncertain=chance.choice(("ask", "retry")))
    if use == "sim.wait":
        return Node(id=id, use=use, fields={"times": chance.choice((1, 1, 2))})
    return Node(id=id, use=use)


def _ports(node: Node) -> tuple[str, ...]:
    if node.use == "sim.part":
        return ("even", "odd")
    if node.use in PATHS_OUT:
        return PATHS_OUT[node.use]
    return (DEFAULT_OUT, "error") if node.on_error == "route" else (DEFAULT_OUT,)


def expect(document: Document, items: Items) -> Expected:
    """Return what a run of the document on these items must come to."""
    found = Expected()
    left: dict[str, dict[str, Items]] = {}
    bodies = Body.all_of(document)
    inside = {id for body in bodies.values() for id in body.nodes}
    for node in document.nodes.values():
        if node.id in inside:
            continue
        given = items
        if node.id != "start":
            into = [edge for edge in document.edges if edge.target == node.id]
            given = [item for edge in into for item in left.get(edge.source, {}).get(edge.source_port, ())]
        if not given:
            continue
        if node.id in bodies:
            left[node.id] = go_through(node, bodies, given, found, _leave)
        else:
            left[node.id] = _leave(node, given, found)
    sources = {edge.source for edge in document.edges if edge.target not in inside}
    found.outputs = {node: _told(ports) for node, ports in left.items() if node not in sources}
    return found


def _leave(node: Node, given: Items, found: Expected, scope: str = "") -> dict[str, Items]:
    match node.use:
        case "sim.mark":
            return {"out": [{**item, "via": f"{item['via']} {node.id}"} for item in given]}
        case "sim.part":
            ports = defaultdict[str, Items](list)
            for item in given:
                ports["odd" if item["n"] % 2 else "even"].append(item)
            return ports
        case "sim.break":
            bad = [item for item in given if item["n"] % 5 == 0]
            found.fails = found.fails or (bool(bad) and node.on_error == "stop")
            good = {"out": [item for item in given if item["n"] % 5]}
            return {**good, "error": bad} if node.on_error == "route" else good
        case "sim.send" | "sim.put":
            found.changes |= {(f"{scope}{node.id}", number) for number in range(len(given))}
    return {"out": given}


def _told(ports: dict[str, Items]) -> dict[str, Items]:
    return {port: items for port, items in ports.items() if items}
