"""Functions on numbers and decimals."""

from __future__ import annotations

import math
import random as chance
import re
import secrets
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from ..errors import ExpressionError
from ..operators import EXACT, checked, divide, exact, is_number, remainder
from ..values import kind_of
from .spec import Number, Text, Value, Whole, function

_MAX_PLACES = 30
_RANDOM = chance.Random(secrets.randbits(64))  # noqa: S311 - for samples and delays; uuid() and secrets come from elsewhere


@function(
    "number",
    ('number("12.50")', 12.5),
    ('number(" 7 ")', 7),
    ('number("1.234,56", ",")', 1234.56),
    ('number("abc") ?? 0', 0),
    ("number(true)", 1),
    is_flat=True,
)
def number(value: Value, point: Text = ".") -> Any:
    """Reads a number from text; null when it is none. The decimal point may be a comma, then points and blanks group."""
    if is_number(value):
        return float(value) if isinstance(value, Decimal) else value
    if type(value) is bool:
        return int(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ExpressionError(f"cannot read a number from {kind_of(value)}")
    digits = _plain_digits(value, point)
    if digits is None:
        return None
    if digits.lstrip("+-").isdigit():
        return int(digits)
    return checked(float(digits))


_BLANKS = str.maketrans("", "", " \u00a0\u202f'")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}|[0-9]{1,3}(?:,[0-9]{3}){1,12})?(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?\Z")


def _plain_digits(text: str, point: str) -> str | None:
    """Return a written number in the form that Python reads, or None when it is no number."""
    if point not in (".", ","):
        raise ExpressionError("the decimal point is “.” or “,”")
    written = text.strip() if len(text) < 100 else ""
    written = written.translate(_BLANKS)
    if point == ",":
        written = written.translate({44: ".", 46: ","})
    if not _NUMBER.match(written) or not any(letter.isdigit() for letter in written.lower().partition("e")[0]):
        return None
    return written.replace(",", "")


@function("number", ("round(2.5)", 3), ("round(1.005, 2)", 1.01), ("round(1234, -2)", 1200), ("round(-2.5)", -3), is_flat=True)
def round_(value: Number, places: Whole = 0) -> Any:
    """Rounds the way people do: halves go away from zero."""
    return _rounded(value, places, ROUND_HALF_UP)


@function("number", ("floor(2.9)", 2), ("floor(-2.1)", -3), ("floor(2.19, 1)", 2.1), is_flat=True)
def floor(value: Number, places: Whole = 0) -> Any:
    """Rounds down."""
    return _rounded(value, places, ROUND_FLOOR)


@function("number", ("ceil(2.1)", 3), ("ceil(2.11, 1)", 2.2), is_flat=True)
def ceil(value: Number, places: Whole = 0) -> Any:
    """Rounds up."""
    return _rounded(value, places, ROUND_CEILING)


@function("number", ("trunc(-2.9)", -2), is_flat=True)
def trunc(value: Number) -> Any:
    """Cuts the fraction off."""
    return _rounded(value, 0, ROUND_DOWN)


def _rounded(value: Any, places: int, way: str) -> Any:
    if not -_MAX_PLACES <= places <= _MAX_PLACES:
        raise ExpressionError(f"numbers are rounded to at most {_MAX_PLACES} places")
    if type(value) is int and places >= 0:
        return value
    if type(value) is float and abs(value) >= 1e22:
        return value
    with_places = exact(value)
    if abs(with_places.adjusted()) > 320:
        raise ExpressionError("the decimal is too long to round")
    step = Decimal(1).scaleb(-places)
    try:
        rounded = with_places.quantize(step, rounding=way, context=_WIDE)
    except DecimalException:
        raise ExpressionError("the number is too long to round") from None
    if isinstance(value, Decimal):
        return rounded
    return int(rounded) if places <= 0 else checked(float(rounded))


_WIDE = EXACT.copy()
_WIDE.prec = 400


@function("number", ("abs(-3)", 3), is_flat=True)
def abs_(value: Number) -> Any:
    """Drops the minus sign."""
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


@function("number", ("sign(-3)", -1), ("sign(0)", 0), is_flat=True)
def sign(value: Number) -> Any:
    """Gives 1, 0 or -1."""
    return (value > 0) - (value < 0)


@function("number", ("mod(7, 3)", 1), ("mod(-1, 3)", 2), is_flat=True)
def mod(value: Number, by: Number) -> Any:
    """Gives what is left after dividing; the same as %."""
    return remainder({}, value, by)


@function("number", ("div(7, 2)", 3), ("div(-7, 2)", -4), is_flat=True)
def div(value: Number, by: Number) -> Any:
    """Divides and rounds down to a whole number."""
    return floor(divide({}, value, by))


@function("number", ("pow(2, 10)", 1024), ("pow(9, 0.5)", 3.0), ("pow(2, -1)", 0.5), is_flat=True)
def pow_(base: Number, exponent: Number) -> Any:
    """Raises a number to a power."""
    if type(base) is int and type(exponent) is int and exponent >= 0:
        if base in (0, 1, -1) or exponent == 0:
            return base**exponent if exponent < 2 or base != -1 else 1 - 2 * (exponent % 2)
        if base.bit_length() * exponent > 1000:
            raise ExpressionError("the number is too big", hint="numbers go up to 1e300")
        return checked(base**exponent)
    if isinstance(base, Decimal) or isinstance(exponent, Decimal):
        if exponent != int(exponent) or abs(exponent) > 1000:
            raise ExpressionError("decimals are raised to whole powers up to 1000")
        try:
            return EXACT.power(exact(base), int(exponent))
        except DecimalException:
            raise ExpressionError("the decimal gets too big or too small to stay exact") from None
    try:
        return checked(math.pow(base, exponent))
    except (ValueError, OverflowError, ZeroDivisionError):
        raise ExpressionError("the power is not a number, or too big a one") from None


@function("number", ("sqrt(16)", 4.0), is_flat=True)
def sqrt(value: Number) -> Any:
    """Gives the square root."""
    if value < 0:
        raise ExpressionError("a negative number has no square root")
    return EXACT.sqrt(value) if isinstance(value, Decimal) else math.sqrt(value)


@function("number", ("log(100, 10)", 2.0), ("round(log(10), 4)", 2.3026), is_flat=True)
def log(value: Number, base: Number = None) -> float:
    """Gives the logarithm to a base, the natural one without."""
    if not value > 0 or (base is not None and (not base > 0 or base == 1)):
        raise ExpressionError("logarithms are of positive numbers, to a positive base other than 1")
    if base is None:
        return math.log(value)
    return math.log10(value) if base == 10 else math.log2(value) if base == 2 else math.log(value) / math.log(base)


@function("number", ("round(exp(1), 4)", 2.7183), is_flat=True)
def exp(value: Number) -> Any:
    """Raises the number e to a power."""
    try:
        return checked(math.exp(value))
    except OverflowError:
        raise ExpressionError("the number is too big") from None


@function("number", ("clamp(15, 0, 10)", 10), is_flat=True)
def clamp(value: Number, least: Number, most: Number) -> Any:
    """Keeps a number within two bounds."""
    return least if exact(value) < exact(least) else most if exact(value) > exact(most) else value


@function(
    "number",
    ("format_number(1234567.891, 2)", "1,234,567.89"),
    ('format_number(1234.5, 2, ",", ".")', "1.234,50"),
    ("format_number(0.5)", "0.5"),
    is_flat=True,
)
def format_number(value: Number, places: Whole | None = None, point: Text = ".", grouping: Text = ",") -> str:
    """Writes a number for people: rounded to places, with signs for the decimal point and the thousands."""
    shown = exact(value) if places is None else exact(_rounded(exact(value), _places(places), ROUND_HALF_UP))
    if abs(shown.adjusted()) > 60 or len(point) > 5 or len(grouping) > 5:
        raise ExpressionError("the number is too long to write down")
    digits = format(shown.copy_abs(), "f")
    whole, _, fraction = digits.partition(".")
    groups = []
    while len(whole) > 3:
        whole, group = whole[:-3], whole[-3:]
        groups.append(group)
    sign_ = "-" if shown.is_signed() and shown != 0 else ""
    body = grouping.join([whole, *reversed(groups)])
    return sign_ + body + (point + fraction if fraction else "")


def _places(places: int) -> int:
    if not 0 <= places <= _MAX_PLACES:
        raise ExpressionError(f"numbers are written with at most {_MAX_PLACES} places")
    return places


@function("number", ("random() < 1", True), is_flat=True, is_random=True)
def random() -> float:
    """Gives a random number from 0 up to, not with, 1; another one each time."""
    return _RANDOM.random()


@function("number", ("random_whole(5, 5)", 5), is_flat=True, is_random=True)
def random_whole(least: Whole, most: Whole) -> int:
    """Gives a random whole number between two bounds, both included."""
    if most < least:
        raise ExpressionError("the second bound is smaller than the first")
    return _RANDOM.randint(least, most)


@function(
    "decimal",
    ('text(decimal("0.10") + decimal("0.20"))', "0.30"),
    ('decimal("0.1") + decimal("0.2") == decimal("0.3")', True),
    ("text(decimal(0.1))", "0.1"),
    is_flat=True,
)
def decimal(value: Value, point: Text = ".") -> Decimal:
    """Makes an exact decimal from text or a number: for money, where 0.1 + 0.2 must be 0.3. Stored in items as text."""
    if isinstance(value, str):
        digits = _plain_digits(value, point)
        if digits is None:
            raise ExpressionError(f"“{value[:40]}” is not a decimal", hint="write it like 12.50")
        value = Decimal(digits)
    elif not is_number(value):
        raise ExpressionError(f"cannot make a decimal from {kind_of(value)}", hint="use ?? to give a value for missing fields")
    made = exact(value)
    if abs(made.adjusted()) > 300:
        raise ExpressionError("the decimal is too big or too small")
    return made


@function("decimal", ('fixed("2.345", 2)', "2.35"), ("fixed(3, 2)", "3.00"), ("fixed(-0.001, 2)", "0.00"), is_flat=True)
def fixed(value: Value, places: Whole) -> str:
    """Writes a number with exactly so many places, rounded, without grouping."""
    made = decimal(value)
    return format_number(made, _places(places), ".", "")


@function(
    "decimal",
    ('split_amount(decimal("100.00"), 3).map(x => text(x))', ["33.34", "33.33", "33.33"]),
    ("split_amount(10, 4, 0)", [3, 3, 2, 2]),
)
def split_amount(amount: Number, parts: Whole, places: Whole = 2) -> list[Any]:
    """Splits an amount into parts that differ by at most one cent and add up to it exactly."""
    if not 0 < parts <= 10_000:
        raise ExpressionError("an amount is split into 1 to 10,000 parts")
    unit = Decimal(1).scaleb(-_places(places))
    try:
        cents = int((exact(amount) / unit).to_integral_exact(rounding=ROUND_HALF_UP))
    except (DecimalException, ValueError, OverflowError):
        raise ExpressionError("the amount is too big to split") from None
    share, rest = divmod(cents, parts)
    shares = [share + (index < rest) for index in range(parts)]
    if isinstance(amount, Decimal):
        return [unit * share for share in shares]
    return [float(unit * share) if places else share for share in shares]
