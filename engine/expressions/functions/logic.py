"""Functions that choose, and that ask what a value is. The choosing ones compute only what they need."""

from __future__ import annotations

from datetime import date
from typing import Any

from ..budget import METER
from ..errors import ExpressionError
from ..operators import equal, is_number, read_long
from ..values import short_kind_of, truth
from .spec import Text, Thunk, Value, function

_FAILURE = 100


@function("logic", ('if(2 > 1, "yes", "no")', "yes"), ("if(false, 1)", None), ("if(false, 1, true, 2, 3)", 2), is_lazy=True)
def if_(scope: Value, test: Thunk, then: Thunk, *otherwise: Thunk) -> Any:
    """Chooses by a condition; more conditions may follow, each with its value, and at last the value for all else."""
    arguments = (test, then, *otherwise)
    for place in range(0, len(arguments) - 1, 2):
        if truth(arguments[place](scope)):
            return arguments[place + 1](scope)
    return arguments[-1](scope) if len(arguments) % 2 else None


@function(
    "logic",
    ('switch("b", "a", 1, "b", 2)', 2),
    ('switch("z", "a", 1, "other")', "other"),
    ('switch("z", "a", 1)', None),
    is_lazy=True,
)
def switch(scope: Value, value: Thunk, case: Thunk, result: Thunk, *more: Thunk) -> Any:
    """Compares a value with cases, each with its result; a last value alone is for all else."""
    looked_for = value(scope)
    pairs = (case, result, *more)
    for place in range(0, len(pairs) - 1, 2):
        if equal(scope, looked_for, pairs[place](scope)):
            return pairs[place + 1](scope)
    return pairs[-1](scope) if len(pairs) % 2 else None


@function("logic", ('coalesce(null, "", "a")', ""), ("coalesce(null, null)", None), is_lazy=True)
def coalesce(scope: Value, *values: Thunk) -> Any:
    """Gives the first value that is not null."""
    for value in values:
        found = value(scope)
        if found is not None:
            return found
    return None


@function("logic", ('try(number("x") + 1, 0)', 0), ("try(1 / 0)", None), ("try(1 / 2, 9)", 0.5), is_lazy=True)
def try_(scope: Value, value: Thunk, otherwise: Thunk = None) -> Any:  # type: ignore[assignment]
    """Gives the value, or the other one when computing it fails. Limits of time and memory cannot be caught."""
    try:
        return value(scope)
    except ExpressionError as error:
        if error.is_final:
            raise
        if (meter := scope.get(METER)) is not None:
            meter.charge(_FAILURE)
    return otherwise(scope) if otherwise is not None else None


@function("logic", ('try(fail("no customer"), "failed")', "failed"), is_flat=True)
def fail(message: Text) -> Any:
    """Fails with a message of your own."""
    raise ExpressionError(message[:500] or "the expression failed on purpose")


@function("logic", ("is_null(null)", True), ('is_null("")', False), is_flat=True)
def is_null(value: Value) -> bool:
    """Tells whether a value is null, as missing fields are."""
    return value is None


@function(
    "logic", ('is_empty("  ")', True), ("is_empty([])", True), ("is_empty(0)", False), ("is_empty(null)", True), is_flat=True
)
def is_empty(scope: Value, value: Value) -> bool:
    """Tells whether a value is null, a text of blanks, an empty list or an empty object."""
    if value is None:
        return True
    if isinstance(value, str):
        read_long(scope, value)
        return not value or value.isspace()
    return isinstance(value, list | dict) and not value


@function("logic", ('is_text("a")', True), is_flat=True)
def is_text(value: Value) -> bool:
    """Tells whether a value is a text."""
    return isinstance(value, str)


@function("logic", ("is_number(1.5)", True), ('is_number("1.5")', False), is_flat=True)
def is_number_(value: Value) -> bool:
    """Tells whether a value is a number or a decimal."""
    return is_number(value)


@function("logic", ("is_list([1])", True), is_flat=True)
def is_list(value: Value) -> bool:
    """Tells whether a value is a list."""
    return isinstance(value, list)


@function("logic", ("is_object({})", True), is_flat=True)
def is_object(value: Value) -> bool:
    """Tells whether a value is an object."""
    return isinstance(value, dict)


@function("logic", ('is_date(date("2026-11-23"))', True), ('is_date("2026-11-23")', False), is_flat=True)
def is_date(value: Value) -> bool:
    """Tells whether a value is a date or a moment; a text is none until date(…) reads it."""
    return isinstance(value, date)


@function("logic", ('kind("a")', "text"), ("kind(null)", "null"), ("kind([])", "list"), ("kind(today())", "date"), is_flat=True)
def kind(value: Value) -> str:
    """Names what a value is: null, bool, number, text, list, object, date, datetime, duration, decimal or file."""
    return short_kind_of(value)


@function("logic", ('bool("yes")', True), ('bool("false")', False), ("bool(0)", False), ('bool("maybe")', None), is_flat=True)
def bool_(value: Value) -> bool | None:
    """Reads true or false from text (true, yes, on, 1 and their opposites); null when it says neither."""
    if isinstance(value, str):
        word = value.strip().lower() if len(value) < 20 else ""
        return (
            True if word in ("true", "yes", "y", "on", "1") else False if word in ("false", "no", "n", "off", "0", "") else None
        )
    return truth(value)
