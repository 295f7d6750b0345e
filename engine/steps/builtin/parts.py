"""What the core steps share: values that may fail one by one, keys, truth, picking and where things came from."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, Final

import orjson

from engine.errors import TooLarge, TreadleError
from engine.expressions.values import to_json_value, truth
from engine.model.items import SAME, Batch, File, Item, Output
from engine.steps.contract import Computed, ItemFailures

Failures = dict[int, TreadleError]
MOST_ITEMS: Final = 10_000_000
"""How many items a step may make of others: more would take the memory of most machines."""
_FLAT: Final = frozenset({str, int, float, bool, type(None)})
_FLAGS: Final = frozenset({bool, type(None)})


def values_of(computed: Computed, items: Batch, failed: Failures, positions: Sequence[int] | None = None) -> list[Any]:
    """
    Return the value for each item; where one fails, its error is put into `failed` and None stands in its place.

    The whole batch is tried in one go first; only a batch with a failure in it is asked item by item.
    """
    try:
        return computed.values(items, positions) if positions is not None else computed.values(items)
    except TreadleError:
        found: list[Any] = []
        for place, item in enumerate(items):
            at = positions[place] if positions is not None else place
            try:
                found.append(computed.values([item], [at])[0])
            except TreadleError as error:
                failed.setdefault(at, error)
                found.append(None)
        return found


def plain_values(values: list[Any]) -> list[Any]:
    """Return values as items store them: dates, durations and decimals become text; untouched lists are handed back."""
    if _FLAT.issuperset(map(type, values)):
        return values
    return [to_json_value(value) for value in values]


def flags(values: list[Any]) -> list[Any]:
    """Return conditions as things that are true or false by the rules of the expression language."""
    if _FLAGS.issuperset(map(type, values)):
        return values
    return [truth(value) for value in values]


def pick(items: Batch, indexes: Sequence[int]) -> Output:
    """Return the items at these ascending indexes; when all are picked, it is the very same batch."""
    if len(indexes) == len(items):
        return Output(items)
    return Output([items[index] for index in indexes], {"in": array("i", indexes)})


def part(items: Batch, holds: Sequence[Any], failed: Mapping[int, TreadleError]) -> tuple[Output, Output]:
    """Return the items for which a condition holds and those for which it does not; failed ones are in neither."""
    kept = array("i", compress(range(len(items)), holds))
    if failed:
        fails = [not value and index not in failed for index, value in enumerate(holds)]
    else:
        if len(kept) == len(items):
            return Output(items), Output([], {"in": array("i")})
        fails = [not value for value in holds]
    chosen = Output(list(compress(items, holds)), {"in": kept})
    rest = array("i", compress(range(len(items)), fails))
    return chosen, Output(items) if len(rest) == len(items) else Output(list(compress(items, fails)), {"in": rest})


def finish(outputs: Any, failed: Failures) -> Any:
    """Return the outputs, or raise `ItemFailures` with them when items failed."""
    if failed:
        raise ItemFailures(dict(sorted(failed.items())), outputs)
    return outputs


def key_of(value: Any) -> Hashable:
    """
    Return something hashable that is equal for equal values: 1 and 1.0 are one key, 1, "1" and true are three.

    Objects are equal whatever the order of their fields.
    """
    kind = type(value)
    if kind is str or kind is int or kind is float or value is None:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return (bool, value)
    if isinstance(value, File):
        return (File, value.hash, value.name)
    value = to_json_value(value)
    if isinstance(value, str):
        return value
    return orjson.dumps(_even(value), default=_describe, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS)


def keys_of(values: list[Any], *, is_alone: bool = False) -> list[Any]:
    """
    Return `key_of` for each value, at no cost where they are texts and numbers already.

    `is_alone` says that they are compared among themselves only, so that true and false need no mark beside texts.
    """
    kinds = set(map(type, values))
    if kinds <= {str, int, float, type(None)} or (is_alone and kinds <= {str, bool, type(None)}):
        return values
    return [key_of(value) for value in values]


def keys_over(computed: Sequence[Computed], items: Batch, failed: Failures | None = None) -> list[Any]:
    """Return one key per item over one or several expressions; raises the first error unless `failed` takes them."""
    columns = [keys_of(one.values(items) if failed is None else values_of(one, items, failed)) for one in computed]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def group(keys: Iterable[Hashable]) -> dict[Any, array[int]]:
    """Return the indexes under each key, keys in the order they first came."""
    groups: dict[Any, array[int]] = {}
    for index, key in enumerate(keys):
        found = groups.get(key)
        if found is None:
            groups[key] = array("i", (index,))
        else:
            found.append(index)
    return groups


def without(items: Batch, failed: Mapping[int, TreadleError]) -> tuple[Batch, Sequence[int] | None]:
    """Return the items that did not fail and their indexes; None for the indexes when none failed."""
    if not failed:
        return items, None
    indexes = array("i", (index for index in range(len(items)) if index not in failed))
    return [items[index] for index in indexes], indexes


def origin_map(indexes: Sequence[int] | None) -> dict[str, Any]:
    """Return the lineage for one index per item; None says each item came from its like."""
    return {"in": SAME if indexes is None else indexes}


def too_many_items(most: int) -> TooLarge:
    """Return the error of a step that would make more items than a batch may have."""
    return TooLarge(f"That makes more than {most:,} items.", hint="Filter before, or look at the keys and lists it is made of.")


def each_item(items: Batch, failed: Failures, work: Callable[[int, Item], None], first: int = 0) -> None:
    """
    Do something for each item that has not failed yet; a foreseen error of one goes to `failed`.

    `first` is the index of the first item where `items` is a part of a batch. Raises `TooLarge`, which is no item's fault.
    """
    for index, item in enumerate(items, first):
        if index in failed:
            continue
        try:
            work(index, item)
        except TooLarge:
            raise
        except TreadleError as error:
            failed[index] = error


def _even(value: Any) -> Any:
    """Write whole floats as ints inside lists and objects, so that [1] and [1.0] are one key."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_even(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _even(entry) for name, entry in value.items()}
    return value


def _describe(value: Any) -> Any:
    if isinstance(value, File):
        return value.as_json()
    raise TypeError
