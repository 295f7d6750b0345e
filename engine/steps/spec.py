"""What a step says about itself: its fields, its ports, what it does to the outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from engine.model.items import Batch

FieldType = Literal[
    "text", "long_text", "integer", "number", "boolean", "choice", "duration", "datetime", "cron", "timezone",
    "list", "object", "any", "expression", "expressions", "expression_list", "cases", "items", "code",
]  # fmt: skip
"""
How a field is edited and how it arrives at the action.

`text` … `any` are rendered templates (each string inside lists and objects too), converted to the type.
`expression` is bare and arrives as a `Computed`; `expressions` is an object name → `Computed` (values that are not text are
constants); `expression_list` a list of `Computed`; `cases` an ordered object port → `Computed`. `items` is a list of
objects, plain.
"""

Effect = Literal["none", "read", "write", "destroy"]
Mode = Literal["each", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """
    One field of a form, and one parameter of the action's function.

    `choices_from` asks the service for the choices: an async generator of (value, label), given the context and the fields
    filled in so far.
    """

    name: str
    type: FieldType = "text"
    label: str = ""
    help: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[tuple[str, str], ...] = ()
    choices_from: Callable[..., Any] | None = None
    placeholder: str = ""
    is_advanced: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allows_expressions: bool = True
    show_when: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A named place where lines attach."""

    name: str
    label: str = ""
    kind: Literal["items", "error"] = "items"


FrameKind = Literal["loop", "try", "compensate", "break"]


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """
    What makes a step a frame, which holds other steps (see `engine.model.frames`), or ends one (`break`).

    `body` is the out-port its body begins at, `back` the in-port where that comes back; `passed` is the port that items
    leave by when the node is switched off, so that its body does not run.
    """

    kind: FrameKind
    body: str = ""
    back: str | None = None
    passed: str = "out"


PortsFor = Callable[[Mapping[str, Any]], tuple[PortSpec, ...]]
EffectFor = Callable[[Mapping[str, Any]], Effect]
SafeFor = Callable[[Mapping[str, Any]], bool]
Quick = Callable[[Mapping[str, Any]], Callable[[Batch], Batch | None] | None]
IN: tuple[PortSpec, ...] = (PortSpec("in"),)
OUT: tuple[PortSpec, ...] = (PortSpec("out"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """
    Everything there is to know about one kind of step, without running it.

    `call` is the function that does the work (see `engine.steps.contract`); None for triggers, which the engine starts from.
    `ports_for` answers the out-ports for given fields where they depend on them (`flow.switch`), else `ports_out` holds.
    The `error` port is not listed: every action has it, and it is live when the node says `on_error: route`.
    `effect` is the most the step can do; `effect_for` and `idempotent_for` tell what it does with given fields, as written
    (a GET reads, a POST writes). `frame` is given for steps that the engine itself carries out: they hold other steps.
    `quick`, where there is one, makes a function of a batch from rendered fields that mention nothing but the item. It does for
    small batches exactly what `call` does, item i from item i, and gives None whenever it is not sure.
    """

    name: str
    title: str
    help: str = ""
    category: str = "data"
    icon: str = "extension"
    keywords: tuple[str, ...] = ()
    is_trigger: bool = False
    mode: Mode = "batch"
    effect: Effect = "none"
    is_idempotent: bool = False
    effect_for: EffectFor | None = None
    idempotent_for: SafeFor | None = None
    fields: tuple[FieldSpec, ...] = ()
    ports_in: tuple[PortSpec, ...] = IN
    ports_out: tuple[PortSpec, ...] = OUT
    ports_for: PortsFor | None = None
    auth: tuple[str, ...] = ()
    timeout: timedelta | None = None
    sample: Any = None
    call: Callable[..., Any] | None = None
    frame: FrameSpec | None = None
    quick: Quick | None = None

    def field(self, name: str) -> FieldSpec | None:
        """Return the field of that name, None when there is none."""
        return next((spec for spec in self.fields if spec.name == name), None)

    def outs(self, fields: Mapping[str, Any]) -> tuple[PortSpec, ...]:
        """Return the out-ports a node with these fields has, the `error` port left out."""
        return self.ports_for(fields) if self.ports_for else self.ports_out

    def effect_of(self, fields: Mapping[str, Any]) -> Effect:
        """Return what a node with these fields, as written, does to the outside."""
        return self.effect_for(fields) if self.effect_for else self.effect

    def may_repeat(self, fields: Mapping[str, Any]) -> bool:
        """Return whether doing it twice comes to the same as doing it once, for a node with these fields as written."""
        return self.idempotent_for(fields) if self.idempotent_for else self.is_idempotent

    @property
    def is_pure(self) -> bool:
        """Whether nobody outside can tell that the step ran, so that running it again is free."""
        return self.effect == "none"
