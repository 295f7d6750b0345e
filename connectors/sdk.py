"""
All that a connector needs to know, in one import.

    from connectors.sdk import Annotated, ApiKey, Connector, LongText

    chat = Connector("chat", "Chat", base_url="https://chat.example/api", auth=[ApiKey()])

    @chat.action("Post a message", effect="write", sample={"id": "17"})
    async def post_message(ctx, channel: str, text: LongText) -> dict:
        "Says something in a channel."
        return await ctx.http.post("/messages", json={"channel": channel, "text": text})

See `docs/how-to/write-a-connector.md`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from connectors._runtime.auth import ApiKey, Auth, Basic, Signature
from connectors._runtime.session import Session, at_path, same_host
from engine.errors import BadInput, RateLimited, Refused, SignInAgain, TimedOut, Unavailable
from engine.steps.contract import BatchCall, Computed, Context, File, Item, Multi, Output
from engine.steps.define import (
    ADVANCED,
    PLAIN,
    Between,
    Choices,
    Code,
    Label,
    LongText,
    Options,
    ShowWhen,
    Written,
    accept_field_names,
    ports_of,
    read_signature,
)
from engine.steps.spec import IN, OUT, Effect, EffectFor, FieldSpec, PortSpec, SafeFor, StepSpec

__all__ = [
    "ADVANCED",
    "PLAIN",
    "Annotated",
    "ApiKey",
    "AsyncIterator",
    "Auth",
    "BadInput",
    "Basic",
    "BatchCall",
    "Between",
    "Choice",
    "Choices",
    "Code",
    "Computed",
    "Connector",
    "Context",
    "File",
    "Item",
    "Label",
    "LongText",
    "Multi",
    "Options",
    "Output",
    "RateLimited",
    "Refused",
    "Retry",
    "ShowWhen",
    "SignInAgain",
    "Signature",
    "TimedOut",
    "TriggerSpec",
    "Unavailable",
    "Written",
    "at_path",
    "same_host",
]

Function = TypeVar("Function", bound=Callable[..., Any])
Choice = tuple[str, str]
"""A value and its label, as `Choices` yields them."""


def Retry(after: timedelta | float | None = None, *, service: str = "The service") -> Unavailable:  # noqa: N802 - reads as an error
    """Return the error to raise when trying again later can help; `after` is the wait the service asked for, in seconds."""
    wait = timedelta(seconds=after) if isinstance(after, int | float) else after
    return Unavailable(f"{service} cannot do it right now.", retry_after=wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSpec:
    """
    What starts runs from a service: an async generator that yields events.

    With `every` it is polled and keeps a cursor; with a `request` parameter it is a webhook; with neither it is a stream.
    """

    name: str
    title: str
    help: str
    fields: tuple[FieldSpec, ...]
    every: timedelta | None
    key: str | None
    sample: Any
    call: Callable[..., Any]


class Connector:
    """
    One outside service: its address, its ways to sign in, and what can be done with it.

    `id` is the first word of its steps (`chat.post_message`) and the name of its folder.
    """

    def __init__(
        self,
        id: str,
        title: str,
        *,
        base_url: str = "",
        auth: Sequence[Auth] = (),
        icon: str = "extension",
        category: str = "app",
        timeout: timedelta | None = None,
    ) -> None:
        if not id.isidentifier() or not id.islower():
            raise ValueError(f"{id!r} cannot be the id of a connector: lower-case letters, digits and underscores")
        self.id = id
        self.title = title
        self.base_url = base_url
        self.auth = tuple(auth)
        self.icon = icon
        self.category = category
        self.timeout = timeout
        self.tester: Callable[..., Any] | None = None
        self._steps: dict[str, StepSpec] = {}
        self._triggers: dict[str, TriggerSpec] = {}

    @property
    def steps(self) -> tuple[StepSpec, ...]:
        """The actions, in the order they were written."""
        return tuple(self._steps.values())

    @property
    def triggers(self) -> tuple[TriggerSpec, ...]:
        """The triggers, in the order they were written."""
        return tuple(self._triggers.values())

    def action(
        self,
        title: str,
        *,
        effect: Effect = "read",
        idempotent: bool = False,
        effect_for: EffectFor | None = None,
        idempotent_for: SafeFor | None = None,
        sample: Any = None,
        keywords: Sequence[str] = (),
        icon: str = "",
        timeout: timedelta | None = None,
        ports_in: Sequence[str | PortSpec] = IN,
        ports_out: Sequence[str | PortSpec] = OUT,
    ) -> Callable[[Function], Function]:
        """
        Make a function a step: its parameters are the form, its docstring the help, what it returns the output.

        The function itself comes back, so that tests can call it. Raises `ValueError` when two have one name.
        """

        def define(function: Function) -> Function:
            mode, fields = read_signature(function)
            name = f"{self.id}.{function.__name__}"
            if name in self._steps:
                raise ValueError(f"two actions are named {name!r}")
            self._steps[name] = StepSpec(
                name=name,
                title=title,
                help=inspect.getdoc(function) or "",
                category=self.category,
                icon=icon or self.icon,
                keywords=(self.title.lower(), *keywords),
                mode=mode,
                effect=effect,
                is_idempotent=idempotent or effect == "read",
                effect_for=effect_for,
                idempotent_for=idempotent_for,
                fields=fields,
                ports_in=ports_of(ports_in),
                ports_out=ports_of(ports_out),
                auth=tuple(way.kind for way in self.auth),
                timeout=timeout,
                sample=sample,
                call=self._bound(function),
            )
            return function

        return define

    def trigger(
        self, title: str, *, every: timedelta | None = None, key: str | None = None, sample: Any = None
    ) -> Callable[[Function], Function]:
        """Make an async generator a trigger: each event it yields starts a run; `key` names the field that makes one unique."""

        def define(function: Function) -> Function:
            if not inspect.isasyncgenfunction(function):
                raise TypeError(f"{function.__name__} is no async generator: a trigger yields its events")
            _, fields = read_signature(function)
            name = f"{self.id}.{function.__name__}"
            self._triggers[name] = TriggerSpec(
                name=name,
                title=title,
                help=inspect.getdoc(function) or "",
                fields=tuple(field for field in fields if field.name != "request"),
                every=every,
                key=key,
                sample=sample,
                call=function,
            )
            return function

        return define

    def test(self, function: Function) -> Function:
        """Make a function the test of a connection: it returns a sentence such as “Signed in as octocat”, or raises."""
        self.tester = self._bound(function)
        return function

    def _bound(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as the engine calls it, with `ctx.http` speaking to this service."""
        accepting = accept_field_names(function)

        @functools.wraps(function)
        def call(first: Context | BatchCall, **fields: Any) -> Any:
            if isinstance(first, BatchCall):
                return accepting(BatchCall(ports=first.ports, ctx=self.context(first.ctx)), **fields)
            return accepting(self.context(first), **fields)

        return call

    def context(self, ctx: Context) -> Context:
        """Return the context with requests bound to this connector: relative addresses, signed, with the idempotency key."""
        return replace(ctx, http=Session(ctx, base_url=self.base_url, auth=self.auth, timeout=self.timeout))
