"""
What travels between Python and the canvas in the browser, see README.md.

Views (`CanvasNode`, `CanvasEdge`) go out; events (`OpsEvent`, `DropEvent`, ...) come in. Whatever a browser sends is checked
here: `read_*` functions take the raw message and raise `BadMessage` for anything that is not what the protocol says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, cast

PortKind: TypeAlias = Literal["items", "files", "error", "any"]
VersionState: TypeAlias = Literal["added", "removed", "changed"]
RunState: TypeAlias = Literal["queued", "running", "waiting", "needs_decision", "succeeded", "failed", "cancelled", "skipped"]
CommandName: TypeAlias = Literal["disable", "rename", "test", "search", "save"]
Op: TypeAlias = dict[str, Any]

CARD_WIDTH = 220
CARD_HEIGHT = 60
ROW_HEIGHT = 20
MAX_ENTRIES = 10_000
MAX_ID = 200
MAX_PASTE = 900_000  # NiceGUI drops browser messages above 1 MB
COMMANDS: frozenset[str] = frozenset({"disable", "rename", "test", "search", "save"})


class BadMessage(ValueError):
    """The browser sent something the protocol does not know."""


@dataclass(frozen=True, slots=True)
class CanvasPort:
    """A place on a card where lines attach; `loop` allows a line that closes a circle."""

    name: str
    kind: PortKind = "items"
    label: str | None = None
    loop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasNode:
    """One card. Settings are not part of it: they stay on the server."""

    id: str
    use: str
    title: str
    sub: str = ""
    icon: str = "widgets"
    hue: str = "data"
    x: float = 0
    y: float = 0
    ports_in: Sequence[CanvasPort] = ()
    ports_out: Sequence[CanvasPort] = ()
    disabled: bool = False
    problems: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CanvasEdge:
    """
    One line; its id says where it goes, so two lines between the same ports cannot exist.

    `mark` says how it stands between two versions that are compared.
    """

    source: str
    target: str
    source_port: str = "out"
    target_port: str = "in"
    mark: Literal["", "added", "removed"] = ""

    @property
    def id(self) -> str:
        return f"{self.source}.{self.source_port}->{self.target}.{self.target_port}"

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, **asdict(self)}


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """
    How a node stands in the run that is shown: `items` that left it, `ms` it took, `error` and `passes` in words.

    Where two versions are compared, `state` is how it stands between them.
    """

    state: RunState | VersionState
    items: int | None = None
    ms: float | None = None
    error: str | None = None
    passes: str = ""


@dataclass(frozen=True, slots=True)
class OpsEvent:
    """One gesture, already drawn in the browser under the number `seq`."""

    seq: int
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class SelectEvent:
    """What is selected now."""

    nodes: tuple[str, ...]
    edges: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEvent:
    """A palette step let go over the canvas, over the line `edge` when it shall be put between."""

    use: str
    x: float
    y: float
    edge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickAddEvent:
    """The wish for a next step: behind `source.port`, into `edge`, or as the first one; `left`/`top` in page pixels."""

    x: float
    y: float
    left: float
    top: float
    source: str | None = None
    port: str | None = None
    edge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasteEvent:
    """Document text to insert, at a point or (both None) beside the original."""

    text: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True, slots=True)
class CommandEvent:
    """A key that the page acts on, with the nodes selected at that moment."""

    name: CommandName
    nodes: tuple[str, ...]


def card_height(node: CanvasNode) -> int:
    """Height of the card in canvas units; follows from its ports alone (frontend/src/geometry.js does the same)."""
    rows = max(len(node.ports_in), len(node.ports_out))
    return CARD_HEIGHT if rows <= 1 else 56 + ROW_HEIGHT * rows


def add_op(nodes: Iterable[CanvasNode] = (), edges: Iterable[CanvasEdge] = ()) -> Op:
    return {"op": "add", "nodes": [n.as_json() for n in nodes], "edges": [e.as_json() for e in edges]}


def del_op(nodes: Iterable[str] = (), edges: Iterable[str] = ()) -> Op:
    return {"op": "del", "nodes": list(nodes), "edges": list(edges)}


def move_op(to: Iterable[tuple[str, float, float]]) -> Op:
    return {"op": "move", "to": [[node_id, x, y] for node_id, x, y in to]}


def set_op(node_id: str, **data: Any) -> Op:
    """Change what a card shows; `ports_in` and `ports_out` take `CanvasPort`s."""
    for name in ("ports_in", "ports_out"):
        if name in data:
            data[name] = [asdict(port) for port in data[name]]
    return {"op": "set", "id": node_id, "data": data}


def read_ops(raw: object) -> OpsEvent:
    """The browser's own gestures: `move`, `del`, and `add` of edges; nothing else is accepted."""
    message = _mapping(raw)
    return OpsEvent(_whole(message.get("seq")), tuple(_read_op(op) for op in _list(message.get("ops"))))


def read_select(raw: object) -> SelectEvent:
    message = _mapping(raw)
    return SelectEvent(_ids(message.get("nodes")), _ids(message.get("edges")))


def read_id(raw: object) -> str:
    return _id(_mapping(raw).get("id"))


def read_drop(raw: object) -> DropEvent:
    message = _mapping(raw)
    return DropEvent(
        use=_id(message.get("use")),
        x=_number(message.get("x")),
        y=_number(message.get("y")),
        edge=_optional_id(message.get("edge")),
    )


def read_quick_add(raw: object) -> QuickAddEvent:
    message = _mapping(raw)
    return QuickAddEvent(
        x=_number(message.get("x")),
        y=_number(message.get("y")),
        left=_number(message.get("left")),
        top=_number(message.get("top")),
        source=_optional_id(message.get("source")),
        port=_optional_id(message.get("port")),
        edge=_optional_id(message.get("edge")),
    )


def read_paste(raw: object) -> PasteEvent:
    message = _mapping(raw)
    text = message.get("text")
    if not isinstance(text, str) or len(text) > MAX_PASTE:
        raise BadMessage("text")
    x, y = message.get("x"), message.get("y")
    return PasteEvent(text=text, x=None if x is None else _number(x), y=None if y is None else _number(y))


def read_zoom(raw: object) -> float:
    return _number(_mapping(raw).get("zoom"))


def read_command(raw: object) -> CommandEvent:
    message = _mapping(raw)
    name = message.get("name")
    if not isinstance(name, str) or name not in COMMANDS:
        raise BadMessage("name")
    return CommandEvent(cast(CommandName, name), _ids(message.get("nodes")))


def _read_op(raw: object) -> Op:
    op = _mapping(raw)
    match op.get("op"):
        case "move":
            return {"op": "move", "to": [_read_place(place) for place in _list(op.get("to"))]}
        case "del":
            return {"op": "del", "nodes": list(_ids(op.get("nodes"))), "edges": list(_ids(op.get("edges")))}
        case "add" if not op.get("nodes"):
            return {"op": "add", "nodes": [], "edges": [_read_edge(edge) for edge in _list(op.get("edges"))]}
        case _:
            raise BadMessage("op")


def _read_place(raw: object) -> list[Any]:
    place = _list(raw)
    if len(place) != 3:
        raise BadMessage("to")
    return [_id(place[0]), _number(place[1]), _number(place[2])]


def _read_edge(raw: object) -> dict[str, Any]:
    edge = _mapping(raw)
    names = ("source", "target", "source_port", "target_port")
    return CanvasEdge(**{name: _id(edge.get(name)) for name in names}).as_json()


def _mapping(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise BadMessage("message")
    return raw


def _list(raw: object) -> list[Any]:
    if not isinstance(raw, list) or len(raw) > MAX_ENTRIES:
        raise BadMessage("list")
    return raw


def _ids(raw: object) -> tuple[str, ...]:
    return tuple(_id(value) for value in _list(raw))


def _id(raw: object) -> str:
    if not isinstance(raw, str) or not 0 < len(raw) <= 4 * MAX_ID:
        raise BadMessage("id")
    return raw


def _optional_id(raw: object) -> str | None:
    return None if raw is None else _id(raw)


def _whole(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise BadMessage("seq")
    return raw


def _number(raw: object) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or abs(raw) > 1e7 or not math.isfinite(raw):
        raise BadMessage("number")
    return raw
