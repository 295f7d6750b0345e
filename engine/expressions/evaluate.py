"""
The closure-tree back end: every node of the tree becomes one small Python function of the frame.

A frame is a mapping from names to values. A plain expression runs on the scope itself; others on a small dict of the names
they use, the lambdas' own names under keys that nobody can write, and the meter. No text is ever compiled or executed: what an
expression can do is exactly what the functions in this file and in `functions/` do. Member access reads keys of dicts and
`Lazy.lookup`, never attributes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

from .analysis import unknown_name
from .budget import METER, SCOPE, Meter
from .calls import build_call
from .errors import ExpressionError, did_you_mean
from .functions import FUNCTIONS
from .functions.spec import Fn
from .operators import (
    BIG,
    UNMETERED_TEXT,
    NeedsMeter,
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
from .syntax import (
    Binary,
    Call,
    Condition,
    Index,
    Lambda,
    ListOf,
    Literal,
    Member,
    Name,
    ObjectOf,
    Slice,
    Spread,
    Syntax,
    Unary,
    size_of,
)
from .values import Lazy, as_opaque_fields, is_opaque, kind_of, scalar_text, truth

Frame = Any
Run = Callable[[Frame], Any]

_ARITHMETIC: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any, Any], Any]]] = {
    "+": (operator.add, add),
    "-": (operator.sub, subtract),
    "*": (operator.mul, multiply),
}
_SLOW_ONLY: dict[str, Callable[[Any, Any, Any], Any]] = {"/": divide, "%": remainder}
_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def build(tree: Syntax) -> Run:
    """Return the function of the frame that computes the tree; the tree has been checked by `analyse`."""
    return _Builder().build(tree)


class _Builder:
    def __init__(self) -> None:
        self.local: dict[str, str] = {}
        self.count = 0
        self.in_lambda = 0

    def build(self, node: Syntax) -> Run:
        match node:
            case Literal(_, value):
                return lambda frame: value
            case Name(at, name):
                return _name(self.local.get(name, name), name, at)
            case Member(at, Name(_, "nodes"), name) if "nodes" not in self.local:
                return _node(name, at)
            case Index(at, Name(_, "nodes"), Literal(_, str(name))) if "nodes" not in self.local:
                return _node(name, at)
            case Member(at, Name(name_at, base), name):
                return _member_of_name(self.local.get(base, base), base, name_at, name, at)
            case Member(at, base, name):
                return _member(self.build(base), name, at)
            case Index(at, base, key):
                return _index(self.build(base), self.build(key), at)
            case Slice(at, base, start, end):
                return _slice(self.build(base), self.optional(start), self.optional(end), at)
            case Unary(at, sign, operand):
                return _unary(sign, self.build(operand), at)
            case Binary():
                return self.binary(node)
            case Condition(_, test, then, otherwise):
                return _condition(self.build(test), self.build(then), self.build(otherwise))
            case ListOf(_, items):
                return self.list_of(items)
            case ObjectOf(_, fields):
                return self.object_of(fields)
            case Call(_, name, arguments):
                return build_call(
                    node,
                    FUNCTIONS[name],
                    [self.lambda_of(part) if isinstance(part, Lambda) else self.build(part) for part in arguments],
                )
        raise ExpressionError("this cannot stand here", offset=node.at)

    def optional(self, node: Syntax | None) -> Run | None:
        return None if node is None else self.build(node)

    def lambda_of(self, node: Lambda) -> Run:
        outer = dict(self.local)
        keys = []
        for name in node.names:
            self.count += 1
            self.local[name] = f"${self.count}"
            keys.append(f"${self.count}")
        self.in_lambda += 1
        body = self.build(node.body)
        self.in_lambda -= 1
        self.local = outer
        weight, slots = 1 + size_of(node.body) // 4, tuple(keys)
        return lambda frame: Fn(frame, frame[METER], slots, body, weight)

    def binary(self, node: Binary) -> Run:
        sign, at = node.operator, node.at
        if sign == "+" and (parts := _text_parts(node)):
            return _concat([(self.build(part), at) for part, at in parts])
        left, right = self.build(node.left), self.build(node.right)
        if sign in _ARITHMETIC:
            return _arithmetic(sign, left, right, at)
        if sign in _SLOW_ONLY:
            return _by(_SLOW_ONLY[sign], left, right, at)
        if sign in _ORDER:
            return _order(_ORDER[sign], left, right, at)
        if sign == "==":
            return _equal(left, right, node.right, at)
        if sign == "!=":
            same = _equal(left, right, node.right, at)
            return lambda frame: not same(frame)
        if sign == "in":
            return _in(left, right, node.right, at)
        return {"&&": _and, "||": _or, "??": _else}[sign](left, right)

    def list_of(self, items: tuple[Syntax, ...]) -> Run:
        if not any(isinstance(item, Spread) for item in items):
            runs = [self.build(item) for item in items]
            if not self.in_lambda:
                return lambda frame: [run(frame) for run in runs]
            size = 64 + 40 * len(runs)

            def metered(frame: Frame) -> list[Any]:
                frame[METER].take(size)
                return [run(frame) for run in runs]

            return metered
        parts = [
            (self.build(item.value if isinstance(item, Spread) else item), isinstance(item, Spread), item.at) for item in items
        ]

        def spreading(frame: Frame) -> list[Any]:
            built: list[Any] = []
            for run, is_spread, at in parts:
                value = run(frame)
                if not is_spread:
                    built.append(value)
                    continue
                if value is None:
                    continue
                if not isinstance(value, list):
                    raise ExpressionError(f"cannot spread {kind_of(value)} into a list", offset=at)
                meter_in(frame).take_list(len(value))
                meter_in(frame).charge(len(value) >> 3)
                built.extend(value)
            meter_in(frame).take_list(len(parts))
            return built

        return spreading

    def object_of(self, fields: tuple[tuple[Syntax | None, Syntax], ...]) -> Run:
        size = 240 + 80 * len(fields)
        is_counted = bool(self.in_lambda)
        if all(isinstance(key, Literal) for key, _ in fields):
            pairs = [(str(cast(Literal, key).value), self.build(value)) for key, value in fields]

            def plain(frame: Frame) -> dict[str, Any]:
                if is_counted:
                    frame[METER].take(size)
                return {name: run(frame) for name, run in pairs}

            return plain
        parts = [
            (self.optional(key), self.build(value.value if isinstance(value, Spread) else value), value.at)
            for key, value in fields
        ]

        def computed(frame: Frame) -> dict[str, Any]:
            if is_counted:
                frame[METER].take(size)
            built: dict[str, Any] = {}
            for key, run, at in parts:
                if key is not None:
                    name = key(frame)
                    if type(name) is not str:
                        raise ExpressionError(
                            f"the name of a field is a text, not {kind_of(name)}", hint="use text(…)", offset=at
                        )
                    built[name] = run(frame)
                    continue
                value = run(frame)
                if is_opaque(value):
                    value = as_opaque_fields(value)
                if value is not None:
                    if not isinstance(value, dict):
                        raise ExpressionError(f"cannot spread {kind_of(value)} into an object", offset=at)
                    meter_in(frame).take(100 * len(value))
                    meter_in(frame).charge(len(value) >> 2)
                    built.update(value)
            return built

        return computed


def _name(key: str, name: str, at: int) -> Run:
    def read(frame: Frame) -> Any:
        try:
            return frame[key]
        except KeyError:
            raise unknown_name(name, list(frame.get(SCOPE, frame)), at) from None

    return read


def _member_of_name(key: str, base_name: str, base_at: int, name: str, at: int) -> Run:
    """Build `item.price`, the commonest expression of all."""

    def read(frame: Frame) -> Any:
        try:
            base = frame[key]
        except KeyError:
            raise unknown_name(base_name, list(frame.get(SCOPE, frame)), base_at) from None
        if type(base) is dict:
            return base.get(name)
        return member_of(base, name, at)

    return read


def _member(base: Run, name: str, at: int) -> Run:
    def read(frame: Frame) -> Any:
        value = base(frame)
        if type(value) is dict:
            return value.get(name)
        return member_of(value, name, at)

    return read


def member_of(base: Any, name: str, at: int | None = None) -> Any:
    """Return the field `name` of a value: null for a missing one, and an error for what has no fields."""
    if base is None:
        return None
    if isinstance(base, dict):
        return base.get(name)
    if isinstance(base, Lazy):
        try:
            return base.lookup(name)
        except ExpressionError as error:
            raise (error.located(at) if at is not None else error) from None
    if is_opaque(base):
        return as_opaque_fields(base).get(name)
    if name == "length" and isinstance(base, str | list):
        return len(base)
    if isinstance(base, list):
        hint = f"write [0].{name} for the first, .map(x => x.{name}) for all of them"
    else:
        hint = f"write .{name}() to call the function" if name in FUNCTIONS else None
    raise ExpressionError(f"{kind_of(base)} has no field “{name}”", hint=hint, offset=at)


def _node(name: str, at: int) -> Run:
    def read(frame: Frame) -> Any:
        try:
            nodes = frame["nodes"]
        except KeyError:
            raise ExpressionError("there is no “nodes” here", hint="this field sees no other nodes", offset=at) from None
        try:
            get_node = getattr(type(nodes), "get_node", None)
            if get_node is not None:
                return get_node(nodes, name)
            if isinstance(nodes, Lazy):
                return nodes.lookup(name)
        except ExpressionError as error:
            raise error.located(at) from None
        if isinstance(nodes, Mapping) and name in nodes:
            return nodes[name]
        hint = did_you_mean(name, list(nodes)) if isinstance(nodes, Mapping) else None
        raise ExpressionError(f"there is no node “{name}” before this one", hint=hint, offset=at)

    return read


def _index(base: Run, key: Run, at: int) -> Run:
    def read(frame: Frame) -> Any:
        value, place = base(frame), key(frame)
        if type(value) is list and type(place) is int:
            return value[place] if -len(value) <= place < len(value) else None
        if type(value) is dict and type(place) is str:
            return value.get(place)
        return _index_of(value, place, at)

    return read


def _index_of(value: Any, place: Any, at: int) -> Any:
    if value is None:
        return None
    if isinstance(place, str):
        return member_of(value, place, at)
    if isinstance(value, list | str):
        if type(place) is float and place == place and abs(place) < BIG and place == int(place):
            place = int(place)
        if type(place) is int:
            return value[place] if -len(value) <= place < len(value) else None
        raise ExpressionError(f"a place in {kind_of(value)} is a whole number, not {kind_of(place)}", offset=at)
    if isinstance(value, dict):
        raise ExpressionError(f"the name of a field is a text, not {kind_of(place)}", hint="use text(…)", offset=at)
    raise ExpressionError(f"cannot look into {kind_of(value)}", offset=at)


def _slice(base: Run, start: Run | None, end: Run | None, at: int) -> Run:
    def bound(run: Run | None, frame: Frame) -> int | None:
        value = None if run is None else run(frame)
        if value is None or type(value) is int:
            return value
        if type(value) is float and value == value and abs(value) < BIG and value == int(value):
            return int(value)
        raise ExpressionError(f"a place is a whole number, not {kind_of(value)}", offset=at)

    def read(frame: Frame) -> Any:
        value = base(frame)
        if value is None:
            return None
        if not isinstance(value, list | str):
            raise ExpressionError(f"cannot take a part of {kind_of(value)}", hint="lists and texts have parts", offset=at)
        part = value[bound(start, frame) : bound(end, frame)]
        if len(part) > UNMETERED_TEXT or METER in frame:
            meter_in(frame).take(len(part) * (8 if isinstance(part, list) else 1 if part.isascii() else 4) + 56)
        return part

    return read


def _unary(sign: str, operand: Run, at: int) -> Run:
    if sign == "!":
        return lambda frame: not truth(operand(frame))
    compute = negate if sign == "-" else plus

    def signed(frame: Frame) -> Any:
        try:
            return compute(frame, operand(frame))
        except ExpressionError as error:
            raise error.located(at) from None

    return signed


def _arithmetic(sign: str, left: Run, right: Run, at: int) -> Run:
    """Build `+`, `-`, `*`: two numbers are computed at once, everything else goes the long way."""
    fast, slow = _ARITHMETIC[sign]
    if sign == "*":

        def times(frame: Frame) -> Any:
            a, b = left(frame), right(frame)
            kind = type(a)
            if (kind is int or kind is float) and ((other := type(b)) is int or other is float):
                value = a * b
                if -BIG < value < BIG:
                    return value
            return _located(slow, frame, a, b, at)

        return times

    def compute(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        kind = type(a)
        if (kind is int or kind is float) and ((other := type(b)) is int or other is float):
            value = fast(a, b)
            if -BIG < value < BIG:
                return value
        return _located(slow, frame, a, b, at)

    return compute


def _by(compute: Callable[[Any, Any, Any], Any], left: Run, right: Run, at: int) -> Run:
    return lambda frame: _located(compute, frame, left(frame), right(frame), at)


def _located(compute: Callable[[Any, Any, Any], Any], frame: Frame, a: Any, b: Any, at: int) -> Any:
    try:
        return compute(frame, a, b)
    except ExpressionError as error:
        raise error.located(at) from None


def _order(fast: Callable[[Any, Any], Any], left: Run, right: Run, at: int) -> Run:
    def compare(frame: Frame) -> bool:
        a, b = left(frame), right(frame)
        kind = type(a)
        if (kind is int or kind is float) and ((other := type(b)) is int or other is float):
            return fast(a, b)  # type: ignore[no-any-return]
        try:
            a, b = ordered(frame, a, b)
        except ExpressionError as error:
            raise error.located(at) from None
        return fast(a, b)  # type: ignore[no-any-return]

    return compare


def _equal(left: Run, right: Run, written: Syntax, at: int) -> Run:
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


def _in(left: Run, right: Run, written: Syntax, at: int) -> Run:
    if isinstance(written, ListOf) and all(isinstance(item, Literal) and isinstance(item.value, str) for item in written.items):
        texts = frozenset(str(cast(Literal, item).value) for item in written.items)

        def among(frame: Frame) -> bool:
            value = left(frame)
            if type(value) is str:
                return value in texts
            return bool(_located(contains, frame, value, list(texts), at))

        return among
    return _by(contains, left, right, at)


def _and(left: Run, right: Run) -> Run:
    def both(frame: Frame) -> Any:
        value = left(frame)
        return right(frame) if value is True or (value is not False and truth(value)) else value

    return both


def _or(left: Run, right: Run) -> Run:
    def either(frame: Frame) -> Any:
        value = left(frame)
        return value if value is True or (value is not False and truth(value)) else right(frame)

    return either


def _else(left: Run, right: Run) -> Run:
    def first(frame: Frame) -> Any:
        value = left(frame)
        return right(frame) if value is None else value

    return first


def _condition(test: Run, then: Run, otherwise: Run) -> Run:
    def choose(frame: Frame) -> Any:
        value = test(frame)
        return then(frame) if value is True or (value is not False and truth(value)) else otherwise(frame)

    return choose


def _text_parts(node: Binary) -> list[tuple[Syntax, int]] | None:
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


def _concat(parts: list[tuple[Run, int]]) -> Run:
    runs = parts

    def join(frame: Frame) -> str:
        texts: list[str] = []
        for run, at in runs:
            value = run(frame)
            if type(value) is str:
                texts.append(value)
                continue
            text = None if type(value) is timedelta else scalar_text(value)
            if text is None:
                raise _cannot_join(value, at)
            texts.append(text)
        joined = "".join(texts)
        meter: Meter | None = frame.get(METER)
        if meter is not None:
            meter.take_text(len(joined), not joined.isascii())
        elif len(joined) > UNMETERED_TEXT:
            raise NeedsMeter
        return joined

    return join


def _cannot_join(value: object, at: int) -> ExpressionError:
    try:
        add({}, value, "")
    except ExpressionError as error:
        return error.located(at)
    return cannot("add", "and", value, "").located(at)
