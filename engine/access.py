"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import NotAllowed

Scope = Literal["read", "run", "write", "admin", "sql"]
ALL_SCOPES: tuple[Scope, ...] = ("read", "run", "write", "admin", "sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person, a token or Treadle itself; `name` stands in versions and logs."""

    name: str
    scopes: frozenset[str]


OWNER = Actor(name="owner", scopes=frozenset(ALL_SCOPES))
"""The person at this machine: Treadle listens on loopback only, and the launch token proves it is them."""

ENGINE = Actor(name="treadle", scopes=frozenset(ALL_SCOPES))
"""Treadle itself, for what triggers and timers start."""


def may(actor: Actor, scope: Scope) -> bool:
    """Say whether the actor holds the scope."""
    return scope in actor.scopes


def require(actor: Actor, scope: Scope, to: str) -> None:
    """Pass when the actor holds the scope; raises `NotAllowed` with the reason otherwise."""
    if not may(actor, scope):
        raise NotAllowed(
            f"“{actor.name}” may not {to}.",
            hint=f"Use a token with the scope “{scope}”: treadle token create NAME --scope {scope}",
            where={"scope": scope},
        )
