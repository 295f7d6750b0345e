"""
Who may come in: addresses, hosts, origins, sessions.

Locally the enemies are other web pages (a foreign site that sends requests here, or that points its own name at this machine)
and other people on this machine. So: loopback only, the `Host` has to be ours, the `Origin` has to be the page's own, and pages
and sockets need the session that a launch link gave. Everything here is plain ASGI, because websockets pass no other gate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from app.api.errors import problem
from app.web.asgi import NO_SNIFF, NO_STORE, App, Header, Message, Receive, Scope, Send, send_bytes, send_json
from app.web.sessions import PARAMETER, Sessions
from engine.errors import NotAllowed

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
PAGE_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", b"frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'"),
    NO_SNIFF,
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def check_listen(host: str) -> None:
    """Pass for a loopback address; raises `NotAllowed` for any other, which needs sign-in and TLS."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise NotAllowed(
            f"Treadle listens on this machine only, not on {host}: it has no sign-in for other people yet.",
            hint="Leave --host out, and reach it from elsewhere through a tunnel: ssh -L 8321:127.0.0.1:8321 MACHINE",
            where={"host": host},
        )


def host_name(host: str) -> str:
    """Return the name in a `Host` header, without its port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


class Hosts:
    """The host names that are us; the port does not matter, since a tunnel may change it."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._names = LOOPBACK | {name.lower() for name in more}
        self._known: dict[bytes, bool] = {}

    def allows(self, host: bytes | None) -> bool:
        """Whether a `Host` header names us; a request without one does not."""
        if host is None:
            return False
        known = self._known.get(host)
        if known is None:
            known = host_name(host.decode("latin-1")) in self._names
            if len(self._known) < 1000:
                self._known[host] = known
        return known


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def is_own_origin(scope: Scope) -> bool:
    """Whether the request comes from one of our own pages, or from no page at all."""
    origin = header(scope, b"origin")
    if origin is not None:
        host = header(scope, b"host") or b""
        return origin.lower() in {b"http://" + host.lower(), b"https://" + host.lower()}
    return header(scope, b"sec-fetch-site") in {None, b"same-origin", b"none"}


async def refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for a name that is not ours."""
    told = {
        "code": "wrong_host",
        "message": "This name does not lead to Treadle.",
        "hint": "Use http://127.0.0.1 or http://localhost, with the port that Treadle printed.",
    }
    await _refuse(scope, receive, send, 400, **told)


async def refuse_origin(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that another site's page sent."""
    told = {"code": "wrong_origin", "message": "Requests from the pages of other sites are refused.", "hint": None}
    await _refuse(scope, receive, send, 403, **told)


class Gate:
    """
    Stands before the studio's pages and sockets and lets only its own person in.

    A page opened with a launch token gets the session's cookie and is sent on to the same address without the token.
    """

    def __init__(self, app: App, sessions: Sessions) -> None:
        self.app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        is_page = scope["type"] == "http" and scope["method"] in SAFE and not scope["path"].startswith("/_nicegui")
        if not is_page and not is_own_origin(scope):
            await refuse_origin(scope, receive, send)
            return
        session = self._sessions.find((header(scope, b"cookie") or b"").decode("latin-1"))
        if is_page and PARAMETER.encode() in scope.get("query_string", b""):
            await self._launch(scope, send, session)
        elif session is None:
            await self._ask_in(scope, receive, send)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send))

    async def _launch(self, scope: Scope, send: Send, session: str | None) -> None:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in query if name == PARAMETER), "")
        value = self._sessions.redeem(token)
        if value is None and session is None:
            await _send_page(send, 401, "This link does not work any more", "A launch link opens the studio once.")
            return
        rest = urlencode([(name, text) for name, text in query if name != PARAMETER])
        path = "/" + quote(scope["path"].lstrip("/"))
        headers: list[Header] = [(b"location", (path + (f"?{rest}" if rest else "")).encode()), NO_STORE, *PAGE_HEADERS]
        if value is not None:
            cookie = self._sessions.cookie(value, is_secure=scope.get("scheme") == "https")
            headers.append((b"set-cookie", cookie.encode()))
        await send_bytes(send, 303, b"", headers)

    async def _ask_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"text/html" in (header(scope, b"accept") or b""):
            came_from_elsewhere = header(scope, b"sec-fetch-site") == b"cross-site"
            again = scope["path"] if came_from_elsewhere else None
            await _send_page(send, 401, "This studio is locked", "It opens with the link that its owner gets.", again=again)
            return
        told = {
            "code": "not_signed_in",
            "message": "The studio opens with a launch link.",
            "hint": "Run “treadle” to open it, or “treadle --no-open” to print the link.",
        }
        await _refuse(scope, receive, send, 401, **told)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, **told: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await send_json(send, status, problem(status, **told))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in PAGE_HEADERS if pair[0] not in names)]
        await send(message)

    return send_with_headers


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Treadle</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{{color-scheme:light dark;--ink:#1d2330;--soft:#5b6475;--back:#f6f7f9;--card:#fff;--line:#e3e6ec}}
@media(prefers-color-scheme:dark){{:root{{--ink:#e8eaf0;--soft:#9aa3b5;--back:#12151c;--card:#1a1f29;--line:#2a3140}}}}
body{{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--back);color:var(--ink);
font:16px/1.6 system-ui,sans-serif}}main{{max-width:26rem;margin:1rem;padding:2rem;background:var(--card);
border:1px solid var(--line);border-radius:12px}}h1{{font-size:1.25rem;margin:0 0 .5rem}}p{{margin:.5rem 0;color:var(--soft)}}
code{{padding:.1rem .4rem;border:1px solid var(--line);border-radius:6px;color:var(--ink)}}a{{color:inherit}}
</style></head><body><main><h1>{title}</h1><p>{text}</p>
<p>Type <code>treadle</code> in a terminal to open it, or <code>treadle --no-open</code> to print a fresh link.</p>
{more}</main></body></html>"""


async def _send_page(send: Send, status: int, title: str, text: str, *, again: str | None = None) -> None:
    more = f'<p><a href="/{quote(again.lstrip("/"))}">Open it here</a> if you are signed in already.</p>' if again else ""
    body = PAGE.format(title=escape(title), text=escape(text), more=more).encode()
    csp = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
    headers = [(b"content-type", b"text/html; charset=utf-8"), NO_STORE, csp, *PAGE_HEADERS[1:]]
    await send_bytes(send, status, body, headers)
