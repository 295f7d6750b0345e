"""JSON with places: a small scanner that feeds the same tree as YAML does, strict as RFC 8259 and without recursion."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Any, Final

from engine.model.scalars import check_float, integer
from engine.model.tree import Position, Stop, Tree, TreeBuilder

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_PLAIN: Final = r'[^"\\\x00-\x1f]*+'
_STRING: Final = re.compile(rf'"({_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*+)"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z]+")
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}


def read_json(text: str) -> Tree:
    """Return the tree of a JSON text with every problem that its form has."""
    scanner = _Scanner(text)
    try:
        scanner.run()
        scanner.builder.tree.is_complete = True
    except Stop:
        pass
    return scanner.builder.tree


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.builder = TreeBuilder()
        self.closers: list[str] = []
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def run(self) -> None:
        """Read one value and nothing after it."""
        is_first = self._value()
        while self.closers:
            self._skip()
            char = self.text[self.at : self.at + 1]
            if char == self.closers[-1]:
                self.at += 1
                self.closers.pop()
                self.builder.close()
                is_first = False
                continue
            if not is_first:
                if char != ",":
                    raise self._stop(f"Here a “,” or a “{self.closers[-1]}” is expected.")
                self.at += 1
                self._skip()
            if self.closers[-1] == "}":
                self._key()
            is_first = self._value()
        self._skip()
        if self.at < len(self.text):
            raise self._stop("Something follows after the end of the document.")

    def _value(self) -> bool:
        """Read a scalar whole, of a mapping or a list the opening; tells whether it was an opening."""
        self._skip()
        here, char = self._place(), self.text[self.at : self.at + 1]
        if char not in ("{", "["):
            self.builder.scalar(self._scalar(char, here), here)
            return False
        self.builder.open({} if char == "{" else [], here)
        self.closers.append("}" if char == "{" else "]")
        self.at += 1
        return True

    def _key(self) -> None:
        here = self._place()
        if self.text[self.at : self.at + 1] != '"':
            raise self._stop("Here a key in double quotes is expected.")
        self.builder.key(self._string(), here)
        self._skip()
        if self.text[self.at : self.at + 1] != ":":
            raise self._stop("A key has no “:” after it.")
        self.at += 1

    def _scalar(self, char: str, here: Position) -> Any:
        if char == '"':
            return self._string()
        if match := _NUMBER.match(self.text, self.at):
            self.at = match.end()
            digits = match[0]
            if match[1] is None and match[2] is None:
                return integer(digits, here, self.builder)
            return check_float(float(digits), digits, here, self.builder)
        if match := _WORD.match(self.text, self.at):
            if match[0] in _WORDS:
                self.at = match.end()
                return _WORDS[match[0]]
            raise self._stop(f"JSON knows no {match[0][:40]}.", hint="Texts stand in double quotes.")
        raise self._stop("Here a value is expected." if char else "The text ends too early.")

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise self._stop("This text in quotes is not closed, or holds an escape or a character that JSON does not know.")
        here = self._place()
        self.at = match.end()
        inner = match[1]
        if "\\" not in inner:
            return inner
        value: str = json.loads(match[0])
        if any("\ud800" <= char <= "\udfff" for char in value):
            self.builder.problem("character", "This text holds half of a surrogate pair.", here)
            return value.encode("utf-8", "replace").decode()
        return value

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def _place(self) -> Position:
        line = bisect_right(self._lines, self.at)
        return line, self.at - self._lines[line - 1] + 1

    def _stop(self, text: str, hint: str | None = None) -> Stop:
        return self.builder.stop("syntax", text, self._place(), hint=hint)
