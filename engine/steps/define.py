"""
The signature is the form: turns a typed function into a `StepSpec`.

    @step("data.limit", "Limit", icon="content_cut")
    def limit(batch: BatchCall, count: Annotated[int, Label("How many"), Between(0)] = 10) -> Output:
        "Let only the first items through."

Each parameter after the first becomes a field: its annotation says the type, `Annotated` brings the words, a default makes it
optional, the docstring is the help. A first parameter annotated `BatchCall` makes a *batch* step, anything else an *each* step.
A parameter that would be a Python keyword is written with a trailing underscore (`from_` is the field `from`).
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from engine.model.items import Item
from engine.steps.contract import BatchCall, Computed
from engine.steps.spec import (
    IN,
    OUT,
    Effect,
    EffectFor,
    FieldSpec,
    FieldType,
    FrameSpec,
    Mode,
    PortsFor,
    PortSpec,
    Quick,
    SafeFor,
    StepSpec,
)


@dataclass(frozen=True, slots=True)
class Label:
    """What a field is called, how it is explained, and what stands greyed in the empty field."""

    text: str = ""
    help: str = ""
    placeholder: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """The field type, where the Python type alone does not tell it."""

    type: FieldType


@dataclass(frozen=True, slots=True)
class Between:
    """The least and the most a number may be, both included."""

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The default of a field as a person would write it in the workflow: an expression or a template."""

    text: Any


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of a field with their labels, where `Literal` does not say them well enough."""

    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, **labels: str) -> Options:
        """Return options from `value="Label"`."""
        return cls(tuple(labels.items()))


@dataclass(frozen=True, slots=True)
class Choices:
    """A drop-down filled by the service: `find(ctx, **fields)` yields (value, label) pairs."""

    find: Callable[..., Any]


class ShowWhen:
    """Shows a field only while others have one of the given values: `ShowWhen(mode="by_key")`."""

    def __init__(self, **fields: Any) -> None:
        self.fields: dict[str, Sequence[Any]] = {
            name: value if isinstance(value, list | tuple) else (value,) for name, value in fields.items()
        }


@dataclass(frozen=True, slots=True)
class _Flag:
    name: str


ADVANCED: Final = _Flag("advanced")
"""Shown under “More” in the form."""
PLAIN: Final = _Flag("plain")
"""No expressions: the value stands as written."""

LongText = Annotated[str, Kind("long_text")]
Code = Annotated[str, Kind("code")]
Cron = Annotated[str, Kind("cron")]
Timezone = Annotated[str, Kind("timezone")]
Items = Annotated[list[Item], Kind("items")]
Expressions = Annotated[Mapping[str, Computed], Kind("expressions")]
ExpressionList = Annotated[Sequence[Computed], Kind("expression_list")]
Cases = Annotated[Mapping[str, Computed], Kind("cases")]

_TYPES: Final[dict[Any, FieldType]] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "number",
    timedelta: "duration",
    datetime: "datetime",
    date: "datetime",
    list: "list",
    Sequence: "list",
    tuple: "list",
    dict: "object",
    Mapping: "object",
    Computed: "expression",
    Any: "any",
    object: "any",
}


def step(
    name: str,
    title: str,
    *,
    category: str = "data",
    icon: str = "extension",
    keywords: Sequence[str] = (),
    effect: Effect = "none",
    idempotent: bool = False,
    effect_for: EffectFor | None = None,
    idempotent_for: SafeFor | None = None,
    ports_in: Sequence[str | PortSpec] = IN,
    ports_out: Sequence[str | PortSpec] = OUT,
    ports_for: PortsFor | None = None,
    auth: Sequence[str] = (),
    timeout: timedelta | None = None,
    sample: Any = None,
    frame: FrameSpec | None = None,
    quick: Quick | None = None,
) -> Callable[[Callable[..., Any]], StepSpec]:
    """Return a decorator that puts a `StepSpec` in the place of a typed function; the function is its `call`."""

    def define(function: Callable[..., Any]) -> StepSpec:
        mode, fields = read_signature(function)
        return StepSpec(
            name=name,
            title=title,
            help=inspect.getdoc(function) or "",
            category=category,
            icon=icon,
            keywords=tuple(keywords),
            mode=mode,
            effect=effect,
            is_idempotent=idempotent,
            effect_for=effect_for,
            idempotent_for=idempotent_for,
            fields=fields,
            ports_in=ports_of(ports_in),
            ports_out=ports_of(ports_out),
            ports_for=ports_for,
            auth=tuple(auth),
            timeout=timeout,
            sample=sample,
            call=accept_field_names(function),
            frame=frame,
            quick=quick,
        )

    return define


def trigger(
    name: str,
    title: str,
    *,
    icon: str = "bolt",
    keywords: Sequence[str] = (),
    category: str = "trigger",
    sample: Any = None,
) -> Callable[[Callable[..., Any]], StepSpec]:
    """Return a decorator for a trigger that the engine itself runs: only the signature and the docstring count."""

    def define(function: Callable[..., Any]) -> StepSpec:
        _, fields = read_signature(function, skip=0)
        return StepSpec(
            name=name,
            title=title,
            help=inspect.getdoc(function) or "",
            category=category,
            icon=icon,
            keywords=tuple(keywords),
            is_trigger=True,
            fields=fields,
            ports_in=(),
            sample=sample,
        )

    return define


def read_signature(function: Callable[..., Any], *, skip: int = 1) -> tuple[Mode, tuple[FieldSpec, ...]]:
    """
    Return the mode and the fields that a typed signature spells out; the first `skip` parameters are the engine's.

    Raises `TypeError` for a parameter whose type has no field type.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())
    first = hints.get(parameters[0].name) if skip and parameters else None
    mode: Mode = "batch" if first is BatchCall else "each"
    return mode, tuple(_field(parameter, hints.get(parameter.name, Any)) for parameter in parameters[skip:])


def accept_field_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, or one that takes `from` where it says `from_`."""
    renamed = {name[:-1]: name for name in inspect.signature(function).parameters if name.endswith("_")}
    if not renamed:
        return function

    @functools.wraps(function)
    def call(first: Any, **fields: Any) -> Any:
        return function(first, **{renamed.get(name, name): value for name, value in fields.items()})

    return call


def ports_of(ports: Sequence[str | PortSpec]) -> tuple[PortSpec, ...]:
    """Return port specs for names and specs."""
    return tuple(port if isinstance(port, PortSpec) else PortSpec(port, humanize(port)) for port in ports)


def humanize(name: str) -> str:
    """Return a name as a label: `by_key` reads “By key”."""
    return name.replace("_", " ").strip().capitalize()


def _field(parameter: inspect.Parameter, hint: Any) -> FieldSpec:
    marks: list[Any] = []
    inner, is_optional = _unwrap(hint, marks)
    choices: tuple[tuple[str, str], ...] = ()
    if get_origin(inner) is Literal:
        choices = tuple((str(value), humanize(str(value))) for value in get_args(inner))
    kind = _last(marks, Kind)
    options, asked = _last(marks, Options), _last(marks, Choices)
    label, between = _last(marks, Label) or Label(), _last(marks, Between) or Between()
    written, show = _last(marks, Written), _last(marks, ShowWhen)
    name = parameter.name.rstrip("_")
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    return FieldSpec(
        name=name,
        type=kind.type if kind else _type_of(inner, parameter.name),
        label=label.text or humanize(name),
        help=label.help,
        required=parameter.default is inspect.Parameter.empty and written is None and not is_optional,
        default=written.text if written else default,
        choices=options.labels if options else choices,
        choices_from=asked.find if asked else None,
        placeholder=label.placeholder,
        is_advanced=ADVANCED in marks,
        minimum=between.minimum,
        maximum=between.maximum,
        allows_expressions=PLAIN not in marks,
        show_when=show.fields if show else {},
    )


def _unwrap(hint: Any, marks: list[Any]) -> tuple[Any, bool]:
    """Take `Annotated` and `| None` off a type; marks are gathered on the way."""
    if get_origin(hint) is Annotated:
        inner, *extra = get_args(hint)
        found, is_optional = _unwrap(inner, marks)
        marks.extend(extra)
        return found, is_optional
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        is_optional = len(kinds) < len(get_args(hint))
        if len(kinds) > 1:
            return Any, is_optional
        found, _ = _unwrap(kinds[0], marks)
        return found, is_optional
    return hint, False


def _type_of(hint: Any, name: str) -> FieldType:
    if get_origin(hint) is Literal:
        return "choice"
    kind = _TYPES.get(get_origin(hint) or hint)
    if kind is None:
        raise TypeError(f"the parameter {name!r} has the type {hint!r}, which no form field can hold")
    return kind


_Mark = typing.TypeVar("_Mark")


def _last(marks: Sequence[Any], kind: type[_Mark]) -> _Mark | None:
    return next((mark for mark in reversed(marks) if isinstance(mark, kind)), None)
