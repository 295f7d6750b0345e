"""
The values of the language: their kinds, how they become text and JSON, and what stands inside them.

null, bool, int, float, text, list, object, date, datetime, duration (`timedelta`), `Decimal`, and handles that the engine
hands in. Everything else is refused where it is met.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from .budget import MEBIBYTE, Budget, Meter
from .errors import ExpressionError

MISSING_HINT = "use ?? to give a value for missing fields"
_BIGGEST = 2**64
_SMALLEST = -(2**63) - 1
_SURELY_FINE = 9e18
_KINDS: dict[type, str] = {
    type(None): "nothing (null)",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    datetime: "a moment",
    date: "a date",
    timedelta: "a duration",
    Decimal: "a decimal",
}
_SHORT_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    tuple: "list",
    dict: "object",
    datetime: "datetime",
    date: "date",
    timedelta: "duration",
    Decimal: "decimal",
}
NUMBERS = frozenset({int, float})
SCALARS = frozenset({type(None), bool, str, date, datetime, timedelta})


class Lazy:
    """
    A value of the engine whose fields are found when they are asked for.

    Expressions see it through `lookup` alone, never through its attributes, and it cannot be the result of an expression.
    """

    def lookup(self, name: str) -> object:
        """Return the field `name`; raises ExpressionError when there is none."""
        raise ExpressionError(f"there is no field “{name}” here")

    def names(self) -> list[str]:
        """Return the fields an editor may offer."""
        return []


def is_opaque(value: object) -> bool:
    """Tell whether a value is a handle (such as a file) that expressions pass on without looking inside."""
    return getattr(type(value), "__treadle_opaque__", False) is True


def kind_of(value: object) -> str:
    """Return what a value is, in words for a sentence: “a text”, “nothing (null)”."""
    kind = _KINDS.get(type(value))
    if kind is None:
        if is_opaque(value):
            return "a file"
        if isinstance(value, Lazy):
            return "a node"
        kind = next(
            (words for cls, words in _KINDS.items() if isinstance(value, cls)), "a value of a kind the language does not know"
        )
    return kind


def short_kind_of(value: object) -> str:
    """Return the kind of a value as one word, as the function `kind` gives it."""
    short = _SHORT_KINDS.get(type(value))
    return short or ("file" if is_opaque(value) else "other")


def truth(value: object) -> bool:
    """Tell whether a value counts as true: null, false, 0, empty texts, lists and objects do not."""
    if value is True or value is False or value is None:
        return value is True
    if isinstance(value, str | int | float | list | dict | Decimal | tuple):
        return bool(value)
    return True


def number_text(value: float) -> str:
    """Write a number without a needless `.0`; raises ExpressionError for infinity."""
    if type(value) is int:
        return str(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise ExpressionError("the number is too big")
    return str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)


def decimal_text(value: Decimal) -> str:
    """Write a decimal in plain digits; raises ExpressionError when that would be absurdly long."""
    if not value.is_finite() or abs(value.adjusted()) > 400 or len(value.as_tuple().digits) > 500:
        raise ExpressionError("the decimal is too long to write down")
    return format(value, "f")


def moment_text(value: datetime) -> str:
    """Write a moment in ISO 8601 with its offset, `Z` for UTC."""
    text = value.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def duration_text(value: timedelta) -> str:
    """Write a duration in ISO 8601: `P3D`, `PT1H30M`, `-PT0.5S`."""
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, micros = divmod(micros, 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    if seconds or micros:
        fraction = f".{micros:06d}".rstrip("0") if micros else ""
        clock += f"{seconds}{fraction}S"
    day = f"{days}D" * bool(days)
    return f"{sign}P{day}{'T' + clock if clock else ''}" if day or clock else "PT0S"


def scalar_text(value: object) -> str | None:
    """Write a simple value as people read it, or return None for lists, objects, handles and null."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is int or kind is float:
        return number_text(value)  # type: ignore[arg-type]
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, Decimal):
        return decimal_text(value)
    return None


def text_of(value: object, meter: Meter) -> str:
    """Write any value as text the way a template does: null is empty, lists and objects are JSON."""
    if value is None:
        return ""
    text = scalar_text(value)
    if text is None:
        if not isinstance(value, list | dict | tuple):
            raise ExpressionError(f"cannot write {kind_of(value)} as text", hint="use one of its fields, for example .name")
        text = json_text(value, meter)
    return text


def json_text(value: object, meter: Meter, *, indent: bool = False) -> str:
    """Write any value as JSON, dates and decimals as texts; charges its size first."""
    size = check_result(value, meter.budget)
    meter.charge(size >> 5)
    meter.take(size * 3)
    meter.take_text(size)
    return json_bytes(to_json_value(value), orjson.OPT_INDENT_2 if indent else 0).decode()


def json_bytes(value: object, option: int = 0) -> bytes:
    """Encode plain JSON values; raises ExpressionError for what JSON cannot hold."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise ExpressionError(f"this cannot be written as JSON: {error}") from None


def to_json_value(value: object) -> Any:
    """
    Turn a result into what an item stores: plain JSON.

    A date becomes `"2026-11-23"`, a moment ISO 8601 with its offset, a duration ISO 8601 (`"PT1H30M"`), a decimal its plain
    digits as text. Handles stay as they are. Lists and objects that hold nothing to turn are returned as the very same object.
    Raises ExpressionError for values that have no such form.
    """
    kind = type(value)
    if kind is str or value is None or kind is int or kind is float or kind is bool:
        return value
    try:
        return _plain(value)
    except RecursionError:
        raise ExpressionError("the value is nested too deeply") from None


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str or value is None or kind is int or kind is float or kind is bool:
        return value
    if kind is list:
        turned = [_plain(entry) for entry in value]
        return value if all(a is b for a, b in zip(turned, value, strict=True)) else turned
    if kind is dict:
        fields = {name: _plain(entry) for name, entry in value.items()}
        return value if all(fields[name] is entry for name, entry in value.items()) else fields
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if is_opaque(value):
        return value
    text = scalar_text(value)
    if text is None:
        raise ExpressionError(f"cannot store {kind_of(value)}")
    return text


def check_result(value: object, budget: Budget) -> int:
    """
    Return roughly how many bytes a value takes as JSON; raises ExpressionError when that is over the budget.

    A list met twice is walked once and counted twice, so a value that is small in memory and huge as JSON is found quickly.
    """
    try:
        return _Sizer(budget).size(value, 0)
    except RecursionError:
        raise ExpressionError("the value is nested too deeply", is_final=True) from None


def is_small(fields: Mapping[Any, object]) -> bool:
    """Tell whether an object is flat, with texts and numbers that need no closer look; the short way for small objects."""
    length = 0
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            length += len(value)  # type: ignore[arg-type]
        elif kind is int or kind is float:
            if not -_SURELY_FINE < value < _SURELY_FINE:  # type: ignore[operator]
                return False
        elif value is not None and kind is not bool:
            return False
        if type(name) is not str:
            return False
        length += len(name) + 20
    return length < MEBIBYTE // 2


class _Sizer:
    """Adds up JSON sizes with a memory of the containers seen: their size and how deep they go."""

    __slots__ = ("budget", "known")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.known: dict[int, tuple[int, int]] = {}

    def size(self, value: object, depth: int) -> int:
        kind = type(value)
        if kind is list or kind is dict or isinstance(value, list | dict | tuple):
            return self.container(value, depth)[0]
        return self.scalar(value)

    def scalar(self, value: object) -> int:
        kind = type(value)
        if kind is str:
            return len(value) + 2  # type: ignore[arg-type]
        if kind is int or kind is float:
            check_number(value)  # type: ignore[arg-type]
            return 12
        if value is None or kind is bool:
            return 5
        if isinstance(value, Decimal):
            return len(decimal_text(value)) + 2
        if isinstance(value, date | timedelta) or is_opaque(value):
            return 40
        if isinstance(value, Lazy):
            raise ExpressionError("a node is not a value", hint="write nodes.<id>.item or nodes.<id>.items")
        raise ExpressionError(f"the result holds {kind_of(value)}")

    def container(self, value: Any, depth: int) -> tuple[int, int]:
        known = self.known.get(id(value))
        if known is None:
            if depth >= self.budget.depth:
                raise self.too_deep()
            known = self.known[id(value)] = self.walk(value, depth)
        if depth + known[1] > self.budget.depth:
            raise self.too_deep()
        if known[0] > self.budget.result:
            raise ExpressionError(
                f"the result is bigger than {self.budget.result // MEBIBYTE} MB",
                hint="keep less of it, or write it to a file",
                is_final=True,
            )
        return known

    def walk(self, value: Any, depth: int) -> tuple[int, int]:
        total, height = 2 + len(value), 1
        if isinstance(value, dict):
            if any(type(name) is not str for name in value):
                raise ExpressionError("the keys of an object are texts")
            total += sum(map(len, value)) + 3 * len(value)
            value = value.values()
        elif (kinds := set(map(type, value))) == {str}:
            return total + sum(map(len, value)) + 2 * len(value), 1
        elif kinds <= NUMBERS and all(-_SURELY_FINE < number < _SURELY_FINE for number in value):
            return total + 12 * len(value), 1
        for entry in value:
            kind = type(entry)
            if kind is list or kind is dict or isinstance(entry, list | dict | tuple):
                size, below = self.container(entry, depth + 1)
                total += size
                height = max(height, below + 1)
            else:
                total += self.scalar(entry)
        return total, height

    def too_deep(self) -> ExpressionError:
        return ExpressionError(f"the value is nested deeper than {self.budget.depth} levels", is_final=True)


def check_number(value: float) -> None:
    """Refuse numbers that JSON cannot hold: infinities, and whole numbers over 64 bits."""
    if type(value) is int:
        if not _SMALLEST < value < _BIGGEST:
            raise ExpressionError("the whole number has more than 64 bits", hint="use decimal(…) or text(…) for longer ones")
    elif not -1.8e308 < value < 1.8e308:
        raise ExpressionError("the number is too big")


def as_opaque_fields(value: object) -> dict[str, Any]:
    """Return what an expression may see of a handle."""
    describe: Any = getattr(type(value), "describe", None)
    described = describe(value) if callable(describe) else {}
    return described if isinstance(described, dict) else {}
