"""Which items go on and in what order: filter, sort, limit, unique."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from engine.errors import BadInput
from engine.model.items import Output
from engine.steps.builtin.parts import Failures, finish, flags, group, key_of, keys_over, part, pick, values_of
from engine.steps.contract import BatchCall, Computed
from engine.steps.define import ADVANCED, Between, ExpressionList, Label, Options, step


@step(
    "data.filter",
    "Filter",
    icon="filter_alt",
    keywords=("where", "condition", "keep", "remove"),
    ports_out=("out", "rejected"),
    sample=[{"total": 120}],
)
def filter_(
    batch: BatchCall, where: Annotated[Computed, Label("Keep items where", "Asked for each item.", "item.total > 100")]
) -> Mapping[str, Output]:
    """Lets items through for which the condition holds; the others leave by `rejected`."""
    items, failed = batch.items, Failures()
    kept, rejected = part(items, flags(values_of(where, items, failed)), failed)
    return finish({"out": kept, "rejected": rejected}, failed)  # type: ignore[no-any-return]


@step("data.sort", "Sort", icon="sort", keywords=("order", "arrange"), sample=[{"name": "Ada"}])
def sort(
    batch: BatchCall,
    by: Annotated[
        ExpressionList, Label("By", "One expression or several; a later one decides where the earlier are equal.", "item.name")
    ],
    order: Annotated[
        Any,
        Label("Order", "asc or desc, or a list with one for each expression."),
        Options.of(asc="Ascending", desc="Descending"),
    ] = "asc",
) -> Output:
    """
    Puts items in order; equal ones keep the order they came in.

    Order of kinds: false, true, numbers, dates, moments, durations, texts, lists and objects (by their JSON). Nothing (null) is
    always last, whichever the direction. Texts are ordered without regard to case and accents first.
    """
    directions = _directions(order, len(by))
    indexes: list[int] = list(range(len(batch.items)))
    for computed, is_down in reversed(list(zip(by, directions, strict=True))):
        keys = sort_keys(computed.values(batch.items), nothing_last=not is_down)
        indexes.sort(key=keys.__getitem__, reverse=is_down)
    if all(index == place for place, index in enumerate(indexes)):
        return Output(batch.items)
    return Output([batch.items[index] for index in indexes], {"in": array("i", indexes)})


@step("data.limit", "Limit", icon="content_cut", keywords=("first", "last", "top", "skip", "head"), sample=[{}])
def limit(
    batch: BatchCall,
    count: Annotated[int, Label("How many"), Between(0)] = 10,
    from_: Annotated[Literal["start", "end"], Label("Counted from"), Options.of(start="The start", end="The end")] = "start",
    skip: Annotated[int, Label("Skip first", "How many to pass over before counting."), Between(0), ADVANCED] = 0,
) -> Output:
    """Lets only so many items through, from the start or from the end; their order stays."""
    total = len(batch.items)
    chosen = (
        range(total)[skip : skip + count] if from_ == "start" else range(max(0, total - skip - count), max(0, total - skip))
    )
    return pick(batch.items, chosen)


@step(
    "data.unique",
    "Remove duplicates",
    icon="join_inner",
    keywords=("distinct", "dedupe", "duplicates"),
    sample=[{"email": "ada@example.com"}],
)
def unique(
    batch: BatchCall,
    by: Annotated[
        ExpressionList | None, Label("By", "What makes two items the same; the whole item when empty.", "item.email")
    ] = None,
    keep: Annotated[Literal["first", "last"], Label("Keep"), Options.of(first="The first", last="The last")] = "first",
) -> Output:
    """Lets one item of each kind through, where it stood. 1 and 1.0 are the same, 1 and "1" are not."""
    keys = keys_over(by, batch.items) if by else [key_of(item) for item in batch.items]
    return pick(batch.items, sorted(indexes[0 if keep == "first" else -1] for indexes in group(keys).values()))


def _directions(order: Any, count: int) -> list[bool]:
    listed = order if isinstance(order, list | tuple) else [order] * count
    words = [str(word).lower() for word in listed]
    if len(words) != count or not {"asc", "desc"}.issuperset(words):
        raise BadInput("order", "“Order” is asc or desc, or a list with one of them for each expression.")
    return [word == "desc" for word in words]


_BARE: Final = (frozenset({int, float}), frozenset({datetime}), frozenset({date}), frozenset({timedelta}))


def sort_keys(values: Sequence[Any], *, nothing_last: bool = True) -> list[Any]:
    """
    Return one comparable key per value, for any mixture of values the language knows.

    Texts compare by their letters without case and accents, then exactly. `nothing_last` puts null above all, else below all.
    """
    kinds = set(map(type, values))
    if any(kinds <= bare for bare in _BARE):
        return list(values)
    if kinds == {str}:
        return [_text_key(value) for value in values]
    nothing = (9,) if nothing_last else (-1,)
    return [nothing if value is None else _key(value) for value in values]


def _key(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (0, value)
    if isinstance(value, int | float | Decimal):
        return (1, value)
    if isinstance(value, datetime):
        return (3, value.timestamp())
    if isinstance(value, date):
        return (2, value)
    if isinstance(value, timedelta):
        return (4, value)
    if isinstance(value, str):
        return (5, _text_key(value))
    key = key_of(value)
    return (6, key if isinstance(key, bytes) else repr(key).encode())


def _text_key(text: str) -> tuple[str, str]:
    if text.isascii():
        return (text.lower(), text)
    folded = unicodedata.normalize("NFKD", text.casefold())
    return ("".join(letter for letter in folded if not unicodedata.combining(letter)), text)


SELECT = (filter_, sort, limit, unique)
