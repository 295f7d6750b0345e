"""Making items and changing their shape: generate, set, rename, split."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Annotated, Any, Literal

from engine.errors import BadInput
from engine.expressions.values import kind_of, to_json_value
from engine.model.items import Batch, Item, Output
from engine.steps.builtin.parts import (
    MOST_ITEMS,
    Failures,
    each_item,
    finish,
    origin_map,
    plain_values,
    too_many_items,
    values_of,
    without,
)
from engine.steps.builtin.paths import drop, get, put, split_path
from engine.steps.builtin.quick import quick_set
from engine.steps.contract import BatchCall, Computed
from engine.steps.define import ADVANCED, Between, Expressions, Label, Options, step

MOST_GENERATED = MOST_ITEMS
AT_ONCE = 10_000
"""From how many items on the work is done in a thread, or in parts."""


@step(
    "data.generate",
    "Generate items",
    icon="auto_awesome",
    keywords=("make", "range", "test data", "loop"),
    sample=[{"number": 1}],
)
async def generate(
    batch: BatchCall,
    count: Annotated[int, Label("How many"), Between(0, MOST_GENERATED)] = 1,
    item: Annotated[
        Expressions | None, Label("Item", "Fields with expressions; index counts from 0, item is the first that came in.")
    ] = None,
) -> Output:
    """Makes new items, one by one, from expressions over their number."""
    seed = batch.items[0] if batch.items else {}

    def make() -> Batch:
        return _filled([seed] * count, item or {"index": _Index()}, keep=False)

    made = make() if count < AT_ONCE else await asyncio.to_thread(make)
    came_from = 0 if len(batch.items) == 1 else -1
    return Output(made, {"in": array("i", (came_from,)) * count})


@step(
    "data.set",
    "Set fields",
    icon="edit",
    keywords=("edit", "add", "map", "compute", "fields"),
    sample=[{"total": 12.5}],
    quick=quick_set,
)
def set_fields(
    batch: BatchCall,
    fields: Annotated[
        Expressions, Label("Fields", "A name or path, and the expression that fills it. All see the item as it came in.")
    ],
    keep: Annotated[
        Literal["all", "none"], Label("Other fields"), Options.of(all="Keep all others", none="Keep only the ones set here")
    ] = "all",
    remove: Annotated[list[str] | None, Label("Remove", "Fields to leave out, as names or paths."), ADVANCED] = None,
) -> Output:
    """Adds fields to each item or changes them. `customer.city` reaches into objects and makes them where they are missing."""
    failed: Failures = {}
    items = batch.items
    indexes: Sequence[int] | None = None
    columns = {name: values_of(computed, items, failed) for name, computed in fields.items()}
    if failed:
        items, indexes = without(items, failed)
        columns = {name: [values[index] for index in indexes or ()] for name, values in columns.items()}
    made = _merged(items, columns, keep=keep == "all")
    for path in [split_path(str(name), "remove") for name in remove] if remove else ():
        made = [drop(entry, path) for entry in made]
    return finish(Output(made, origin_map(indexes)), failed)  # type: ignore[no-any-return]


@step(
    "data.rename", "Rename fields", icon="drive_file_rename_outline", keywords=("fields", "columns"), sample=[{"name": "Ada"}]
)
def rename(
    batch: BatchCall,
    names: Annotated[
        dict[str, str], Label("Names", "The old name and the new one; both may be paths. Missing fields are passed over.")
    ],
) -> Output:
    """Gives fields other names; they keep their place in the item. A field that has the new name already is replaced."""
    pairs = {str(old): str(new) for old, new in names.items() if str(old) != str(new)}
    if not pairs:
        return Output(batch.items)
    paths = [(split_path(old, "names"), split_path(new, "names")) for old, new in pairs.items()]
    if all(len(old) == len(new) == 1 for old, new in paths):
        return Output([_renamed(item, pairs) for item in batch.items])
    return Output([_moved(item, paths) for item in batch.items])


@step(
    "data.split",
    "Split lists",
    icon="splitscreen",
    keywords=("unwind", "explode", "lines", "each"),
    sample=[{"sku": "A1", "qty": 2}],
)
def split(
    batch: BatchCall,
    list_: Annotated[Computed, Label("List", "The list that becomes items.", "item.lines")],
    keep: Annotated[
        Literal["all", "none"],
        Label("Other fields"),
        Options.of(all="Keep the fields of the item the list stood in", none="Only what stood in the list"),
    ] = "none",
    as_: Annotated[str, Label("Under the name", "Puts each entry under this name instead of merging it in."), ADVANCED] = "",
) -> Output:
    """
    Makes one item of each entry of a list.

    Entries that are no objects become `{value: entry}`; null and empty lists give no items. Where an entry and its item both
    have a field, the entry's counts. The list itself is not repeated in the items.
    """
    failed: Failures = {}
    path = _plain_path(list_.source)
    made: Batch = []
    origins = array("i")
    lists: list[Any] = []
    first = 0

    def unfold(index: int, item: Item) -> None:
        entries = lists[index - first]
        if entries is None:
            return
        if not isinstance(entries, list):
            raise BadInput(
                "list", f"“{list_.source}” is {kind_of(entries)}, not a list.", hint="Point it at a field that holds a list."
            )
        if len(made) + len(entries) > MOST_ITEMS:
            raise too_many_items(MOST_ITEMS)
        base = (drop(item, path) if path else item) if keep == "all" else {}
        for entry in to_json_value(entries):
            shown = {as_: entry} if as_ else entry if isinstance(entry, dict) else {"value": entry}
            made.append({**base, **shown} if base else shown)
        origins.extend(repeat(index, len(entries)))

    for first in range(0, len(batch.items), AT_ONCE):  # so that the lists of all items never stand beside each other
        some = batch.items if len(batch.items) <= AT_ONCE else batch.items[first : first + AT_ONCE]
        lists = values_of(list_, some, failed, None if some is batch.items else range(first, first + len(some)))
        each_item(some, failed, unfold, first)
    return finish(Output(made, {"in": origins}), failed)  # type: ignore[no-any-return]


def _filled(items: Batch, fields: Mapping[str, Any], *, keep: bool) -> Batch:
    return _merged(items, {name: computed.values(items) for name, computed in fields.items()}, keep=keep)


def _merged(items: Batch, columns: Mapping[str, list[Any]], *, keep: bool) -> Batch:
    """Return new items with the columns laid over the old fields, or standing alone; names may be paths."""
    deep: dict[tuple[str, ...], list[Any]] = {}
    if "." in "".join(columns):
        deep = {split_path(name, "fields"): plain_values(values) for name, values in columns.items() if "." in name}
        columns = {name: values for name, values in columns.items() if "." not in name}
    flat = [plain_values(values) for values in columns.values()]
    made = _laid_over(items, tuple(columns), flat) if keep else _standing_alone(tuple(columns), flat, len(items))
    for path, values in deep.items():
        made = [put(item, path, value) for item, value in zip(made, values, strict=True)]
    return made


def _standing_alone(names: tuple[str, ...], columns: list[list[Any]], count: int) -> Batch:
    """Return an item per row; few columns are written out, which is three times as fast as `dict(zip(…))`."""
    match names, columns:
        case (), _:
            return [{} for _ in range(count)]
        case (a,), (first,):
            return [{a: v} for v in first]
        case (a, b), (first, second):
            return [{a: v, b: w} for v, w in zip(first, second, strict=True)]
        case (a, b, c), (first, second, third):
            return [{a: v, b: w, c: x} for v, w, x in zip(first, second, third, strict=True)]
        case (a, b, c, d), (first, second, third, fourth):
            return [{a: v, b: w, c: x, d: y} for v, w, x, y in zip(first, second, third, fourth, strict=True)]
    return [dict(zip(names, row)) for row in zip(*columns, strict=True)]  # noqa: B905 - strict costs a third of the time


def _laid_over(items: Batch, names: tuple[str, ...], columns: list[list[Any]]) -> Batch:
    """Return an item per item with the columns laid over it."""
    if len(names) == 1:
        a, first = names[0], columns[0]
        return [{**item, a: v} for item, v in zip(items, first, strict=True)]
    match names, columns:
        case (), _:
            return list(items)
        case (a, b), (first, second):
            return [{**item, a: v, b: w} for item, v, w in zip(items, first, second, strict=True)]
        case (a, b, c), (first, second, third):
            return [{**item, a: v, b: w, c: x} for item, v, w, x in zip(items, first, second, third, strict=True)]
    return [{**item, **row} for item, row in zip(items, _standing_alone(names, columns, len(items)), strict=True)]


def _renamed(item: Item, pairs: Mapping[str, str]) -> Item:
    if pairs.keys().isdisjoint(item):
        return item
    replaced = {new for old, new in pairs.items() if old in item}
    return {pairs.get(name, name): value for name, value in item.items() if name in pairs or name not in replaced}


def _moved(item: Item, paths: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> Item:
    found = [(new, value) for old, new in paths for there, value in [get(item, old)] if there]
    for old, _ in paths:
        item = drop(item, old)
    for new, value in found:
        item = put(item, new, value)
    return item


def _plain_path(source: str) -> tuple[str, ...] | None:
    """Return the path when an expression is nothing but one (`item.order.lines`), None otherwise."""
    head, *words = source.strip().split(".")
    return tuple(words) if head == "item" and words and all(word.isidentifier() for word in words) else None


class _Index:
    """The number of an item, for the step that was told nothing else."""

    source = "index"

    def values(self, items: Batch) -> list[Any]:
        return list(range(len(items)))


SHAPE = (generate, set_fields, rename, split)
