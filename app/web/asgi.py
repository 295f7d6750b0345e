"""The few pieces of ASGI that we speak ourselves, for the paths that have to be fast."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from functools import partial
from typing import Any

from app.api.errors import dump, problem, problem_of, status_of
from engine.errors import TooLarge, TreadleError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
NO_STORE: Header = (b"cache-control", b"no-store")
STALL_S = 30.0
"""Seconds that a body may stand still; how long it takes as a whole does not matter."""

NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")


async def send_bytes(send: Send, status: int, body: bytes, headers: Iterable[Header]) -> None:
    """Send a whole answer; its length is added."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, value: Any, headers: Iterable[Header] = ()) -> None:
    """Send JSON that no cache keeps."""
    await send_bytes(send, status, dump(value), (JSON, NO_STORE, NO_SNIFF, *headers))


async def send_problem(send: Send, status: int, headers: Iterable[Header] = (), **told: Any) -> None:
    """Send a problem; what is not told is what the status usually means."""
    await send_json(send, status, problem(status, **told), headers)


async def send_error(send: Send, error: TreadleError, headers: Iterable[Header] = ()) -> None:
    """Send an error with the status its kind has."""
    await send_json(send, status_of(error), problem_of(error), headers)


async def read_body(receive: Receive, limit: int, length: bytes | None = None) -> bytes | None:
    """
    Return the whole body, None when the client went away in the middle.

    Raises `TooLarge` as soon as more than `limit` bytes are announced or have arrived, `TimeoutError` when nothing more comes
    for half a minute.
    """
    if length is not None and length.isdigit() and int(length) > limit:
        raise too_large(limit)
    message = await _next(receive)
    if message["type"] != "http.request":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts, size = [body], len(body)
    while True:
        if size > limit:
            raise too_large(limit)
        message = await _next(receive)
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body"):
            if size > limit:
                raise too_large(limit)
            return b"".join(parts)


async def _next(receive: Receive) -> Message:
    """Return what comes next; where it is there already, which is usual, no alarm is set for it."""
    coming = receive().__await__()
    try:
        first = next(coming)
    except StopIteration as there:
        message: Message = there.value
        return message
    async with asyncio.timeout(STALL_S):
        return await _Rest(coming, first)


class _Rest:
    """What is left of something that was begun and had to wait: a wish for the event loop, and what follows."""

    __slots__ = ("_coming", "_first")

    def __init__(self, coming: Generator[Any, Any, Message], first: Any) -> None:
        self._coming, self._first = coming, first

    def __await__(self) -> Generator[Any, Any, Message]:
        wish = self._first
        while True:
            try:
                answer = yield wish
            except GeneratorExit:
                self._coming.close()
                raise
            except BaseException as error:
                advance = partial(self._coming.throw, error)
            else:
                advance = partial(self._coming.send, answer)
            try:
                wish = advance()
            except StopIteration as over:
                message: Message = over.value
                return message


def too_large(limit: int) -> TooLarge:
    """Return the error for a body over the limit."""
    return TooLarge(
        f"The body is larger than {limit // (1024 * 1024) or limit / (1024 * 1024):.4g} MB.",
        hint="The setting max_body_mb holds the limit.",
        where={"limit_bytes": limit},
    )
