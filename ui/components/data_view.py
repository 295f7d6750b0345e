"""Items on the screen: as a table whose cells say what they hold, or as JSON that folds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from nicegui.element import Element

from engine.model.items import File

from .. import words
from ..downloads import address
from ..moments import size

MAX_COLUMNS = 80
MAX_CELL = 240
MAX_LINES = 200  # items in one JSON view
DEEPEST_SHOWN = 100
LONGEST_SHOWN = 100_000

OnTrace = Callable[[int, str], Any]
"""`(index, path)` of a value somebody asks about: which item, and where in it (empty: the item as a whole)."""

Cell = list[Any]
"""`[text, kind, address of a file or "", full text when it was cut]`"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the field's name, and the expression that reads it."""

    label: str
    path: str
    kind: str


def table_of(items: Sequence[Mapping[str, Any]]) -> tuple[list[Column], list[list[Cell]]]:
    """Return columns in the order fields first appear, and a row of cells per item."""
    names: dict[str, str] = {}
    for item in items:
        for name, value in item.items():
            if len(names) < MAX_COLUMNS or name in names:
                names[name] = names.get(name) or kind_of(value).replace("null", "")
    columns = [Column(name, path_of(name), kind) for name, kind in names.items()]
    return columns, [[cell_of(item[name]) if name in item else ["", "none", "", ""] for name in names] for item in items]


def cell_of(value: Any) -> Cell:
    """Return what a cell shows of a value."""
    kind = kind_of(value)
    if isinstance(value, File):
        return [f"{value.name} · {size(value.size)}", "file", address(value), ""]
    match kind:
        case "null":
            text = "null"
        case "yes/no":
            text = "true" if value else "false"
        case "list" | "object":
            text = json.dumps(plain(value), ensure_ascii=False)
        case _:
            text = str(value)
    if len(text) > MAX_CELL:
        return [text[:MAX_CELL] + "…", _CLASSES[kind], "", text[:4000]]
    return [text, _CLASSES[kind], "", ""]


_CLASSES = {
    "text": "string", "number": "number", "yes/no": "boolean", "null": "null", "list": "object", "object": "object",
    "date": "date", "file": "file",
}  # fmt: skip


def kind_of(value: Any) -> str:
    """Return the kind of a value in a word."""
    match value:
        case None:
            return "null"
        case bool():
            return "yes/no"
        case int() | float() | Decimal():
            return "number"
        case date() | datetime() | timedelta():
            return "date"
        case File():
            return "file"
        case list() | tuple():
            return "list"
        case Mapping():
            return "object"
        case _:
            return "text"


def path_of(name: str) -> str:
    """Return the expression that reads a field of an item."""
    return f"item.{name}" if name.isidentifier() else f"item[{json.dumps(name, ensure_ascii=False)}]"


def path_in(parts: Sequence[Any]) -> str:
    """Return the way into an item as lineage reads it: names with dots between, as far as that goes."""
    path: list[str] = []
    for part in parts:
        if not isinstance(part, str) or not part or "." in part:
            break
        path.append(part)
    return ".".join(path)


def plain(value: Any, depth: int = 0) -> Any:
    """
    Return a value as the JSON view shows it; file handles bring their address.

    What is too deep to be sent to the browser is shown as a text from there on, and long texts are cut.
    """
    match value:
        case File():
            return {**value.as_json(), "size_text": size(value.size), "$href": address(value)}
        case str():
            rest = len(value) - LONGEST_SHOWN
            return value if rest <= 0 else f"{value[:LONGEST_SHOWN]}… ({rest:,} more)"
        case Mapping() | list() | tuple() if depth >= DEEPEST_SHOWN:
            return json.dumps(value, ensure_ascii=False, default=str)[:LONGEST_SHOWN]
        case Mapping():
            return {str(key): plain(inner, depth + 1) for key, inner in value.items() if key != "$href"}
        case list() | tuple():
            return [plain(inner, depth + 1) for inner in value]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


class DataTable(Element, component="data_table.js"):
    """A table of one page of items; `on_choose` gets the index of a clicked row, `on_pick` the expression of a clicked head."""

    def __init__(
        self,
        *,
        on_choose: Callable[[int], Any] | None = None,
        on_pick: Callable[[str], Any] | None = None,
        on_trace: OnTrace | None = None,
    ) -> None:
        super().__init__()
        self._props.update(columns=[], rows=[], start=0, chosen=-1, label=words.DATA)
        self.on("choose", lambda event: on_choose(int(event.args)) if on_choose else None)
        self.on("pick", lambda event: on_pick(str(event.args)) if on_pick else None)
        self._names: list[str] = []
        if on_trace is not None:
            self._props["traced"] = True
            self.on("trace", lambda event: on_trace(int(event.args[0]), self._path(int(event.args[1]))))

    def _path(self, column: int) -> str:
        return path_in([self._names[column]]) if 0 <= column < len(self._names) else ""

    def show(self, items: Sequence[Mapping[str, Any]], start: int = 0, chosen: int = -1) -> None:
        """Show these items, the first of which is number `start`."""
        columns, rows = table_of(items)
        self._names = [one.label for one in columns]
        self._props["columns"] = [{"label": one.label, "path": one.path, "kind": one.kind} for one in columns]
        self._props["rows"] = rows
        self._props["start"] = start
        self._props["chosen"] = chosen
        self.update()


class JsonView(Element, component="json_view.js"):
    """A value as JSON that folds; of a list of items, `on_trace` gets the number and the path of a clicked value."""

    def __init__(self, *, on_trace: OnTrace | None = None) -> None:
        super().__init__()
        self._props.update(value=None, label=words.DATA)
        if on_trace is not None:
            self._props["traced"] = True
            self.on("trace", lambda event: on_trace(int(event.args[0]), path_in(event.args[1:])))

    def show(self, value: Any) -> None:
        """Show this value."""
        self._props["value"] = plain(value)
        self.update()
