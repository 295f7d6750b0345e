"""
From the document to what the canvas draws, and from the canvas's gestures to changes of the document.

Everything here is a function of data to data. A tab remembers what it shows; after any change the difference between that and
the document's new look is sent, whoever made the change: undo, another tab, the inspector, or the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.model.changes import AddEdges, Batch, Change, Move, RemoveEdges, RemoveNodes
from engine.model.problems import Problem
from engine.model.workflow import ERROR_PORT, Document, Edge, Node

from .. import words
from .canvas import CanvasEdge, CanvasNode, CanvasPort, Op, add_op, del_op, move_op, set_op
from .places import places

if TYPE_CHECKING:
    from engine.steps.catalog import Catalog
    from engine.steps.spec import StepSpec

HUES = {
    "trigger": "triggers",
    "triggers": "triggers",
    "network": "network",
    "http": "network",
    "web": "network",
    "data": "data",
    "flow": "flow",
    "file": "files",
    "files": "files",
    "code": "code",
    "messages": "messages",
    "ai": "ai",
}
ERROR = CanvasPort("error", kind="error", label="error")


@dataclass(slots=True)
class Shown:
    """What one tab has on its canvas."""

    nodes: dict[str, CanvasNode] = field(default_factory=dict)
    edges: dict[str, CanvasEdge] = field(default_factory=dict)


def hue_of(spec: StepSpec | None) -> str:
    """Return the colour family of a step."""
    if spec is None:
        return "code"
    return "triggers" if spec.is_trigger else HUES.get(spec.category, "data")


def look(document: Document, catalog: Catalog, problems: Iterable[Problem] = ()) -> Shown:
    """Return what the canvas shows of a document; unknown steps and nodes without a place are drawn too."""
    counts: dict[str, int] = {}
    for problem in problems:
        if problem.node and problem.severity == "error":
            counts[problem.node] = counts.get(problem.node, 0) + 1
    used_out: dict[str, list[str]] = {}
    used_in: dict[str, list[str]] = {}
    for edge in document.edges:
        used_out.setdefault(edge.source, []).append(edge.source_port)
        used_in.setdefault(edge.target, []).append(edge.target_port)
    at = places(document)
    shown = Shown()
    for node in document.nodes.values():
        spec = catalog.find(node.use)
        x, y = at[node.id]
        shown.nodes[node.id] = CanvasNode(
            id=node.id,
            use=node.use,
            title=node.label,
            sub=summary(node, spec),
            icon=spec.icon if spec else "help_outline",
            hue=hue_of(spec),
            x=x,
            y=y,
            ports_in=ports_in(spec, used_in.get(node.id, ())),
            ports_out=ports_out(node, spec, used_out.get(node.id, ())),
            disabled=node.disabled,
            problems=counts.get(node.id, 0),
        )
    for edge in document.edges:
        if edge.source in shown.nodes and edge.target in shown.nodes:
            line = CanvasEdge(edge.source, edge.target, edge.source_port, edge.target_port)
            shown.edges[line.id] = line
    return shown


def ports_in(spec: StepSpec | None, used: Iterable[str]) -> tuple[CanvasPort, ...]:
    """Return the ports at the left: the step's own, and any that a line names though the step has none."""
    names = [port.name for port in spec.ports_in] if spec else []
    names += [name for name in dict.fromkeys(used) if name not in names]
    return tuple(CanvasPort(name) for name in names)


def ports_out(node: Node, spec: StepSpec | None, used: Iterable[str]) -> tuple[CanvasPort, ...]:
    """Return the ports at the right; `error` is there when failed items leave by it, or a line says so."""
    own = _own_ports(node, spec)
    ports = [CanvasPort(name, label=label or None) for name, label in own]
    known = {port.name for port in ports}
    used = list(dict.fromkeys(used))
    ports += [CanvasPort(name) for name in used if name not in known and name != ERROR_PORT]
    if ERROR_PORT in used or (node.on_error == "route" and spec is not None and not spec.is_trigger):
        ports.append(ERROR)
    return tuple(ports)


def _own_ports(node: Node, spec: StepSpec | None) -> list[tuple[str, str]]:
    if spec is None:
        return []
    try:
        return [(port.name, port.label) for port in spec.outs(node.fields)]
    except Exception:
        # Half-typed fields may make no sense to the step yet; the check names that problem, the drawing goes on.
        return [(port.name, port.label) for port in spec.ports_out]


def summary(node: Node, spec: StepSpec | None) -> str:
    """Return the second line of a card: what the step is set to, in a few words."""
    if spec is None:
        return words.unknown_step(node.use)
    for one in sorted(spec.fields, key=lambda one: (not one.required, one.is_advanced)):
        value = node.fields.get(one.name)
        if isinstance(value, str) and value.strip() and one.type != "code":
            return " ".join(value.split())[:80]
        if isinstance(value, Mapping) and value and one.type in ("expressions", "cases", "object"):
            return ", ".join(list(map(str, value))[:6])
        if isinstance(value, list | tuple) and value and all(isinstance(entry, str) for entry in value):
            return ", ".join(value[:4])
    return spec.title


def messages(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """Return the sentences of the problems, node by node."""
    texts: dict[str, list[str]] = {}
    for problem in problems:
        if problem.node and problem.severity == "error":
            texts.setdefault(problem.node, []).append(problem.text)
    return texts


def difference(old: Shown, new: Shown) -> list[Op]:
    """Return the ops that turn one look into the other; none when they are the same."""
    ops: list[Op] = []
    gone_nodes = [node_id for node_id in old.nodes if node_id not in new.nodes]
    gone_edges = [edge_id for edge_id in old.edges if edge_id not in new.edges]
    if gone_nodes or gone_edges:
        ops.append(del_op(gone_nodes, gone_edges))
    moved: list[tuple[str, float, float]] = []
    for node_id, card in new.nodes.items():
        before = old.nodes.get(node_id)
        if before is None or before is card:
            continue
        if (before.x, before.y) != (card.x, card.y):
            moved.append((node_id, card.x, card.y))
        if changed := _changed(before, card):
            ops.append(set_op(node_id, **changed))
    if moved:
        ops.append(move_op(moved))
    come_nodes = [card for node_id, card in new.nodes.items() if node_id not in old.nodes]
    come_edges = [edge for edge_id, edge in new.edges.items() if edge_id not in old.edges]
    if come_nodes or come_edges:
        ops.append(add_op(come_nodes, come_edges))
    return ops


_DATA = ("title", "sub", "icon", "hue", "disabled", "problems", "ports_in", "ports_out")


def _changed(before: CanvasNode, after: CanvasNode) -> dict[str, Any]:
    return {name: getattr(after, name) for name in _DATA if getattr(before, name) != getattr(after, name)}


def follow(shown: Shown, ops: Sequence[Op]) -> Shown:
    """Return what a tab shows after a gesture it has drawn by itself already."""
    nodes, edges = dict(shown.nodes), dict(shown.edges)
    for op in ops:
        match op["op"]:
            case "move":
                for node_id, x, y in op["to"]:
                    if node_id in nodes:
                        nodes[node_id] = replace(nodes[node_id], x=x, y=y)
            case "del":
                for node_id in op["nodes"]:
                    nodes.pop(node_id, None)
                for edge_id in op["edges"]:
                    edges.pop(edge_id, None)
            case "add":
                for raw in op["edges"]:
                    line = _line(raw)
                    edges[line.id] = line
    return Shown(nodes, edges)


def change_of(document: Document, ops: Sequence[Op]) -> Change | None:
    """Return the gesture as one change of the document, None when it changes nothing there."""
    changes: list[Change] = []
    by_id = {edge.id: edge for edge in document.edges}
    for op in ops:
        match op["op"]:
            case "move":
                changes.append(Move(to={node_id: (round(x), round(y)) for node_id, x, y in op["to"]}))
            case "del":
                edges = tuple(by_id[edge_id] for edge_id in op["edges"] if edge_id in by_id)
                if op["nodes"]:
                    changes.append(RemoveNodes(nodes=tuple(op["nodes"]), edges=edges))
                elif edges:
                    changes.append(RemoveEdges(edges=edges))
            case "add":
                lines = [_line(raw) for raw in op["edges"]]
                new = tuple(Edge(line.source, line.target, line.source_port, line.target_port) for line in lines)  # type: ignore[arg-type]
                if new:
                    changes.append(AddEdges(edges=new))
    if not changes:
        return None
    return changes[0] if len(changes) == 1 else Batch(changes=tuple(changes))


def closes_circle(document: Document, ops: Sequence[Op]) -> bool:
    """Whether lines that the gesture draws would let a step wait for itself."""
    added = [_line(raw) for op in ops if op["op"] == "add" for raw in op["edges"]]
    if not added:
        return False
    gone = {edge_id for op in ops if op["op"] == "del" for edge_id in op["edges"]}
    after: dict[str, list[str]] = {}
    for edge in document.edges:
        if edge.id not in gone:
            after.setdefault(edge.source, []).append(edge.target)
    for line in added:
        after.setdefault(line.source, []).append(line.target)
    for line in added:
        seen, ahead = set(), [line.target]
        while ahead:
            here = ahead.pop()
            if here == line.source:
                return True
            if here not in seen:
                seen.add(here)
                ahead += after.get(here, ())
    return False


def _line(raw: Mapping[str, Any]) -> CanvasEdge:
    return CanvasEdge(raw["source"], raw["target"], raw["source_port"], raw["target_port"])
