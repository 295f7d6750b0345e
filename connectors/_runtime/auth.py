"""Ways to sign in: what a connection of each kind holds, and what it adds to a request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine.errors import SignInAgain


@dataclass(frozen=True, slots=True)
class Signature:
    """What signing in adds to a request."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


class Auth(Protocol):
    """A way to sign in; `kind` names it, `secrets` are the values a connection of this kind holds."""

    @property
    def kind(self) -> str: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...

    def sign(self, connection: Mapping[str, Any]) -> Signature:
        """Return what a connection adds to each request; raises `SignInAgain` when a value is missing."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that stands in a header or in the query: `ApiKey(name="X-Api-Key", format="{key}")`."""

    where: Literal["header", "query"] = "header"
    name: str = "Authorization"
    format: str = "Bearer {key}"
    kind: str = "api_key"
    secrets: tuple[str, ...] = ("key",)

    def sign(self, connection: Mapping[str, Any]) -> Signature:
        """Return the header or the query value with the key."""
        text = self.format.replace("{key}", _secret(connection, "key"))
        return Signature(headers={self.name: text}) if self.where == "header" else Signature(query={self.name: text})


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and a password (RFC 7617)."""

    kind: str = "basic"
    secrets: tuple[str, ...] = ("user", "password")

    def sign(self, connection: Mapping[str, Any]) -> Signature:
        """Return the `Authorization` header."""
        pair = f"{_secret(connection, 'user')}:{_secret(connection, 'password')}"
        return Signature(headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})


def sign(ways: tuple[Auth, ...], connection: Mapping[str, Any] | None) -> Signature:
    """Return what the connection adds to a request by the way of its kind; nothing without a connection."""
    if connection is None:
        return Signature()
    kind = connection.get("kind")
    way = next((way for way in ways if way.kind == kind), None)
    if way is None:
        known = ", ".join(way.kind for way in ways) or "none at all"
        raise SignInAgain(f"A connection of the kind “{kind}” does not work here.", hint=f"It takes {known}.")
    return way.sign(connection)


def _secret(connection: Mapping[str, Any], name: str) -> str:
    value = connection.get(name)
    if not value:
        raise SignInAgain(f"The connection has no {name}.", hint="Enter it again.")
    return str(value)
