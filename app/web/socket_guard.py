"""
A guard around NiceGUI's socket: an event counts only when it comes through the socket of the page it is meant for.

NiceGUI finds the page of a message by an id inside the message and does not ask which socket brought it; whoever knows the id
could press another person's buttons. So each handler is wrapped: the socket's session has to be alive and the one that opened
the page, and after the handshake the socket has to have joined the page's room. NiceGUI also lets pages of every site connect;
the Gate refuses those before, and the list of origins is closed here once more.

This leans on names inside NiceGUI 3.18 (`core.sio.handlers`, `Client.instances`, the room named after the client); a test fails
when they move.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from nicegui import Client, background_tasks, core
from socketio.exceptions import ConnectionRefusedError as SocketRefused  # type: ignore[import-untyped]

from app.web.sessions import Sessions

log = logging.getLogger(__name__)

GUARDED: Final = ("event", "javascript_response", "ack", "log")
"""Messages that a page sends once its socket has joined it."""

EXPECTED: Final = frozenset({"connect", "handshake", "disconnect", *GUARDED})


class SocketGuard:
    """Wraps NiceGUI's handlers once; `remove` puts them back."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._before: dict[str, Callable[..., Any]] = {}

    def install(self) -> None:
        """
        Stand before NiceGUI's handlers; doing it twice is harmless.

        Raises `RuntimeError` when NiceGUI has handlers that this guard does not know: nothing may pass it unseen.
        """
        if self._before:
            return
        handlers = core.sio.handlers["/"]
        if set(handlers) != EXPECTED:
            raise RuntimeError(f"NiceGUI's socket handlers have changed: {sorted(handlers)}; the socket guard must follow")
        self._before = dict(handlers)
        core.sio.eio.cors_allowed_origins = _is_own_origin
        handlers["connect"] = self._guard_connect(handlers["connect"])
        handlers["handshake"] = self._guard_handshake(handlers["handshake"])
        for name in GUARDED:
            handlers[name] = self._guard_message(name, handlers[name])

    def remove(self) -> None:
        """Give NiceGUI its own handlers back."""
        core.sio.handlers["/"].update(self._before)
        self._before = {}

    def _guard_connect(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(sid: str, environ: Mapping[str, Any], auth: Any = None) -> Any:
            client_id = parse_qs(environ.get("QUERY_STRING", "")).get("client_id", [""])[0]
            session = self._sessions.find(environ.get("HTTP_COOKIE"))
            if session is None or (client_id in Client.instances and session != self._session_of_page(client_id)):
                log.warning("socket refused", extra={"sid": sid})
                raise SocketRefused("this socket does not belong to the page")
            return await handler(sid, environ, auth)

        return connect

    def _guard_handshake(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        async def handshake(sid: str, data: Mapping[str, Any]) -> Any:
            if not self._is_owner(sid, _client_id(data)):
                self._turn_away(sid, "handshake")
                return False
            return await handler(sid, data)

        return handshake

    def _guard_message(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        assert not inspect.iscoroutinefunction(handler), f"{name} of NiceGUI is expected to be a plain function"

        def message(sid: str, data: Mapping[str, Any]) -> Any:
            client_id = _client_id(data)
            if client_id not in core.sio.rooms(sid) or not self._is_owner(sid, client_id):
                self._turn_away(sid, name)
                return None
            return handler(sid, data)

        return message

    def _is_owner(self, sid: str, client_id: str) -> bool:
        environ = core.sio.get_environ(sid) or {}
        session = self._sessions.find(environ.get("HTTP_COOKIE"))
        return session is not None and session == self._session_of_page(client_id)

    def _session_of_page(self, client_id: str) -> str | None:
        client = Client.instances.get(client_id)
        return self._sessions.find(client.request.headers.get("cookie")) if client is not None else None

    def _turn_away(self, sid: str, name: str) -> None:
        log.warning("socket message refused", extra={"sid": sid, "message_kind": name})
        environ = core.sio.get_environ(sid) or {}
        if self._sessions.find(environ.get("HTTP_COOKIE")) is None:
            background_tasks.create(_disconnect(sid), name=f"end socket {sid}")


async def _disconnect(sid: str) -> None:
    await asyncio.sleep(0)
    await core.sio.disconnect(sid)


def _is_own_origin(origin: str, environ: Mapping[str, Any]) -> bool:
    host = str(environ.get("HTTP_HOST", "")).lower()
    return origin.lower() in {f"http://{host}", f"https://{host}"}


def _client_id(data: Any) -> str:
    value = data.get("client_id") if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""
