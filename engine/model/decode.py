"""From plain values to a `Document`: what is wrong becomes problems, the rest becomes the document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar, cast, get_args

from engine.ids import NodeId
from engine.model.decode_limits import decode_budget, decode_concurrency, decode_rates
from engine.model.durations import parse_duration
from engine.model.limits import PRIORITIES
from engine.model.tree import MAX_EDGES, MAX_NODES, Path, Position, Stop, Tree, note, problem_at
from engine.model.words import PORT_PATTERN, did_you_mean, is_node_id, nearest, one_of, slug
from engine.model.workflow import (
    DEFAULT_IN,
    DEFAULT_OUT,
    Document,
    Edge,
    Keep,
    Node,
    OnError,
    OnUncertain,
    RetryPolicy,
    Settings,
)

FORMAT: Final = 1
NAME_LENGTH: Final = 200
FARTHEST: Final = 10_000_000
"""Canvas units from the origin to the farthest place a box may have."""

DOCUMENT_KEYS: Final = ("treadle", "name", "description", "nodes", "edges", "settings", "layout")
NODE_KEYS: Final = (
    "title", "note", "use", "connection", "with", "retry", "timeout", "on_error", "on_uncertain", "run_on_empty", "disabled",
)  # fmt: skip
RETRY_KEYS: Final = ("attempts", "first", "factor", "max", "total")
SETTINGS_KEYS: Final = ("timezone", "concurrency", "priority", "timeout", "budget", "rates", "on_failure", "keep", "search")
KEEP_KEYS: Final = ("days", "runs", "failed_days", "payload_days")

MEANT: Final[Mapping[str, str]] = {
    "type": "use", "step": "use", "action": "use", "kind": "use", "parameters": "with", "params": "with", "config": "with",
    "inputs": "with", "args": "with", "fields": "with", "name": "title", "label": "title", "description": "note",
    "comment": "note", "notes": "note", "retries": "retry", "continue_on_fail": "on_error", "enabled": "disabled",
    "version": "treadle",
    "title": "name", "steps": "nodes", "connections": "edges", "links": "edges", "position": "layout", "positions": "layout",
    "longest": "max", "backoff": "factor", "tz": "timezone",
}  # fmt: skip
"""What other programs call these keys."""

_EDGE: Final = re.compile(
    rf"\s*([^\s.>-][^\s.>]*?)(?:\.({PORT_PATTERN}))?\s*(?:->|→)\s*([^\s.>-][^\s.>]*?)(?:\.({PORT_PATTERN}))?\s*"
)
_T = TypeVar("_T", bound=str)
_MISSING: Final = object()


def decode(tree: Tree, *, is_fragment: bool = False) -> Document | None:
    """
    Return the document that a tree describes, as far as it can be told, and add what is wrong to the tree's problems.

    None when it is no document at all, or has hundreds of problems. What is wrong is left out or takes its default. A fragment
    needs no name.
    """
    try:
        return Decoder(tree).document(is_fragment=is_fragment)
    except Stop:
        return None


def parse_edge(text: str) -> Edge | None:
    """Return the edge that `source[.port] -> target[.port]` says, None when it says none."""
    match = _EDGE.fullmatch(text) if len(text) < 400 else None
    if match is None or not is_node_id(match[1]) or not is_node_id(match[3]):
        return None
    return Edge(NodeId(match[1]), NodeId(match[3]), match[2] or DEFAULT_OUT, match[4] or DEFAULT_IN)


class Decoder:
    """One reading of one tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def document(self, *, is_fragment: bool) -> Document | None:
        top = self.tree.value
        if not isinstance(top, dict):
            text = "The document is empty." if top is None else f"A workflow document is a mapping, not {kind_of(top)}."
            self.problem("wrong_type", text, (), hint="It begins with “treadle: 1”, “name: …” and “nodes:”.")
            return None
        self.keys(top, (), DOCUMENT_KEYS)
        if not self.format(top):
            return None
        nodes = self.nodes(top)
        return Document(
            name=self.name(top, is_fragment=is_fragment),
            description=self.text(top, "description", ()),
            nodes=nodes,
            edges=self.edges(top),
            settings=self.settings(top),
            layout=self.layout(top, nodes),
        )

    def format(self, top: Mapping[str, Any]) -> bool:
        number = top.get("treadle", _MISSING)
        if number is _MISSING:
            self.problem("missing", "The first line of a workflow document is missing.", (), hint="Write “treadle: 1”.")
        elif type(number) is not int:
            self.problem(
                "wrong_type", f"“treadle” is a number, not {kind_of(number)}.", ("treadle",), hint="Write “treadle: 1”."
            )
        elif number != FORMAT:
            text = f"This document is written in format {number}; this Treadle reads format {FORMAT}."
            self.problem("version", text, ("treadle",), hint="A newer Treadle may read it." if number > FORMAT else None)
            return False
        return True

    def name(self, top: Mapping[str, Any], *, is_fragment: bool) -> str:
        name = self.text(top, "name", ())
        if name is None:
            if not is_fragment and "name" not in top:
                self.problem("missing", "The workflow has no name.", (), hint="Write “name: …” below the first line.")
            return ""
        if not name.strip() and not is_fragment:
            self.problem("bad_value", "The name is empty.", ("name",))
        if "\0" in name:
            self.problem("bad_value", "The name holds a zero byte.", ("name",))
        if len(name) > NAME_LENGTH:
            self.problem("bad_value", f"The name is longer than {NAME_LENGTH} characters.", ("name",))
        return name

    def nodes(self, top: Mapping[str, Any]) -> dict[NodeId, Node]:
        section = self.section(top, "nodes", ())
        if len(section) > MAX_NODES:
            self.problem("too_large", f"A workflow has at most {MAX_NODES:,} nodes.", ("nodes",))
            return {}
        nodes = {}
        for node_id, data in section.items():
            path = ("nodes", node_id)
            if not is_node_id(node_id):
                text = f"“{node_id[:80]}” cannot name a node: a letter, then letters, digits and underscores, 64 at most."
                self.problem("bad_id", text, path, hint=f"Write “{slug(node_id)}”.", at_key=True)
            elif not isinstance(data, dict):
                self.problem("wrong_type", f"A node is a mapping, not {kind_of(data)}.", path, hint="It has at least “use: …”.")
            else:
                nodes[NodeId(node_id)] = self.node(NodeId(node_id), data, path)
        return nodes

    def node(self, node_id: NodeId, data: Mapping[str, Any], path: Path) -> Node:
        self.keys(data, path, NODE_KEYS)
        use = self.text(data, "use", path)
        if not use:
            text = f"Node “{node_id}” does not say which step it uses."
            self.problem("missing", text, (*path, "use") if "use" in data else path, hint="Write “use: …”.", at_key=True)
        return Node(
            id=node_id,
            use=use or "",
            title=self.text(data, "title", path),
            note=self.text(data, "note", path),
            connection=self.text(data, "connection", path),
            fields=self.section(data, "with", path),
            retry=self.retry(data, path),
            timeout=self.duration(data, "timeout", path, is_positive=True),
            on_error=self.choice(data, "on_error", path, cast("tuple[OnError, ...]", get_args(OnError)), "stop"),
            on_uncertain=self.choice(data, "on_uncertain", path, cast("tuple[OnUncertain, ...]", get_args(OnUncertain)), "ask"),
            run_on_empty=self.flag(data, "run_on_empty", path),
            disabled=self.flag(data, "disabled", path),
        )

    def retry(self, data: Mapping[str, Any], path: Path) -> RetryPolicy | None:
        if data.get("retry") is None:
            return None
        if type(data["retry"]) is int:
            text = "“retry” is a mapping, not a number."
            self.problem("wrong_type", text, (*path, "retry"), hint=f"Write “retry: {{attempts: {data['retry']}}}”.")
            return None
        section, path = self.section(data, "retry", path), (*path, "retry")
        self.keys(section, path, RETRY_KEYS)
        usual = RetryPolicy()
        first, longest = self.duration(section, "first", path), self.duration(section, "max", path)
        return RetryPolicy(
            attempts=self.integer(section, "attempts", path, 1, 1000) or usual.attempts,
            first=usual.first if first is None else first,
            factor=self.number(section, "factor", path, 1, 100) or usual.factor,
            longest=usual.longest if longest is None else longest,
            total=self.duration(section, "total", path),
        )

    def settings(self, top: Mapping[str, Any]) -> Settings:
        section, path = self.section(top, "settings", ()), ("settings",)
        self.keys(section, path, SETTINGS_KEYS)
        return Settings(
            timezone=self.text(section, "timezone", path) or "UTC",
            concurrency=decode_concurrency(self, section, path),
            priority=self.integer(section, "priority", path, *PRIORITIES) or 0,
            timeout=self.duration(section, "timeout", path, is_positive=True),
            budget=decode_budget(self, section, path),
            rates=decode_rates(self, section, path),
            on_failure=self.text(section, "on_failure", path),
            keep=self.keep(section),
            search=section.get("search") is None or self.flag(section, "search", path),
        )

    def keep(self, settings: Mapping[str, Any]) -> Keep | None:
        section, path = self.section(settings, "keep", ("settings",)), ("settings", "keep")
        self.keys(section, path, KEEP_KEYS)
        keep = Keep(**{name: self.integer(section, name, path, 1, 1_000_000) for name in KEEP_KEYS})
        return None if keep == Keep() else keep

    def edges(self, top: Mapping[str, Any]) -> tuple[Edge, ...]:
        listed = top.get("edges")
        if listed is None:
            return ()
        if not isinstance(listed, list):
            self.problem("wrong_type", f"“edges” is a list, not {kind_of(listed)}.", ("edges",), hint="Write “- a -> b”.")
            return ()
        if len(listed) > MAX_EDGES:
            self.problem("too_large", f"A workflow has at most {MAX_EDGES:,} edges.", ("edges",))
            return ()
        edges = []
        for index, text in enumerate(listed):
            edge = parse_edge(text) if isinstance(text, str) else None
            if edge is None:
                said = f"“{text[:80]}” is no edge." if isinstance(text, str) else f"An edge is a text, not {kind_of(text)}."
                self.problem(
                    "bad_edge",
                    said,
                    ("edges", index),
                    hint="Edges are written “source -> target” or “source.port -> target.port”.",
                )
            else:
                edges.append(edge)
        return tuple(edges)

    def layout(self, top: Mapping[str, Any], nodes: Mapping[NodeId, Node]) -> dict[NodeId, tuple[int, int]]:
        layout = {}
        written = top.get("nodes")
        known: Mapping[str, Any] = written if isinstance(written, dict) else {}
        for name, place in self.section(top, "layout", ()).items():
            path, node_id = ("layout", name), NodeId(name)
            if name not in known:
                hint = did_you_mean(name, known, otherwise="Remove the line.")
                self.problem("unknown_node", f"There is no node “{name[:80]}” to lay out.", path, hint=hint, at_key=True)
            elif not (isinstance(place, list) and len(place) == 2 and all(type(value) in (int, float) for value in place)):
                self.problem("wrong_type", "A place on the canvas is two whole numbers.", path, hint="Write “[x, y]”.")
            elif any(value != int(value) or abs(value) > FARTHEST for value in place):
                self.problem("bad_value", f"A place on the canvas is two whole numbers up to {FARTHEST:,}.", path)
            elif node_id in nodes:
                layout[node_id] = (int(place[0]), int(place[1]))
        return layout

    # The kinds of value: each returns what was written, or the default with a problem noted.

    def keys(self, data: Mapping[str, Any], path: Path, known: Sequence[str]) -> None:
        for key in data:
            if key not in known:
                free = [word for word in known if word not in data]
                meant = MEANT.get(key.lower())
                found = meant if meant in free else nearest(key, free) or nearest(key, known)
                hint = f"Did you mean “{found}”?" if found else f"Here {one_of(known)} may stand."
                self.problem("unknown_key", f"“{key[:80]}” means nothing here.", (*path, key), hint=hint, at_key=True)

    def section(self, data: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
        value = data.get(key)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.problem("wrong_type", f"“{key}” is a mapping, not {kind_of(value)}.", (*path, key))
        return {}

    def text(self, data: Mapping[str, Any], key: str, path: Path) -> str | None:
        value = data.get(key)
        if value is None or isinstance(value, str):
            return value
        hint = None if isinstance(value, dict | list) else f'Put it in quotes: "{str(value).lower()[:40]}".'
        self.problem("wrong_type", f"“{key}” is a text, not {kind_of(value)}.", (*path, key), hint=hint)
        return None

    def flag(self, data: Mapping[str, Any], key: str, path: Path) -> bool:
        value = data.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        hint = "Write true or false."
        if isinstance(value, str) and value.lower() in ("yes", "on", "y", "no", "off", "n"):
            hint = f"Write {'true' if value.lower() in ('yes', 'on', 'y') else 'false'}."
        self.problem("wrong_type", f"“{key}” is true or false, not {kind_of(value)}.", (*path, key), hint=hint)
        return False

    def integer(self, data: Mapping[str, Any], key: str, path: Path, least: int, most: int) -> int | None:
        value = data.get(key)
        if value is None:
            return None
        if type(value) is not int:
            self.problem("wrong_type", f"“{key}” is a whole number, not {kind_of(value)}.", (*path, key))
        elif not least <= value <= most:
            self.problem("bad_value", f"“{key}” is a number from {least:,} to {most:,}.", (*path, key))
        else:
            return value
        return None

    def number(self, data: Mapping[str, Any], key: str, path: Path, least: int, most: int) -> float | None:
        value = data.get(key)
        if value is None:
            return None
        if type(value) not in (int, float):
            self.problem("wrong_type", f"“{key}” is a number, not {kind_of(value)}.", (*path, key))
        elif not least <= value <= most:
            self.problem("bad_value", f"“{key}” is a number from {least:,} to {most:,}.", (*path, key))
        else:
            return float(value)
        return None

    def duration(self, data: Mapping[str, Any], key: str, path: Path, *, is_positive: bool = False) -> timedelta | None:
        value = data.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            hint = f"Write {value}s for seconds." if type(value) in (int, float) else "Write it like 30s, 5m or 1h30m."
            self.problem("wrong_type", f"“{key}” is a duration, not {kind_of(value)}.", (*path, key), hint=hint)
            return None
        try:
            length = parse_duration(value)
        except ValueError as error:
            self.problem("bad_value", f"“{key}”: {error}.", (*path, key))
            return None
        if is_positive and not length:
            self.problem("bad_value", f"“{key}” is longer than nothing.", (*path, key), hint="Leave it out for no limit.")
            return None
        return length

    def choice(self, data: Mapping[str, Any], key: str, path: Path, words: tuple[_T, ...], default: _T) -> _T:
        value = data.get(key)
        if value is None:
            return default
        found = next((word for word in words if word == value), None)
        if found is None:
            said = f"“{value[:80]}”" if isinstance(value, str) else kind_of(value)
            hint = did_you_mean(value, words) if isinstance(value, str) else None
            self.problem("bad_value", f"“{key}” is {one_of(words)}, not {said}.", (*path, key), hint=hint)
            return default
        return found

    def problem(self, code: str, text: str, path: Path, *, hint: str | None = None, at_key: bool = False) -> None:
        position = (self.tree.keys.get(path) if at_key else None) or locate(self.tree.positions, path)
        note(self.tree.problems, problem_at(code, text, path, position, hint=hint))


def locate(positions: Mapping[Path, Position], path: Path) -> Position | None:
    """Return where a path stands, or the nearest thing around it that stands somewhere."""
    while path:
        if found := positions.get(path):
            return found
        path = path[:-1]
    return positions.get(())


def kind_of(value: Any) -> str:
    """Return what a JSON value is, for a sentence."""
    for kind, name in _KIND_NAMES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_KIND_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (type(None), "nothing"), (bool, "true or false"), (int, "a number"), (float, "a number"),
    (str, "a text"), (list, "a list"), (dict, "a mapping"),
)  # fmt: skip
