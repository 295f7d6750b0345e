"""JSON and JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from engine.errors import BadInput
from engine.model.items import Batch, Item
from engine.steps.formats.cells import json_bytes
from engine.steps.formats.source import Source


def read_json(source: Source, *, path: str = "", encoding: str = "auto") -> Iterator[Item]:
    """Yield the items of a JSON text; see `items_in`. Raises `BadInput` with line and column where it is no JSON."""
    text = source.text(encoding).removeprefix("\ufeff")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput("from", f"Line {error.lineno}, column {error.colno} is no JSON: {error.msg}.") from None
    return items_in(value, path)


def read_json_lines(source: Source, *, encoding: str = "auto") -> Iterator[Item]:
    """Yield an item per line, empty lines passed over; raises `BadInput` that names the line that is no JSON."""
    with source.lines(encoding) as stream:
        for number, line in enumerate(stream, 1):
            if number == 1:
                line = line.removeprefix("\ufeff")
            if not line or line.isspace():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BadInput("from", f"Line {number} is no JSON: {error.msg} (column {error.colno}).") from None
            yield value if isinstance(value, dict) else {"value": value}


def items_in(value: Any, path: str = "") -> Iterator[Item]:
    """
    Yield the items in a value: a list gives one per entry, an object is one itself, anything else becomes `{value: …}`.

    `path` (`data.orders`) says where in the value to look; raises `BadInput` when there is nothing.
    """
    walked: list[str] = []
    for word in path.split(".") if path else ():
        walked.append(word)
        if isinstance(value, list) and word.isdigit() and int(word) < len(value):
            value = value[int(word)]
        elif isinstance(value, dict) and word in value:
            value = value[word]
        else:
            hint = f"There is: {', '.join(list(value)[:12])}." if isinstance(value, dict) and value else None
            raise BadInput("path", f"There is nothing at “{'.'.join(walked)}”.", hint=hint)
    for entry in value if isinstance(value, list) else [] if value is None else [value]:
        yield entry if isinstance(entry, dict) else {"value": entry}


def write_json(items: Batch, *, indent: bool = True) -> bytes:
    """Return a JSON list of the items."""
    return json_bytes(items, orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if indent else 0)


def write_json_lines(items: Iterable[Item]) -> bytes:
    """Return one line of JSON per item."""
    return b"".join(json_bytes(item, orjson.OPT_APPEND_NEWLINE) for item in items)
