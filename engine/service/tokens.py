"""API tokens: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from engine.access import ALL_SCOPES, Actor, require
from engine.clock import Clock
from engine.errors import BadRequest
from engine.ids import new_id
from engine.protocols import Store, Token

PREFIX = "trdl_"


def hash_secret(secret: str) -> str:
    """
    Return what is kept of a token.

    A plain SHA-256 is enough: the secret has 256 bits of chance, so there is nothing to guess and no need to be slow.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenService:
    """Make, list, end and recognise tokens."""

    def __init__(self, store: Store, clock: Clock, actor: Actor) -> None:
        self._store, self._clock, self._actor = store, clock, actor

    async def create(
        self, name: str, scopes: Sequence[str] = ("read", "run"), expires_in: timedelta | None = None
    ) -> tuple[Token, str]:
        """
        Make a token and return it with its secret, which cannot be read again.

        Raises `BadRequest` for an empty name, an unknown scope, or a life that is over before it begins.
        """
        require(self._actor, "admin", "create tokens")
        if not name.strip() or "\0" in name:
            raise BadRequest("A token needs a name.", hint="Say what it is for: treadle token create “nightly import”")
        if unknown := [scope for scope in scopes if scope not in ALL_SCOPES]:
            raise BadRequest(f"There is no scope “{unknown[0]}”.", hint=f"Known scopes: {', '.join(ALL_SCOPES)}")
        if expires_in is not None and expires_in <= timedelta(0):
            raise BadRequest("A token has to live for a while.", hint="Give a duration such as 90d.")
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._clock.now()
        token = Token(
            id=new_id("tok", now),
            name=name.strip(),
            hash=hash_secret(secret),
            scopes=tuple(dict.fromkeys(scopes)),
            created_at=now,
            expires_at=now + expires_in if expires_in else None,
        )
        await self._store.write(lambda work: work.tokens.add(token))
        return token, secret

    async def list_all(self) -> list[Token]:
        """Return all tokens, ended ones included."""
        require(self._actor, "admin", "list tokens")
        return await self._store.read(lambda work: work.tokens.list_all())

    async def revoke(self, token_id: str) -> None:
        """End a token at once; raises `NotFound`."""
        require(self._actor, "admin", "revoke tokens")
        now = self._clock.now()
        await self._store.write(lambda work: work.tokens.revoke(token_id, at=now))

    async def find_actor(self, secret: str) -> Actor | None:
        """Return who a secret belongs to, None when it is unknown, ended or expired."""
        digest = hash_secret(secret)
        token = await self._store.read(lambda work: work.tokens.find_by_hash(digest))
        now = self._clock.now()
        if token is None or token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now):
            return None
        if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=5):
            await self._store.write(lambda work: work.tokens.touch(token.id, at=now))
        return Actor(name=token.name, scopes=frozenset(token.scopes))
