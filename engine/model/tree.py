"""
Text becomes a tree of plain values, and for each value the place where it stood.

YAML and JSON readers feed one `TreeBuilder`; it holds the limits, so nothing large is built before it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from engine.model.problems import Problem

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 5_000
MAX_EDGES: Final = 50_000
MAX_VALUES: Final = 500_000
MAX_PROBLEMS: Final = 500
KEYS_DEPTH: Final = 4
"""Keys deeper than this belong to the steps, not to the format; their own place is not kept."""

SMALLEST_INTEGER: Final = -(2**63)
LARGEST_INTEGER: Final = 2**64 - 1
"""What JSON encoders and databases agree on; longer numbers are written as text."""

Path = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, both from 1."""


class Stop(Exception):
    """Reading ends here; what made it end is the last problem of the tree."""


@dataclass(slots=True)
class Tree:
    """Plain values, where each stood (`keys`: where its key stood), and what was wrong on the way."""

    value: Any = None
    positions: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_complete: bool = False


def place_of(path: Path) -> tuple[str | None, str | None]:
    """Return the node and the field that a path lies in: what the canvas and the inspector look for."""
    if len(path) < 2 or path[0] != "nodes":
        return None, None
    node = str(path[1])
    if len(path) > 3 and path[2] == "with":
        return node, str(path[3])
    return node, str(path[2]) if len(path) > 2 else None


def problem_at(
    code: str,
    text: str,
    path: Path = (),
    position: Position | None = None,
    *,
    hint: str | None = None,
    is_warning: bool = False,
    node: str | None = None,
) -> Problem:
    """Return a problem whose node and field follow from its path; `node` names the one to mark where the path does not."""
    found, name = place_of(path)
    line, column = position or (None, None)
    return Problem(
        code=code,
        text=text,
        hint=hint,
        line=line,
        column=column,
        path=path,
        node=found or node,
        field=name,
        severity="warning" if is_warning else "error",
    )


def note(problems: list[Problem], problem: Problem) -> None:
    """Add a problem to the list; the one that would be too many ends it, with `Stop`."""
    if len(problems) >= MAX_PROBLEMS:
        problems.append(problem_at("too_many", "There are more problems than these.", hint="Mend these first."))
        raise Stop
    problems.append(problem)


class TreeBuilder:
    """
    Puts a stream of openings, scalars and closings together.

    Raises `Stop` when a limit is passed, with the problem already noted.
    """

    def __init__(self) -> None:
        self.tree = Tree()
        self._stack: list[_Frame] = []
        self._values = 0

    @property
    def wants_key(self) -> bool:
        """Whether the next scalar is the key of a mapping."""
        return bool(self._stack) and self._stack[-1].wants_key

    @property
    def path(self) -> Path:
        """The path of the value that comes next."""
        return self._stack[-1].next_path() if self._stack else ()

    def problem(self, code: str, text: str, position: Position, *, hint: str | None = None, is_warning: bool = False) -> None:
        """Note a problem at the value that comes next; raises `Stop` when there are too many."""
        note(self.tree.problems, problem_at(code, text, self.path, position, hint=hint, is_warning=is_warning))

    def stop(self, code: str, text: str, position: Position, *, hint: str | None = None) -> Stop:
        """Note the problem that ends the reading and return the exception to raise."""
        self.tree.problems.append(problem_at(code, text, self.path, position, hint=hint))
        return Stop()

    def key(self, text: str, position: Position) -> None:
        """Take the key of the entry that follows."""
        frame = self._stack[-1]
        assert isinstance(frame.container, dict)
        frame.key, frame.wants_key, frame.key_position = text, False, position
        frame.is_repeated = text in frame.container
        path = (*frame.path, text)
        if frame.is_repeated:
            self.problem("duplicate_key", f"“{_short(text)}” stands here twice.", position, hint="Keep one of the two.")
        elif not frame.is_muted:
            if len(path) <= KEYS_DEPTH:
                self.tree.keys[path] = position
            if frame.path == ("nodes",) and len(frame.container) >= MAX_NODES:
                raise self.stop("too_large", f"A workflow has at most {MAX_NODES:,} nodes.", position)

    def scalar(self, value: Any, position: Position) -> None:
        """Take a text, number, truth value or null."""
        self._add(value, position)

    def open(self, container: dict[str, Any] | list[Any], position: Position) -> None:
        """Take the beginning of a mapping or a list."""
        if len(self._stack) >= MAX_DEPTH:
            raise self.stop("too_deep", f"The document is nested more than {MAX_DEPTH} deep.", position)
        path, is_muted = self._add(container, position)
        self._stack.append(_Frame(container, path, is_muted))

    def close(self) -> None:
        """Take the end of the mapping or list opened last."""
        self._stack.pop()

    def _add(self, value: Any, position: Position) -> tuple[Path, bool]:
        self._values += 1
        if self._values > MAX_VALUES:
            raise self.stop("too_large", f"The document has more than {MAX_VALUES:,} values.", position)
        if not self._stack:
            self.tree.value = value
            self.tree.positions[()] = position
            return (), False
        frame = self._stack[-1]
        container = frame.container
        if isinstance(container, list):
            path = (*frame.path, len(container))
            if frame.path == ("edges",) and len(container) >= MAX_EDGES:
                raise self.stop("too_large", f"A workflow has at most {MAX_EDGES:,} edges.", position)
            container.append(value)
            if not frame.is_muted:
                self.tree.positions[path] = position
            return path, frame.is_muted
        path = (*frame.path, frame.key)
        is_muted = frame.is_muted or frame.is_repeated
        if not is_muted:
            container[frame.key] = value
            same_line = frame.key_position[0] == position[0]
            self.tree.positions[path] = position if same_line else frame.key_position
        frame.wants_key = True
        return path, is_muted


class _Frame:
    """A mapping or list that is being filled; what stands in a repeated key is read but kept nowhere."""

    __slots__ = ("container", "is_muted", "is_repeated", "key", "key_position", "path", "wants_key")

    def __init__(self, container: dict[str, Any] | list[Any], path: Path, is_muted: bool) -> None:
        self.container = container
        self.path = path
        self.is_muted = is_muted
        self.is_repeated = False
        self.wants_key = isinstance(container, dict)
        self.key = ""
        self.key_position: Position = (1, 1)

    def next_path(self) -> Path:
        if isinstance(self.container, list):
            return (*self.path, len(self.container))
        return self.path if self.wants_key else (*self.path, self.key)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
