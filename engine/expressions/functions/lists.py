"""Functions that look into lists: pick, search, add up."""

from __future__ import annotations

import math
from typing import Any

from ..budget import METER, Meter
from ..errors import ExpressionError
from ..operators import add, checked, contains, divide, equal, is_number, ordered
from ..values import MISSING_HINT, kind_of, truth
from .spec import Fn, Many, Value, Whole, function


@function("list", ("first([3, 4])", 3), ("first([])", None), ("[3, 4].first(x => x > 3)", 4))
def first(list_: Many, where: Fn | None = None) -> Any:
    """Gives the first value, or the first that fits; null when there is none."""
    if where is None:
        return list_[0] if list_ else None
    return next((value for value, fits in where.one_by_one(list_) if truth(fits)), None)


@function("list", ("last([3, 4])", 4), ("last([3, 4], x => x < 4)", 3))
def last(list_: Many, where: Fn | None = None) -> Any:
    """Gives the last value, or the last that fits; null when there is none."""
    if where is None:
        return list_[-1] if list_ else None
    return next((value for value, fits in where.one_by_one(list_[::-1]) if truth(fits)), None)


@function("list", ("[1, 2, 3].find(x => x > 1)", 2), ("find([1], x => x > 1)", None))
def find(list_: Many, where: Fn) -> Any:
    """Gives the first value that fits; null when there is none."""
    return first(list_, where)


@function("list", ('["a", "b"].find_index(x => x == "b")', 1), ("find_index([1], x => x > 1)", -1))
def find_index(list_: Many, where: Fn) -> int:
    """Gives the place of the first value that fits, counted from 0; -1 when there is none."""
    return next((place for place, (_, fits) in enumerate(where.one_by_one(list_)) if truth(fits)), -1)


@function("list", ('index_of("banana", "n")', 2), ("index_of([5, 7], 7)", 1), ('index_of("abc", "x")', -1))
def index_of(scope: Value, inside: Value, value: Value) -> int:
    """Gives the first place of a value in a list, or of a text in a text, counted from 0; -1 when it is not there."""
    if isinstance(inside, str) and isinstance(value, str):
        contains(scope, value, inside)
        return inside.find(value)
    if not isinstance(inside, list):
        raise ExpressionError(f"index_of(…) looks into a list or a text, not {kind_of(inside)}")
    return next((place for place, entry in enumerate(inside) if equal(scope, entry, value)), -1)


@function(
    "list", ('contains("banana", "nan")', True), ("contains([1, 2], 2)", True), ('contains({a: 1}, "a")', True), name="contains"
)
def contains_(scope: Value, inside: Value, value: Value) -> bool:
    """Tells whether a list holds a value, a text another text, or an object a field; the same as `value in inside`."""
    return contains(scope, value, inside)


@function("list", ("[1, 2, 3].filter(x => x > 1)", [2, 3]), ("[5, 6, 7].filter((x, i) => i > 0)", [6, 7]), is_picking=True)
def filter_(list_: Many, where: Fn) -> Many:
    """Keeps the values that fit."""
    return [
        value
        for value, fits in zip(list_, where.each(list_), strict=True)
        if fits is True or (fits is not False and truth(fits))
    ]


@function("list", ("[1, 2].map(x => x * 10)", [10, 20]), ('["a"].map((x, i) => x + i)', ["a0"]))
def map_(list_: Many, to: Fn) -> Many:
    """Makes a new value from each value."""
    return to.each(list_)


@function("list", ("any([1, 5], x => x > 4)", True), ("any([])", False), ("any([false, true])", True))
def any_(list_: Many, where: Fn | None = None) -> bool:
    """Tells whether at least one value fits, or is true."""
    if where is None:
        return any(truth(value) for value in list_)
    return any(truth(fits) for _, fits in where.one_by_one(list_))


@function("list", ("all([1, 5], x => x > 4)", False), ("all([])", True))
def all_(list_: Many, where: Fn | None = None) -> bool:
    """Tells whether every value fits, or is true; so it is for an empty list."""
    if where is None:
        return all(truth(value) for value in list_)
    return all(truth(fits) for _, fits in where.one_by_one(list_))


@function("list", ("count([1, 5, 9], x => x > 4)", 2), ("count([1, null, 3])", 2))
def count(list_: Many, where: Fn | None = None) -> int:
    """Counts the values that fit; without a condition those that are not null."""
    if where is None:
        return sum(1 for value in list_ if value is not None)
    return sum(1 for fits in where.each(list_) if truth(fits))


@function(
    "list", ("sum([1, 2.5])", 3.5), ("sum([{qty: 2}, {qty: 3}], l => l.qty)", 5), ("sum([])", 0), ("sum([1, null, 2])", 3)
)
def sum_(scope: Value, list_: Many, of: Fn | None = None) -> Any:
    """Adds up the values, or what the function takes from each; null is left out."""
    return total(of.each(list_) if of else list_, scope)


@function("list", ("average([1, 2, 6])", 3), ("average([])", None), ("average([{n: 1}, {n: 2}], x => x.n)", 1.5))
def average(scope: Value, list_: Many, of: Fn | None = None) -> Any:
    """Gives the mean of the values; null is left out, and an empty list has none."""
    values = [value for value in (of.each(list_) if of else list_) if value is not None]
    return divide(scope, total(values, scope), len(values)) if values else None


@function("list", ("median([5, 1, 3])", 3), ("median([1, 2])", 1.5), ("median([])", None))
def median(scope: Value, list_: Many, of: Fn | None = None) -> Any:
    """Gives the value in the middle, or the mean of the two there; null is left out."""
    values = sort_values(scope, [value for value in (of.each(list_) if of else list_) if value is not None])
    if not values:
        return None
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else divide(scope, add(scope, values[middle - 1], values[middle]), 2)


@function(
    "list",
    ("min([3, 1, 2])", 1),
    ("min(3, 1)", 1),
    ("min([])", None),
    ('text(min([date("2026-02-01"), date("2026-01-31")]))', "2026-01-31"),
)
def min_(scope: Value, *values: Value) -> Any:
    """Gives the smallest of a list or of its arguments: numbers, texts, dates or durations; null is left out."""
    return _extreme(scope, values, -1)


@function("list", ("max([3, 1, 2])", 3), ("max(3, 1)", 3), ('max(["a", "b"])', "b"))
def max_(scope: Value, *values: Value) -> Any:
    """Gives the biggest of a list or of its arguments: numbers, texts, dates or durations; null is left out."""
    return _extreme(scope, values, 1)


def _extreme(scope: Any, values: tuple[Any, ...], way: int) -> Any:
    candidates: Any = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    best: Any = None
    for value in candidates:
        if value is None:
            continue
        if best is None:
            ordered(scope, value, value)
            best = value
            continue
        a, b = ordered(scope, value, best)
        if (a > b) if way > 0 else (a < b):
            best = value
    return best


@function("list", ("min_by([{n: 2}, {n: 1}], x => x.n)", {"n": 1}), ("min_by([], x => x)", None))
def min_by(scope: Value, list_: Many, of: Fn) -> Any:
    """Gives the value for which the function gives the least."""
    return _extreme_by(scope, list_, of, -1)


@function("list", ("max_by([{n: 2}, {n: 1}], x => x.n)", {"n": 2}))
def max_by(scope: Value, list_: Many, of: Fn) -> Any:
    """Gives the value for which the function gives the most."""
    return _extreme_by(scope, list_, of, 1)


def _extreme_by(scope: Any, list_: Many, of: Fn, way: int) -> Any:
    best: Any = None
    found: Any = None
    for value, key in zip(list_, of.each(list_), strict=True):
        if key is None:
            continue
        if best is not None:
            a, b = ordered(scope, key, best)
            if not ((a > b) if way > 0 else (a < b)):
                continue
        best, found = key, value
    return found


@function("list", ("[1, 2, 3].reduce((sum, x) => sum + x, 0)", 6), ("reduce([1, 2, 3], (a, b) => a * b)", 6), lambda_arity=3)
def reduce(list_: Many, with_: Fn, start: Value = None) -> Any:
    """Works through a list with a running value; without a start it begins with the first value."""
    if not list_:
        return start
    running, rest = (list_[0], list_[1:]) if start is None else (start, list_)
    for place, value in enumerate(rest):
        running = with_.on(running, value, place)
    return running


@function("list", ("take([1, 2, 3], 2)", [1, 2]), is_picking=True)
def take(list_: Many, count: Whole) -> Many:
    """Keeps the first values."""
    return list_[: max(0, count)]


@function("list", ("drop([1, 2, 3], 2)", [3]), is_picking=True)
def drop(list_: Many, count: Whole) -> Many:
    """Leaves out the first values."""
    return list_[max(0, count) :]


@function("list", ("slice([1, 2, 3, 4], 1, 3)", [2, 3]), ('slice("abcd", -2)', "cd"), is_picking=True)
def slice_(value: Value, start: Whole, end: Whole | None = None) -> Any:
    """Takes the part from `start` up to, not with, `end`; the same as value[start:end]."""
    if not isinstance(value, str | list):
        raise ExpressionError(f"slice(…) takes a part of a list or a text, not {kind_of(value)}", hint=_missing(value))
    return value[start:end]


def _missing(value: object) -> str | None:
    return MISSING_HINT if value is None else None


def total(values: Many, scope: Any) -> Any:
    """Add up numbers or durations; null is left out, other kinds are refused with their place."""
    kinds = set(map(type, values))
    if kinds <= {int}:
        return checked(sum(values))
    if kinds <= {int, float}:
        try:
            return checked(math.fsum(values))
        except (OverflowError, ValueError):
            raise ExpressionError("the number is too big") from None
    result: Any = None
    for place, value in enumerate(values):
        if value is None:
            continue
        if not is_number(value) and type(value).__name__ != "timedelta":
            raise ExpressionError(
                f"cannot add up {kind_of(value)} (value {place + 1} of {len(values)})",
                hint="use map(x => number(x)) to read numbers from texts" if isinstance(value, str) else None,
            )
        result = value if result is None else add(scope, result, value)
    return 0 if result is None else result


def sort_values(scope: Any, values: Many, keys: Many | None = None) -> Many:
    """Sort values by their keys (themselves without), null last; raises ExpressionError for kinds that have no common order."""
    keys = values if keys is None else keys
    meter: Meter = scope[METER]
    meter.charge(len(values) * max(1, len(values).bit_length() // 4))
    meter.take_list(len(values), 80)
    rows = [(key, place) for place, key in enumerate(keys) if key is not None]
    kinds = {type(key) for key, _ in rows}
    if not (kinds <= {str} or kinds <= {int} or (kinds <= {int, float} and all(key == key for key, _ in rows))):
        rows = _comparable(scope, rows)
    rows.sort()
    missing = [value for value, key in zip(values, keys, strict=True) if key is None]
    return [values[place] for _, place in rows] + missing


def _comparable(scope: Any, rows: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Bring keys to one kind that Python can sort; the check against the first key raises for the rest."""
    pivot = next((key for key, _ in rows if not isinstance(key, str)), rows[0][0] if rows else None)
    moment = next((key for key, _ in rows if type(key).__name__ == "datetime"), pivot)
    if type(pivot).__name__ in ("date", "datetime"):
        pivot = moment
    turned = []
    for key, place in rows:
        if type(key) is float and key != key:
            raise ExpressionError("the number is too big")
        turned.append((ordered(scope, key, pivot)[0], place))
    return turned
