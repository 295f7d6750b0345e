"""What came back from a request, and what its status means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import orjson

from engine.errors import RateLimited, Refused, SignInAgain, StepError, TimedOut, Unavailable
from engine.steps.contract import File
from engine.steps.formats.source import encoding_named

TEXTUAL: Final = ("json", "xml", "yaml", "javascript", "x-www-form-urlencoded", "csv", "x-ndjson", "graphql")
LONGEST_WAIT: Final = timedelta(days=1)
SHOWN: Final = 500
_LINK: Final = re.compile(r"<([^>]*)>([^<]*)")
_REL: Final = re.compile(r"""rel\s*=\s*"?([^";,]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    One answer: small texts in `content`, anything binary or big as a `file`.

    `headers` have lower-case names; one that came several times is joined by commas, `set-cookie` by line breaks.
    """

    status_code: int
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    file: File | None = None

    @property
    def media_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def encoding(self) -> str:
        """The encoding the service names, else UTF-8."""
        found = re.search(r"charset\s*=\s*\"?([\w.\-]+)", self.headers.get("content-type", ""), re.IGNORECASE)
        return (encoding_named(found[1]) if found else None) or "utf-8"

    @property
    def text(self) -> str:
        """The body as text; what cannot be decoded is shown as a replacement character."""
        return self.content.decode(self.encoding, "replace").removeprefix("\ufeff")

    def json(self) -> Any:
        """Return the body read as JSON; raises `Refused` when it is none."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise Refused(f"{host_of(self.url)} promised JSON and sent something else: {error}.", where=self.where()) from None

    def data(self) -> Any:
        """Return the body in the form its type speaks of: JSON read, text, a file, or None when there is nothing."""
        if self.file is not None:
            return self.file
        if not self.content:
            return None
        if "json" in self.media_type and "ndjson" not in self.media_type:
            try:
                return orjson.loads(self.content)
            except orjson.JSONDecodeError:
                return self.text
        return self.text

    def link(self, relation: str) -> str | None:
        """Return the address that the `Link` header gives for a relation such as `next` (RFC 8288)."""
        for address, parameters in _LINK.findall(self.headers.get("link", "")):
            found = _REL.search(parameters)
            if found and relation in found[1].lower().split():
                return str(address)
        return None

    def where(self) -> dict[str, object]:
        """Return what an error says about it."""
        return {"status": self.status_code, "url": shown_url(self.url)}


def is_textual(media_type: str) -> bool:
    """Whether bodies of this media type are text."""
    return media_type.startswith("text/") or any(word in media_type for word in TEXTUAL)


def error_for(answer: Answer, *, now: datetime, has_connection: bool = False) -> StepError | None:
    """Return what a status from 400 on means, None for the others."""
    status = answer.status_code
    if status < 400:
        return None
    host = host_of(answer.url)
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    said = f"{host} answered {status} {phrase}".rstrip()
    where = {**answer.where(), **({"body": excerpt} if (excerpt := answer.text.strip()[:SHOWN]) else {})}
    error: StepError
    if status == 429:
        error = RateLimited(host, retry_after=retry_after(answer.headers, now))
        error.where = where
    elif status == 408:
        error = TimedOut(f"{said}.", where=where)
    elif status >= 500:
        error = Unavailable(f"{said}.", retry_after=retry_after(answer.headers, now), where=where)
    elif status == 401 and has_connection:
        error = SignInAgain(f"{host} no longer accepts the connection.", hint="Sign in again.", where=where)
    else:
        error = Refused(f"{said}.", hint=_HINTS.get(status), where=where)
    return error


_HINTS: Final = {
    400: "The service did not understand the request: compare body and query with its documentation.",
    401: "The service wants to know who asks: add a sign-in.",
    403: "Who you are may not do this there.",
    404: "Check the address: there is nothing at it.",
    405: "The address does not take this method.",
    409: "It clashes with what is there already.",
    413: "The body is too large for the service.",
    415: "The service does not take bodies of this type.",
    422: "The service found a value in the request that it cannot accept.",
}


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """
    Return how long the service wants us to wait: `Retry-After` in seconds or as a date, else `X-RateLimit-Reset`.

    None when it does not say; never negative, never more than a day.
    """
    written = headers.get("retry-after", "").strip()
    if written:
        return _wait(written, now)
    reset = (headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or "").strip()
    if not reset.isdecimal():
        return None
    seconds = int(reset[:12])
    return _bounded(timedelta(seconds=seconds - now.timestamp()) if seconds > 1_000_000_000 else timedelta(seconds=seconds))


def _wait(written: str, now: datetime) -> timedelta | None:
    if written.isdecimal():
        return _bounded(timedelta(seconds=int(written[:9])))
    try:
        moment = parsedate_to_datetime(written)
    except (ValueError, TypeError):
        return None
    return _bounded((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now)


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def host_of(url: str) -> str:
    """Return the host of an address, as a person would name the service."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2] or url[:60]


def shown_url(url: str) -> str:
    """Return an address without what may be secret in it: no user, no query."""
    scheme, _, rest = url.partition("://")
    place, _, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2].partition('?')[0]}/{path.partition('?')[0].partition('#')[0]}"
