"""Errors at the HTTP border: which status a `TreadleError` has, and the one form every problem is told in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from engine.errors import (
    BadRequest,
    Busy,
    Conflict,
    InvalidDocument,
    NotAllowed,
    NotFound,
    RateLimited,
    StepError,
    StoreError,
    TimedOut,
    TooLarge,
    TreadleError,
    Unavailable,
)

STATUS: tuple[tuple[type[TreadleError], int], ...] = (
    (Busy, 503),
    (InvalidDocument, 422),
    (BadRequest, 400),
    (NotFound, 404),
    (Conflict, 409),
    (NotAllowed, 403),
    (TooLarge, 413),
    (StoreError, 503),
    (RateLimited, 429),
    (Unavailable, 503),
    (TimedOut, 504),
    (StepError, 422),
)
"""The first class that fits decides; whatever is not listed is our fault: 500."""

MESSAGES: Mapping[int, tuple[str, str, str | None]] = {
    400: ("bad_request", "The request cannot be read.", None),
    401: (
        "not_signed_in",
        "This needs a token.",
        "Make one with “treadle token create NAME” and send it as “Authorization: Bearer trdl_…”.",
    ),
    403: ("not_allowed", "This is not allowed.", None),
    404: ("not_found", "There is nothing at this address.", "GET /api/v1/openapi.json lists every address."),
    405: ("method_not_allowed", "This address does not know that method.", "The header “Allow” lists those it knows."),
    408: ("timed_out", "The body stopped in the middle.", "Send it again."),
    412: ("changed_meanwhile", "It was changed meanwhile.", "Read it again, then send your change with the new ETag."),
    413: ("too_large", "The request is too large.", None),
    415: ("unknown_media_type", "The body has a type that is not known here.", None),
    422: ("bad_request", "The request does not have the form it should.", None),
    429: ("rate_limited", "Too many requests.", None),
    500: ("internal", "Something broke inside Treadle.", "The log of the server has the details."),
    503: ("unavailable", "Treadle is not ready.", "Try again in a moment."),
    504: ("timed_out", "It took too long.", None),
}
"""Code, sentence and hint of a problem that has no error of its own, by status."""


def status_of(error: TreadleError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(
    status: int,
    *,
    code: str | None = None,
    message: str | None = None,
    hint: str | None = None,
    where: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return `{"error": {"code", "message", "hint", "where"}}`; what is not given is what the status usually means."""
    usual_code, usual_message, usual_hint = MESSAGES.get(status, ("error", "The request failed.", None))
    return {
        "error": {
            "code": code or usual_code,
            "message": message or usual_message,
            "hint": hint if hint is not None or message is not None else usual_hint,
            "where": dict(where or {}),
        }
    }


def problem_of(error: TreadleError) -> dict[str, Any]:
    """Return an error in the form of a problem."""
    return {"error": error.as_dict()}


def dump(value: Any) -> bytes:
    """Return JSON; what JSON does not have (moments, sets) becomes text or a list."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # An item may nest as deep as orjson goes; what it is wrapped in for an answer goes deeper.
        return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "as_json"):
        return value.as_json()
    return str(value)
