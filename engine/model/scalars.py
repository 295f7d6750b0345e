"""
What a bare word in YAML means: the core schema of YAML 1.2 (§10.3.2), and nothing of YAML 1.1.

So `no` and `on` are texts, `12:30` is a text, `2024-01-01` is a text, and `017` is the number seventeen.
"""

from __future__ import annotations

import re
from typing import Any, Final

from engine.model.tree import LARGEST_INTEGER, SMALLEST_INTEGER, Position, TreeBuilder

WORDS: Final[dict[str, Any]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip

INTEGER: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)

_STARTS: Final = frozenset("0123456789+-.")


def resolve(text: str, position: Position, builder: TreeBuilder) -> Any:
    """Return what a bare word stands for; numbers that JSON cannot hold become problems and null."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in _STARTS:
        return text
    if INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            builder.problem(
                "leading_zero",
                f"{text[:40]} is read as a number, without its leading zero.",
                position,
                hint=f'Write "{text[:40]}" if it is a text, like a postcode or a phone number.',
                is_warning=True,
            )
        return integer(text, position, builder)
    if BASED.fullmatch(text):
        return check_integer(int(text[2:], 8 if text[1] == "o" else 16), position, builder)
    if FLOAT.fullmatch(text):
        return check_float(float(text), text, position, builder)
    if NOT_FINITE.fullmatch(text):
        builder.problem(
            "number", f"{text} is no number that JSON can hold.", position, hint="Put it in quotes if it is a text."
        )
        return None
    return text


def integer(text: str, position: Position, builder: TreeBuilder) -> int | None:
    """Return the whole number these digits spell, None with a problem when it is too long."""
    if len(text) > 400:
        builder.problem("number", "This number has too many digits.", position, hint="Put it in quotes.")
        return None
    return check_integer(int(text), position, builder)


def check_integer(value: int, position: Position, builder: TreeBuilder) -> int | None:
    """Return the number, None with a problem when it does not fit 64 bits."""
    if SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        return value
    builder.problem(
        "number",
        "This number does not fit 64 bits.",
        position,
        hint="Put it in quotes; decimal(…) reads it exactly in expressions.",
    )
    return None


def check_float(value: float, text: str, position: Position, builder: TreeBuilder) -> float | None:
    """Return the number, None with a problem when it is beyond every number."""
    if value - value == 0:
        return value
    builder.problem("number", f"{text[:40]} is larger than any number JSON can hold.", position, hint="Put it in quotes.")
    return None
