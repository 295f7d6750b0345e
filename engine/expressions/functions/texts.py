"""Functions on texts."""

from __future__ import annotations

import unicodedata
from typing import Any

from ..budget import Meter
from ..errors import ExpressionError
from ..operators import read_long
from ..values import kind_of, scalar_text, text_of
from .spec import Many, Text, Value, Whole, function


@function("text", ("text(3.0)", "3"), ("text(true)", "true"), ("text([1, 2])", "[1,2]"), ("text(null)", ""))
def text(meter: Meter, value: Value) -> str:
    """Writes any value as text; null is empty, lists and objects are written as JSON."""
    return text_of(value, meter)


@function("text", ('upper("straße")', "STRASSE"), ('"abc".upper()', "ABC"))
def upper(text: Text) -> str:
    """Writes the text in capital letters."""
    return text.upper()


@function("text", ('lower("ABC")', "abc"))
def lower(text: Text) -> str:
    """Writes the text in small letters."""
    return text.lower()


@function("text", ('capitalize("hello World")', "Hello World"))
def capitalize(text: Text) -> str:
    """Makes the first letter a capital and leaves the rest as it is."""
    return text[:1].upper() + text[1:]


@function("text", ('title("anna maria o\'neill")', "Anna Maria O'neill"))
def title(meter: Meter, text: Text) -> str:
    """Makes the first letter of each word a capital and the others small."""
    meter.take_list(text.count(" ") + 1, 58)
    meter.charge(text.count(" ") >> 1)
    return " ".join(word[:1].upper() + word[1:].lower() for word in text.split(" "))


@function("text", ('trim("  a b ")', "a b"), ('trim("--a--", "-")', "a"))
def trim(text: Text, letters: Text | None = None) -> str:
    """Takes blanks, or the given letters, off both ends."""
    return text.strip(_few(letters))


@function("text", ('trim_start("  a ")', "a "))
def trim_start(text: Text, letters: Text | None = None) -> str:
    """Takes blanks, or the given letters, off the start."""
    return text.lstrip(_few(letters))


@function("text", ('trim_end("a;;", ";")', "a"))
def trim_end(text: Text, letters: Text | None = None) -> str:
    """Takes blanks, or the given letters, off the end."""
    return text.rstrip(_few(letters))


def _few(letters: str | None) -> str | None:
    if letters is not None and len(letters) > 100:
        raise ExpressionError("trim takes off at most 100 different letters")
    return letters


@function("text", ('length("abc")', 3), ("length([1, 2])", 2), ("length({a: 1})", 1), ("length(null)", 0), is_flat=True)
def length(value: Value) -> int:
    """Counts the letters of a text, the values of a list or the fields of an object; null has none."""
    if value is None:
        return 0
    if isinstance(value, str | list | dict | tuple):
        return len(value)
    raise ExpressionError(f"length(…) counts texts, lists and objects, not {kind_of(value)}")


@function("text", ('starts_with("invoice-7", "invoice")', True), is_flat=True)
def starts_with(scope: Value, text: Text, start: Text) -> bool:
    """Tells whether the text begins with another."""
    read_long(scope, start)
    return text.startswith(start)


@function("text", ('ends_with("a.pdf", ".pdf")', True), is_flat=True)
def ends_with(scope: Value, text: Text, end: Text) -> bool:
    """Tells whether the text ends with another."""
    read_long(scope, end)
    return text.endswith(end)


@function("text", ('replace("a-b-c", "-", "+")', "a+b+c"), ('replace("a-b-c", "-", "", 1)', "ab-c"))
def replace(meter: Meter, text: Text, search: Text, by: Text, count: Whole | None = None) -> str:
    """Replaces every place (or the first `count`) where a text stands by another; no patterns, see replace_pattern."""
    if not search:
        raise ExpressionError("the text to replace is empty")
    places = text.count(search)
    if count is not None:
        places = min(places, max(0, count))
    grown = len(text) + places * (len(by) - len(search))
    meter.take_text(grown, not (text.isascii() and by.isascii()))
    meter.charge(places >> 3)
    return text.replace(search, by, places)


@function(
    "text", ('split("a, b", ", ")', ["a", "b"]), ('split("a b  c")', ["a", "b", "c"]), ('split("abc", "")', ["a", "b", "c"])
)
def split(meter: Meter, text: Text, separator: Text | None = None) -> list[str]:
    """Cuts a text at a separator; without one at blanks, with an empty one into its letters."""
    if separator == "":
        meter.take_list(len(text), 58)
        return list(text)
    if separator is None:
        meter.take_list(len(text) // 2 if len(text) < 4096 else 1 + sum(map(text.count, " \n\t")), 58)
    else:
        meter.take_list(text.count(separator) + 1, 58)
    meter.take(len(text))
    return text.split(separator)


@function("text", ('lines("a\\nb\\n")', ["a", "b"]))
def lines(meter: Meter, text: Text) -> list[str]:
    """Cuts a text into its lines, without the line ends."""
    meter.take_list(text.count("\n") + text.count("\r") + 1, 58)
    meter.take(len(text))
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []


@function("text", ('words("The quick, brown fox!")', ["The", "quick", "brown", "fox"]))
def words(meter: Meter, text: Text) -> list[str]:
    """Lists the words of a text without signs and blanks."""
    meter.charge(len(text) >> 2)
    meter.take(len(text) * 2)
    found = "".join(letter if letter.isalnum() or letter in "'’_-" else " " for letter in text).split()
    meter.take_list(len(found), 58)
    return [word for word in (word.strip("'’-") for word in found) if word]


@function("text", ('join([1, "b", true], "-")', "1-b-true"), ('["a", "b"].join(", ")', "a, b"), ('join(["a", null])', "a"))
def join(meter: Meter, list_: Many, separator: Text = "") -> str:
    """Puts the values of a list together in one text; null counts as empty."""
    pieces = [value if type(value) is str else text_of(value, meter) for value in list_]
    total = sum(map(len, pieces)) + len(separator) * max(0, len(pieces) - 1)
    is_wide = not separator.isascii() or not all(map(str.isascii, pieces))
    meter.take_text(total, is_wide)
    return separator.join(pieces)


@function("text", ('substring("abcdef", 2)', "cdef"), ('substring("abcdef", 1, 3)', "bc"), ('substring("abcdef", -2)', "ef"))
def substring(text: Text, start: Whole, end: Whole | None = None) -> str:
    """Takes the part from `start` (the first letter is 0) up to, not with, `end`; negative places count from the end."""
    return text[start:end]


@function("text", ('left("abcdef", 2)', "ab"))
def left(text: Text, count: Whole) -> str:
    """Takes the first letters."""
    return text[: max(0, count)]


@function("text", ('right("abcdef", 2)', "ef"))
def right(text: Text, count: Whole) -> str:
    """Takes the last letters."""
    return text[len(text) - count :] if 0 < count < len(text) else text if count > 0 else ""


@function("text", ('before("anna@shop.example", "@")', "anna"), ('before("anna", "@")', "anna"))
def before(text: Text, mark: Text) -> str:
    """Takes what stands before the first place of a mark; the whole text when it is not there."""
    return text.split(mark, 1)[0] if mark else ""


@function("text", ('after("anna@shop.example", "@")', "shop.example"), ('after("anna", "@")', ""))
def after(text: Text, mark: Text) -> str:
    """Takes what stands behind the first place of a mark; nothing when it is not there."""
    return text.partition(mark)[2] if mark else text


@function("text", ('repeat("ab", 3)', "ababab"))
def repeat(meter: Meter, text: Text, count: Whole) -> str:
    """Writes a text several times."""
    count = max(0, count)
    meter.take_text(len(text) * count, not text.isascii())
    return text * count


@function("text", ('pad_start("7", 3, "0")', "007"), ('pad_start(7, 3, "0")', "007"))
def pad_start(meter: Meter, value: Value, length: Whole, fill: Text = " ") -> str:
    """Fills a text or a number up at the start until it has the length."""
    body = _simple(value, "pad_start")
    return _filling(meter, body, length, fill) + body


@function("text", ('pad_end("ab", 4, ".")', "ab.."))
def pad_end(meter: Meter, value: Value, length: Whole, fill: Text = " ") -> str:
    """Fills a text or a number up at the end until it has the length."""
    body = _simple(value, "pad_end")
    return body + _filling(meter, body, length, fill)


def _simple(value: Any, name: str) -> str:
    body = scalar_text(value)
    if body is None:
        raise ExpressionError(f"{name}(…) needs a text, not {kind_of(value)}", hint="use ?? to give a value for missing fields")
    return body


def _filling(meter: Meter, body: str, length: int, fill: str) -> str:
    missing = length - len(body)
    if missing <= 0 or not fill:
        return ""
    is_wide = not (fill.isascii() and body.isascii())
    meter.take_text(length, is_wide)
    meter.take_text(missing, is_wide)
    return (fill * (missing // len(fill) + 1))[:missing]


@function("text", ('truncate("A long story", 7)', "A long…"), ('truncate("short", 7)', "short"))
def truncate(text: Text, length: Whole, ending: Text = "…") -> str:
    """Cuts a text that is longer than `length` and ends it with a sign, so that it fits."""
    if len(text) <= length:
        return text
    return (text[: max(0, length - len(ending))].rstrip() + ending)[: max(0, length)]


@function("text", ('slug("Größe & Preis: 10 €")', "grosse-preis-10"))
def slug(meter: Meter, text: Text) -> str:
    """Makes a name for addresses and files: small letters, digits and hyphens."""
    meter.charge(len(text) >> 2)
    letters = _bare(meter, text[:10_000].casefold())
    return "-".join("".join(letter if letter.isascii() and letter.isalnum() else " " for letter in letters).split())


@function("text", ('remove_accents("Žofia café")', "Zofia cafe"))
def remove_accents(meter: Meter, text: Text) -> str:
    """Writes letters without their accents."""
    return _bare(meter, text)


def _bare(meter: Meter, text: str) -> str:
    """Take the accents off, a piece at a time, as one sign may stand for eighteen letters."""
    if text.isascii():
        return text
    meter.charge(len(text) >> 1)
    written = []
    for start in range(0, len(text), 4096):
        parts = unicodedata.normalize("NFKD", text[start : start + 4096])
        accents = {ord(letter): None for letter in set(parts) if unicodedata.combining(letter)}
        written.append(unicodedata.normalize("NFC", parts.translate(accents)))
        meter.take(8 * len(written[-1]))
    return "".join(written)


@function("text", ('text_or_null("  ")', None), ('text_or_null(" a ")', "a"))
def text_or_null(text: Text | None = None) -> str | None:
    """Trims a text and gives null when nothing is left, so that `?? "…"` works on empty fields."""
    return (text or "").strip() or None
