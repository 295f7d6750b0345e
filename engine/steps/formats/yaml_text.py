"""YAML 1.2 as plain data; whoever multiplies himself by aliases is refused."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from engine.errors import BadInput
from engine.model.items import Batch, File, Item
from engine.steps.formats.json_text import items_in
from engine.steps.formats.source import Source

DEEPEST: Final = 100
LARGEST: Final = 5_000_000
MOST_MERGED: Final = 50_000


def read_yaml(source: Source, *, path: str = "", encoding: str = "auto") -> Iterator[Item]:
    """
    Yield the items of a YAML text: a list's entries, several documents, or the one object; dates become texts.

    Raises `BadInput` with the line for what is no YAML, for tags that name Python things, for texts over 5 MB, and for
    aliases that make more of the text than ten times its size.
    """
    if source.size > LARGEST:
        raise BadInput(
            "from", f"The YAML is larger than {LARGEST // 1_000_000} MB.", hint="Use JSON or CSV for data of that size."
        )
    text = source.text(encoding)
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _Constructor
        documents = list(yaml.load_all(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"Line {mark.line + 1}" if mark else "The text"
        raise BadInput("from", f"{place} is no YAML: {error.problem or error.context}.") from None
    except YAMLError as error:
        raise BadInput("from", f"The text is no YAML: {str(error).splitlines()[0]}.") from None
    except (ValueError, RecursionError) as error:
        raise BadInput("from", f"The text is no YAML that can be read: {type(error).__name__}.") from None
    budget = [10 * len(text) + 10_000]
    values = [_plain(value, budget, 0) for value in documents]
    return items_in(values if len(values) > 1 else values[0] if values else None, path)


def write_yaml(items: Batch) -> bytes:
    """Return the items as a YAML list."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    stream = io.BytesIO()
    yaml.representer.ignore_aliases = lambda data: True
    yaml.dump([_writable(item) for item in items], stream)
    return stream.getvalue()


class _Constructor(SafeConstructor):
    """Makes plain data; mappings that merge others (`<<`) may not grow without end."""

    def flatten_mapping(self, node: Any) -> Any:
        """Merge as YAML says; raises `BadInput` for a mapping that has become far too large."""
        written = len(node.value)
        found = super().flatten_mapping(node)
        if len(node.value) > written + MOST_MERGED:
            raise BadInput("from", f"A mapping of the YAML merges more than {MOST_MERGED:,} fields of others.")
        return found


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > DEEPEST:
        raise BadInput("from", "The YAML grows far beyond its text by aliases, or is nested too deep.")
    if isinstance(value, Mapping):
        return {_key(name): _plain(entry, budget, depth + 1) for name, entry in value.items()}
    if isinstance(value, str):
        budget[0] -= len(value) // 8
        return value
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_plain(entry, budget, depth + 1) for entry in value]
    raise BadInput("from", f"The YAML holds a {type(value).__name__}, which is no plain data.")


def _key(name: Any) -> str:
    return (
        name
        if isinstance(name, str)
        else "true"
        if name is True
        else "false"
        if name is False
        else ""
        if name is None
        else str(name)
    )


def _writable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _writable(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_writable(entry) for entry in value]
    return value.describe() if isinstance(value, File) else value
