"""Cells of a table: text into numbers and back, and columns out of items."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from engine.errors import BadInput
from engine.model.items import Batch, File, Item
from engine.model.words import did_you_mean

Read = Callable[[str], Any]
TYPES: Final = ("text", "guess", "number", "integer", "boolean")

_GUESSED: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?\Z", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\Z", re.ASCII)
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}([,' \u00a0\u2009\u202f\u2019])[0-9]{3}(?:\1[0-9]{3})*(?:\.[0-9]{1,40})?\Z")
_SWAPPED: Final = str.maketrans({".": ",", ",": "."})
_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def cell_reader(kind: str, decimal: str = ".") -> Read | None:
    """
    Return the function that reads a cell as `kind`; None for text, which needs none.

    `guess` makes numbers of what is written exactly like one (no leading zeros, plus signs or grouping, at most 15 digits),
    true and false of these words, null of an empty cell, and leaves the rest. The others raise `ValueError` for cells that
    are not of their kind; an empty cell is null. Groups of
    three digits may be parted (1,234.50); with `decimal` “,” the signs change places (1.234,50).
    """
    if kind == "text":
        return None
    if kind == "boolean":
        return _boolean
    if kind not in ("guess", "number", "integer"):
        raise BadInput(
            "types", f"There is no cell type “{kind}”.", hint=did_you_mean(kind, TYPES, otherwise="text, number, integer …")
        )
    if kind == "guess":
        return _guess_comma if decimal == "," else _guess

    def number(text: str) -> float | None:
        plain = text.strip()
        if not plain:
            return None
        if decimal == ",":
            plain = plain.translate(_SWAPPED)
        if found := _GROUPED.match(plain):
            plain = plain.replace(found[1], "")
        if not _NUMBER.match(plain):
            raise ValueError("a number")
        if plain.lstrip("+-").isdecimal():
            if len(plain) > 18:
                raise ValueError("a number of at most 18 digits")
            return int(plain)
        value = float(plain)
        if kind == "integer" and not value.is_integer():
            raise ValueError("a whole number")
        return int(value) if kind == "integer" else value

    return number


def column_readers(types: Any, columns: Sequence[str], decimal: str) -> list[Read | None]:
    """Return a reader per column for `types`: one kind for all, or an object column → kind where the others stay text."""
    if types is None or isinstance(types, str):
        return [cell_reader(types or "text", decimal)] * len(columns)
    if not isinstance(types, Mapping):
        raise BadInput("types", "“Types” is text, guess, or an object that names columns and their types.")
    for name in types:
        if name not in columns:
            raise BadInput("types", f"There is no column “{name}”.", hint=did_you_mean(str(name), columns))
    return [cell_reader(str(types.get(name, "text")), decimal) for name in columns]


def tidy_header(cells: Iterable[Any]) -> list[str]:
    """Return column names: trimmed, empty ones numbered, repeated ones made unique (`name`, `name_2`)."""
    names: list[str] = []
    used: set[str] = set()
    counts: dict[str, int] = {}
    for place, cell in enumerate(cells, 1):
        base = str(cell).strip() if cell is not None else ""
        base = base.removeprefix("\ufeff") or f"column_{place}"
        name, count = base, counts.get(base, 1)
        while name in used:
            count += 1
            name = f"{base}_{count}"
        counts[base] = count
        used.add(name)
        names.append(name)
    return names


def columns_of(items: Batch, asked: Any) -> list[tuple[tuple[str, ...], str]]:
    """
    Return (path, heading) per column: as asked (a list of paths, or an object path → heading), else every field that occurs.

    A path such as `customer.city` reaches into objects.
    """
    if isinstance(asked, Mapping):
        return [(tuple(str(path).split(".")), str(heading)) for path, heading in asked.items()]
    if asked:
        return [(tuple(str(path).split(".")), str(path)) for path in asked]
    found: dict[str, None] = {}
    for item in items:
        if item.keys() - found.keys():
            found.update(dict.fromkeys(item))
    return [((name,), name) for name in found]


def rows_of(items: Batch, columns: Sequence[tuple[tuple[str, ...], str]]) -> Iterable[list[Any]]:
    """Yield the values of each item, column by column; a missing one is None."""
    if all(len(path) == 1 for path, _ in columns):
        names = [path[0] for path, _ in columns]
        for item in items:
            yield [item.get(name) for name in names]
        return
    for item in items:
        yield [_reach(item, path) for path, _ in columns]


def cell_text(value: Any, decimal: str = ".") -> str:
    """Return a value as the text of a cell: null is empty, lists and objects are JSON."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return repr(value).replace(".", decimal) if decimal != "." else repr(value)
    return to_json(value)


def to_json(value: Any) -> str:
    """Return a value as JSON text; a file becomes what people may see of it."""
    return json_bytes(value).decode()


def json_bytes(value: Any, option: int = 0) -> bytes:
    """Return a value as JSON with these options of orjson; handles are described, not taken apart."""
    return orjson.dumps(value, default=describe, option=option | orjson.OPT_PASSTHROUGH_DATACLASS)


def describe(value: Any) -> Any:
    """Return the JSON form of a handle; raises `TypeError` for anything else."""
    if isinstance(value, File):
        return value.describe()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _reach(item: Item, path: tuple[str, ...]) -> Any:
    value: Any = item
    for word in path:
        value = value.get(word) if isinstance(value, dict) else None
    return value


def _guess(text: str) -> Any:
    if _GUESSED.match(text):
        return float(text) if "." in text else int(text)
    return None if text == "" else {"true": True, "false": False}.get(text.lower(), text)


def _guess_comma(text: str) -> Any:
    if "." in text:
        return text
    found = _guess(text.replace(",", ".", 1))
    return text if isinstance(found, str) else found


def _boolean(text: str) -> bool | None:
    word = text.strip().lower()
    if not word:
        return None
    if word not in _WORDS:
        raise ValueError("true or false")
    return _WORDS[word]
