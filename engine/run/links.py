"""
Links to steps that wait: whoever has one may answer that step of that run, and nothing else.

A link names run, node and pass, signed with a key of this installation; nothing is stored for it, so it can be put into a
message before the step even begins to wait. It is over with the wait itself: answered, past its deadline, or cancelled.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from engine.expressions.errors import ExpressionError
from engine.expressions.values import Lazy
from engine.ids import NodeId, RunId
from engine.protocols import Store, UnitOfWork

from .planner import Plan

KEY_NAME: Final = "links.key"
PREFIX: Final = "/w/"
LONGEST: Final = 2_000
_MAC_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Place:
    """What a link leads to; `purpose` keeps links of one kind from being used as another."""

    run_id: RunId
    node: NodeId
    scope: str = ""
    purpose: str = "step"


@dataclass(slots=True)
class Links:
    """Makes links and reads them; `address` is where people reach this Treadle, without a slash at its end."""

    key: bytes
    address: str = ""

    def token(self, place: Place) -> str:
        """Return the signed name of a place."""
        text = "\n".join((place.purpose, place.run_id, place.node, place.scope)).encode()
        return f"{_text(text)}.{_text(self._mac(text))}"

    def url(self, place: Place) -> str:
        """Return the link to a place."""
        return f"{self.address}{PREFIX}{self.token(place)}"

    def read(self, token: str) -> Place | None:
        """Return the place that a token names, None when it is not one of ours."""
        body, dot, mac = token.partition(".")
        if not dot or len(token) > LONGEST or not token.isascii():
            return None
        try:
            text, signed = _bytes(body), _bytes(mac)
        except (ValueError, binascii.Error):
            return None
        if not hmac.compare_digest(self._mac(text), signed):
            return None
        purpose, run_id, node, scope = text.decode().split("\n", 3)
        return Place(RunId(run_id), NodeId(node), scope, purpose)

    def _mac(self, text: bytes) -> bytes:
        return hmac.new(self.key, b"treadle link " + text, hashlib.sha256).digest()[:_MAC_BYTES]


class LinksScope(Lazy):
    """`run.links.<node>`: the link that answers a step of this run which waits, or will wait, for somebody."""

    __slots__ = ("_links", "_plan", "_run_id", "_scope")

    def __init__(self, links: Links, plan: Plan, run_id: RunId, scope: str = "") -> None:
        self._links, self._plan, self._run_id, self._scope = links, plan, run_id, scope

    def lookup(self, name: str) -> object:
        """Return the link of the node of that id; raises `ExpressionError` when there is none."""
        if name not in self._plan.index:
            raise ExpressionError(f"there is no node “{name}”", hint="a link is named by the id of the step that waits")
        return self._links.url(Place(self._run_id, NodeId(name), self._scope))

    def names(self) -> list[str]:
        """Return the nodes."""
        return list(self._plan.index)


async def load_links(store: Store, address: str) -> Links:
    """Return what makes the links of this installation; its key is made on first use."""
    text: str | None = await store.read(lambda work: work.values.get(KEY_NAME))

    def find_or_make(work: UnitOfWork) -> str:
        known: str | None = work.values.get(KEY_NAME)
        if known is None:
            known = secrets.token_hex(32)
            work.values.set(KEY_NAME, known)
        return known

    return Links(bytes.fromhex(text if text is not None else await store.write(find_or_make)), address)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
