"""
The whole-batch back end: what is made of fields, numbers and comparisons, computed column by column.

`item.price * item.qty` over 100,000 items is one list of prices, one of quantities and one `map` over both, instead of
100,000 walks through the closures. Only what is certain to give exactly the closures' result is done here: everything
else, in the tree or in the data (a null, a text, a number beyond 64 bits, a division by zero), raises, and the
closures do the batch again. Nothing has been changed by then, so nobody notices but the clock.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

from .syntax import Binary, Condition, Literal, Member, Name, Syntax, Unary

Items = Sequence[Any]
Values = list[Any]
Compute = Callable[[Items, int], Values]
Few = Callable[[Items], "Values | None"]
Kinds = frozenset[type]

_SAFE: Final = 9e18
_WHOLE: Final[Kinds] = frozenset({int})
_NUMBERS: Final[Kinds] = frozenset({int, float})
_FLAGS: Final[Kinds] = frozenset({bool})
_OBJECTS: Final[Kinds] = frozenset({dict})
_SIMPLE_BESIDE_FLAGS: Final[Kinds] = frozenset({str, int, float, type(None)})
_SIMPLE: Final[Kinds] = _SIMPLE_BESIDE_FLAGS | _FLAGS
_LONG_TEXT: Final = 4096

_ARITHMETIC: Final = {"+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod}
_ORDER: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class NotSimple(Exception):
    """The data is not of the plain kind; the closures have to look at it."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    One part of an expression over a whole batch.

    `compute` takes the items and the number of the first. `kinds` are the types its values can only have, None where the data
    decides; numbers that were computed are known to be within 64 bits. `constant` is a value written out.
    """

    compute: Compute
    kinds: Kinds | None = None
    constant: Literal | None = None


def build_column(tree: Syntax) -> Column | None:
    """
    Return what computes the tree over a batch of plain objects, None when the tree has other things in it.

    `compute` raises, whatever it may be, when the data is not as simple as that.
    """
    column = _build(tree)
    if column is None or column.constant is not None:
        return None
    compute = column.compute

    def checked(items: Items, start: int) -> Values:
        _must_be(_OBJECTS, items)
        return compute(items, start)

    return Column(checked, column.kinds)


def build_few(tree: Syntax) -> Few | None:
    """
    Return what computes simple arithmetic over a few items with as little ado as possible, None for any other tree.

    A column pays for itself from some ten items on; this is written out for the one or five that most steps see. It gives None
    when a value is no number or the result is too large, and the closures do it again.
    """
    match tree:
        case Binary(_, sign, Member(_, Name(_, "item"), left), right) if sign in _ARITHMETIC:
            match right:
                case Member(_, Name(_, "item"), name):
                    return _few_of_two(_ARITHMETIC[sign], left, name)
                case Literal(_, value) if type(value) in _NUMBERS and _is_simple(value):
                    return _few_and_constant(_ARITHMETIC[sign], left, value)
    return None


def _few_of_two(function: Callable[[Any, Any], Any], left: str, right: str) -> Few:
    are_numbers = _NUMBERS.issuperset

    def few(items: Items) -> Values | None:
        a = [item.get(left) for item in items]
        b = [item.get(right) for item in items]
        if not (are_numbers(map(type, a)) and are_numbers(map(type, b))):
            return None
        values = list(map(function, a, b))
        return values if all([-_SAFE < value < _SAFE for value in values]) else None  # noqa: C419 - see above

    return few


def _few_and_constant(function: Callable[[Any, Any], Any], left: str, constant: Any) -> Few:
    are_numbers = _NUMBERS.issuperset

    def few(items: Items) -> Values | None:
        a = [item.get(left) for item in items]
        if not are_numbers(map(type, a)):
            return None
        values = [function(value, constant) for value in a]
        return values if all([-_SAFE < value < _SAFE for value in values]) else None  # noqa: C419 - see above

    return few


def _build(node: Syntax) -> Column | None:
    match node:
        case Literal(_, value) if _is_simple(value):
            return Column(lambda items, start: [value] * len(items), frozenset({type(value)}), node)
        case Name(_, "index"):
            return Column(lambda items, start: list(range(start, start + len(items))), _WHOLE)
        case Member(_, Name(_, "item"), name):
            return Column(lambda items, start: [item.get(name) for item in items])
        case Unary(_, "!", operand) if inner := _build(operand):
            return _negated(inner)
        case Binary(_, sign, left, right) if (a := _build(left)) and (b := _build(right)):
            return _binary(sign, a, b)
        case Condition(_, test, then, otherwise) if (a := _build(test)) and (b := _build(then)) and (c := _build(otherwise)):
            return _condition(a, b, c)
    return None


def _is_simple(value: Any) -> bool:
    return -_SAFE < value < _SAFE if type(value) in _NUMBERS else type(value) in _SIMPLE


def _binary(sign: str, left: Column, right: Column) -> Column | None:
    if sign in _ARITHMETIC:
        return _arithmetic(sign, left, right)
    if sign in _ORDER:
        return _map(_ORDER[sign], _with(_NUMBERS, left), _with(_NUMBERS, right), _FLAGS)
    if sign in ("==", "!="):
        return _equal(left, right.constant, is_equal=sign == "==")
    if sign in ("&&", "||"):
        return _map(operator.and_ if sign == "&&" else operator.or_, _with(_FLAGS, left), _with(_FLAGS, right), _FLAGS)
    return None


def _arithmetic(sign: str, left: Column, right: Column) -> Column:
    made = _map(_ARITHMETIC[sign], _with(_NUMBERS, left), _with(_NUMBERS, right), _NUMBERS)
    if sign == "%" and left.kinds == _WHOLE and right.constant is not None and type(right.constant.value) is int:
        return Column(made.compute, _WHOLE)  # smaller than what it was divided by

    def bounded(items: Items, start: int) -> Values:
        values = made.compute(items, start)
        if not all([-_SAFE < value < _SAFE for value in values]):  # noqa: C419 - a list is a third faster than a generator
            raise NotSimple
        return values

    return Column(bounded, made.kinds)


def _equal(column: Column, constant: Literal | None, *, is_equal: bool) -> Column | None:
    """Compare with a value written out; a date is equal to its ISO text, so only what is no date is compared here."""
    if constant is None:
        return None
    value = constant.value
    if isinstance(value, str) and len(value) >= _LONG_TEXT:
        return None
    # True is 1 for Python, but not for an expression.
    kinds = _SIMPLE_BESIDE_FLAGS if type(value) in _NUMBERS else _SIMPLE - _NUMBERS if type(value) is bool else _SIMPLE
    compute = _with(kinds, column).compute

    def same(items: Items, start: int) -> Values:
        return [found == value for found in compute(items, start)]

    def other(items: Items, start: int) -> Values:
        return [found != value for found in compute(items, start)]

    return Column(same if is_equal else other, _FLAGS)


def _negated(column: Column) -> Column:
    compute = _with(_FLAGS, column).compute
    return Column(lambda items, start: [not value for value in compute(items, start)], _FLAGS)


def _condition(test: Column, then: Column, otherwise: Column) -> Column:
    test = _with(_FLAGS, test)
    kinds = None if then.kinds is None or otherwise.kinds is None else then.kinds | otherwise.kinds

    def choose(items: Items, start: int) -> Values:
        both = zip(test.compute(items, start), then.compute(items, start), otherwise.compute(items, start), strict=True)
        return [value if holds else other for holds, value, other in both]

    return Column(choose, kinds)


def _map(function: Callable[[Any, Any], Any], left: Column, right: Column, kinds: Kinds) -> Column:
    compute, other = left.compute, right.compute
    if right.constant is not None:
        value = right.constant.value
        return Column(lambda items, start: list(map(function, compute(items, start), repeat(value))), kinds)
    return Column(lambda items, start: list(map(function, compute(items, start), other(items, start))), kinds)


def _with(kinds: Kinds, column: Column) -> Column:
    """Return the column, made to raise when one of its values is of another kind."""
    if column.kinds is not None and column.kinds <= kinds:
        return column
    compute = column.compute

    def checked(items: Items, start: int) -> Values:
        values = compute(items, start)
        _must_be(kinds, values)
        return values

    return Column(checked, column.kinds)  # no constant any more: what is written out has to pass the check as well


def _must_be(kinds: Kinds, values: Items) -> None:
    if not kinds.issuperset(map(type, values)):
        raise NotSimple
