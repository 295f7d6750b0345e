"""
The quick forms of steps that most short runs consist of, for small batches (`StepSpec.quick`).

They do what the step itself does, and give None, or raise, wherever a field, an item or a value is not of the plain kind:
then the step itself is called. `tests/steps/test_quick.py` holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.model.items import Batch
from engine.steps.builtin.parts import plain_values
from engine.steps.computed import BoundExpression

Make = Callable[[Batch], "Batch | None"]


def quick_set(fields: Mapping[str, Any]) -> Make | None:
    """Return `data.set` for these fields; None when it reaches into objects, removes fields or looks at the clock."""
    if fields.get("remove") or fields.get("keep") != "all":
        return None
    columns: list[tuple[str, Callable[[Batch], list[Any] | None]]] = []
    for name, computed in fields["fields"].items():
        if "." in name or not isinstance(computed, BoundExpression) or computed.reads_clock:
            return None
        columns.append((name, computed.few()))
    if len(columns) == 1:
        return _set_one(*columns[0])
    return _set_some(columns) if columns else None


def _set_one(name: str, few: Callable[[Batch], list[Any] | None]) -> Make:
    def make(items: Batch) -> Batch | None:
        values = few(items)
        if values is None:
            return None
        return [{**item, name: value} for item, value in zip(items, plain_values(values), strict=True)]

    return make


def _set_some(columns: list[tuple[str, Callable[[Batch], list[Any] | None]]]) -> Make:
    def make(items: Batch) -> Batch | None:
        made = [dict(item) for item in items]
        for name, few in columns:
            values = few(items)
            if values is None:
                return None
            for item, value in zip(made, plain_values(values), strict=True):
                item[name] = value
        return made

    return make
