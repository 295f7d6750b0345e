"""From a `Document` to plain values, keys in their fixed order, whatever holds its default left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from engine.errors import InvalidDocument
from engine.ids import NodeId
from engine.model.decode import FORMAT, KEEP_KEYS
from engine.model.decode_limits import limits_data
from engine.model.durations import format_duration
from engine.model.problems import Problem
from engine.model.tree import LARGEST_INTEGER, MAX_DEPTH, SMALLEST_INTEGER, Path, problem_at
from engine.model.words import is_node_id, is_port
from engine.model.workflow import Document, Edge, Node, RetryPolicy, Settings

_OUTER: Final = 3
"""How deep the fields of a node lie: nodes, the node, with."""


def document_data(document: Document, *, with_layout: bool = True) -> dict[str, Any]:
    """
    Return the document as JSON would say it.

    Raises `InvalidDocument` when it holds what no text can say: values that are not JSON, halves of characters, impossible ids.
    """
    data: dict[str, Any] = {"treadle": FORMAT, "name": document.name}
    if document.description is not None:
        data["description"] = document.description
    data |= graph_data(document.nodes, document.edges, {})
    if settings := _settings(document.settings):
        data["settings"] = settings
    if with_layout and (layout := _layout(document.nodes, document.layout)):
        data["layout"] = layout
    _refuse(data, document.nodes, document.edges)
    return data


def fragment_data(nodes: Iterable[Node], edges: Iterable[Edge], layout: Mapping[NodeId, tuple[int, int]]) -> dict[str, Any]:
    """Return some nodes, the edges among them and their places, as a document without a name would say it."""
    kept = {node.id: node for node in nodes}
    among = tuple(edge for edge in edges if edge.source in kept and edge.target in kept)
    data = {"treadle": FORMAT, **graph_data(kept, among, layout)}
    _refuse(data, kept, among)
    return data


def graph_data(nodes: Mapping[NodeId, Node], edges: Iterable[Edge], layout: Mapping[NodeId, tuple[int, int]]) -> dict[str, Any]:
    """Return the sections `nodes`, `edges` and `layout`, empty ones left out."""
    sections: dict[str, Any] = {
        "nodes": {str(node_id): node_data(node) for node_id, node in nodes.items()},
        "edges": [str(edge) for edge in edges],
        "layout": _layout(nodes, layout),
    }
    return {name: section for name, section in sections.items() if section}


def node_data(node: Node) -> dict[str, Any]:
    """Return what stands under the node's id."""
    data: dict[str, Any] = {}
    if node.title is not None:
        data["title"] = node.title
    if node.note is not None:
        data["note"] = node.note
    data["use"] = node.use
    if node.connection is not None:
        data["connection"] = node.connection
    if node.fields:
        data["with"] = node.fields if isinstance(node.fields, dict) else dict(node.fields)
    if node.retry is not None:
        data["retry"] = _retry(node.retry)
    if node.timeout is not None:
        data["timeout"] = _duration(node.timeout, ("nodes", node.id, "timeout"))
    if node.on_error != "stop":
        data["on_error"] = node.on_error
    if node.on_uncertain != "ask":
        data["on_uncertain"] = node.on_uncertain
    if node.run_on_empty:
        data["run_on_empty"] = True
    if node.disabled:
        data["disabled"] = True
    return data


def _retry(retry: RetryPolicy) -> dict[str, Any]:
    """A policy is written out in full: what holds should not depend on what was usual on the day it was written."""
    data: dict[str, Any] = {
        "attempts": retry.attempts,
        "first": _duration(retry.first, ()),
        "factor": int(retry.factor) if retry.factor == int(retry.factor) else retry.factor,
        "max": _duration(retry.longest, ()),
    }
    if retry.total is not None:
        data["total"] = _duration(retry.total, ())
    return data


def _settings(settings: Settings) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if settings.timezone != "UTC":
        data["timezone"] = settings.timezone
    limits = limits_data(settings.concurrency, settings.budget, settings.rates)
    if "concurrency" in limits:
        data["concurrency"] = limits.pop("concurrency")
    if settings.priority:
        data["priority"] = settings.priority
    if settings.timeout is not None:
        data["timeout"] = _duration(settings.timeout, ("settings", "timeout"))
    data |= limits
    if settings.on_failure is not None:
        data["on_failure"] = settings.on_failure
    if settings.keep is not None:
        kept = {name: getattr(settings.keep, name) for name in KEEP_KEYS}
        if found := {name: value for name, value in kept.items() if value is not None}:
            data["keep"] = found
    if not settings.search:
        data["search"] = False
    return data


def _layout(nodes: Mapping[NodeId, Node], layout: Mapping[NodeId, tuple[int, int]]) -> dict[str, list[int]]:
    return {str(node_id): list(layout[node_id]) for node_id in nodes if node_id in layout}


def _duration(length: timedelta, path: Path) -> str:
    try:
        return format_duration(length)
    except ValueError as error:
        raise InvalidDocument([problem_at("bad_value", f"Not to be written: {error}.", path)]) from error


def _refuse(data: dict[str, Any], nodes: Mapping[NodeId, Node], edges: Iterable[Edge]) -> None:
    problems = [
        problem_at("bad_id", f"“{node_id}” cannot name a node.", ("nodes", node_id))
        for node_id, node in nodes.items()
        if not is_node_id(node_id) or node.id != node_id
    ]
    for index, edge in enumerate(edges):
        names_fit = is_node_id(edge.source) and is_node_id(edge.target)
        if not (names_fit and is_port(edge.source_port) and is_port(edge.target_port)):
            problems.append(problem_at("bad_edge", f"“{edge}” cannot be written as an edge.", ("edges", index)))
    problems += check_plain(data)
    if problems:
        raise InvalidDocument(problems)


def check_plain(value: Any, path: Path = ()) -> list[Problem]:
    """Return a problem for everything in `value` that a document cannot hold."""
    problems: list[Problem] = []
    stack: list[tuple[Any, Path]] = [(value, path)]
    while stack:
        one, at = stack.pop()
        kind = type(one)
        if kind is str:
            _check_text(one, at, problems)
        elif kind is dict:
            for key, inner in one.items():
                if type(key) is not str:
                    problems.append(problem_at("wrong_type", f"A key is a text, not {key!r:.60}.", (*at, str(key))))
                else:
                    _check_text(key, at, problems)
                    stack.append((inner, (*at, key)))
        elif kind is list:
            stack.extend((inner, (*at, index)) for index, inner in enumerate(one))
        elif kind is int:
            if not SMALLEST_INTEGER <= one <= LARGEST_INTEGER:
                problems.append(problem_at("number", "This number does not fit 64 bits.", at, hint="Make it a text."))
        elif kind is float:
            if one - one != 0:
                problems.append(problem_at("number", f"{one} is no number that JSON can hold.", at))
        elif one is not None and kind is not bool:
            problems.append(problem_at("wrong_type", f"A {kind.__name__} cannot stand in a document.", at))
        if len(at) >= MAX_DEPTH and kind in (dict, list):
            return [*problems, problem_at("too_deep", f"The document is nested more than {MAX_DEPTH} deep.", at[:_OUTER])]
    return problems


def _check_text(text: str, path: Path, problems: list[Problem]) -> None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        problems.append(problem_at("character", "This text holds half of a surrogate pair.", path))
