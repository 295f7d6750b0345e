"""Compiled expressions: the text, what is known about it, and the function that computes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from engine.errors import TreadleError

from .analysis import SCOPE_NAMES, analyse
from .budget import DEFAULT, MEMO, METER, SCOPE, Budget, Meter
from .columns import Few, build_column, build_few
from .errors import ExpressionError, ExpressionProblem, Position
from .evaluate import build
from .operators import NeedsMeter
from .parser import parse
from .reading import Run
from .syntax import Literal, Member, Name, Syntax
from .values import NUMBERS, SCALARS, Lazy, check_number, check_result, is_small

_SAFE_NUMBER = 9e18
_A_FEW = 8
_SIMPLE = SCALARS | NUMBERS
_PICKED = _SIMPLE | {list, dict}


class Expression:
    """
    One compiled expression; made by `compile_expression`, never changed, safe to share between threads.

    `names` are the free names it uses, `node_refs` the ids it uses as `nodes.<id>`, `functions` the functions it calls.
    `reads_clock` and `is_random` tell that two evaluations with the same data may differ.
    """

    __slots__ = ("_analysis", "_column", "_is_building", "_is_plain", "_names", "_run", "_shift", "_text", "source", "tree")

    def __init__(self, source: str, tree: Syntax, *, text: str | None = None) -> None:
        """Compile a tree; `text` is the whole text the places count in when `source` is only a part of it."""
        analysis = analyse(tree)
        self.source = source
        self.tree = tree
        self._text = source if text is None else text
        self._analysis = analysis
        if analysis.faults:
            raise min(analysis.faults, key=lambda fault: fault.offset or 0).within(self._text)
        self._run: Run = build(tree)
        self._column = build_column(tree)
        self._is_plain = analysis.is_plain
        self._is_building = analysis.is_building
        self._names = (*sorted(analysis.names), "$now", "$timezone")

    @property
    def names(self) -> frozenset[str]:
        """The free names used, for example `{"item"}`."""
        return frozenset(self._analysis.names)

    @property
    def node_refs(self) -> frozenset[str]:
        """The ids used as `nodes.<id>`."""
        return frozenset(self._analysis.node_refs)

    @property
    def functions(self) -> frozenset[str]:
        """The names of the functions called."""
        return frozenset(self._analysis.functions)

    @property
    def reads_clock(self) -> bool:
        """Whether the result depends on the present moment."""
        return self._analysis.reads_clock

    @property
    def is_random(self) -> bool:
        """Whether the result differs by chance."""
        return self._analysis.is_random

    @property
    def is_constant(self) -> bool:
        """Whether the expression is a single value written out."""
        return isinstance(self.tree, Literal)

    @property
    def item_field(self) -> str | None:
        """The field when the expression is nothing but `item.<field>`, so that callers may read it themselves."""
        match self.tree:
            case Member(_, Name(_, "item"), name):
                return name
        return None

    @property
    def few(self) -> Few | None:
        """
        Return a function that computes the value for each of a few items, None when the expression is not simple arithmetic.

        It gives None, or raises whatever, where an item needs a closer look: `evaluate_each` then says what it comes to.
        """
        return build_few(self.tree)

    def evaluate(self, scope: Mapping[str, object], budget: Budget | None = None) -> object:
        """
        Return the value of the expression.

        The scope holds what the names stand for, and may hold `$now` (a function that returns the present moment) and
        `$timezone` (an IANA name; UTC without it). Raises ExpressionError with source and place. The value may hold dates and
        decimals; `to_json_value` turns it into what an item stores.
        """
        try:
            if self._is_plain:
                try:
                    value = self._run(scope)
                except NeedsMeter:
                    value = self._run(self._frame(scope, budget))
            else:
                value = self._run(self._frame(scope, budget))
            kind = type(value)
            if kind is int or kind is float:
                if not -_SAFE_NUMBER < value < _SAFE_NUMBER:
                    check_number(value)
            elif kind not in SCALARS:
                self._settle(value, scope, budget)
        except ExpressionError as error:
            error.within(self._text)
            raise
        except Exception as error:
            raise self._translated(error) from error
        else:
            return value

    def evaluate_each(
        self,
        items: Sequence[object],
        scope: Mapping[str, object] | None = None,
        budget: Budget | None = None,
        *,
        start: int = 0,
    ) -> list[Any]:
        """
        Return the value for each item, with `item` and `index` (counted from `start`) set for it; fast for big batches.

        What is the same for all items, such as `items.sum(i => i.total)`, is computed once. The budget holds for each item, its
        `batch_steps` for all of them. Raises the first error; `error.where["index"]` is the place of its item in `items`.
        """
        if self._column is not None and len(items) >= _A_FEW and (results := self._by_column(items, start)) is not None:
            return results
        frame = dict(scope or {})
        if self._is_plain and (results := self._each_at_once(items, frame, start)) is not None:
            return results
        results = []
        try:
            self._each_checked(results, items, frame, budget, start)
        except ExpressionError as error:
            error.where = {**error.where, "index": len(results)}
            error.within(self._text)
            raise
        except Exception as error:
            found = self._translated(error)
            if isinstance(found, ExpressionError):
                found.where = {**found.where, "index": len(results)}
            raise found from error
        return results

    def _by_column(self, items: Sequence[object], start: int) -> list[Any] | None:
        """Return all values computed column by column, None when the data is not as plain as that."""
        assert self._column is not None
        try:
            results = self._column.compute(items, start)
        except Exception:  # the closures do it again, and say what is wrong with which item
            return None
        return results if self._column.kinds is not None or self._need_no_look(results) else None

    def _each_at_once(self, items: Sequence[object], frame: dict[str, Any], start: int) -> list[Any] | None:
        """Return all values when every item goes the short way, None when one of them needs a closer look."""
        run = self._run
        try:
            if "index" in self._analysis.names:
                results = [run(frame) for frame["index"], frame["item"] in enumerate(items, start)]
            else:
                results = [run(frame) for frame["item"] in items]
        except Exception:  # the slow way does it again (nothing has been changed) and says which item it was
            return None
        return results if self._need_no_look(results) else None

    def _need_no_look(self, results: list[Any]) -> bool:
        """Tell whether these can only be values that an item may hold."""
        kinds = set(map(type, results))
        if kinds <= NUMBERS:
            return all([-_SAFE_NUMBER < value < _SAFE_NUMBER for value in results])  # noqa: C419 - a list is a third faster
        if not kinds <= _SIMPLE and not (kinds <= _PICKED and not self._is_building):
            return False
        if int in kinds or float in kinds:
            return all(-_SAFE_NUMBER < value < _SAFE_NUMBER for value in results if type(value) is float or type(value) is int)
        return True

    def _each_checked(
        self, results: list[Any], items: Sequence[object], scope: dict[str, Any], budget: Budget | None, start: int
    ) -> None:
        run, add = self._run, results.append
        scope.setdefault("item", None)
        scope.setdefault("index", None)
        frame = scope if self._is_plain else self._frame(scope, budget)
        meter: Meter | None = frame.get(METER)
        steps_left = 0 if meter is None else meter.budget.batch_steps + 100 * len(items)
        frame[MEMO] = {}
        is_building = self._is_building
        for frame["index"], frame["item"] in enumerate(items, start):
            if meter is not None:
                meter.steps, meter.memory = meter.budget.steps, meter.budget.memory
            try:
                value = run(frame)
            except NeedsMeter:
                value = run(self._frame(frame, budget))
            if meter is not None:
                steps_left -= meter.budget.steps - meter.steps
                if steps_left < 0:
                    raise ExpressionError(
                        "the expression needs too many steps for a batch of this size",
                        hint="compute what is the same for all items, or look things up, in a step of its own",
                        is_final=True,
                    )
            kind = type(value)
            if kind is int or kind is float:
                if not -_SAFE_NUMBER < value < _SAFE_NUMBER:
                    check_number(value)
            elif kind not in SCALARS and (is_building or (kind is not dict and kind is not list)):
                self._settle(value, scope, budget)
            add(value)

    def _frame(self, scope: Mapping[str, Any], budget: Budget | None) -> dict[str, Any]:
        frame: dict[str, Any] = {}
        for name in self._names:
            if name in scope:
                frame[name] = scope[name]
        frame[SCOPE] = scope
        if budget is None:
            items = frame.get("items")
            budget = DEFAULT.for_items(len(items)) if isinstance(items, list) else DEFAULT
        frame[METER] = Meter(budget, frame)
        return frame

    def _settle(self, value: object, scope: Mapping[str, Any], budget: Budget | None) -> None:
        """Refuse results that are too big or no values; what was only picked from the data is not measured again."""
        kind = type(value)
        if (kind is dict or kind is list) and not self._is_building:
            return
        if isinstance(value, dict) and (budget is None or budget.result >= DEFAULT.result) and is_small(value):
            return
        if budget is None:
            items = scope.get("items") if "items" in self._names else None
            budget = DEFAULT.for_items(len(items)) if isinstance(items, list) else DEFAULT
        if isinstance(value, Lazy):
            raise ExpressionError(
                "a node is not a value", hint="write nodes.<id>.item or nodes.<id>.items", offset=self.tree.at
            )
        check_result(value, budget)

    def _translated(self, error: Exception) -> TreadleError:
        """Turn what Python raised into our own error; errors of the engine's own resolvers pass as they are."""
        if isinstance(error, TreadleError):
            return error
        if isinstance(error, RecursionError):
            found = ExpressionError("the data is nested too deeply for this expression")
        elif isinstance(error, MemoryError):
            found = ExpressionError("the expression needs more memory than there is")
        elif isinstance(error, UnicodeError):
            found = ExpressionError("the text holds half of a character, which cannot be written")
        else:
            found = ExpressionError(f"this cannot be computed ({type(error).__name__})", hint="please report this expression")
        return found.located(self.tree.at).within(self._text)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"


@lru_cache(maxsize=2048)
def compile_expression(source: str) -> Expression:
    """
    Return the compiled form of a bare expression, from a bounded cache when it was compiled before.

    Raises ExpressionError with source, place and hint.
    """
    try:
        return Expression(source, parse(source))
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply", offset=0).within(source) from None


def check_expression(source: str, names: Collection[str] | None = SCOPE_NAMES) -> list[ExpressionProblem]:
    """
    Return everything that is wrong with a bare expression, in the order of the text; an empty list when it can be run.

    `names` are the names that exist where it stands; None leaves them unchecked.
    """
    try:
        return analyse(parse(source), names).problems(source)
    except ExpressionError as error:
        return [as_problem(error, source)]


def as_problem(error: ExpressionError, source: str) -> ExpressionProblem:
    """Return an error of reading as a problem."""
    return ExpressionProblem(error.message, error.position or Position.at(source, 0), error.hint)


def used_names(expressions: Iterable[Expression]) -> frozenset[str]:
    """Return the free names of several expressions."""
    return frozenset().union(*(expression.names for expression in expressions))
