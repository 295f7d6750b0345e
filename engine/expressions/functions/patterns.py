"""Functions with patterns (regular expressions), which run in RE2 alone: its time grows with the text, never explodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2

from ..budget import Meter
from ..errors import ExpressionError
from .spec import Text, Value, function

MAX_PATTERN = 1000
MAX_PROGRAM = 2000
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 4 << 20


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        raise ExpressionError(f"a pattern may have at most {MAX_PATTERN} characters")
    try:
        compiled = re2.compile(pattern, _OPTIONS)
    except (re2.error, UnicodeError) as error:
        said = error.args[0] if error.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else "it holds half of a character"
        hint = "look-around and backreferences are not part of RE2" if "(?" in pattern or "escape" in reason else None
        raise ExpressionError(f"the pattern cannot be read: {reason[:100]}", hint=hint) from None
    if compiled.programsize > MAX_PROGRAM:
        raise ExpressionError("the pattern is too complex", hint="use smaller counts in {…}, or several simpler patterns")
    return compiled


def _ready(meter: Meter, pattern: str, text: str) -> Any:
    """Return the compiled pattern after charging one walk of its machine through the text."""
    meter.charge(1 + len(pattern) // 8)
    compiled = _compiled(pattern)
    meter.charge(len(text) * compiled.programsize >> 6)
    meter.take(len(text))
    return compiled


def _matches(meter: Meter, pattern: str, text: str) -> Iterator[Any]:
    """Yield the matches, charging the time that each one really took."""
    found = _ready(meter, pattern, text).finditer(text)
    while True:
        began = time.thread_time_ns()
        match = next(found, None)
        meter.charge(4 + (time.thread_time_ns() - began) // 500)
        if match is None:
            return
        yield match


@function("pattern", ('matches("AB-12", "^[A-Z]+-[0-9]+$")', True), ('matches("abc", "x")', False))
def matches(meter: Meter, text: Text, pattern: Text) -> bool:
    """Tells whether a pattern is found anywhere in the text; write ^ and $ for the whole text."""
    return _ready(meter, pattern, text).search(text) is not None


@function(
    "pattern",
    ('extract("Order 4711 of May", "[0-9]+")', "4711"),
    ('extract("key=value", "(\\\\w+)=(\\\\w+)", 2)', "value"),
    ('extract("a1", "(?P<digit>[0-9])", "digit")', "1"),
    ('extract("abc", "[0-9]+")', None),
)
def extract(meter: Meter, text: Text, pattern: Text, group: Value = None) -> str | None:
    """Takes the first place that fits a pattern, or its group (number or name); null when nothing fits."""
    compiled = _ready(meter, pattern, text)
    number = _group(compiled, group)
    match = compiled.search(text)
    return None if match is None else match[number]


@function(
    "pattern",
    ('extract_all("a1 b22", "[0-9]+")', ["1", "22"]),
    ('extract_all("a=1;b=2", "(\\\\w)=", 1)', ["a", "b"]),
)
def extract_all(meter: Meter, text: Text, pattern: Text, group: Value = None) -> list[str | None]:
    """Lists every place that fits a pattern, or its group."""
    number = _group(_ready(meter, pattern, text), group)
    found = []
    for match in _matches(meter, pattern, text):
        piece = match[number]
        meter.take(64 + 4 * len(piece or ""))
        found.append(piece)
    return found


@function(
    "pattern",
    ('replace_pattern("a1b22", "[0-9]+", "#")', "a#b#"),
    ('replace_pattern("Doe, Jane", "(\\\\w+), (\\\\w+)", "$2 $1")', "Jane Doe"),
)
def replace_pattern(meter: Meter, text: Text, pattern: Text, by: Text) -> str:
    """Replaces every place that fits a pattern; $1 … $9 in the new text stand for the groups, $$ for a dollar sign."""
    parts = _parts(by, _ready(meter, pattern, text).groups)
    written: list[str] = []
    place = 0
    for match in _matches(meter, pattern, text):
        written.append(text[place : match.start()])
        for part in parts:
            piece = part if isinstance(part, str) else match[part] or ""
            meter.take(4 * len(piece))
            written.append(piece)
        place = match.end()
    written.append(text[place:])
    meter.take_text(sum(map(len, written)), wide=True)
    return "".join(written)


@function("pattern", ('split_pattern("a1b22c", "[0-9]+")', ["a", "b", "c"]))
def split_pattern(meter: Meter, text: Text, pattern: Text) -> list[str]:
    """Cuts a text wherever a pattern fits."""
    found, place = [], 0
    for match in _matches(meter, pattern, text):
        if match.start() == match.end():
            continue
        meter.take(64 + 4 * (match.start() - place))
        found.append(text[place : match.start()])
        place = match.end()
    found.append(text[place:])
    return found


def _group(compiled: Any, group: object) -> int:
    if group is None:
        return 0
    if isinstance(group, str):
        names = compiled.groupindex
        if group not in names:
            raise ExpressionError(f"the pattern has no group “{group[:40]}”", hint="name it with (?P<name>…)")
        return int(names[group])
    if type(group) is not int or not 0 <= group <= compiled.groups:
        raise ExpressionError("the pattern has no such group", hint=f"it has {compiled.groups} groups; 0 is all of it")
    return group


def _parts(by: str, groups: int) -> list[str | int]:
    parts: list[str | int] = []
    pieces = by.split("$")
    parts.append(pieces[0])
    skip = False
    for index, piece in enumerate(pieces[1:], 1):
        if skip:
            parts.append(piece)
            skip = False
        elif not piece and index < len(pieces) - 1:
            parts.append("$")
            skip = True
        elif piece[:1].isdigit() and piece[:1].isascii():
            number = int(piece[0])
            if number > groups:
                raise ExpressionError(f"the pattern has no group {number}", hint="write $$ for a dollar sign")
            parts.extend((number, piece[1:]))
        else:
            parts.append("$" + piece)
    return parts
