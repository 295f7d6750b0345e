"""Who may come in: launch links, sessions, hosts, origins, addresses."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.web.security import Gate, Hosts, check_listen, host_name
from app.web.sessions import LINK_LIFE, SESSION_LIFE, Sessions, launch_url, load_key, make_launch_token
from engine.clock import ManualClock
from engine.errors import NotAllowed
from tests.web.house import a_house, no_screen, served

pytestmark = pytest.mark.anyio

KEY = b"k" * 32
PAGE = {"Accept": "text/html"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sessions(clock: ManualClock) -> Sessions:
    return Sessions(KEY, clock)


@pytest.fixture
async def client(sessions: Sessions) -> AsyncIterator[httpx.AsyncClient]:
    async with served(Gate(no_screen, sessions)) as client:
        yield client


def cookie_of(sessions: Sessions, clock: ManualClock) -> dict[str, str]:
    """Return the headers of a browser that is signed in."""
    value = sessions.redeem(make_launch_token(KEY, clock))
    assert value is not None
    return {"Cookie": f"other=1; {sessions.cookie_name}={value}"}


async def test_a_launch_link_signs_in_once(client: httpx.AsyncClient, clock: ManualClock):
    """
    The link is exchanged for a cookie that scripts cannot read, and leaves the address bar; a second browser gets nothing.
    """
    path = launch_url("", make_launch_token(KEY, clock)) + "&tab=runs"
    first = await client.get(path)
    assert (303, "/?tab=runs") == (first.status_code, first.headers["location"])
    cookie = first.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert "the studio" == (await client.get(first.headers["location"])).text
    assert 303 == (await client.get(path)).status_code, "who is signed in is only sent on"
    client.cookies.clear()
    again = await client.get(path, headers=PAGE)
    assert (401, False) == (again.status_code, "set-cookie" in again.headers)
    assert "treadle --no-open" in again.text


@pytest.mark.parametrize("path", ["/", "/workflows/x", "/_nicegui/3.18.0/static/x.js", "/_nicegui_ws/socket.io/?EIO=4"])
async def test_without_a_session_nothing_opens(client: httpx.AsyncClient, path: str):
    """
    Pages, their parts and the polling socket answer 401 with the way to open the studio.
    """
    answer = await client.get(path)
    assert (401, "not_signed_in") == (answer.status_code, answer.json()["error"]["code"])
    page = await client.get(path, headers=PAGE)
    assert (401, True) == (page.status_code, "<code>treadle</code>" in page.text)


async def test_what_is_no_session(client: httpx.AsyncClient, sessions: Sessions, clock: ManualClock):
    """
    A cookie that was changed, is over, was ended, or comes from another installation opens nothing.
    """
    good = cookie_of(sessions, clock)
    assert 200 == (await client.get("/", headers=good)).status_code
    value = good["Cookie"].rpartition("=")[2]
    launch = make_launch_token(KEY, clock)
    other = Sessions(b"o" * 32, clock).redeem(make_launch_token(b"o" * 32, clock))
    for wrong in (value[:-1] + ("A" if value[-1] != "A" else "B"), value.replace(".", "", 1), launch, other, "", "x" * 5000):
        assert 401 == (await client.get("/", headers={"Cookie": f"{sessions.cookie_name}={wrong}"})).status_code
    sessions.end(sessions.find(good["Cookie"]) or "")
    assert 401 == (await client.get("/", headers=good)).status_code
    later = cookie_of(sessions, clock)
    clock.advance(SESSION_LIFE + timedelta(minutes=1))
    assert 401 == (await client.get("/", headers=later)).status_code


def test_links_that_do_not_work(sessions: Sessions, clock: ManualClock):
    """
    A link that is too old, from before the server's start, signed with another key, or a session's cookie is refused.
    """
    old = make_launch_token(KEY, clock)
    clock.advance(LINK_LIFE + timedelta(seconds=1))
    assert sessions.redeem(old) is None
    early = make_launch_token(KEY, clock)
    clock.advance(timedelta(minutes=5))
    assert Sessions(KEY, clock).redeem(early) is None
    assert sessions.redeem(make_launch_token(b"x" * 32, clock)) is None
    session = sessions.redeem(make_launch_token(KEY, clock))
    assert session is not None
    assert sessions.redeem(session) is None
    for odd in ("", ".", "..", "a.b.c", "ä.1.x", "a." + "9" * 400 + ".x", "a.²." + "x" * 43):
        assert sessions.redeem(odd) is None


async def test_a_session_outlives_a_restart(tmp_path: Path, clock: ManualClock):
    """
    The key lies in the store: after a restart the browser is still signed in, and the command line makes links that work.
    """
    async with a_house(tmp_path, clock=clock) as house:
        cookie = cookie_of_key(await load_key(house.store), clock)
    clock.advance(timedelta(days=1))
    async with a_house(tmp_path, clock=clock) as house:
        key = await load_key(house.store)
        assert Sessions(key, clock).find(cookie) is not None


def cookie_of_key(key: bytes, clock: ManualClock) -> str:
    sessions = Sessions(key, clock)
    return f"{sessions.cookie_name}={sessions.redeem(make_launch_token(key, clock))}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="no page at all, such as curl"),
        pytest.param({"Origin": "OWN"}, 200, id="our own page"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="a foreign page"),
        pytest.param({"Origin": "null"}, 403, id="a page that hides where it is from"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, 403, id="another port of this machine"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="a foreign page in a browser without Origin"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="another port in a browser without Origin"),
    ],
)
async def test_where_a_change_comes_from(client: httpx.AsyncClient, sessions: Sessions, clock: ManualClock, headers, status):
    """
    What changes something comes from our own pages, even with a good cookie.
    """
    own = str(client.base_url).rstrip("/")
    given = {name: own if value == "OWN" else value for name, value in headers.items()}
    answer = await client.post("/anything", headers={**cookie_of(sessions, clock), **given})
    assert status == answer.status_code
    polled = await client.get("/_nicegui_ws/socket.io/?EIO=4", headers={**cookie_of(sessions, clock), **given})
    assert status == polled.status_code


@pytest.mark.parametrize(
    ("origin", "signed_in", "is_open"),
    [
        pytest.param("http://127.0.0.1:8321", True, True, id="our own page"),
        pytest.param(None, True, True, id="no page, but a session"),
        pytest.param("https://evil.example", True, False, id="a foreign page"),
        pytest.param("http://127.0.0.1:8321", False, False, id="nobody"),
    ],
)
async def test_websockets(sessions: Sessions, clock: ManualClock, origin: str | None, signed_in: bool, is_open: bool):
    """
    A websocket opens from our own pages with a session, and closes on all others before it is accepted.
    """
    headers = [(b"host", b"127.0.0.1:8321")]
    if origin:
        headers.append((b"origin", origin.encode()))
    if signed_in:
        headers.append((b"cookie", cookie_of(sessions, clock)["Cookie"].encode()))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/_nicegui_ws/socket.io/", "headers": headers, "query_string": b""}
    await Gate(no_screen, sessions)(scope, receive, send)
    assert ("websocket.accept" if is_open else "websocket.close") == sent[0]


async def test_headers_of_pages(client: httpx.AsyncClient, sessions: Sessions, clock: ManualClock):
    """
    Pages cannot be framed, sniffed or told of to others.
    """
    headers = (await client.get("/", headers=cookie_of(sessions, clock))).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ("nosniff", "no-referrer") == (headers["x-content-type-options"], headers["referrer-policy"])


async def test_a_launch_link_goes_nowhere_else(client: httpx.AsyncClient, clock: ManualClock):
    """
    The address a link leads to is always one of ours.
    """
    for path in ("//evil.example/x", "/\\evil.example", "/%0d%0aSet-Cookie:x=1", "/%2f%2fevil.example"):
        raw = f"{path}?launch={make_launch_token(KEY, clock)}"
        answer = await client.request("GET", httpx.URL(str(client.base_url)).copy_with(raw_path=raw.encode()))
        where = answer.headers["location"]
        assert (303, True, False) == (answer.status_code, where.startswith("/"), where.startswith(("//", "/\\")))
        assert "x" not in answer.cookies


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.0.0.53"])
def test_loopback_may_be_listened_on(host: str):
    """
    Addresses of this machine alone are fine.
    """
    check_listen(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com", "", "127.0.0.1.evil.example"])
def test_other_addresses_are_refused(host: str):
    """
    Any other address is refused, with the way to reach Treadle from elsewhere all the same.
    """
    with pytest.raises(NotAllowed) as caught:
        check_listen(host)
    assert "ssh -L" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (b"127.0.0.1:8321", True),
        (b"LOCALHOST:9000", True),
        (b"[::1]:8321", True),
        (b"tunnel.example", True),
        (b"evil.example:8321", False),
        (b"127.0.0.1.evil.example", False),
        (b"localhost.evil.example", False),
        (b"", False),
        (None, False),
    ],
)
def test_hosts(host: bytes | None, allowed: bool):
    """
    The names that are us are those of this machine and those that were named.
    """
    hosts = Hosts(["tunnel.example"])
    assert (allowed, allowed) == (hosts.allows(host), hosts.allows(host))
    assert "[::1]" == host_name("[::1]:80")
