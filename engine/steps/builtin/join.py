"""Two batches seen together: merge joins them, compare tells what differs."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Annotated, Any, Literal

from engine.errors import BadInput
from engine.model.items import Batch, Item, Output
from engine.steps.builtin.parts import MOST_ITEMS, group, key_of, keys_over, too_many_items
from engine.steps.contract import BatchCall
from engine.steps.define import ADVANCED, ExpressionList, Label, Options, ShowWhen, step

NOWHERE = -1
Pair = tuple[int, int]


@step(
    "flow.merge",
    "Merge",
    category="flow",
    icon="call_merge",
    keywords=("join", "combine", "append", "lookup", "enrich"),
    ports_in=("a", "b"),
    sample=[{"id": 1, "name": "Ada", "city": "London"}],
)
def merge(
    batch: BatchCall,
    mode: Annotated[
        Literal["append", "by_key", "by_position"],
        Label("How"),
        Options.of(
            append="One after the other", by_key="Where keys are equal", by_position="First with first, second with second"
        ),
    ] = "append",
    left: Annotated[
        ExpressionList | None, Label("Key in a", "Several keys may be listed.", "item.id"), ShowWhen(mode="by_key")
    ] = None,
    right: Annotated[
        ExpressionList | None, Label("Key in b", "The same as in a when empty.", "item.customer_id"), ShowWhen(mode="by_key")
    ] = None,
    keep: Annotated[
        Literal["inner", "left", "outer"],
        Label("Keep"),
        Options.of(inner="Only those with a partner", left="All of a", outer="All of both"),
        ShowWhen(mode=["by_key", "by_position"]),
    ] = "inner",
    clash: Annotated[
        Literal["b", "a", "both"],
        Label("Where both have a field"),
        Options.of(b="Take it from b", a="Take it from a", both="Keep both: b's under name_b"),
        ShowWhen(mode=["by_key", "by_position"]),
        ADVANCED,
    ] = "b",
) -> Output:
    """
    Brings two batches together.

    By key, every item of a meets every item of b with an equal key, in the order of a; items of b without a partner follow at
    the end. A key that is null meets nothing. 1 and 1.0 are equal keys, 1 and "1" are not. A pair becomes one item with the
    fields of both; where both have a field, `clash` decides.
    """
    a, b = batch.ports.get("a", []), batch.ports.get("b", [])
    if mode == "append":
        if not a or not b:
            return Output(a or b, {"a": array("i", range(len(a))), "b": array("i", range(len(b)))})
        return _append(a, b)
    if mode == "by_position":
        pairs = _positions(len(a), len(b), keep)
    else:
        if not left:
            raise BadInput("left", "Merging by key needs “Key in a”.", hint="Write what both sides share, for example item.id.")
        if right and len(left) != len(right):
            raise BadInput("right", f"There are {len(left)} keys in a and {len(right)} in b; they are compared one by one.")
        pairs = _partners(keys_over(left, a), keys_over(right or left, b), keep)
    join = _JOINS[clash]
    made = [join(a[i], b[j]) if i >= 0 and j >= 0 else a[i] if i >= 0 else b[j] for i, j in pairs]
    return Output(made, {"a": array("i", (i for i, _ in pairs)), "b": array("i", (j for _, j in pairs))})


@step(
    "data.compare",
    "Compare",
    icon="difference",
    keywords=("diff", "changes", "added", "removed", "sync"),
    ports_in=("a", "b"),
    ports_out=("added", "removed", "changed", "same"),
    sample=[{"before": {"id": 1, "qty": 2}, "after": {"id": 1, "qty": 3}, "changes": ["qty"]}],
)
def compare(
    batch: BatchCall,
    key: Annotated[ExpressionList, Label("Key", "What makes two items the same thing.", "item.id")],
    right: Annotated[ExpressionList | None, Label("Key in b", "Only where it is called otherwise there."), ADVANCED] = None,
    ignore: Annotated[list[str] | None, Label("Ignore", "Fields whose changes do not count.")] = None,
) -> Mapping[str, Output]:
    """
    Tells what changed from a to b.

    `added` are items only in b, `removed` only in a, `same` those without a difference (as they are in b), and `changed` gives
    `{before, after, changes}` with the names of the fields that differ. Where a key stands several times, the first meets the
    first. Items whose key is null are added or removed, never paired.
    """
    a, b = batch.ports.get("a", []), batch.ports.get("b", [])
    ignored = {str(name) for name in ignore or ()}
    old, new = group(keys_over(key, a)), keys_over(right or key, b)
    met: dict[Any, int] = {}
    added = array("i")
    same: list[tuple[int, int, list[str]]] = []
    changed: list[tuple[int, int, list[str]]] = []
    paired: set[int] = set()
    for place, name in enumerate(new):
        nth = met.get(name, 0)
        partners = None if is_empty_key(name) else old.get(name)
        if partners is None or nth >= len(partners):
            added.append(place)
            continue
        met[name] = nth + 1
        partner = partners[nth]
        paired.add(partner)
        fields = changes_between(a[partner], b[place], ignored)
        (changed if fields else same).append((partner, place, fields))
    removed = array("i", (index for index in range(len(a)) if index not in paired))
    return {
        "added": Output([b[index] for index in added], {"b": added}),
        "removed": Output([a[index] for index in removed], {"a": removed}),
        "changed": Output([{"before": a[i], "after": b[j], "changes": fields} for i, j, fields in changed], _both(changed)),
        "same": Output([b[j] for _, j, _ in same], _both(same)),
    }


def changes_between(before: Item, after: Item, ignored: set[str]) -> list[str]:
    """Return the names of the fields that differ, in the order of the newer item; 1 and 1.0 do not differ."""
    names = [*after, *(name for name in before if name not in after)]
    return [
        name
        for name in names
        if name not in ignored
        and (
            name not in before
            or name not in after
            or (before[name] is not after[name] and key_of(before[name]) != key_of(after[name]))
        )
    ]


def is_empty_key(key: Any) -> bool:
    """Whether a key, or a part of a key of several, is null."""
    return key is None or (type(key) is tuple and None in key)


def _append(a: Batch, b: Batch) -> Output:
    nothing_of_a, nothing_of_b = array("i", (NOWHERE,)) * len(b), array("i", (NOWHERE,)) * len(a)
    return Output(a + b, {"a": array("i", range(len(a))) + nothing_of_a, "b": nothing_of_b + array("i", range(len(b)))})


def _positions(size_a: int, size_b: int, keep: str) -> list[Pair]:
    end = {"inner": min(size_a, size_b), "left": size_a, "outer": max(size_a, size_b)}[keep]
    pairs = zip_longest(range(size_a), range(size_b), fillvalue=NOWHERE)
    return [pair for _, pair in zip(range(end), pairs, strict=False)]


def _partners(keys_a: list[Any], keys_b: list[Any], keep: str) -> list[Pair]:
    there = group(keys_b)
    pairs: list[Pair] = []
    met: set[int] = set()
    for i, key in enumerate(keys_a):
        partners = None if is_empty_key(key) else there.get(key)
        if partners:
            if len(pairs) + len(partners) > MOST_ITEMS:
                raise too_many_items(MOST_ITEMS)
            pairs.extend((i, j) for j in partners)
            met.update(partners)
        elif keep != "inner":
            pairs.append((i, NOWHERE))
    if keep == "outer":
        pairs.extend((NOWHERE, j) for j in range(len(keys_b)) if j not in met)
    return pairs


def _with_both(a: Item, b: Item) -> Item:
    return {
        **a,
        **{f"{name}_b" if name in a and key_of(a[name]) != key_of(value) else name: value for name, value in b.items()},
    }


_JOINS: Mapping[str, Callable[[Item, Item], Item]] = {
    "b": lambda a, b: {**a, **b},
    "a": lambda a, b: {**a, **{name: value for name, value in b.items() if name not in a}},
    "both": _with_both,
}


def _both(found: list[tuple[int, int, list[str]]]) -> dict[str, array[int]]:
    return {"a": array("i", (i for i, _, _ in found)), "b": array("i", (j for _, j, _ in found))}


JOIN = (merge, compare)
