"""API tokens in the database: hashes, never secrets."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from engine.errors import NotFound
from engine.protocols import Token

from . import tables
from .rows import moment, token_of, token_values


class SqlTokens:
    """Implements `engine.protocols.Tokens`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        """Keep a new token."""
        self._connection.execute(insert(tables.tokens), token_values(token))

    def find_by_hash(self, hash: str) -> Token | None:
        """Return the token whose secret has that hash, ended ones included."""
        row = self._connection.execute(select(tables.tokens).where(tables.tokens.c.hash == hash)).first()
        return None if row is None else token_of(row)

    def list_all(self) -> list[Token]:
        """Return all tokens, oldest first."""
        return [token_of(row) for row in self._connection.execute(select(tables.tokens).order_by(tables.tokens.c.id))]

    def revoke(self, token_id: str, *, at: datetime) -> None:
        """End a token; one that is ended already keeps its time. Raises `NotFound`."""
        known = self._connection.execute(select(tables.tokens.c.id).where(tables.tokens.c.id == token_id)).first()
        if known is None:
            raise NotFound("token", token_id, hint="`treadle token list` shows them all.")
        self._connection.execute(
            update(tables.tokens)
            .where(tables.tokens.c.id == token_id, tables.tokens.c.revoked_at.is_(None))
            .values(revoked_at=moment(at))
        )

    def touch(self, token_id: str, *, at: datetime) -> None:
        """Remember that it was used."""
        self._connection.execute(update(tables.tokens).where(tables.tokens.c.id == token_id).values(last_used_at=moment(at)))
