"""What a connector calls `ctx.http`: requests to its service, signed, relative to its address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

from connectors._runtime.answers import Answer, host_of
from connectors._runtime.auth import Auth, sign
from connectors._runtime.methods import SAFE
from engine.errors import BadInput, Refused
from engine.steps.contract import Context

MOST_PAGES = 1000


class Session:
    """
    Requests of one action.

    `get`, `post` … return the body as data (JSON read, text, or a file); `request` returns the whole answer. Writes carry the
    step's idempotency key, the second and further ones with their number behind it, so that no service takes them for the
    first once more. A path is taken from the connector's `base_url`; secrets go to that host only, or to the
    `hosts` that the connection names.
    """

    def __init__(
        self, ctx: Context, *, base_url: str = "", auth: tuple[Auth, ...] = (), timeout: timedelta | None = None
    ) -> None:
        self._ctx = ctx
        self._base = base_url.rstrip("/") + "/" if base_url else ""
        self._auth = auth
        self._timeout = timeout
        self._writes = 0

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        """Send one request; see `connectors._runtime.http.HttpClient.request` for the options and errors."""
        target = self._target(url)
        signed = sign(self._auth, self._ctx.connection)
        options.setdefault("files", self._ctx.files)
        if method.upper() not in SAFE and "idempotency_key" not in options:
            options["idempotency_key"] = self._write_key()
        options.setdefault("has_connection", self._ctx.connection is not None)
        if self._timeout:
            options.setdefault("timeout", self._timeout)
        headers = {**signed.headers, **(options.pop("headers", None) or {})}
        query = {**(options.pop("query", None) or {}), **signed.query}
        answer: Answer = await self._ctx.http.request(method, target, headers=headers, query=query, **options)
        return answer

    def _write_key(self) -> str:
        self._writes += 1
        key = self._ctx.idempotency_key
        return f"{key}:{self._writes}" if key and self._writes > 1 else key

    async def get(self, url: str, **options: Any) -> Any:
        """Return what the service has there."""
        return (await self.request("GET", url, **options)).data()

    async def post(self, url: str, **options: Any) -> Any:
        """Send something new; return what the service says."""
        return (await self.request("POST", url, **options)).data()

    async def put(self, url: str, **options: Any) -> Any:
        """Replace what is there; return what the service says."""
        return (await self.request("PUT", url, **options)).data()

    async def patch(self, url: str, **options: Any) -> Any:
        """Change what is there; return what the service says."""
        return (await self.request("PATCH", url, **options)).data()

    async def delete(self, url: str, **options: Any) -> Any:
        """Remove what is there; return what the service says."""
        return (await self.request("DELETE", url, **options)).data()

    async def pages(
        self,
        url: str,
        *,
        items: str = "",
        cursor: str = "",
        param: str = "cursor",
        query: Mapping[str, Any] | None = None,
        most: int = MOST_PAGES,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """
        Yield the entries of a list that comes page by page.

        `items` is the path of the list in each body; `cursor` the path of the next page's cursor, sent as `param`; without it
        the `Link` header is followed. Raises `Refused` for a body that has no list there, and after `most` pages.
        """
        asked = dict(query or {})
        for _ in range(most):
            answer = await self.request("GET", url, query=asked, patience=3, **options)
            body = answer.data()
            listed = at_path(body, items)
            if not isinstance(listed, list):
                raise Refused(f"The service gave no list at “{items or 'the top'}”.", where=answer.where())
            for entry in listed:
                yield entry
            following = at_path(body, cursor) if cursor else answer.link("next")
            if not following:
                return
            if cursor:
                asked[param] = following
            else:
                url, asked = same_host(answer.url, str(following)), {}
        raise Refused(f"The list goes on after {most} pages.")

    def _target(self, url: str) -> str:
        connection = self._ctx.connection or {}
        if "://" in url:
            if connection.get("hosts") and host_of(url).partition(":")[0].lower() not in connection["hosts"]:
                raise BadInput(
                    "url",
                    f"The connection may not be used for {host_of(url)}.",
                    hint=f"It is for {', '.join(connection['hosts'])}.",
                )
            if self._base and self._ctx.connection is not None and not url.startswith(self._base):
                raise BadInput("url", f"The connection may not be used for {url.partition('?')[0]}.")
            return url
        if not self._base:
            raise BadInput("url", f"“{url[:200]}” is no web address.", hint="It begins with https:// or http://.")
        return urljoin(self._base, url.lstrip("/"))


def at_path(value: Any, path: str) -> Any:
    """Return what is at a dotted path, None when there is nothing."""
    for word in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(word)
        elif isinstance(value, list) and word.isdigit() and int(word) < len(value):
            value = value[int(word)]
        else:
            return None
    return value


def same_host(url: str, following: str) -> str:
    """Return the absolute address of the next page; raises `Refused` for another host, which might collect secrets."""
    target = urljoin(url, following)
    if target.split("/")[:3] != url.split("/")[:3]:
        raise Refused(f"The next page would be on another host: {target.partition('?')[0]}.")
    return target
