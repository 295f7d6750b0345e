"""
Who sits in front of the browser: launch links that work once, and the cookie they are exchanged for.

Both are signed with a key that lies in the store, so that the command line can make a link for a Treadle that is running
already, and a restart signs nobody out. The server remembers which links were used; a link lives ten minutes, and one that is
older than the server is refused, so a used link stays used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from engine.clock import Clock
from engine.protocols import Store, UnitOfWork

KEY_NAME: Final = "web.key"
LINK_LIFE: Final = timedelta(minutes=10)
SESSION_LIFE: Final = timedelta(days=30)
EARLY: Final = timedelta(minutes=1)
"""How far the clocks of two processes on one machine may disagree."""

OWN_COOKIES: Final = "treadle_"
"""How the names of the studio's cookies begin."""

PARAMETER: Final = "launch"
"""The name of the launch token in the query of a link."""


async def load_key(store: Store) -> bytes:
    """Return the key that signs links and cookies of this installation; made on first use."""

    def find_or_make(work: UnitOfWork) -> str:
        text: str | None = work.values.get(KEY_NAME)
        if text is None:
            text = secrets.token_hex(32)
            work.values.set(KEY_NAME, text)
        return text

    return bytes.fromhex(await store.write(find_or_make))


def make_launch_token(key: bytes, clock: Clock) -> str:
    """Return a token that signs one browser in, once, within ten minutes."""
    return _sign(key, "launch", clock)


def launch_url(base: str, token: str) -> str:
    """Return the address to open in the browser."""
    return f"{base.rstrip('/')}/?{PARAMETER}={token}"


class Sessions:
    """Redeems launch tokens and recognises the cookies given for them."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        # Cookies do not tell ports apart, so each installation has a name of its own: two of them do not sign each other out.
        self.cookie_name = f"{OWN_COOKIES}{hashlib.sha256(key).hexdigest()[:8]}"
        self._key, self._clock = key, clock
        self._started = clock.now()
        self._used: dict[str, float] = {}
        self._ended: set[str] = set()

    def redeem(self, token: str) -> str | None:
        """Return the value of a new session's cookie, None when the token is wrong, too old, or was used before."""
        now = self._clock.now().timestamp()
        opened = _open(self._key, "launch", token)
        if opened is None or opened[0] in self._used:
            return None
        nonce, issued = opened
        # Tokens count whole seconds, so one that is made right after the start may carry the second the start fell into.
        if not int(self._started.timestamp()) <= issued <= now + EARLY.total_seconds():
            return None
        if now - issued > LINK_LIFE.total_seconds():
            return None
        self._used = {known: at for known, at in self._used.items() if now - at <= 2 * LINK_LIFE.total_seconds()}
        self._used[nonce] = issued
        return _sign(self._key, "session", self._clock)

    def find(self, cookie: str | None) -> str | None:
        """Return the id of the session that a `Cookie` header names, None when there is none or it is over."""
        if not cookie or self.cookie_name not in cookie:
            return None
        for value in _values(cookie, self.cookie_name):
            opened = _open(self._key, "session", value)
            if opened is None:
                continue
            session, issued = opened
            age = self._clock.now().timestamp() - issued
            if session not in self._ended and -EARLY.total_seconds() <= age <= SESSION_LIFE.total_seconds():
                return session
        return None

    def end(self, session: str) -> None:
        """End a session: its pages and sockets do nothing from now on, until this Treadle is started anew."""
        self._ended.add(session)

    def cookie(self, value: str, *, is_secure: bool = False) -> str:
        """Return the `Set-Cookie` header for a session; scripts cannot read it and other sites cannot send it."""
        life = int(SESSION_LIFE.total_seconds())
        secure = "; Secure" if is_secure else ""
        return f"{self.cookie_name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"


def _values(cookie: str, name: str) -> Iterator[str]:
    """Yield what a `Cookie` header says under a name; the cookies of others may be as malformed as they like."""
    for part in cookie.split(";"):
        found, is_pair, value = part.partition("=")
        if is_pair and found.strip() == name:
            yield value.strip()


def _sign(key: bytes, purpose: str, clock: Clock) -> str:
    text = f"{secrets.token_urlsafe(16)}.{int(clock.now().timestamp())}"
    return f"{text}.{_mac(key, purpose, text)}"


def _open(key: bytes, purpose: str, value: str) -> tuple[str, int] | None:
    nonce, dot, rest = value.partition(".")
    issued, dot, mac = rest.partition(".")
    if not dot or len(value) > 200 or not value.isascii() or not issued.isdecimal():
        return None
    if not hmac.compare_digest(_mac(key, purpose, f"{nonce}.{issued}"), mac):
        return None
    return nonce, int(issued)


def _mac(key: bytes, purpose: str, text: str) -> str:
    digest = hmac.new(key, f"treadle {purpose} {text}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
