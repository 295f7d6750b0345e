"""Pasting: what was copied gets fresh ids, and speaks of itself by them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from engine.ids import NodeId
from engine.model.changes import AddNodes, Place, fresh_node_id
from engine.model.codec import Fragment
from engine.model.workflow import Document, Edge

STEP_ASIDE: Final = 40
"""How far from the original a copy lands when nobody says where."""

_REFERENCE: Final = re.compile(r"\bnodes(\.|\[\s*[\"'])([A-Za-z][A-Za-z0-9_]{0,63})\b")


def paste(document: Document, fragment: Fragment, *, at: Place | None = None) -> AddNodes:
    """
    Return the change that adds the fragment's nodes under ids that are free.

    Ids that are free stay. Edges, places and `nodes.<id>` in fields follow the new ids where they speak of pasted nodes. The
    upper left corner comes to `at`, or a step aside from where it was.
    """
    ids: dict[NodeId, NodeId] = {}
    for node in fragment.nodes.values():
        ids[node.id] = fresh_node_id(document, node.id, taken=ids.values())
    changed = {old: new for old, new in ids.items() if old != new}
    dx, dy = _offset(fragment.layout, at)
    return AddNodes(
        nodes=tuple(
            replace(node, id=ids[node.id], fields=rename_references(node.fields, changed)) for node in fragment.nodes.values()
        ),
        edges=tuple(
            Edge(ids[edge.source], ids[edge.target], edge.source_port, edge.target_port)
            for edge in dict.fromkeys(fragment.edges)
        ),
        layout={ids[node_id]: (x + dx, y + dy) for node_id, (x, y) in fragment.layout.items()},
    )


def rename_references(value: Any, ids: Mapping[NodeId, NodeId]) -> Any:
    """Return the value with `nodes.<old>` replaced in every text; what holds none is handed back as it is."""
    if not ids:
        return value
    if isinstance(value, str):
        if "nodes" not in value:
            return value
        return _REFERENCE.sub(lambda match: f"nodes{match[1]}{ids.get(NodeId(match[2]), match[2])}", value)
    if isinstance(value, Mapping):
        return {key: rename_references(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [rename_references(inner, ids) for inner in value]
    return value


def _offset(layout: Mapping[NodeId, Place], at: Place | None) -> Place:
    if at is None or not layout:
        return STEP_ASIDE, STEP_ASIDE
    return round(at[0]) - min(x for x, _ in layout.values()), round(at[1]) - min(y for _, y in layout.values())
