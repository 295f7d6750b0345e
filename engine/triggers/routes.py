"""Which webhook answers which address: paths with parameters, the most specific first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from engine.errors import BadInput, Conflict
from engine.protocols import TriggerState

KNOWN_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
DEFAULT_METHODS = ("POST",)
LONGEST_PATH = 500
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


@dataclass(frozen=True, slots=True)
class Match:
    """A request found its trigger; `params` are the values of the path's parameters."""

    trigger: TriggerState
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OtherMethods:
    """The path is known, but not for that method; `allowed` are those it has."""

    allowed: tuple[str, ...]


@dataclass(slots=True)
class _Leaf:
    """What a path leads to for one method: the trigger, and the names of its parameters in order."""

    trigger: TriggerState
    names: tuple[str, ...]


@dataclass(slots=True)
class _Branch:
    literal: dict[str, _Branch] = field(default_factory=dict)
    parameter: _Branch | None = None
    leaves: dict[str, _Leaf] = field(default_factory=dict)


class RouteTable:
    """
    The webhooks of all active versions as a tree of path segments.

    Segment by segment from the left, a literal wins over a parameter; so `orders/new` is found before `orders/{id}`.
    """

    def __init__(self, triggers: Iterable[TriggerState] = ()) -> None:
        self._root = _Branch()
        self.count = 0
        for trigger in triggers:
            if trigger.path is not None:
                self._add(trigger, split_path(trigger.path))

    def _add(self, trigger: TriggerState, segments: Sequence[str]) -> None:
        branch, names = self._root, list[str]()
        for segment in segments:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                branch.parameter = branch.parameter or _Branch()
                branch = branch.parameter
            else:
                branch = branch.literal.setdefault(segment, _Branch())
        leaf = _Leaf(trigger, tuple(names))
        for method in trigger.methods or DEFAULT_METHODS:
            branch.leaves.setdefault(method, leaf)
        self.count += 1

    def find(self, method: str, path: str) -> Match | OtherMethods | None:
        """Return the trigger for a decoded path (without the `/hooks/` before it), which methods it has, or None."""
        segments = path.strip("/").split("/")
        values: list[str] = []
        others: set[str] = set()
        leaf = _search(self._root, segments, 0, method, values, others)
        if leaf is not None:
            return Match(leaf.trigger, dict(zip(leaf.names, values, strict=True)))
        return OtherMethods(tuple(name for name in KNOWN_METHODS if name in others)) if others else None


def _search(branch: _Branch, segments: list[str], at: int, method: str, values: list[str], others: set[str]) -> _Leaf | None:
    """Return the leaf for the segments from `at` on; `values` then holds the parameters, else `others` the methods seen."""
    if at == len(segments):
        if leaf := branch.leaves.get(method):
            return leaf
        others.update(branch.leaves)
        return None
    segment = segments[at]
    literal = branch.literal.get(segment)
    if literal is not None and (leaf := _search(literal, segments, at + 1, method, values, others)):
        return leaf
    if branch.parameter is not None and segment:
        values.append(segment)
        if leaf := _search(branch.parameter, segments, at + 1, method, values, others):
            return leaf
        values.pop()
    return None


def split_path(path: str) -> tuple[str, ...]:
    """Return the segments of a pattern, slashes at the ends left out."""
    return tuple(path.strip("/").split("/"))


def parse_path(value: Any) -> str:
    """
    Read the `path` of a webhook into its canonical form: no slash at the ends, parameters as `{name}`.

    Raises `BadInput` that says what is wrong with it.
    """
    if not isinstance(value, str) or not value.strip("/ "):
        raise BadInput("path", "A webhook needs a path.", hint="Such as orders/new or orders/{id}.")
    path = unquote(value.strip().strip("/"))
    if len(path) > LONGEST_PATH:
        raise BadInput("path", f"The path is longer than {LONGEST_PATH} characters.")
    names: set[str] = set()
    for segment in path.split("/"):
        if segment.startswith("{") and segment.endswith("}"):
            name = segment[1:-1]
            if not name.isidentifier() or not name.isascii():
                raise BadInput("path", f"“{segment}” is no parameter.", hint="Write {id}: letters, digits and underscores.")
            if name in names:
                raise BadInput("path", f"The path has two parameters named “{name}”.")
            names.add(name)
        elif not segment or segment in {".", ".."} or not _ALLOWED.issuperset(segment):
            raise BadInput(
                "path",
                f"“{segment}” cannot stand in the path of a webhook." if segment else "The path has an empty part.",
                hint="Use letters, digits, - . _ ~ and parameters such as {id}, parted by slashes.",
            )
    return path


def parse_methods(value: Any) -> tuple[str, ...]:
    """Read `methods`: a list or one text; nothing means POST. Raises `BadInput` for a method that is not known."""
    given = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    methods = [str(method).strip().upper() for method in given if str(method).strip()]
    for method in methods:
        if method not in KNOWN_METHODS:
            raise BadInput("methods", f"“{method}” is no method.", hint=f"Known are {', '.join(KNOWN_METHODS)}.")
    return tuple(dict.fromkeys(methods)) or DEFAULT_METHODS


def shape_of(path: str) -> str:
    """Return the path with its parameters nameless: two patterns with the same shape answer the same requests."""
    return "/".join("{}" if segment.startswith("{") else segment for segment in split_path(path))


def check_free(new: Sequence[TriggerState], others: Iterable[TriggerState], prefix: str = "hooks") -> None:
    """Pass when no route of `new` clashes with another one; raises `Conflict` that names who has it."""
    taken: dict[tuple[str, str], TriggerState] = {}
    for other in others:
        if other.path is not None:
            taken |= {(method, shape_of(other.path)): other for method in other.methods}
    for trigger in new:
        if trigger.path is None:
            continue
        for method in trigger.methods:
            holder = taken.setdefault((method, shape_of(trigger.path)), trigger)
            if holder is not trigger:
                of = "this workflow" if holder.workflow_id == trigger.workflow_id else f"the workflow “{holder.workflow_name}”"
                raise Conflict(
                    f"{method} /{prefix}/{trigger.path} is answered by “{holder.node}” of {of} already.",
                    hint="Give one of the two another path, or switch the other workflow off.",
                    where={"node": trigger.node, "field": "path", "workflow": holder.workflow_name},
                )
