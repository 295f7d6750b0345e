"""
What a function of the language is, and the table of them all.

The typed Python signature is the function's signature in the language: its annotations name the kinds that arguments are held
to, its defaults make them optional. A first parameter called `meter` receives the meter of the evaluation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from ..budget import Meter
from ..errors import ExpressionError
from ..moments import as_moment, read_duration, read_iso, zone_of
from ..values import MISSING_HINT, as_opaque_fields, is_opaque, kind_of

Text = str
Number = Any
Whole = int
Many = list[Any]
Object = dict[str, Any]
When = date
Moment = datetime
Duration = timedelta
Flag = bool
Value = Any

Example = tuple[str, object]
F = TypeVar("F", bound=Callable[..., Any])


class Fn:
    """A function written in the expression (`x => …`), ready to be called by a function of the table."""

    __slots__ = ("body", "frame", "keys", "meter", "weight")

    def __init__(
        self, frame: dict[str, Any], meter: Meter, keys: tuple[str, ...], body: Callable[[dict[str, Any]], Any], weight: int
    ) -> None:
        self.frame = frame
        self.meter = meter
        self.keys = keys
        self.body = body
        self.weight = weight

    def each(self, values: Many, seconds: Iterable[object] | None = None) -> Many:
        """Return what the function gives for each value; a second name gets the index, or what `seconds` holds."""
        frame, body, meter = self.frame, self.body, self.meter
        meter.steps -= len(values) * self.weight
        meter.memory -= 56 + len(values) * 40
        if meter.steps < 0 or meter.memory < 0:
            meter.charge(0)
            meter.take(0)
        keys = self.keys
        if len(keys) == 1:
            first = keys[0]
            return [body(frame) for frame[first] in values]
        if not keys:
            return [body(frame) for _ in values]
        first, second = keys[:2]
        return [body(frame) for frame[first], frame[second] in zip(values, _or_range(seconds, values), strict=True)]

    def one_by_one(self, values: Many) -> Iterator[tuple[Any, Any]]:
        """Yield each value with what the function gives for it, for callers that may stop early."""
        frame, body, keys, weight = self.frame, self.body, self.keys, self.weight
        for index, value in enumerate(values):
            self.meter.charge(weight)
            if keys:
                frame[keys[0]] = value
            if len(keys) > 1:
                frame[keys[1]] = index
            yield value, body(frame)

    def on(self, *arguments: object) -> Any:
        """Call the function once."""
        self.meter.charge(self.weight)
        self.frame.update(zip(self.keys, arguments, strict=False))
        return self.body(self.frame)


def _or_range(seconds: Iterable[object] | None, values: Many) -> Iterable[object]:
    return range(len(values)) if seconds is None else seconds


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a function: `kind` is what it is held to; `default` stands for a missing one."""

    name: str
    kind: str
    is_optional: bool = False
    default: Any = None
    is_variadic: bool = False

    @property
    def text(self) -> str:
        """How the reference shows it: `fill?`, `values…`."""
        return f"{self.name}…" if self.is_variadic else f"{self.name}?" if self.is_optional else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """
    One function of the language.

    `is_flat`: its cost does not depend on its arguments, so it needs no meter. `is_lazy`: it gets its arguments unevaluated.
    `is_picking`: its result is made of what came in, nothing is multiplied. `reads_clock` and `is_random` make results differ
    from one evaluation to the next. `deprecated` names what to use instead.
    """

    name: str
    group: str
    help: str
    parameters: tuple[Parameter, ...]
    call: Callable[..., Any]
    examples: tuple[Example, ...]
    wants_meter: bool = False
    wants_scope: bool = False
    is_flat: bool = False
    is_lazy: bool = False
    is_picking: bool = False
    reads_clock: bool = False
    is_random: bool = False
    lambda_arity: int = 2
    deprecated: str | None = None

    @property
    def signature(self) -> str:
        """How it is written: `pad_start(text, length, fill?)`."""
        return f"{self.name}({', '.join(parameter.text for parameter in self.parameters)})"

    @property
    def least(self) -> int:
        """How many arguments it needs."""
        return sum(1 for parameter in self.parameters if not parameter.is_optional and not parameter.is_variadic)

    @property
    def most(self) -> int | None:
        """How many arguments it takes, None for any number."""
        return None if any(parameter.is_variadic for parameter in self.parameters) else len(self.parameters)

    def parameter(self, index: int) -> Parameter:
        """Return the parameter that takes the argument number `index`."""
        return self.parameters[min(index, len(self.parameters) - 1)]


FUNCTIONS: dict[str, Function] = {}
GROUPS = ("text", "pattern", "number", "decimal", "list", "object", "date", "duration", "logic", "encoding")

_KINDS = {
    "Text": "text",
    "Number": "number",
    "Whole": "whole",
    "Many": "list",
    "Object": "object",
    "When": "date",
    "Moment": "moment",
    "Duration": "duration",
    "Flag": "flag",
    "Value": "any",
    "Fn": "function",
    "Thunk": "any",
}
Thunk = Callable[[Any], Any]


def function(
    group: str,
    *examples: Example,
    name: str | None = None,
    deprecated: str | None = None,
    lambda_arity: int = 2,
    **traits: bool,
) -> Callable[[F], F]:
    """Put a Python function into the table; its docstring is the help, `examples` are pairs of expression and result."""

    def register(call: F) -> F:
        known = (name or call.__name__).rstrip("_")
        assert known not in FUNCTIONS, known
        assert group in GROUPS, group
        parameters = list(inspect.signature(call).parameters.values())
        first = parameters[0].name if parameters else ""
        assert not (first == "meter" and traits.get("is_flat")), known
        if first in ("meter", "scope"):
            parameters = parameters[1:]
        FUNCTIONS[known] = Function(
            name=known,
            group=group,
            help=" ".join((call.__doc__ or "").split()),
            parameters=tuple(_parameter(parameter) for parameter in parameters),
            call=call,
            examples=examples,
            wants_meter=first == "meter",
            wants_scope=first == "scope",
            deprecated=deprecated,
            lambda_arity=lambda_arity,
            **traits,
        )
        return call

    return register


def _parameter(parameter: inspect.Parameter) -> Parameter:
    annotation = str(parameter.annotation).removesuffix(" | None")
    has_default = parameter.default is not inspect.Parameter.empty
    return Parameter(
        name=parameter.name.rstrip("_"),
        kind=_KINDS[annotation],
        is_optional=has_default,
        default=parameter.default if has_default else None,
        is_variadic=parameter.kind is inspect.Parameter.VAR_POSITIONAL,
    )


EXACT_TYPES: dict[str, frozenset[type]] = {
    "text": frozenset({str}),
    "number": frozenset({int, float, Decimal}),
    "whole": frozenset({int}),
    "list": frozenset({list}),
    "object": frozenset({dict}),
    "date": frozenset({date}),
    "moment": frozenset(),
    "duration": frozenset({timedelta}),
    "flag": frozenset({bool}),
}
_NEEDS = {
    "text": ("a text", "use text(…) to write a value as text"),
    "number": ("a number", "use number(…) to read a number from text"),
    "whole": ("a whole number", "use round(…) or floor(…) first"),
    "list": ("a list", "write [value] for a list of one"),
    "object": ("an object", None),
    "date": ("a date", "dates are written 2026-11-23; read others with parse_date(text, “d.M.yyyy”)"),
    "moment": ("a moment", "moments are written 2026-11-23T12:00:00Z"),
    "duration": ("a duration", "write days(3), hours(2) or duration(“1h 30m”)"),
    "flag": ("true or false", None),
}
MAX_WHOLE = 1 << 53


def fitted(value: Any, kind: str, scope: Any) -> Any:
    """
    Hold an argument to its kind: return it, converted where that is safe, or raise ExpressionError without a place.

    ISO text serves as a date, `1h 30m` as a duration, 3.0 as a whole number, a handle as the object it describes.
    """
    if kind == "date" or kind == "moment":
        zone = zone_of(scope)
        found = read_iso(value, zone) if isinstance(value, str) else value
        if isinstance(found, datetime):
            return as_moment(found, zone)
        if isinstance(found, date):
            return found if kind == "date" else as_moment(found, zone)
    elif kind == "duration" and isinstance(value, str):
        if (read := read_duration(value)) is not None:
            return read
    elif kind == "whole":
        if type(value) is float and value == value and abs(value) < MAX_WHOLE and value == int(value):
            return int(value)
        if isinstance(value, Decimal) and value.is_finite() and abs(value) < MAX_WHOLE and value == int(value):
            return int(value)
    elif kind == "list" and isinstance(value, tuple | list):
        return list(value)
    elif kind == "object":
        if is_opaque(value):
            return as_opaque_fields(value)
        if isinstance(value, dict):
            return value
    elif isinstance(value, str) and kind == "text":
        return str(value)
    needed, hint = _NEEDS[kind]
    if value is None:
        hint = MISSING_HINT
    shown = (
        f"the text “{value[:40]}”"
        if isinstance(value, str) and kind not in ("text", "object", "list", "flag")
        else kind_of(value)
    )
    if kind == "whole" and type(value) in (int, float, Decimal):
        shown = "one this big" if type(value) is int or abs(value) >= MAX_WHOLE else "a number with a fraction"
    raise ExpressionError(f"needs {needed}, not {shown}", hint=hint)
