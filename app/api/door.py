"""Who calls the API: a bearer token becomes a studio bound to its owner."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from app.api.errors import MESSAGES, dump
from app.api.models import ProblemAnswer
from engine.errors import BadRequest, TooLarge, TreadleError
from engine.service import Studio

M = TypeVar("M", bound=BaseModel)

MOST_BYTES = 10 * 1024 * 1024
"""The limit of a document, which is the largest thing the API takes in."""

STALL_S = 30.0
"""Seconds that a body may stand still."""

MOST_INPUT = 32 * 1024 * 1024
"""The limit of any body: the input of a run may be as large as a webhook's, and JSON is read as a whole."""

_NO_NUMBER = re.compile(rb"NaN|Infinity|[0-9][eE]\+?[0-9]{3}|[0-9]{300}")

NO_NUL = "^[^\\x00]*$"
"""What names in an address look like: anything but a zero byte, which no database takes."""


class NotSignedIn(TreadleError):
    """The call carries no token, or one that is not accepted any more."""

    code = "not_signed_in"

    def __init__(self, why: str) -> None:
        super().__init__(why, hint=MESSAGES[401][2])


bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token from `treadle token create NAME`, beginning with `trdl_`."
)


async def studio_of(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Studio:
    """Return the studio as the token's owner sees it; raises `NotSignedIn`."""
    if credentials is None or not credentials.credentials:
        raise NotSignedIn("This needs a token.")
    studio: Studio = request.app.state.studio
    actor = await studio.tokens.find_actor(credentials.credentials)
    if actor is None:
        raise NotSignedIn("This token is not accepted: it is unknown, was revoked, or has expired.")
    return studio.acting_as(actor)


Caller = Annotated[Studio, Depends(studio_of)]


def bounded(app: Any) -> Any:
    """Return the ASGI application with an end to every body: 413 for more than `MOST_INPUT` bytes, 408 for one that stalls."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        size, is_whole = 0, False

        async def receive_bounded() -> Any:
            nonlocal size, is_whole
            try:
                async with asyncio.timeout(None if is_whole else STALL_S):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            is_whole = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > MOST_INPUT:
                raise HTTPException(413)
            return message

        await app(scope, receive_bounded, send)

    return serve


def check_numbers(body: bytes) -> None:
    """
    Pass unless a JSON body has numbers that JSON does not have: NaN and what is too big for any float.

    Python's own reader, which the routes use, lets them in; nothing could be stored in their place. Raises `BadRequest`.
    """
    if _NO_NUMBER.search(body):
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from error


async def read_json(request: Request, model: type[M]) -> M:
    """
    Return the JSON object in the body as a model, read once it is known that the caller may; raises `BadRequest`.

    An empty body is an empty object.
    """
    body = await request.body()
    check_numbers(body)
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"“{place}”: {first['msg']}." if place else f"The body cannot be read: {first['msg']}.") from error


async def read_document(request: Request) -> bytes:
    """Return the document in the body; raises `TooLarge` or `BadRequest` for none at all."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise TooLarge("A document is 10 MB at most.", where={"limit_bytes": MOST_BYTES})
        parts.append(part)
    if not size:
        raise BadRequest("The body is empty.", hint="Send the workflow document, as YAML or JSON.")
    return b"".join(parts)


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """Return JSON that no cache keeps; names of headers are written with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(dump(value), status, {"cache-control": "no-store", **named}, "application/json")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries for problems with these statuses, and those that every route has."""
    return {status: {"model": ProblemAnswer, "description": _text(status)} for status in _with_usual(statuses)}


def _with_usual(statuses: Iterable[int]) -> list[int]:
    return sorted({400, 401, 403, 413, 422, 500, 503, *statuses})


def _text(status: int) -> str:
    return MESSAGES[status][1] if status in MESSAGES else "The request failed."


DOCUMENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The workflow document: YAML, or the same as JSON.",
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}
