"""
The one way out: the only place that knows the HTTP library.

Connections are pooled and made through the guard; nothing of the environment (proxies, .netrc) is trusted; every answer has a
largest size; failures are raised by meaning. Trying again is the engine's: errors carry how long the service wants us to wait.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import httpcore
import httpx

from connectors._runtime.answers import Answer, error_for, host_of, is_textual, shown_url
from connectors._runtime.guard import DESKTOP, GuardedBackend, NetworkPolicy
from connectors._runtime.methods import SAFE
from connectors._runtime.outgoing import CHUNK, address_of, body_of, headers_of
from engine.errors import BadInput, Refused, StepError, TimedOut, TooLarge, Unavailable
from engine.steps.contract import File, Files

MEGABYTE: Final = 1_000_000
CARRIED: Final = frozenset({"accept", "accept-language", "user-agent", "content-type", "content-length"})
"""The headers that follow a redirect to another host; all others may hold a secret."""
CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How big an answer may be: `inline` bytes of text in memory, the rest as a file; `total` is the end."""

    inline: int = 8 * MEGABYTE
    total: int = 200 * MEGABYTE
    timeout: timedelta = timedelta(seconds=60)
    redirects: int = 10
    connections: int = 100


class HttpClient:
    """Sends requests; close it when the program ends. See `engine.steps.contract.Http`."""

    def __init__(
        self,
        policy: NetworkPolicy = DESKTOP,
        *,
        limits: Limits | None = None,
        user_agent: str = "Treadle",
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._limits = limits or Limits()
        self._user_agent = user_agent
        self._certificates = certificates
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; closing twice is harmless."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        json: Any = None,
        content: str | bytes | None = None,
        form: Mapping[str, Any] | None = None,
        multipart: Mapping[str, Any] | None = None,
        file: File | None = None,
        files: Files | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a duration, as forms give it
        max_bytes: int | None = None,
        redirects: int | None = None,
        as_file: bool | None = None,
        fail_on_status: bool = True,
        has_connection: bool = False,
        idempotency_key: str = "",
        idempotency_header: str = "Idempotency-Key",
        patience: int = 0,
    ) -> Answer:
        """
        Send one request and return the answer, redirects followed.

        At most one body: `json`, `content`, `form`, `multipart` (texts and files by name) or `file`. `files` is where files
        come from and where big and binary answers go; `as_file` forces or forbids that. A write carries `idempotency_key` in
        the header of that name, unless the name is empty or the header is given already. `patience` is how often a safe request
        is repeated here after a 429 or 503 that says to wait at most half a minute.

        Raises `BadInput` for an address or header that cannot be sent, `TimedOut`, `Unavailable`, `RateLimited`, `SignInAgain`,
        `Refused` (statuses from 400 on, forbidden addresses), `TooLarge`. With `fail_on_status` false a status is no error.
        """
        method = method.upper()
        wait = timeout or self._limits.timeout
        target = address_of(url, query)
        sent_headers = headers_of(headers)
        if idempotency_key and idempotency_header and method not in SAFE:
            for name, value in headers_of({idempotency_header: idempotency_key}).items():
                sent_headers.setdefault(name, value)
        while True:
            try:
                with ExitStack() as opened:
                    body = body_of(opened, sent_headers, json, content, form, multipart, file, files)
                    async with asyncio.timeout(wait.total_seconds()):
                        answer = await self._exchange(method, target, sent_headers, body, files, max_bytes, redirects, as_file)
            except TimeoutError:
                where: dict[str, object] = {"url": shown_url(str(target))}
                raise TimedOut(f"{target.host} did not answer within {wait.total_seconds():g} s.", where=where) from None
            error = error_for(answer, now=datetime.now(UTC), has_connection=has_connection) if fail_on_status else None
            if error is None:
                return answer
            pause = _short_pause(error)
            if patience <= 0 or method not in SAFE or pause is None:
                raise error
            patience -= 1
            await asyncio.sleep(pause)

    async def _exchange(
        self,
        method: str,
        target: httpx.URL,
        headers: dict[str, str],
        body: dict[str, Any],
        files: Files | None,
        max_bytes: int | None,
        redirects: int | None,
        as_file: bool | None,
    ) -> Answer:
        client = self._open()
        left = self._limits.redirects if redirects is None else redirects
        try:
            request = client.build_request(method, target, headers=headers, **body)
            while True:
                response = await client.send(request, stream=True)
                try:
                    following = response.next_request
                    if following is None or redirects == 0:
                        return await self._read(response, files, max_bytes or self._limits.total, as_file)
                    if left <= 0:
                        raise Refused(f"{target.host} sends us round in circles.", where={"url": shown_url(str(target))})
                finally:
                    await response.aclose()
                left -= 1
                if (request.url.scheme, request.url.host, request.url.port) != _origin(following.url):
                    for name in [name for name in following.headers if name not in CARRIED and name != "host"]:
                        del following.headers[name]
                request = following
        except httpx.HTTPError as error:
            raise _translated(error, target) from error
        except httpx.StreamError as error:
            raise Refused(f"{target.host} redirects the upload of a file.", hint="Send it to the last address.") from error
        except httpx.InvalidURL as error:
            raise BadInput("url", f"The service redirects to an address that is none: {error}.") from error

    async def _read(self, response: httpx.Response, files: Files | None, most: int, as_file: bool | None) -> Answer:
        headers = _joined(response.headers)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        url = str(response.url)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most and response.request.method != "HEAD":
            raise _too_large(url, most)
        goes_to_file = as_file if as_file is not None else bool(media_type) and not is_textual(media_type)
        goes_to_file = goes_to_file and files is not None and response.status_code < 400
        inline = most if files is None or as_file is False or response.status_code >= 400 else self._limits.inline
        held = bytearray()
        async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_bytes(CHUNK))) as chunks:
            async for chunk in chunks:
                held += chunk
                if len(held) > most:
                    raise _too_large(url, most)
                if files is not None and inline < most and (len(held) > inline or (goes_to_file and len(held) > CHUNK)):
                    file = await _spool(bytes(held), chunks, files, url, headers, media_type, most)
                    return Answer(status_code=response.status_code, url=url, headers=headers, file=file)
        content = bytes(held)
        if goes_to_file and content and files is not None:
            file = await files.keep(content, name=_file_name(url, headers), media_type=media_type)
            return Answer(status_code=response.status_code, url=url, headers=headers, file=file)
        return Answer(status_code=response.status_code, url=url, headers=headers, content=content)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            transport = _GuardedTransport(self._policy, self._certificates, self._limits.connections)
            self._client = httpx.AsyncClient(
                transport=transport,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
                headers={"user-agent": self._user_agent, "accept-encoding": "gzip, deflate"},
            )
        return self._client


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """The usual transport with the guard in its pool; the library has no public way to hand one in."""

    def __init__(self, policy: NetworkPolicy, certificates: ssl.SSLContext | None, connections: int) -> None:
        context = certificates or httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections // 5,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(policy),
        )


async def _spool(
    held: bytes, chunks: AsyncIterator[bytes], files: Files, url: str, headers: Mapping[str, str], media_type: str, most: int
) -> File:
    """Write what is held and what still comes to a file of the store."""
    size = len(held)
    with tempfile.TemporaryDirectory(prefix="treadle-") as folder:
        path = Path(folder) / "answer"
        with path.open("wb") as target:
            target.write(held)
            async for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise _too_large(url, most)
                await asyncio.to_thread(target.write, chunk)
        return await files.keep(path, name=_file_name(url, headers), media_type=media_type or "application/octet-stream")


def _file_name(url: str, headers: Mapping[str, str]) -> str:
    disposition = headers.get("content-disposition", "")
    for part in disposition.split(";"):
        key, _, value = part.strip().partition("=")
        if key.lower() == "filename" and value.strip('" '):
            return value.strip('" ').replace("\\", "/").rpartition("/")[2][:200] or "download"
    return httpx.URL(url).path.rstrip("/").rpartition("/")[2][:200] or "download"


def _joined(headers: httpx.Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers.multi_items():
        key = name.lower()
        found[key] = f"{found[key]}{chr(10) if key == 'set-cookie' else ', '}{value}" if key in found else value
    return found


def _too_large(url: str, most: int) -> TooLarge:
    where: dict[str, object] = {"url": shown_url(url)}
    return TooLarge(f"{host_of(url)} sends more than {most / MEGABYTE:g} MB.", hint="Raise the largest size.", where=where)


def _short_pause(error: StepError) -> float | None:
    """Return the seconds a service asked us to wait, when it said so and it is short."""
    wait = getattr(error, "retry_after", None)
    return wait.total_seconds() if wait is not None and wait <= timedelta(seconds=30) else None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _translated(error: httpx.HTTPError, target: httpx.URL) -> StepError:
    """Return what a failure of the library means."""
    host, where = target.host, {"url": shown_url(str(target))}
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{host} did not answer in time.", where=where)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return BadInput("url", f"The request to {host} cannot be sent: {error}.")
    if isinstance(error, httpx.DecodingError):
        return Refused(f"{host} sent a body that cannot be unpacked.", where=where)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Refused(
            f"{host} could not prove who it is: {_reason(error)}.", hint="Its certificate is not trusted here.", where=where
        )
    verb = "could not be reached" if isinstance(error, httpx.ConnectError) else "broke off"
    return Unavailable(f"{host} {verb}: {_reason(error)}.", where=where)


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
