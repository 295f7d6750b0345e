"""
Closures that compute: signs, arithmetic, comparison, choice, and the joining of texts.

Each takes the short way for the kinds that nearly always come (two numbers, two short texts) and hands everything else to
`operators`, which knows every kind and every refusal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from .errors import ExpressionError
from .operators import (
    BIG,
    UNMETERED_TEXT,
    add,
    cannot,
    contains,
    divide,
    equal,
    meter_in,
    multiply,
    negate,
    ordered,
    plus,
    remainder,
    subtract,
)
from .reading import Frame, Run
from .syntax import Binary, ListOf, Literal, Member, Name, Syntax
from .values import scalar_text, truth

Compute = Callable[[Any, Any], Any]
Slow = Callable[[Any, Any, Any], Any]

_ARITHMETIC: dict[str, tuple[Compute, Slow]] = {
    "+": (operator.add, add),
    "-": (operator.sub, subtract),
    "*": (operator.mul, multiply),
}
_SLOW_ONLY: dict[str, Slow] = {"/": divide, "%": remainder}
_ORDER: dict[str, Compute] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def compute_sign(sign: str, operand: Run, at: int) -> Run:
    if sign == "!":
        return lambda frame: not truth(operand(frame))
    compute = negate if sign == "-" else plus

    def signed(frame: Frame) -> Any:
        try:
            return compute(frame, operand(frame))
        except ExpressionError as error:
            raise error.located(at) from None

    return signed


def compute_number(sign: str, left: Run, right: Run, at: int) -> Run:
    """Build an arithmetic operator: two numbers are computed at once, everything else goes the long way."""
    if sign in _SLOW_ONLY:
        return _by(_SLOW_ONLY[sign], left, right, at)
    fast, slow = _ARITHMETIC[sign]

    def compute(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        kind = type(a)
        if (kind is int or kind is float) and ((other := type(b)) is int or other is float):
            value = fast(a, b)
            if -BIG < value < BIG:
                return value
        return _located(slow, frame, a, b, at)

    return compute


def compare_order(sign: str, left: Run, right: Run, at: int) -> Run:
    """Build `<`, `<=`, `>`, `>=`."""
    fast = _ORDER[sign]

    def compare(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        kind = type(a)
        if (kind is int or kind is float) and ((other := type(b)) is int or other is float):
            return fast(a, b)
        return fast(*_located(ordered, frame, a, b, at))

    return compare


def compute_on_field(node: Binary, local: dict[str, str], long_way: Run) -> Run | None:
    """
    Build the commonest shapes in one closure instead of three: `item.price * item.qty` and `item.total > 100`.

    What is not made of two numbers goes `long_way`, the closure of the ordinary kind. Returns None for any other shape.
    """
    left, right, sign = node.left, node.right, node.operator
    if not (isinstance(left, Member) and isinstance(left.base, Name)) or left.base.name == "nodes":
        return None
    if sign not in _ARITHMETIC and sign not in _ORDER:
        return None
    fast = _ARITHMETIC[sign][0] if sign in _ARITHMETIC else _ORDER[sign]
    key, first = local.get(left.base.name, left.base.name), left.name
    if isinstance(right, Literal) and type(right.value) in (int, float):
        constant: Any = right.value

        def with_constant(frame: Frame) -> Any:
            base = frame.get(key)
            if type(base) is dict:
                a = base.get(first)
                kind = type(a)
                if kind is int or kind is float:
                    value = fast(a, constant)
                    if -BIG < value < BIG:
                        return value
            return long_way(frame)

        return with_constant
    if isinstance(right, Member) and isinstance(right.base, Name) and right.base.name == left.base.name:
        second = right.name

        def of_two(frame: Frame) -> Any:
            base = frame.get(key)
            if type(base) is dict:
                a, b = base.get(first), base.get(second)
                kind = type(a)
                if (kind is int or kind is float) and ((other := type(b)) is int or other is float):
                    value = fast(a, b)
                    if -BIG < value < BIG:
                        return value
            return long_way(frame)

        return of_two
    return None


def _by(compute: Slow, left: Run, right: Run, at: int) -> Run:
    return lambda frame: _located(compute, frame, left(frame), right(frame), at)


def _located(compute: Slow, frame: Frame, a: Any, b: Any, at: int) -> Any:
    try:
        return compute(frame, a, b)
    except ExpressionError as error:
        raise error.located(at) from None


def compare_equal(left: Run, right: Run, written: Syntax, at: int) -> Run:
    if isinstance(written, Literal) and isinstance(written.value, str) and len(written.value) < 8:
        # Too short to be a date, so a text is all it can be equal to.
        constant = written.value
        return lambda frame: bool(left(frame) == constant)
    if isinstance(written, Literal) and written.value is None:
        return lambda frame: left(frame) is None

    def compare(frame: Frame) -> bool:
        a, b = left(frame), right(frame)
        kind = type(a)
        if kind is int and type(b) is int:
            return bool(a == b)
        try:
            return equal(frame, a, b)
        except ExpressionError as error:
            raise error.located(at) from None

    return compare


def look_inside(left: Run, right: Run, written: Syntax, at: int) -> Run:
    if isinstance(written, ListOf) and all(isinstance(item, Literal) and isinstance(item.value, str) for item in written.items):
        texts = frozenset(str(cast(Literal, item).value) for item in written.items)

        def among(frame: Frame) -> bool:
            value = left(frame)
            if type(value) is str:
                return value in texts
            return bool(_located(contains, frame, value, list(texts), at))

        return among
    return _by(contains, left, right, at)


def both(left: Run, right: Run) -> Run:
    def both(frame: Frame) -> Any:
        value = left(frame)
        return right(frame) if value is True or (value is not False and truth(value)) else value

    return both


def either(left: Run, right: Run) -> Run:
    def either(frame: Frame) -> Any:
        value = left(frame)
        return value if value is True or (value is not False and truth(value)) else right(frame)

    return either


def first_not_null(left: Run, right: Run) -> Run:
    def first(frame: Frame) -> Any:
        value = left(frame)
        return right(frame) if value is None else value

    return first


def choose(test: Run, then: Run, otherwise: Run) -> Run:
    def choose(frame: Frame) -> Any:
        value = test(frame)
        return then(frame) if value is True or (value is not False and truth(value)) else otherwise(frame)

    return choose


def text_parts(node: Binary) -> list[tuple[Syntax, int]] | None:
    """
    Take apart a chain of `+` in which a text is written out, so that it is joined in one go.

    What stands before the first text (but one) stays a sum of its own: `1 + 2 + "a"` is `3a`.
    """
    chain: list[tuple[Syntax, int]] = []
    place: Syntax = node
    while isinstance(place, Binary) and place.operator == "+":
        chain.append((place.right, place.at))
        place = place.left
    chain.append((place, chain[-1][1]))
    chain.reverse()
    first = next((n for n, (part, _) in enumerate(chain) if isinstance(part, Literal) and isinstance(part.value, str)), None)
    if first is None:
        return None
    if first <= 1:
        return chain
    head: Syntax = chain[0][0]
    for part, at in chain[1:first]:
        head = Binary(at, "+", head, part)
    return [(head, chain[first][1]), *chain[first:]]


def join_parts(parts: list[tuple[Syntax, Run, int]], is_counted: bool) -> Run:
    """Join the parts of a text; `is_counted` in a loop, where even short texts add up."""
    written = [part.value if isinstance(part, Literal) and isinstance(part.value, str) else "" for part, _, _ in parts]
    open_places = [
        (place, run, at)
        for place, (part, run, at) in enumerate(parts)
        if not (isinstance(part, Literal) and isinstance(part.value, str))
    ]

    def join(frame: Frame) -> str:
        texts = written.copy()
        for place, run, at in open_places:
            value = run(frame)
            kind = type(value)
            if kind is str:
                texts[place] = value
            elif kind is int:
                texts[place] = str(value)
            else:
                text = None if kind is timedelta else scalar_text(value)
                if text is None:
                    raise _cannot_join(value, at)
                texts[place] = text
        joined = "".join(texts)
        if is_counted or len(joined) > UNMETERED_TEXT:
            meter_in(frame).take_text(len(joined), not joined.isascii())
        return joined

    return join


def _cannot_join(value: object, at: int) -> ExpressionError:
    try:
        add({}, value, "")
    except ExpressionError as error:
        return error.located(at)
    return cannot("add", "and", value, "").located(at)
