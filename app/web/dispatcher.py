"""
The front door: one small ASGI application that sends each request to the part that answers it.

Webhooks, the API, health and metrics are answered here, before NiceGUI sees them: its middlewares cost a webhook forty times
its own work. Everything else is the studio, behind its gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from app.web.asgi import NO_STORE, App, Message, Receive, Scope, Send, send_bytes, send_json, send_problem
from app.web.metrics import Metrics
from app.web.security import Hosts, is_own_origin, refuse_host, refuse_origin
from engine.errors import TreadleError

log = logging.getLogger(__name__)

API: Final = "/api/v1"
PUBLIC: Final = ("/w/", "/forms/")
"""Pages for people without a sign-in."""
TEXT: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[object]]
Ready = Callable[[], Awaitable[bool]]


class Dispatcher:
    """
    Routes by path: `/hooks/…`, `/w/…` and `/forms/…` (public pages),
    `/api/v1/…`, `/healthz`, `/readyz`, `/metrics`, and the studio for the rest.

    `app` is the studio (NiceGUI behind its gate) and gets the lifespan events; `lifespan`, when given, is entered before it
    starts and left after it stopped. `ready` says whether work is accepted.
    """

    def __init__(
        self,
        app: App,
        *,
        hooks: App,
        api: App,
        pages: App | None = None,
        hosts: Hosts,
        metrics: Metrics | None = None,
        ready: Ready | None = None,
        lifespan: Lifespan | None = None,
    ) -> None:
        self.app = app
        self.metrics = metrics or Metrics()
        self._pages = pages
        self._hooks, self._api, self._hosts, self._ready, self._lifespan = hooks, api, hosts, ready, lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        host = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                break
        if not self._hosts.allows(host):
            await refuse_host(scope, receive, send)
            return
        path: str = scope["path"]
        if kind == "http":
            if path.startswith("/hooks/"):
                await self._hooks(scope, receive, self._counting("hooks", send))
                return
            if path.startswith("/api/"):
                await self._serve_api(scope, receive, self._counting("api", send))
                return
            if path.startswith(PUBLIC) and self._pages is not None:
                await self._pages(scope, receive, self._counting("pages", send))
                return
            if path in {"/healthz", "/readyz", "/metrics"}:
                await self._serve_state(scope, send)
                return
        elif path.startswith(("/hooks/", "/api/", *PUBLIC)):
            await refuse_origin(scope, receive, send)
            return
        await self.app(scope, receive, self._counting("studio", send) if kind == "http" else send)

    async def _serve_api(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_own_origin(scope):
            await refuse_origin(scope, receive, send)
        elif scope["path"].startswith(API + "/"):
            await self._api({**scope, "root_path": scope.get("root_path", "") + API}, receive, send)
        else:
            await send_problem(send, 404, message="There is no such API.", hint="This Treadle answers /api/v1.")

    async def _serve_state(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            await send_problem(send, 405, ((b"allow", b"GET, HEAD"),))
        elif scope["path"] == "/healthz":
            await send_json(send, 200, {"status": "ok"})
        elif scope["path"] == "/readyz":
            if self._ready is None or await self._is_ready():
                await send_json(send, 200, {"status": "ready"})
            else:
                await send_problem(send, 503)
        else:
            try:
                body = await self.metrics.render()
            except TreadleError as error:
                log.warning("metrics cannot be gathered", extra={"error": error.message})
                await send_problem(send, 503)
                return
            await send_bytes(send, 200, body, (TEXT, NO_STORE))

    async def _is_ready(self) -> bool:
        assert self._ready is not None
        try:
            async with asyncio.timeout(5):
                return await self._ready()
        except (TreadleError, TimeoutError):
            return False

    def _counting(self, area: str, send: Send) -> Send:
        metrics = self.metrics

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.count_request(area, message["status"])
            await send(message)

        return counted

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._lifespan is None:
            await self.app(scope, receive, send)
            return
        told = False

        async def relay() -> Message:
            nonlocal told
            message = await receive()
            told = told or message["type"] == "lifespan.startup"
            return message

        try:
            async with self._lifespan():
                await self.app(scope, relay, send)
        except Exception as error:
            if not told:
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                log.error("start failed", extra={"error": str(error)})
                return
            raise
