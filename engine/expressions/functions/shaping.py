"""Functions that make new lists from lists: sort, group, combine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from ..budget import METER, Meter
from ..errors import ExpressionError
from ..values import check_result, json_bytes, kind_of, scalar_text, to_json_value
from .lists import sort_values
from .spec import Fn, Many, Object, Text, Value, Whole, function


@function(
    "list",
    ("sort([3, 1, 2])", [1, 2, 3]),
    ('sort(["b", null, "a"])', ["a", "b", None]),
    ('sort([1, 2], "desc")', [2, 1]),
    is_picking=True,
)
def sort(scope: Value, list_: Many, order: Text = "asc") -> Many:
    """Sorts numbers, texts, dates or durations; null comes last. The order is "asc" or "desc"."""
    return _turned(sort_values(scope, list_), order)


@function(
    "list",
    ("sort_by([{n: 2}, {n: 1}], x => x.n)", [{"n": 1}, {"n": 2}]),
    ('[{n: 1}, {n: 2}].sort_by(x => x.n, "desc")', [{"n": 2}, {"n": 1}]),
    is_picking=True,
)
def sort_by(scope: Value, list_: Many, by: Fn, order: Text = "asc") -> Many:
    """Sorts by what the function takes from each value; equal ones keep their order, null comes last."""
    keys = by.each(list_)
    if order == "desc":
        return sort_values(scope, list_[::-1], keys[::-1])[::-1]
    return _turned(sort_values(scope, list_, keys), order)


def _turned(values: Many, order: str) -> Many:
    if order not in ("asc", "desc"):
        raise ExpressionError(f"the order is “asc” or “desc”, not “{order[:20]}”")
    return values[::-1] if order == "desc" else values


@function("list", ("reverse([1, 2])", [2, 1]), ('reverse("abc")', "cba"), is_picking=True)
def reverse(value: Value) -> Any:
    """Turns a list or a text round."""
    if not isinstance(value, str | list):
        raise ExpressionError(f"reverse(…) turns a list or a text round, not {kind_of(value)}")
    return value[::-1]


@function(
    "list",
    ("unique([1, 2, 1, 1.0])", [1, 2]),
    ("unique([{a: 1, b: 2}, {a: 1, b: 3}], x => x.a)", [{"a": 1, "b": 2}]),
    is_picking=True,
)
def unique(scope: Value, list_: Many, by: Fn | None = None) -> Many:
    """Keeps the first of values that are equal, or for which the function gives the same."""
    keys = by.each(list_) if by else list_
    meter: Meter = scope[METER]
    meter.take_list(len(list_), 100)
    seen: set[Any] = set()
    kept = []
    for value, key in zip(list_, keys, strict=True):
        identity = identity_of(key, meter)
        if identity not in seen:
            seen.add(identity)
            kept.append(value)
    return kept


def identity_of(value: Any, meter: Meter) -> Any:
    """Return something hashable that is equal for equal values: by content, numbers by value, true apart from 1."""
    kind = type(value)
    if kind is bool:
        return ("bool", value)
    if kind is float and value != value:
        raise ExpressionError("the number is too big")
    if kind is list or kind is dict:
        size = check_result(value, meter.budget)
        meter.charge(size >> 5)
        meter.take(size * 2)
        return ("json", json_bytes(to_json_value(_levelled(value)), orjson.OPT_SORT_KEYS))
    if kind is Decimal and not value.is_finite():
        raise ExpressionError("the decimal is not a number")
    try:
        hash(value)
    except TypeError:
        raise ExpressionError(f"cannot tell {kind_of(value)} from others") from None
    return value


def _levelled(value: Any) -> Any:
    """Write 1.0 as 1, so that equal numbers are equal as JSON too."""
    kind = type(value)
    if kind is float and value == value and abs(value) < 2**53 and value == int(value):
        return int(value)
    if kind is list:
        return [_levelled(entry) for entry in value]
    if kind is dict:
        return {name: _levelled(entry) for name, entry in value.items()}
    return value


@function(
    "list",
    (
        'group_by([{c: "x", n: 1}, {c: "y", n: 2}, {c: "x", n: 3}], g => g.c).map_values(v => sum(v, l => l.n))',
        {"x": 4, "y": 2},
    ),
)
def group_by(meter: Meter, list_: Many, by: Fn) -> dict[str, Many]:
    """Sorts values into an object of lists, by the text of what the function gives."""
    groups: dict[str, Many] = {}
    meter.take_list(len(list_), 16)
    for value, key in zip(list_, by.each(list_), strict=True):
        name = _key_text(key)
        if name not in groups:
            meter.take(200 + len(name))
            groups[name] = []
        groups[name].append(value)
    return groups


@function("list", ('index_by([{id: "a", n: 1}], x => x.id)', {"a": {"id": "a", "n": 1}}))
def index_by(meter: Meter, list_: Many, by: Fn) -> Object:
    """Makes an object from a list, with what the function gives as the name; of equal names the last one stays."""
    meter.take(len(list_) * 100)
    return {_key_text(key): value for value, key in zip(list_, by.each(list_), strict=True)}


@function("list", ('count_by(["a", "b", "a"], x => x)', {"a": 2, "b": 1}))
def count_by(meter: Meter, list_: Many, by: Fn) -> dict[str, int]:
    """Counts values by what the function gives."""
    counts: dict[str, int] = {}
    for key in by.each(list_):
        name = _key_text(key)
        if name not in counts:
            meter.take(150 + len(name))
        counts[name] = counts.get(name, 0) + 1
    return counts


def _key_text(key: object) -> str:
    name = "" if key is None else scalar_text(key)
    if name is None:
        raise ExpressionError(f"{kind_of(key)} cannot be the name of a field", hint="give a text, a number or a date")
    return name


@function("list", ("flatten([1, [2, [3]], []])", [1, 2, [3]]), ("flatten([[1], [2]])", [1, 2]))
def flatten(meter: Meter, list_: Many) -> Many:
    """Puts lists inside a list in its place, one level deep."""
    meter.take_list(sum(len(value) if isinstance(value, list) else 1 for value in list_))
    flat: Many = []
    for value in list_:
        if isinstance(value, list):
            meter.charge(len(value) >> 3)
            flat.extend(value)
        else:
            flat.append(value)
    return flat


@function("list", ("[[1, 2], [3]].flat_map(x => x)", [1, 2, 3]), ("flat_map([1, 2], x => [x, x])", [1, 1, 2, 2]))
def flat_map(meter: Meter, list_: Many, to: Fn) -> Many:
    """Makes a list from each value and puts them together."""
    return flatten(meter, to.each(list_))


@function("list", ("append([1], 2, 3)", [1, 2, 3]))
def append(list_: Many, *values: Value) -> Many:
    """Gives a list with more values at its end."""
    return [*list_, *values]


@function("list", ("compact([1, null, 2])", [1, 2]), is_picking=True)
def compact(list_: Many) -> Many:
    """Leaves out null."""
    return [value for value in list_ if value is not None]


@function("list", ("chunk([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]))
def chunk(meter: Meter, list_: Many, size: Whole) -> Many:
    """Cuts a list into lists of a size; the last may be shorter."""
    if size < 1:
        raise ExpressionError("the size of a part is at least 1")
    meter.take(72 * (len(list_) // size + 1) + 8 * len(list_))
    return [list_[start : start + size] for start in range(0, len(list_), size)]


@function("list", ('zip([1, 2], ["a", "b"])', [[1, "a"], [2, "b"]]), ("zip([1, 2], [3])", [[1, 3], [2, None]]))
def zip_(meter: Meter, *lists: Many) -> Many:
    """Puts the first values together, then the second ones and so on; missing ones are null."""
    longest = max(map(len, lists), default=0)
    meter.take(longest * (72 + 8 * len(lists)))
    meter.charge(longest * len(lists) >> 1)
    return [[values[place] if place < len(values) else None for values in lists] for place in range(longest)]


@function("list", ("range(3)", [0, 1, 2]), ("range(1, 4)", [1, 2, 3]), ("range(10, 0, -5)", [10, 5]))
def range_(meter: Meter, start: Whole, end: Whole | None = None, step: Whole = 1) -> Many:
    """Lists whole numbers from `start` (0 when only the end is given) up to, not with, the end."""
    if step == 0:
        raise ExpressionError("the step of a range cannot be 0")
    numbers = range(start, end, step) if end is not None else range(0, start, step)
    length = max(0, -((numbers.start - numbers.stop) // numbers.step)) if numbers else 0
    meter.take_list(length, 40)
    meter.charge(length >> 3)
    return list(numbers)


@function("list", ("union([1, 2], [2, 3])", [1, 2, 3]))
def union(scope: Value, *lists: Many) -> Many:
    """Puts lists together, each value once."""
    return unique(scope, flatten(scope[METER], list(lists)))


@function("list", ("intersect([1, 2, 3], [3, 1])", [1, 3]), is_picking=True)
def intersect(scope: Value, list_: Many, other: Many) -> Many:
    """Keeps the values that the other list holds too."""
    known = _identities(scope, other)
    return [value for value in unique(scope, list_) if identity_of(value, scope[METER]) in known]


@function("list", ("difference([1, 2, 3], [3, 1])", [2]), is_picking=True)
def difference(scope: Value, list_: Many, other: Many) -> Many:
    """Keeps the values that the other list does not hold."""
    known = _identities(scope, other)
    return [value for value in unique(scope, list_) if identity_of(value, scope[METER]) not in known]


def _identities(scope: Any, values: Many) -> set[Any]:
    scope[METER].take_list(len(values), 100)
    return {identity_of(value, scope[METER]) for value in values}


@function("list", ('pluck([{a: {b: 1}}, {a: {b: 2}}], "a.b")', [1, 2]))
def pluck(meter: Meter, list_: Many, path: Text) -> Many:
    """Takes one field from each value; the path goes deeper with points."""
    from .objects import at_path

    meter.charge(len(list_) * (1 + path.count(".")))
    return [at_path(value, path) for value in list_]
