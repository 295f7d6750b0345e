"""What can be wrong with an expression, and where: the error, the problem, and words that come near."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from engine.errors import StepError

_SHOWN_LINE = 120


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source text: `offset` counts characters from 0, `line` and `column` from 1."""

    offset: int
    line: int
    column: int

    @classmethod
    def at(cls, source: str, offset: int) -> Position:
        """Return the place of the character number `offset`."""
        offset = max(0, min(offset, len(source)))
        line_start = source.rfind("\n", 0, offset) + 1
        return cls(offset, source.count("\n", 0, offset) + 1, offset - line_start + 1)


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """One thing that is wrong with a source text, found without running it."""

    message: str
    position: Position
    hint: str | None = None


class ExpressionError(StepError):
    """
    An expression that cannot be read or has no value.

    `message` is the sentence, `hint` the way out, `position` the place in `source`. Code inside the language raises it without
    a source; the border (`compile_expression`, `Expression.evaluate`) adds it, so whoever catches it can show `caret()`.
    """

    code = "expression"

    def __init__(self, message: str, *, hint: str | None = None, offset: int | None = None, is_final: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.offset = offset
        self.source: str | None = None
        self.is_final = is_final

    @property
    def position(self) -> Position | None:
        """The place the error points at, or None while nobody knows it."""
        if self.source is None or self.offset is None:
            return None
        return Position.at(self.source, self.offset)

    def located(self, offset: int) -> ExpressionError:
        """Return this error pointing at `offset`, unless something deeper inside already said where."""
        if self.offset is None:
            self.offset = offset
        return self

    def within(self, source: str, shift: int = 0) -> ExpressionError:
        """Return this error with the text it points into; `shift` is where the expression begins in that text."""
        if self.source is None:
            self.source = source
            self.offset = None if self.offset is None else self.offset + shift
            if (place := self.position) is not None:
                self.where = {**self.where, "offset": place.offset, "line": place.line, "column": place.column}
        return self

    def caret(self) -> str:
        """Return the line of the source with a caret below the place; long lines are cut around it."""
        if self.source is None:
            return ""
        place = self.position
        if place is None:
            return self.source.split("\n", 1)[0][:_SHOWN_LINE]
        line = self.source.split("\n")[place.line - 1].replace("\t", " ")
        column = place.column - 1
        if len(line) > _SHOWN_LINE:
            start = max(0, column - _SHOWN_LINE // 2)
            line = ("…" if start else "") + line[start : start + _SHOWN_LINE]
            column = column - start + (1 if start else 0)
        return f"{line}\n{' ' * _width(line[:column])}^"


def _width(text: str) -> int:
    """Return how many columns a terminal needs for the text."""
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else 0 if unicodedata.combining(letter) else 1 for letter in text
    )


def did_you_mean(word: str, known: Iterable[str], *, aliases: dict[str, str] | None = None) -> str | None:
    """Return `did you mean “right”?` for the nearest known word, or None when nothing comes near."""
    if aliases and word in aliases:
        return f"did you mean “{aliases[word]}”?"
    candidates = list(known)[:2000]
    near = difflib.get_close_matches(word[:60], candidates, n=1, cutoff=0.65)
    if not near:
        lower = {candidate.lower(): candidate for candidate in candidates}
        near = [lower[word.lower()]] if word.lower() in lower else []
    return f"did you mean “{near[0]}”?" if near else None
