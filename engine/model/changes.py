"""
Edits of a document as data, each with its exact inverse: what makes undo a list.

`apply` never changes the document it is given. Applying a change and then the inverse it hands back gives a document with the
same canonical text, byte for byte: order of nodes, edges and fields included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Final, TypeVar, assert_never, get_args

from engine.errors import BadRequest, Conflict, TooLarge
from engine.ids import NodeId
from engine.model.decode import kind_of
from engine.model.encode import check_plain
from engine.model.tree import MAX_EDGES, MAX_NODES
from engine.model.words import is_node_id, is_port, one_of, slug
from engine.model.workflow import Document, Edge, Node, OnError, OnUncertain, RetryPolicy, Settings

Place = tuple[int, int]


class _Absent:
    """A field that is not written at all, which is not the same as null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class AddNodes:
    """
    Put nodes in, with edges (among them or to others) and places on the canvas.

    `node_places` and `edge_places` say where in the document's order each one shall stand; without them they come last.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    layout: Mapping[NodeId, Place] = field(default_factory=dict)
    node_places: tuple[int, ...] | None = None
    edge_places: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class RemoveNodes:
    """Take nodes out, with their places, all their edges, and the `edges` named besides."""

    nodes: tuple[NodeId, ...]
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class AddEdges:
    """Draw lines; `places` says where in the document's order each shall stand."""

    edges: tuple[Edge, ...]
    places: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class RemoveEdges:
    """Pull lines off."""

    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Place boxes on the canvas; None takes a place away."""

    to: Mapping[NodeId, Place | None]


@dataclass(frozen=True, slots=True)
class SetField:
    """Write one field under `with`; ABSENT takes it out. `place` says where in the order a new one shall stand."""

    node: NodeId
    field: str
    value: Any
    place: int | None = None


@dataclass(frozen=True, slots=True)
class SetNode:
    """Write what stands beside `with`, or all of it: attributes of `Node` by name, all but `id`."""

    node: NodeId
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rename:
    """Give the workflow another name."""

    name: str


@dataclass(frozen=True, slots=True)
class Describe:
    """Say what the workflow is for."""

    description: str | None


@dataclass(frozen=True, slots=True)
class SetSettings:
    """Replace what holds for the whole workflow."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a whole other document in place: what editing the text does."""

    document: Document


@dataclass(frozen=True, slots=True)
class Batch:
    """Several changes as one step of undo: all of them happen or none."""

    changes: tuple[Change, ...]


Change = (
    AddNodes
    | RemoveNodes
    | AddEdges
    | RemoveEdges
    | Move
    | SetField
    | SetNode
    | Rename
    | Describe
    | SetSettings
    | Replace
    | Batch
)


def apply(document: Document, change: Change) -> tuple[Document, Change]:
    """
    Return the changed document and the change that undoes it.

    Raises `Conflict` when the document is not (or no longer) such that the change makes sense, `BadRequest` when it never does,
    `TooLarge` beyond the limits of the format.
    """
    match change:
        case AddNodes():
            return _add_nodes(document, change)
        case RemoveNodes():
            return _remove_nodes(document, change)
        case AddEdges():
            _check_new_edges(document, change.edges, document.nodes)
            edges = _insert(document.edges, change.edges, change.places)
            return replace(document, edges=edges), RemoveEdges(edges=change.edges)
        case RemoveEdges():
            edges, gone, places = _without_edges(document, change.edges, ())
            return replace(document, edges=edges), AddEdges(edges=gone, places=places)
        case Move():
            return _move(document, change)
        case SetField():
            return _set_field(document, change)
        case SetNode():
            return _set_node(document, change)
        case Rename():
            if not change.name.strip():
                raise BadRequest("A workflow needs a name.")
            _check_attributes({"name": change.name})
            return replace(document, name=change.name), Rename(name=document.name)
        case Describe():
            _check_attributes({"description": change.description})
            return replace(document, description=change.description), Describe(description=document.description)
        case SetSettings():
            return replace(document, settings=change.settings), SetSettings(settings=document.settings)
        case Replace():
            return change.document, Replace(document=document)
        case Batch():
            inverses: list[Change] = []
            for one in change.changes:
                document, inverse = apply(document, one)
                inverses.append(inverse)
            return document, Batch(changes=tuple(reversed(inverses)))
        case _:
            assert_never(change)


def fresh_node_id(document: Document, wish: str, *, taken: Iterable[str] = ()) -> NodeId:
    """Return a readable id for a new node, made of the words of `wish`; a number follows where the id is taken."""
    used = {*document.nodes, *taken}
    base = slug(wish)
    if base in RESERVED:
        base = NodeId(f"{base}_step")
    if base not in used:
        return base
    number = 2
    while f"{base}_{number}" in used:
        number += 1
    return NodeId(f"{base}_{number}")


RESERVED: Final = frozenset({"and", "or", "not", "in", "true", "false", "null", "if", "else"})
"""Words of the expression language, in which ids are spoken (`nodes.fetch.item`)."""

_SETTABLE: Final = tuple(one.name for one in fields(Node) if one.name != "id")


def _add_nodes(document: Document, change: AddNodes) -> tuple[Document, Change]:
    new = {node.id: node for node in change.nodes}
    if len(new) != len(change.nodes):
        raise BadRequest("The same node is added twice.")
    for node_id, node in new.items():
        if node_id in document.nodes:
            raise Conflict(f"There is a node “{node_id}” already.", where={"node": node_id})
        if not is_node_id(node_id):
            raise BadRequest(f"“{node_id[:80]}” cannot name a node.", hint=f"Write “{slug(node_id)}”.")
        _check_attributes({name: getattr(node, name) for name in _SETTABLE}, node_id)
    if len(document.nodes) + len(new) > MAX_NODES:
        raise TooLarge(f"A workflow has at most {MAX_NODES:,} nodes.")
    if stray := [node_id for node_id in change.layout if node_id not in new]:
        raise BadRequest(f"“{stray[0]}” is given a place and is not among the new nodes.")
    nodes = dict(_insert(tuple(document.nodes.items()), tuple(new.items()), change.node_places))
    _check_new_edges(document, change.edges, nodes)
    edges = _insert(document.edges, change.edges, change.edge_places)
    changed = replace(document, nodes=nodes, edges=edges, layout={**document.layout, **change.layout})
    return changed, RemoveNodes(nodes=tuple(new), edges=change.edges)


def _remove_nodes(document: Document, change: RemoveNodes) -> tuple[Document, Change]:
    gone = set(change.nodes)
    for node_id in change.nodes:
        _get(document, node_id)
    places = tuple(place for place, node_id in enumerate(document.nodes) if node_id in gone)
    edges, gone_edges, edge_places = _without_edges(document, change.edges, gone)
    changed = replace(
        document,
        nodes={node_id: node for node_id, node in document.nodes.items() if node_id not in gone},
        edges=edges,
        layout={node_id: place for node_id, place in document.layout.items() if node_id not in gone},
    )
    inverse = AddNodes(
        nodes=tuple(node for node_id, node in document.nodes.items() if node_id in gone),
        edges=gone_edges,
        layout={node_id: place for node_id, place in document.layout.items() if node_id in gone},
        node_places=places,
        edge_places=edge_places,
    )
    return changed, inverse


def _without_edges(
    document: Document, edges: Iterable[Edge], nodes: Iterable[NodeId]
) -> tuple[tuple[Edge, ...], tuple[Edge, ...], tuple[int, ...]]:
    """Return the edges that stay, those that go, and where the latter stood."""
    named, ends = set(edges), set(nodes)
    if missing := named.difference(document.edges):
        raise Conflict(f"There is no edge “{min(map(str, missing))}” any more.")
    stay, gone, places = [], [], []
    for place, edge in enumerate(document.edges):
        if edge in named or edge.source in ends or edge.target in ends:
            gone.append(edge)
            places.append(place)
        else:
            stay.append(edge)
    return tuple(stay), tuple(gone), tuple(places)


def _check_new_edges(document: Document, edges: Sequence[Edge], nodes: Mapping[NodeId, Node]) -> None:
    known = set(document.edges)
    for edge in edges:
        if edge in known:
            raise Conflict(f"There is an edge “{edge}” already.")
        for end in (edge.source, edge.target):
            if end not in nodes and end not in document.nodes:
                raise Conflict(f"There is no node “{end}” for the edge “{edge}”.", where={"node": end})
        if not (is_port(edge.source_port) and is_port(edge.target_port)):
            raise BadRequest(
                f"“{edge}” names a port that cannot be.", hint="Ports are letters, digits, underscores and dashes."
            )
    if len(document.edges) + len(edges) > MAX_EDGES:
        raise TooLarge(f"A workflow has at most {MAX_EDGES:,} edges.")


def _move(document: Document, change: Move) -> tuple[Document, Change]:
    layout = dict(document.layout)
    before: dict[NodeId, Place | None] = {}
    for node_id, place in change.to.items():
        _get(document, node_id)
        before[node_id] = layout.get(node_id)
        if place is None:
            layout.pop(node_id, None)
        else:
            layout[node_id] = (round(place[0]), round(place[1]))
    return replace(document, layout=layout), Move(to=before)


def _set_field(document: Document, change: SetField) -> tuple[Document, Change]:
    node = _get(document, change.node)
    entries = dict(node.fields)
    place = list(entries).index(change.field) if change.field in entries else None
    inverse = SetField(node=node.id, field=change.field, value=entries.get(change.field, ABSENT), place=place)
    if change.value is ABSENT:
        entries.pop(change.field, None)
    else:
        _check_value(node.id, change.field, change.value)
        if place is None and change.place is not None:
            entries = dict(_insert(tuple(entries.items()), ((change.field, change.value),), (change.place,)))
        else:
            entries[change.field] = change.value
    return _with_node(document, replace(node, fields=entries)), inverse


def _set_node(document: Document, change: SetNode) -> tuple[Document, Change]:
    node = _get(document, change.node)
    if unknown := [name for name in change.values if name not in _SETTABLE]:
        raise BadRequest(f"A node has no “{unknown[0]}”.", hint=f"It has {one_of(_SETTABLE)}.")
    _check_attributes(change.values, node.id)
    before = {name: getattr(node, name) for name in change.values}
    return _with_node(document, replace(node, **change.values)), SetNode(node=node.id, values=before)


def _get(document: Document, node_id: NodeId) -> Node:
    if node := document.nodes.get(node_id):
        return node
    raise Conflict(f"There is no node “{node_id}” any more.", where={"node": node_id})


def _with_node(document: Document, node: Node) -> Document:
    return replace(document, nodes={**document.nodes, node.id: node})


_T = TypeVar("_T")


def _insert(into: tuple[_T, ...], new: tuple[_T, ...], places: tuple[int, ...] | None) -> tuple[_T, ...]:
    """Return `into` with each new one at its place in the result, or at the end."""
    if places is None:
        return into + new
    result = list(into)
    for place, one in sorted(zip(places, new, strict=True), key=lambda pair: pair[0]):
        result.insert(place, one)
    return tuple(result)


_TEXTS: Final = frozenset({"title", "note", "connection", "description"})
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "use": (str,),
    "name": (str,),
    "fields": (Mapping,),
    "retry": (RetryPolicy, type(None)),
    "timeout": (timedelta, type(None)),
    "run_on_empty": (bool,),
    "disabled": (bool,),
    **dict.fromkeys(_TEXTS, (str, type(None))),
}
_WORDS: Final = {"on_error": get_args(OnError), "on_uncertain": get_args(OnUncertain)}


def _check_attributes(values: Mapping[str, Any], node_id: NodeId | None = None) -> None:
    """Refuse what a document cannot hold, so that every document can be written."""
    for name, value in values.items():
        if name in _WORDS and value not in _WORDS[name]:
            raise BadRequest(f"“{name}” is {one_of(_WORDS[name])}.", where={"node": node_id, "field": name})
        if name in _KINDS and not isinstance(value, _KINDS[name]):
            raise BadRequest(f"“{name}” cannot be {kind_of(value)}.", where={"node": node_id, "field": name})
        if name == "fields":
            for key, inner in value.items():
                _check_value(node_id, key, inner)
        elif isinstance(value, str):
            _check_value(node_id, name, value)


def _check_value(node_id: NodeId | None, name: str, value: Any) -> None:
    if problems := check_plain({name: value}, ("nodes", str(node_id), "with")):
        raise BadRequest(problems[0].text, hint=problems[0].hint, where={"node": node_id, "field": name})
