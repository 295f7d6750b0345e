"""Two versions as one drawing, and what changed between them in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from engine.model.changes import ABSENT
from engine.model.diff import Difference, DocumentDiff
from engine.model.workflow import Node

from .. import words
from .canvas import CanvasNode, NodeStatus
from .views import Shown, look

if TYPE_CHECKING:
    from engine.service.versions import Comparison
    from engine.steps.catalog import Catalog

ASIDE = 90
"""How far below its place a removed box is drawn where another one stands there now."""

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that changed: a step (`node` names it), the workflow as a whole, or its lines."""

    title: str
    kind: Kind
    node: str | None = None
    ways: Sequence[Way] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """One value before and after as text; None where it was not written."""

    path: str
    before: str | None
    after: str | None


def look_compared(compared: Comparison, catalog: Catalog) -> tuple[Shown, Mapping[str, NodeStatus]]:
    """Return one drawing of both documents, removed steps and lines included, and how each step stands between them."""
    before, after, diff = look(compared.before, catalog), look(compared.after, catalog), compared.diff
    shown = Shown(dict(after.nodes), {})
    taken = {(node.x, node.y) for node in after.nodes.values()}
    for node_id in diff.removed:
        shown.nodes[node_id] = _aside(before.nodes[node_id], taken)
    added, removed = {edge.id for edge in diff.added_edges}, {edge.id for edge in diff.removed_edges}
    for edge_id, edge in after.edges.items():
        shown.edges[edge_id] = replace(edge, mark="added") if edge_id in added else edge
    for edge_id, edge in before.edges.items():
        if edge_id in removed:
            shown.edges[edge_id] = replace(edge, mark="removed")
    states: dict[str, NodeStatus] = {node_id: NodeStatus("added") for node_id in diff.added}
    states |= {node_id: NodeStatus("removed") for node_id in diff.removed}
    states |= {node_id: NodeStatus("changed") for node_id in diff.changed}
    _keep_ports(shown, before)
    return shown, states


def _aside(node: CanvasNode, taken: set[tuple[float, float]]) -> CanvasNode:
    while (node.x, node.y) in taken:
        node = replace(node, y=node.y + ASIDE)
    taken.add((node.x, node.y))
    return node


def _keep_ports(shown: Shown, before: Shown) -> None:
    """Let removed lines end somewhere: a port that only the earlier version has is drawn too."""
    for edge in shown.edges.values():
        if edge.mark != "removed":
            continue
        for node_id, name, side in (
            (edge.source, edge.source_port, "ports_out"),
            (edge.target, edge.target_port, "ports_in"),
        ):
            node = shown.nodes[node_id]
            ports = getattr(node, side)
            if all(port.name != name for port in ports):
                lost = [port for port in getattr(before.nodes[node_id], side) if port.name == name]
                shown.nodes[node_id] = replace(node, **{side: (*ports, *lost)})


def entries(compared: Comparison) -> list[Entry]:
    """Return everything that changed, in the order people look for it: the workflow, steps as they stand, lines."""
    diff = compared.diff
    found: list[Entry] = []
    if diff.document:
        found.append(Entry(words.WHOLE_WORKFLOW, "changed", ways=[_way(one) for one in diff.document]))
    for node in compared.after.nodes.values():
        if node.id in diff.added:
            found.append(Entry(node.label, "added", node.id, _said(node, is_after=True)))
        elif ways := diff.changed.get(node.id):
            found.append(Entry(node.label, "changed", node.id, [_way(one) for one in ways]))
    found += [
        Entry(node.label, "removed", node.id, _said(node, is_after=False))
        for node in compared.before.nodes.values()
        if node.id in diff.removed
    ]
    for kind, edges in (("added", diff.added_edges), ("removed", diff.removed_edges)):
        if lines := [str(edge) for edge in edges]:
            is_added = kind == "added"
            ways = [Way("", None if is_added else line, line if is_added else None) for line in lines]
            found.append(Entry(words.LINES, "added" if is_added else "removed", ways=ways))
    return found


def remark(diff: DocumentDiff) -> str:
    """Return what is to be said where nothing that runs differs; empty where something does."""
    if diff.added or diff.removed or diff.changed or diff.added_edges or diff.removed_edges or diff.document:
        return ""
    if diff.moved:
        return words.ONLY_MOVED
    return words.ONLY_ORDER if diff.is_reordered else words.SAME_VERSIONS_TEXT


def counted(compared: Comparison) -> str:
    """Return how many steps were added, removed and changed, as one line."""
    diff = compared.diff
    return words.changes_in_all(len(diff.added), len(diff.removed), len(diff.changed))


def _said(node: Node, *, is_after: bool) -> list[Way]:
    """Return what a step that came or went says, field by field."""
    values = {"use": node.use, **node.fields}
    return [
        Way(name, None if is_after else _as_text(value), _as_text(value) if is_after else None)
        for name, value in values.items()
    ]


def _way(one: Difference) -> Way:
    path = one.path[1:] if one.path[:1] == ("with",) and len(one.path) > 1 else one.path
    return Way(" · ".join(path), _as_text(one.before), _as_text(one.after))


def _as_text(value: Any) -> str | None:
    if value is ABSENT:
        return None
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None, default=str)
