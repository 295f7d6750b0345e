"""Speak to the Treadle that is running on a data folder, through its own API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx

from app.instance import Instance
from engine.errors import TreadleError
from engine.service.tokens import TokenService

TOKEN_LIFE = timedelta(minutes=10)


class RemoteError(TreadleError):
    """What the running Treadle answered, word for word."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["message"], hint=problem.get("hint"), where=problem.get("where") or {})
        self.remote_code = problem["code"]

    def as_dict(self) -> dict[str, object]:
        """Return the problem with the code it came with."""
        return {**super().as_dict(), "code": self.remote_code}


class Remote:
    """The few calls that the command line needs."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """Call `/api/v1<path>` and return the JSON answer; raises `RemoteError` for a problem."""
        try:
            answer = await self._client.request(method, f"/api/v1{path}", **options)
        except httpx.HTTPError as error:
            raise TreadleError(
                f"The running Treadle does not answer: {error or type(error).__name__}.",
                hint="Is it just being stopped? Try again.",
            ) from error
        try:
            body = answer.json() if answer.content else None
            if answer.is_error:
                raise RemoteError(body["error"])
        except (ValueError, TypeError, KeyError) as error:
            raise TreadleError(
                f"What answers at {self._client.base_url} is no Treadle ({answer.status_code} {answer.reason_phrase}).",
                hint="Is a proxy or another program on its port?",
            ) from error
        return body


@asynccontextmanager
async def connect(instance: Instance, tokens: TokenService) -> AsyncIterator[Remote]:
    """
    Open a line to the running Treadle.

    Whoever may write to the data folder may speak for its owner: a token is made in the store for this one call and ended
    after it, so no secret ever lies in a file.
    """
    token, secret = await tokens.create("command line", ("read", "run", "write"), TOKEN_LIFE)
    try:
        async with httpx.AsyncClient(
            base_url=instance.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60, trust_env=False
        ) as client:
            yield Remote(client)
    finally:
        await tokens.revoke(token.id)
