"""
What the operators do where the fast path in `evaluate` does not know: mixed kinds, big numbers, dates, and every refusal.

All take the scope (for the time zone and the meter) and return a value or raise ExpressionError with a sentence and a hint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, DivisionByZero, InvalidOperation, Overflow
from typing import Any

from .budget import METER, Meter
from .errors import ExpressionError
from .moments import add_duration, as_moment, between, read_iso, zone_of
from .values import MISSING_HINT, NUMBERS, Lazy, is_opaque, kind_of, scalar_text

BIG = 1e300
UNMETERED_TEXT = 4096
EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-400, Emax=400, traps=[InvalidOperation, DivisionByZero, Overflow])

Scope = Mapping[str, Any]


class NeedsMeter(Exception):
    """A plain expression met data big enough to be counted; it is evaluated again with a meter."""


def meter_in(scope: Scope) -> Meter:
    """Return the meter of this evaluation, or ask for one."""
    meter: Meter | None = scope.get(METER)
    if meter is None:
        raise NeedsMeter
    return meter


def exact(value: Any) -> Decimal:
    """Return a number as a decimal; a float becomes what it is written as, so 0.1 is exactly 0.1."""
    if isinstance(value, Decimal) and value.is_finite():
        return value
    try:
        made = EXACT.create_decimal(repr(value) if isinstance(value, float) else value)
    except (DecimalException, ValueError, OverflowError):
        raise ExpressionError("the number is too big") from None
    if not made.is_finite():
        raise ExpressionError("this is not a number, or an infinite one")
    return made


def read_long(scope: Scope, text: str) -> None:
    """Count the walk through a text that is long; short ones cost nothing."""
    if len(text) > UNMETERED_TEXT:
        meter_in(scope).read_text(text)


def _charge(scope: Scope, length: int) -> None:
    meter: Meter | None = scope.get(METER)
    if meter is not None:
        meter.charge(length)
    elif length > 32:
        raise NeedsMeter


def is_number(value: object) -> bool:
    """Tell whether a value is a number or a decimal."""
    return type(value) in NUMBERS or isinstance(value, Decimal)


def cannot(verb: str, joint: str, left: object, right: object) -> ExpressionError:
    """Build the refusal of an operator: `cannot multiply a text and a number; use number(...)`."""
    kinds = (type(left), type(right))
    hint: str | None = None
    if left is None or right is None:
        hint = MISSING_HINT
    elif str in kinds and any(is_number(side) for side in (left, right)):
        hint = (
            "use number(…) to read a number from text"
            if verb != "compare"
            else "use number(…) or text(…) so that both are of one kind"
        )
    elif str in kinds and any(isinstance(side, date) for side in (left, right)):
        hint = "use date(…) to read a date from text"
    elif str in kinds and any(isinstance(side, timedelta) for side in (left, right)):
        hint = "use date(…) to read the text first, or text(…) to write the duration"
    elif any(isinstance(side, list) for side in (left, right)):
        hint = "use map(…) to work on each value of a list, or sum(…) to add them up"
    elif bool in kinds:
        hint = "write a ? b : c to choose by a condition"
    return ExpressionError(f"cannot {verb} {kind_of(left)} {joint} {kind_of(right)}", hint=hint)


def checked(value: float) -> float:
    """Return a computed number, refusing what grew beyond every use."""
    if -BIG < value < BIG:
        return value
    raise ExpressionError("the number is too big", hint="numbers go up to 1e300")


def add(scope: Scope, left: Any, right: Any) -> object:
    """`left + right`: numbers, texts with anything simple, lists, dates with durations."""
    a, b = type(left), type(right)
    if a in NUMBERS and b in NUMBERS:
        return checked(left + right)
    if a is str or b is str:
        return join_texts(scope, left, right)
    if a is list and b is list:
        meter_in(scope).take_list(len(left) + len(right))
        return left + right
    if is_number(left) and is_number(right):
        return _decimal(EXACT.add, left, right)
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return _duration(lambda: left + right)
    if isinstance(left, date) and isinstance(right, timedelta):
        return add_duration(left, right, zone_of(scope))
    if isinstance(right, date) and isinstance(left, timedelta):
        return add_duration(right, left, zone_of(scope))
    if isinstance(left, dict) and isinstance(right, dict):
        raise ExpressionError("cannot add an object and an object", hint="write {...a, ...b} to put them together")
    if isinstance(left, date) and is_number(right):
        raise ExpressionError("cannot add a date and a number", hint="write + days(3) or + hours(2)")
    raise cannot("add", "and", left, right)


def join_texts(scope: Scope, left: Any, right: Any) -> str:
    """Join two values of which one is a text."""
    before, after = scalar_text(left), scalar_text(right)
    if before is None or after is None:
        other = left if before is None else right
        if isinstance(left, timedelta) or isinstance(right, timedelta):
            raise cannot("add", "and", left, right)
        if other is None:
            hint = f'{MISSING_HINT}: (item.name ?? "")'
        else:
            hint = "use join(…) or json(…)" if isinstance(other, list | dict) else "use one of its fields"
        raise ExpressionError(f"cannot join {kind_of(left)} and {kind_of(right)}", hint=hint)
    if isinstance(left, timedelta) or isinstance(right, timedelta):
        raise cannot("add", "and", left, right)
    length = len(before) + len(after)
    meter: Meter | None = scope.get(METER)
    if meter is not None:
        meter.take_text(length, not (before.isascii() and after.isascii()))
    elif length > UNMETERED_TEXT:
        raise NeedsMeter
    return before + after


def subtract(scope: Scope, left: Any, right: Any) -> object:
    """`left - right`: numbers, dates and durations."""
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return checked(left - right)
    if is_number(left) and is_number(right):
        return _decimal(EXACT.subtract, left, right)
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return _duration(lambda: left - right)
    if isinstance(left, date):
        if isinstance(right, timedelta):
            return add_duration(left, -right, zone_of(scope))
        zone = zone_of(scope)
        other = read_iso(right, zone) if isinstance(right, str) else right
        if isinstance(other, date):
            return _duration(lambda: between(left, other, zone))
        if is_number(right):
            raise ExpressionError("cannot subtract a number from a date", hint="write - days(3) or - hours(2)")
    elif isinstance(left, str) and isinstance(right, date):
        zone = zone_of(scope)
        if (moment := read_iso(left, zone)) is not None:
            return _duration(lambda: between(moment, right, zone))
    raise cannot("subtract", "and", left, right)


def multiply(scope: Scope, left: Any, right: Any) -> object:
    """`left * right`: numbers, and a duration with a number."""
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return checked(left * right)
    if is_number(left) and is_number(right):
        return _decimal(EXACT.multiply, left, right)
    if isinstance(right, timedelta):
        left, right = right, left
    if isinstance(left, timedelta) and is_number(right):
        return _duration(lambda: left * float(right))
    if isinstance(left, str) and is_number(right):
        raise ExpressionError(
            "cannot multiply a text and a number", hint="use number(…) to read a number from text, repeat(…) to repeat a text"
        )
    raise cannot("multiply", "and", left, right)


def divide(scope: Scope, left: Any, right: Any) -> object:
    """`left / right`; whole numbers that divide evenly stay whole."""
    if is_number(left) and is_number(right) and right == 0:
        raise ExpressionError("cannot divide by zero", hint="test the divisor first: b == 0 ? null : a / b")
    if type(left) in NUMBERS and type(right) in NUMBERS:
        if type(left) is int and type(right) is int:
            whole, rest = divmod(left, right)
            if rest == 0:
                return whole
        return checked(left / right)
    if is_number(left) and is_number(right):
        return _decimal(EXACT.divide, left, right)
    if isinstance(left, timedelta) and isinstance(right, timedelta) and right:
        return left / right
    if isinstance(left, timedelta) and is_number(right) and right != 0:
        return _duration(lambda: left / float(right))
    raise cannot("divide", "by", left, right)


def remainder(scope: Scope, left: Any, right: Any) -> object:
    """`left % right`; the result has the sign of the divisor, as in a spreadsheet."""
    if is_number(left) and is_number(right):
        if right == 0:
            raise ExpressionError("cannot divide by zero")
        if type(left) in NUMBERS and type(right) in NUMBERS:
            return checked(left % right)
        a, b = exact(left), exact(right)
        rest = _decimal(EXACT.remainder, a, b)
        return _decimal(EXACT.add, rest, b) if rest != 0 and (rest < 0) != (b < 0) else rest
    raise cannot("divide", "by", left, right)


def negate(scope: Scope, value: Any) -> object:
    """`-value`"""
    if type(value) in NUMBERS or isinstance(value, timedelta):
        return _duration(lambda: -value) if isinstance(value, timedelta) else -value
    if isinstance(value, Decimal):
        return value.copy_negate()
    raise ExpressionError(f"cannot negate {kind_of(value)}", hint=_number_hint(value))


def plus(scope: Scope, value: Any) -> object:
    """`+value`: a number stays what it is; this reads no text."""
    if is_number(value) or isinstance(value, timedelta):
        return value
    raise ExpressionError(f"a plus sign cannot stand before {kind_of(value)}", hint=_number_hint(value))


def _number_hint(value: object) -> str | None:
    if value is None:
        return MISSING_HINT
    return "use number(…) to read a number from text" if isinstance(value, str) else None


def _decimal(operation: Callable[[Decimal, Decimal], Decimal], left: Any, right: Any) -> Decimal:
    try:
        return operation(exact(left), exact(right))
    except DecimalException:
        raise ExpressionError("the decimal gets too big or too small to stay exact") from None


def _duration(compute: Callable[[], timedelta]) -> timedelta:
    try:
        return compute()
    except (OverflowError, ValueError):
        raise ExpressionError("the duration is too long") from None


def equal(scope: Scope, left: Any, right: Any) -> bool:
    """`left == right`: numbers by value, lists and objects by content, a date with its ISO text; else kinds differ."""
    a, b = type(left), type(right)
    if a is str and b is str:
        if len(left) == len(right) > UNMETERED_TEXT:
            meter_in(scope).read_text(left)
        return bool(left == right)
    if a in NUMBERS and b in NUMBERS:
        return bool(left == right)
    if left is None or right is None or a is bool or b is bool:
        return left is right
    if isinstance(left, list | dict) and isinstance(right, type(left)):
        return _same_content(scope, left, right)
    if is_number(left) and is_number(right):
        return exact(left) == exact(right)
    if isinstance(left, date) or isinstance(right, date):
        sides = _same_dates(left, right, zone_of(scope))
        return sides is not None and sides[0] == sides[1]
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return left == right
    if is_opaque(left):
        return left is right or (a is b and bool(left == right))
    return left is right and not isinstance(left, Lazy)


def _same_content(scope: Scope, left: Any, right: Any) -> bool:
    if len(left) != len(right):
        return False
    _charge(scope, 2 * len(left))
    if isinstance(left, dict):
        return all(name in right and equal(scope, value, right[name]) for name, value in left.items())
    return all(equal(scope, a, b) for a, b in zip(left, right, strict=True))


def _same_dates(left: Any, right: Any, zone: tzinfo) -> tuple[Any, Any] | None:
    """Bring two sides, of which at least one is a date, to one kind; None when the other is no date."""
    if isinstance(left, str):
        left = read_iso(left, zone)
    if isinstance(right, str):
        right = read_iso(right, zone)
    if not isinstance(left, date) or not isinstance(right, date):
        return None
    if isinstance(left, datetime) or isinstance(right, datetime):
        return _utc(as_moment(left, zone)), _utc(as_moment(right, zone))
    return left, right


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return moment.replace(tzinfo=UTC)


def ordered(scope: Scope, left: Any, right: Any) -> tuple[Any, Any]:
    """Return both sides in a form that Python can compare, or raise: numbers, texts, dates and durations have an order."""
    a, b = type(left), type(right)
    if a in NUMBERS and b in NUMBERS:
        return left, right
    if a is str and b is str:
        if len(left) > UNMETERED_TEXT < len(right):
            meter_in(scope).read_text(min(left, right, key=len))
        return left, right
    if is_number(left) and is_number(right):
        return exact(left), exact(right)
    if isinstance(left, date) or isinstance(right, date):
        sides = _same_dates(left, right, zone_of(scope))
        if sides is not None:
            return sides
        text = left if isinstance(left, str) else right
        if isinstance(text, str):
            raise ExpressionError(
                f"cannot compare a date and the text “{text[:40]}”: it is not a date",
                hint="dates are written 2026-11-23; read others with parse_date(text, “d.M.yyyy”)",
            )
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return left, right
    raise cannot("compare", "and", left, right)


def contains(scope: Scope, value: Any, container: Any) -> bool:
    """`value in container`: a value of a list, a part of a text, a key of an object."""
    if isinstance(container, list):
        _charge(scope, len(container))
        return any(equal(scope, value, entry) for entry in container)
    if isinstance(container, str):
        if not isinstance(value, str):
            raise ExpressionError(f"cannot look for {kind_of(value)} in a text", hint="only a text can be part of a text")
        if len(container) > UNMETERED_TEXT:
            meter_in(scope).charge((len(container) >> 6) * (1 + (min(len(value), len(container) - len(value)) >> 10)))
        return value in container
    if isinstance(container, dict):
        return isinstance(value, str) and value in container
    hint = MISSING_HINT if container is None else "“in” looks into lists, texts and objects"
    raise ExpressionError(f"cannot look into {kind_of(container)}", hint=hint)
