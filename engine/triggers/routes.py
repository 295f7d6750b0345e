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
class _Branch:
    literal: dict[str, _Branch] = field(default_factory=dict)
    parameter: _Branch | None = None
    leaves: dict[str, TriggerState] = field(default_factory=dict)


class RouteTable:
    """
    The webhooks of all active versions as a tree of path segments.

    Segment by segment from the left, a literal wins over a parameter; so `orders/new` is found before `orders/{id}`.
    """

    def __init__(self, triggers: Iterable[TriggerState] = ()) -> None:
        self._root = _Branch()
        self._direct: dict[tuple[str, str], TriggerState] = {}
        self.count = 0
        for trigger in triggers:
            if trigger.path is not None:
                self._add(trigger, split_path(trigger.path))

    def _add(self, trigger: TriggerState, segments: Sequence[str]) -> None:
        branch, is_literal = self._root, True
        for segment in segments:
            if segment.startswith("{"):
                is_literal = False
                branch.parameter = branch.parameter or _Branch()
                branch = branch.parameter
            else:
                branch = branch.literal.setdefault(segment, _Branch())
        for method in trigger.methods or DEFAULT_METHODS:
            branch.leaves.setdefault(method, trigger)
            if is_literal:
                self._direct.setdefault((method, "/".join(segments)), trigger)
        self.count += 1

    def find(self, method: str, path: str) -> Match | OtherMethods | None:
        """Return the trigger for a decoded path (without the `/hooks/` before it), which methods it has, or None."""
        if trigger := self._direct.get((method, path)):
            return Match(trigger, {})
        segments = path.strip("/").split("/")
        best: OtherMethods | None = None
        for branch, values in _walk(self._root, segments, ()):
            if trigger := branch.leaves.get(method):
                names = [part[1:-1] for part in split_path(trigger.path or "") if part.startswith("{")]
                return Match(trigger, dict(zip(names, values, strict=True)))
            if branch.leaves:
                allowed = {*(best.allowed if best else ()), *branch.leaves}
                best = OtherMethods(tuple(name for name in KNOWN_METHODS if name in allowed))
        return best


def _walk(branch: _Branch, segments: Sequence[str], values: tuple[str, ...]) -> Iterable[tuple[_Branch, tuple[str, ...]]]:
    if not segments:
        yield branch, values
        return
    if literal := branch.literal.get(segments[0]):
        yield from _walk(literal, segments[1:], values)
    if branch.parameter is not None and segments[0]:
        yield from _walk(branch.parameter, segments[1:], (*values, segments[0]))


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


def check_free(new: Sequence[TriggerState], others: Iterable[TriggerState]) -> None:
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
                    f"{method} /hooks/{trigger.path} is answered by “{holder.node}” of {of} already.",
                    hint="Give one of the two another path, or switch the other workflow off.",
                    where={"node": trigger.node, "field": "path", "workflow": holder.workflow_name},
                )
