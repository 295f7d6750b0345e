"""
Texts with `{{ … }}` in them.

A text that is one single `{{ … }}` (blanks around it do not count) keeps the type of its value; any other gives a text, in
which null is empty and lists and objects are written as JSON. `{{{{` writes two curly brackets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from .analysis import SCOPE_NAMES, analyse
from .budget import DEFAULT, Budget, Meter
from .errors import ExpressionError, ExpressionProblem
from .expression import Expression, as_problem
from .lexer import tokenize
from .parser import parse_tokens
from .syntax import Syntax
from .values import text_of

MAX_TEMPLATE = 1_000_000
_OPEN = "{{"
_ESCAPED = "{{{{"


class Template:
    """
    One compiled text with its expressions; made by `compile_template`, never changed, safe to share between threads.

    `is_constant`: there is no expression in it, so `render` always gives the same text. `is_typed`: it is one single
    expression, so `render` gives its value with its type.
    """

    __slots__ = ("is_constant", "is_typed", "parts", "source")

    def __init__(self, source: str, parts: tuple[str | Expression, ...]) -> None:
        self.source = source
        expressions = [part for part in parts if isinstance(part, Expression)]
        self.is_constant = not expressions
        self.is_typed = len(expressions) == 1 and not any(isinstance(part, str) and part.strip() for part in parts)
        self.parts: tuple[str | Expression, ...] = tuple(expressions) if self.is_typed else parts

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions in it, from left to right."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def names(self) -> frozenset[str]:
        """The free names used in all of its expressions."""
        return frozenset().union(*(expression.names for expression in self.expressions))

    @property
    def node_refs(self) -> frozenset[str]:
        """The ids used as `nodes.<id>`."""
        return frozenset().union(*(expression.node_refs for expression in self.expressions))

    @property
    def functions(self) -> frozenset[str]:
        """The names of the functions called."""
        return frozenset().union(*(expression.functions for expression in self.expressions))

    @property
    def reads_clock(self) -> bool:
        """Whether the result depends on the present moment."""
        return any(expression.reads_clock for expression in self.expressions)

    @property
    def is_random(self) -> bool:
        """Whether the result differs by chance."""
        return any(expression.is_random for expression in self.expressions)

    def render(self, scope: Mapping[str, object], budget: Budget | None = None) -> object:
        """Return the text filled in, or the value itself when the template is one single expression."""
        if self.is_constant:
            return self.parts[0] if self.parts else ""
        first = self.parts[0]
        if self.is_typed and isinstance(first, Expression):
            return first.evaluate(scope, budget)
        meter = Meter(budget or DEFAULT, scope)
        written = []
        length = 0
        for part in self.parts:
            if isinstance(part, str):
                written.append(part)
                length += len(part)
                continue
            value = part.evaluate(scope, budget)
            try:
                text = value if isinstance(value, str) else text_of(value, meter)
                length += len(text)
                meter.take_text(length if length > meter.budget.text else len(text), not text.isascii())
            except ExpressionError as error:
                raise error.located(part.tree.at).within(self.source) from None
            written.append(text)
        return "".join(written)

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


@lru_cache(maxsize=2048)
def compile_template(source: str) -> Template:
    """
    Return the compiled form of a text with `{{ … }}`, from a bounded cache when it was compiled before.

    Raises ExpressionError whose place counts in the whole text.
    """
    try:
        return Template(
            source,
            tuple(
                part if isinstance(part, str) else Expression(source[part[1] : part[2]], part[0], text=source)
                for part in _split(source)
            ),
        )
    except ExpressionError as error:
        raise error.within(source) from None
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply", offset=0).within(source) from None


def check_template(source: str, names: Collection[str] | None = SCOPE_NAMES) -> list[ExpressionProblem]:
    """
    Return everything that is wrong with the expressions of a text; an empty list when it can be rendered.

    Reading stops at the first expression that cannot be read, as nobody knows where it would end.
    """
    problems: list[ExpressionProblem] = []
    try:
        for part in _split(source):
            if not isinstance(part, str):
                problems.extend(analyse(part[0], names).problems(source))
    except ExpressionError as error:
        problems.append(as_problem(error.within(source), source))
    return problems


def has_expressions(source: str) -> bool:
    """Tell whether a text holds `{{`, so that the plain ones need no compiling."""
    return _OPEN in source


def _split(source: str) -> list[str | tuple[Syntax, int, int]]:
    """Return the literal texts and, for each expression, its tree with the offsets of its text."""
    if len(source) > MAX_TEMPLATE and _OPEN in source:
        raise ExpressionError(f"a text with expressions may have at most {MAX_TEMPLATE:,} characters", offset=0)
    parts: list[str | tuple[Syntax, int, int]] = []
    text: list[str] = []
    place = 0
    while True:
        start = source.find(_OPEN, place)
        if start < 0:
            break
        text.append(source[place:start])
        if source.startswith(_ESCAPED, start):
            text.append(_OPEN)
            place = start + len(_ESCAPED)
            continue
        tokens = tokenize(source, start + 2, in_template=True)
        closing = tokens[-1]
        tree = parse_tokens(tokens)
        if literal := "".join(text):
            parts.append(literal)
        text = []
        parts.append((tree, start + 2, closing.at))
        place = closing.end
    if literal := "".join((*text, source[place:])):
        parts.append(literal)
    return parts
