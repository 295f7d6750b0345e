"""The tree that the parser builds: what an expression says, with the place of each part."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Syntax:
    """A part of an expression; `at` is the offset an error about it points to."""

    at: int


@dataclass(frozen=True, slots=True)
class Literal(Syntax):
    """A value written out: a number, a text, true, false or null."""

    value: object


@dataclass(frozen=True, slots=True)
class Name(Syntax):
    """A name from the scope or a lambda's own."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(Syntax):
    """`base.name`"""

    base: Syntax
    name: str


@dataclass(frozen=True, slots=True)
class Index(Syntax):
    """`base[key]`"""

    base: Syntax
    key: Syntax


@dataclass(frozen=True, slots=True)
class Slice(Syntax):
    """`base[start:end]`, either bound may be missing."""

    base: Syntax
    start: Syntax | None
    end: Syntax | None


@dataclass(frozen=True, slots=True)
class Unary(Syntax):
    """`-x`, `+x`, `!x`"""

    operator: str
    operand: Syntax


@dataclass(frozen=True, slots=True)
class Binary(Syntax):
    """`left operator right`; `and`, `or` and `??` do not always look at the right side."""

    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Condition(Syntax):
    """`test ? then : otherwise`"""

    test: Syntax
    then: Syntax
    otherwise: Syntax


@dataclass(frozen=True, slots=True)
class Spread(Syntax):
    """`...value` inside a list or an object."""

    value: Syntax


@dataclass(frozen=True, slots=True)
class ListOf(Syntax):
    """`[a, b, ...c]`"""

    items: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf(Syntax):
    """`{key: value, [computed]: value, ...rest}`; a spread has no key."""

    fields: tuple[tuple[Syntax | None, Syntax], ...]


@dataclass(frozen=True, slots=True)
class Lambda(Syntax):
    """`x => body` or `(x, i) => body`, only as a value handed to a function."""

    names: tuple[str, ...]
    body: Syntax


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    """`name(arguments)`; for a method call the receiver is the first argument."""

    name: str
    arguments: tuple[Syntax, ...]
    is_method: bool = field(default=False)


def parts_of(node: Syntax) -> tuple[Syntax, ...]:
    """Return the direct parts of a node, left to right."""
    match node:
        case Member(_, base, _):
            return (base,)
        case Index(_, base, key):
            return (base, key)
        case Slice(_, base, start, end):
            return (base, *(part for part in (start, end) if part is not None))
        case Unary(_, _, operand):
            return (operand,)
        case Binary(_, _, left, right):
            return (left, right)
        case Condition(_, test, then, otherwise):
            return (test, then, otherwise)
        case Spread(_, value):
            return (value,)
        case ListOf(_, items):
            return items
        case ObjectOf(_, fields):
            return tuple(part for pair in fields for part in pair if part is not None)
        case Lambda(_, _, body):
            return (body,)
        case Call(_, _, arguments, _):
            return arguments
    return ()


def size_of(node: Syntax) -> int:
    """Return how many nodes the tree has."""
    return 1 + sum(size_of(part) for part in parts_of(node))
