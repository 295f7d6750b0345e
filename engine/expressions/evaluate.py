"""
The closure-tree back end: every node of the tree becomes one small Python function of the frame.

A frame is a mapping from names to values. A plain expression runs on the scope itself; others on a small dict of the names
they use, the lambdas' own names under keys that nobody can write, and the meter. No text is ever compiled or executed: what an
expression can do is exactly what the functions in this file and in `functions/` do. Member access reads keys of dicts and
`Lazy.lookup`, never attributes.
"""

from __future__ import annotations

from typing import Any, cast

from .analysis import analyse
from .budget import MEMO, METER
from .calls import build_call
from .computing import (
    both,
    choose,
    compare_equal,
    compare_order,
    compute_number,
    compute_on_field,
    compute_sign,
    either,
    first_not_null,
    join_parts,
    look_inside,
    text_parts,
)
from .errors import ExpressionError
from .functions import FUNCTIONS
from .functions.spec import Fn
from .operators import meter_in
from .reading import Frame, Run, read_field, read_field_of_name, read_index, read_name, read_node, read_slice
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
from .values import as_opaque_fields, is_opaque, kind_of

_DIFFERING = frozenset({"item", "index", "nodes"})


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
                return read_name(self.local.get(name, name), name, at)
            case Member(at, Name(_, "nodes"), name) if "nodes" not in self.local:
                return read_node(name, at)
            case Index(at, Name(_, "nodes"), Literal(_, str(name))) if "nodes" not in self.local:
                return read_node(name, at)
            case Member(at, Name(name_at, base), name):
                return read_field_of_name(self.local.get(base, base), base, name_at, name, at)
            case Member(at, base, name):
                return read_field(self.build(base), name, at)
            case Index(at, base, key):
                return read_index(self.build(base), self.build(key), at)
            case Slice(at, base, start, end):
                return read_slice(self.build(base), self.optional(start), self.optional(end), at)
            case Unary(at, sign, operand):
                return compute_sign(sign, self.build(operand), at)
            case Binary():
                return self.binary(node)
            case Condition(_, test, then, otherwise):
                return choose(self.build(test), self.build(then), self.build(otherwise))
            case ListOf(_, items):
                return self.list_of(items)
            case ObjectOf(_, fields):
                return self.object_of(fields)
            case Call():
                return self.call(node)
        raise ExpressionError("this cannot stand here", offset=node.at)

    def call(self, node: Call) -> Run:
        function = FUNCTIONS[node.name]
        runs = [self.lambda_of(part) if isinstance(part, Lambda) else self.build(part) for part in node.arguments]
        run = build_call(node, function, runs)
        if function.is_flat or function.is_lazy or not self.is_same_for_all(node):
            return run
        self.count += 1
        key = self.count

        def once_per_batch(frame: Frame) -> Any:
            memo: dict[int, Any] | None = frame.get(MEMO)
            if memo is None:
                return run(frame)
            if key not in memo:
                memo[key] = run(frame)
            return memo[key]

        return once_per_batch

    def is_same_for_all(self, node: Call) -> bool:
        """Tell whether a call gives the same for every item of a batch: no name that differs by item, no chance."""
        found = analyse(node)
        return not found.is_random and not found.names & (_DIFFERING | self.local.keys())

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
        if sign == "+" and (parts := text_parts(node)):
            return join_parts([(part, self.build(part), at) for part, at in parts], bool(self.in_lambda))
        left, right = self.build(node.left), self.build(node.right)
        if sign in ("+", "-", "*", "/", "%", "<", "<=", ">", ">="):
            build_it = compare_order if sign[0] in "<>" else compute_number
            long_way = build_it(sign, left, right, at)
            return compute_on_field(node, self.local, long_way) or long_way
        if sign == "==":
            return compare_equal(left, right, node.right, at)
        if sign == "!=":
            same = compare_equal(left, right, node.right, at)
            return lambda frame: not same(frame)
        if sign == "in":
            return look_inside(left, right, node.right, at)
        return {"&&": both, "||": either, "??": first_not_null}[sign](left, right)

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
