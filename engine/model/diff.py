"""What changed between two documents, down to the single field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.ids import NodeId
from engine.model.changes import ABSENT
from engine.model.encode import document_data, node_data
from engine.model.workflow import Document, Edge


@dataclass(frozen=True, slots=True)
class Difference:
    """One value before and after; ABSENT where it was not written. `path` starts below the node: `("with", "url")`."""

    path: tuple[str, ...]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDiff:
    """
    Everything that is not the same.

    `document` holds name, description and settings; `moved` the nodes that only stand elsewhere on the canvas.
    """

    added: tuple[NodeId, ...] = ()
    removed: tuple[NodeId, ...] = ()
    changed: Mapping[NodeId, tuple[Difference, ...]] = field(default_factory=dict)
    added_edges: tuple[Edge, ...] = ()
    removed_edges: tuple[Edge, ...] = ()
    document: tuple[Difference, ...] = ()
    moved: tuple[NodeId, ...] = ()
    is_reordered: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether both documents say the same, the places of the boxes included."""
        return self == DocumentDiff()


def diff_documents(a: Document, b: Document) -> DocumentDiff:
    """Return what it takes to come from `a` to `b`; `is_reordered` when nothing but an order (nodes, fields, edges) differs."""
    changed = {}
    for node_id in a.nodes:
        if node_id in b.nodes and (ways := tuple(_compare(node_data(a.nodes[node_id]), node_data(b.nodes[node_id])))):
            changed[node_id] = ways
    before_edges, after_edges = set(a.edges), set(b.edges)
    found = DocumentDiff(
        added=tuple(node_id for node_id in b.nodes if node_id not in a.nodes),
        removed=tuple(node_id for node_id in a.nodes if node_id not in b.nodes),
        changed=changed,
        added_edges=tuple(edge for edge in b.edges if edge not in before_edges),
        removed_edges=tuple(edge for edge in a.edges if edge not in after_edges),
        document=tuple(_compare(_outside(a), _outside(b))),
        moved=tuple(node_id for node_id in a.nodes if node_id in b.nodes and a.layout.get(node_id) != b.layout.get(node_id)),
    )
    if found.is_empty and _order(a) != _order(b):
        return DocumentDiff(is_reordered=True)
    return found


def _outside(document: Document) -> dict[str, Any]:
    data = document_data(document, with_layout=False)
    return {key: value for key, value in data.items() if key not in ("treadle", "nodes", "edges")}


def _order(document: Document) -> Any:
    return list(document.nodes), document.edges, [list(node.fields) for node in document.nodes.values()]


def _compare(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _compare(before.get(key, ABSENT), after.get(key, ABSENT), (*path, key))
    elif not _is_same(before, after):
        yield Difference(path, before, after)


def _is_same(before: Any, after: Any) -> bool:
    """Equality as the text has it: 1, 1.0 and true are three values."""
    if type(before) is not type(after):
        return False
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_is_same, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_is_same(before[key], after[key]) for key in before)
    return bool(before == after) and repr(before) == repr(after)
