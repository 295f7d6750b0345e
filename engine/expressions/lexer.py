"""From a text to tokens, each with its place. Knows no grammar."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Literal

from .errors import ExpressionError

MAX_SOURCE = 8000
MAX_DIGITS = 40

Kind = Literal["number", "text", "name", "sign", "end"]

_NAME_START = frozenset(string.ascii_letters + "_")
_NAME = _NAME_START | frozenset(string.digits)
_DIGITS = frozenset(string.digits)
_BLANK = frozenset(" \t\r\n")
_SIGNS = ("...", "=>", "??", "?.", "==", "!=", "<=", ">=", "&&", "||", *"+-*/%<>!?:.,()[]{}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "/": "/", "0": "\0", "b": "\b", "f": "\f"}
_FOREIGN_SIGNS = {
    "===": "write == to compare",
    "!==": "write != to compare",
    "<>": "write != for “not equal”",
    "**": "write pow(a, b)",
    "//": "write floor(a / b); there are no comments in an expression",
    "/*": "there are no comments in an expression",
    "++": "write + 1",
    "--": "write - 1",
    ":=": "an expression computes a value and changes nothing",
    "->": "write => in a function such as x => x + 1",
    "|>": "write the function as a method: value.function()",
    "<<": "there is no shift; write * pow(2, n)",
    ">>": "there is no shift; write floor(a / pow(2, n))",
    "=": "write == to compare",
    "&": "write && or and",
    "|": "write || or or",
    "^": "write pow(a, b)",
    "~": "there are no operators on bits",
    "`": "write texts in quotes and join them with +",
    "$": "names begin with a letter; write item, not $item or $json",
    "#": "there are no comments in an expression",
    ";": "an expression is one value; there are no statements",
    "@": "write now(), today() or a field such as item.email",
    "\\": "a backslash belongs inside a text",
    "“": 'write straight quotes: "',
    "”": 'write straight quotes: "',
    "„": 'write straight quotes: "',
    "«": 'write straight quotes: "',
    "»": 'write straight quotes: "',
    "‘": "write straight quotes: '",
    "’": "write straight quotes: '",
    "−": "write the hyphen - for minus",
    "–": "write the hyphen - for minus",
    "×": "write * to multiply",
    "·": "write * to multiply",
    "÷": "write / to divide",
    "≠": "write !=",
    "≤": "write <=",
    "≥": "write >=",
    "\u00a0": "this is a no-break space; write an ordinary one",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign: `value` is the text, the number, or the sign itself; `at` and `end` are offsets."""

    kind: Kind
    value: object
    at: int
    end: int


def tokenize(source: str, start: int = 0, *, in_template: bool = False) -> list[Token]:
    """
    Return the tokens from `start` on, with an `end` token last.

    In a template reading stops at the `}}` that closes the expression; the `end` token stands there.
    Raises ExpressionError with the offset for letters that cannot be read.
    """
    tokens: list[Token] = []
    place, length, braces = start, len(source), 0
    limit = start + MAX_SOURCE
    while place < length:
        if place > limit:
            raise ExpressionError(
                f"the expression is longer than {MAX_SOURCE} characters", hint="split it over several fields", offset=start
            )
        letter = source[place]
        if letter in _BLANK:
            place += 1
        elif letter in _NAME_START:
            end = place + 1
            while end < length and source[end] in _NAME:
                end += 1
            tokens.append(Token("name", source[place:end], place, end))
            place = end
        elif letter in _DIGITS or (
            letter == "." and source[place + 1 : place + 2] in _DIGITS and source[place + 1 : place + 2]
        ):
            tokens.append(_number(source, place))
            place = tokens[-1].end
        elif letter in "\"'":
            tokens.append(_text(source, place))
            place = tokens[-1].end
        else:
            if in_template and letter == "}" and braces <= 0 and source.startswith("}}", place):
                tokens.append(Token("end", "", place, place + 2))
                return tokens
            token = _sign(source, place)
            braces += (token.value == "{") - (token.value == "}")
            tokens.append(token)
            place = token.end
    if length - start > MAX_SOURCE and not in_template:
        raise ExpressionError(
            f"the expression is longer than {MAX_SOURCE} characters", hint="split it over several fields", offset=start
        )
    if in_template:
        raise ExpressionError("“{{” is never closed", hint="write }} after the expression", offset=max(start - 2, 0))
    tokens.append(Token("end", "", length, length))
    return tokens


def _sign(source: str, place: int) -> Token:
    for sign in ("===", "!==", "<>", "**", "//", "/*", ":=", "->", "|>", "<<", ">>"):
        if source.startswith(sign, place):
            raise ExpressionError(f"“{sign}” is not part of the language", hint=_FOREIGN_SIGNS[sign], offset=place)
    for sign in _SIGNS:
        if source.startswith(sign, place):
            if sign == "?." and source[place + 2 : place + 3].isdigit():
                sign = "?"
            return Token("sign", sign, place, place + len(sign))
    letter = source[place]
    hint = _FOREIGN_SIGNS.get(letter)
    if hint is None and (letter.isalpha() or letter.isnumeric()):
        hint = 'names are written with a-z, 0-9 and _; write item["größe"] for a field with other letters'
    shown = letter if letter.isprintable() else f"U+{ord(letter):04X}"
    raise ExpressionError(f"“{shown}” cannot stand here", hint=hint, offset=place)


def _number(source: str, place: int) -> Token:
    end, is_whole = place, True
    end = _digits(source, end)
    if source[end : end + 1] == "." and source[end + 1 : end + 2] in _DIGITS and source[end + 1 : end + 2]:
        end, is_whole = _digits(source, end + 1), False
    if source[end : end + 1] in ("e", "E"):
        after = end + 2 if source[end + 1 : end + 2] in ("+", "-") else end + 1
        if source[after : after + 1] in _DIGITS and source[after : after + 1]:
            end, is_whole = _digits(source, after), False
    if end < len(source) and source[end] in _NAME:
        raise ExpressionError(
            f"“{source[place : end + 1]}” is neither a number nor a name", hint="names begin with a letter", offset=place
        )
    written = source[place:end].replace("_", "")
    if len(written) > MAX_DIGITS:
        raise ExpressionError(
            f"a number may have at most {MAX_DIGITS} digits", hint='write decimal("…") for exact long numbers', offset=place
        )
    if is_whole:
        return Token("number", int(written), place, end)
    value = float(written)
    if not value <= 1e300:
        raise ExpressionError("the number is too big", offset=place)
    return Token("number", value, place, end)


def _digits(source: str, end: int) -> int:
    while end < len(source) and (source[end] in _DIGITS or (source[end] == "_" and source[end + 1 : end + 2].isdigit())):
        end += 1
    return end


def _text(source: str, place: int) -> Token:
    quote, length = source[place], len(source)
    pieces: list[str] = []
    end = place + 1
    while end < length:
        letter = source[end]
        if letter == quote:
            text = "".join(pieces)
            try:
                text = text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise ExpressionError("the text holds half of a character", hint=r"write \u{1F600}", offset=place) from None
            return Token("text", text, place, end + 1)
        if letter != "\\":
            pieces.append(letter)
            end += 1
            continue
        following = source[end + 1 : end + 2]
        if following == "u":
            letter, end = _unicode_escape(source, end)
            pieces.append(letter)
        elif following in _ESCAPES:
            pieces.append(_ESCAPES[following])
            end += 2
        else:
            hint = r"write \\ for a backslash"
            raise ExpressionError(f"“\\{following}” is not an escape", hint=hint, offset=end)
    raise ExpressionError("the text is never closed", hint=f"write {quote} at its end", offset=place)


def _unicode_escape(source: str, place: int) -> tuple[str, int]:
    if source[place + 2 : place + 3] == "{":
        close = source.find("}", place, place + 12)
        digits, end = (source[place + 3 : close], close + 1) if close > 0 else ("", place)
    else:
        digits, end = source[place + 2 : place + 6], place + 6
        digits = digits if len(digits) == 4 else ""
    if not digits or any(digit not in string.hexdigits for digit in digits) or int(digits, 16) > 0x10FFFF:
        raise ExpressionError("the character code cannot be read", hint=r"write \u00e9 or \u{1F600}", offset=place)
    return chr(int(digits, 16)), end
