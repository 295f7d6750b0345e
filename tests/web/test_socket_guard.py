"""The socket guard against the real NiceGUI: whose button a socket can press."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A studio with one button, in a process of its own, as NiceGUI is one per process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NICEGUI"))}
    environment["NICEGUI_STORAGE_PATH"] = str(tmp_path_factory.mktemp("nicegui"))
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.web.guarded_studio"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    try:
        assert line.strip(), "the studio did not start"
        yield int(line)
    finally:
        server.communicate(timeout=20)


class Browser:
    """A person's browser: its cookie, and the page it opened."""

    def __init__(self, port: int, http: httpx.AsyncClient) -> None:
        self.port, self.http = port, http
        self.cookie = ""
        self.page = ""

    async def sign_in(self) -> None:
        link = (await self.http.get("/hooks/link")).json()["path"]
        self.cookie = (await self.http.get(link)).headers["set-cookie"].partition(";")[0]

    async def open(self) -> None:
        """Open the page and remember its id."""
        known = set((await self.state())["pages"])
        answer = await self.http.get("/", headers={"Cookie": self.cookie})
        assert 200 == answer.status_code
        (self.page,) = set((await self.state())["pages"]) - known

    async def state(self) -> dict[str, Any]:
        return (await self.http.get("/hooks/state")).json()

    async def clicks(self, page: str) -> int:
        return (await self.state())["clicks"].count(page)

    @asynccontextmanager
    async def socket(self, page: str = "", *, origin: str | None = "own", cookie: str | None = None) -> AsyncIterator[Socket]:
        """Open the socket as NiceGUI's page does, for a page when one is named."""
        query = {"EIO": "4", "transport": "websocket"}
        if page:
            query |= {
                "client_id": page,
                "tab_id": f"tab-{page}",
                "document_id": "d1",
                "next_message_id": "0",
                "implicit_handshake": "true",
            }
        address = f"ws://127.0.0.1:{self.port}/_nicegui_ws/socket.io/?{urlencode(query)}"
        cookie = self.cookie if cookie is None else cookie
        async with connect(
            address,
            origin=f"http://127.0.0.1:{self.port}" if origin == "own" else origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie} if cookie else {},
            proxy=None,
        ) as line:
            yield Socket(line)


class Socket:
    """Speaks the few words of Engine.IO and Socket.IO that a page needs."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line

    async def join(self) -> bool:
        """Connect to the namespace; False when the server refuses."""
        assert str(await self._line.recv()).startswith("0")
        await self._line.send("40")
        while True:
            message = str(await asyncio.wait_for(self._line.recv(), 5))
            if message.startswith(("40", "44")):
                return message.startswith("40")

    async def emit(self, name: str, data: dict[str, Any]) -> None:
        await self._line.send("42" + orjson.dumps([name, data]).decode())

    async def press(self, browser: Browser, page: str) -> None:
        """Press the button of a page, whoever's it is, and return when the server has seen it."""
        button = (await browser.state())["pages"][page]
        data = {"id": button["element"], "client_id": page, "listener_id": button["listener"], "args": ["{}"]}
        await self.emit("event", data)
        await asyncio.sleep(0.2)

    async def is_open(self) -> bool:
        """Whether the server keeps the line."""
        try:
            async with asyncio.timeout(1):
                while True:
                    if str(await self._line.recv()) in {"1", "41"}:
                        return False
        except TimeoutError:
            return True
        except ConnectionClosed:
            return False


@pytest.fixture
async def http(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        yield http


@pytest.fixture
async def owner(port: int, http: httpx.AsyncClient) -> Browser:
    """The person whose button it is, with the page open."""
    browser = Browser(port, http)
    await browser.sign_in()
    await browser.open()
    http.cookies.clear()
    return browser


async def test_the_owner_presses(owner: Browser):
    """
    Through the page's own socket the button works.
    """
    async with owner.socket(owner.page) as socket:
        assert await socket.join()
        await socket.press(owner, owner.page)
    assert 1 == await owner.clicks(owner.page)


async def test_a_second_socket_of_the_same_browser(owner: Browser):
    """
    A socket of the right session that has not joined the page presses nothing on it.
    """
    async with owner.socket() as socket:
        assert await socket.join()
        await socket.press(owner, owner.page)
    assert 0 == await owner.clicks(owner.page)


async def test_another_person(owner: Browser, port: int, http: httpx.AsyncClient):
    """
    Another session cannot join the page by its id, and cannot press the button from a page of its own.
    """
    other = Browser(port, http)
    await other.sign_in()
    await other.open()
    async with other.socket(owner.page) as socket:
        assert not await socket.join()
    async with other.socket(other.page) as socket:
        assert await socket.join()
        await socket.press(other, owner.page)
        handshake = {"client_id": owner.page, "tab_id": f"tab-{owner.page}", "document_id": "d2", "next_message_id": 0}
        await socket.emit("handshake", handshake)
        await socket.press(other, owner.page)
        await socket.press(other, other.page)
    assert (0, 1) == (await owner.clicks(owner.page), await owner.clicks(other.page))


@pytest.mark.parametrize(
    ("origin", "cookie", "status"),
    [
        pytest.param("https://evil.example", None, 403, id="a foreign page in the owner's browser"),
        pytest.param("null", None, 403, id="a sandboxed page in the owner's browser"),
        pytest.param("own", "nothing=1", 403, id="nobody"),
    ],
)
async def test_sockets_that_never_open(owner: Browser, origin: str, cookie: str | None, status: int):
    """
    A socket from a foreign page or without a session is refused before it opens.
    """
    with pytest.raises(InvalidStatus) as caught:
        async with owner.socket(owner.page, origin=origin, cookie=cookie):
            pass
    assert status == caught.value.response.status_code


async def test_an_ended_session(owner: Browser):
    """
    When a session is ended, its open page does nothing any more and its socket is closed.
    """
    async with owner.socket(owner.page) as socket:
        assert await socket.join()
        await owner.http.post("/hooks/end", content=owner.cookie)
        await socket.press(owner, owner.page)
        assert not await socket.is_open()
    assert 0 == await owner.clicks(owner.page)


async def test_odd_messages(owner: Browser):
    """
    Messages without a sensible page id change nothing and break nothing.
    """
    async with owner.socket(owner.page) as socket:
        assert await socket.join()
        for name in ("event", "javascript_response", "ack", "log", "handshake"):
            for data in ({}, {"client_id": 7}, {"client_id": ""}, {"client_id": ["x"]}):
                await socket.emit(name, data)
        await socket.press(owner, owner.page)
    assert 1 == await owner.clicks(owner.page)


def test_nicegui_is_as_the_guard_knows_it():
    """
    The guard leans on inner names of NiceGUI; when they move, this fails before anybody is exposed.
    """
    import inspect

    from nicegui import Client, core

    from app.web.socket_guard import EXPECTED, GUARDED

    assert set(EXPECTED) == set(core.sio.handlers["/"])
    for name in GUARDED:
        handler = core.sio.handlers["/"][name]
        assert not inspect.iscoroutinefunction(handler)
        assert 2 == len(inspect.signature(handler).parameters)
    source = inspect.getsource(inspect.getmodule(core.sio.handlers["/"]["handshake"]))  # type: ignore[arg-type]
    assert "enter_room(sid, client.id)" in source
    assert isinstance(Client.instances, dict)
    assert isinstance(inspect.getattr_static(Client, "request"), property)
    assert core.sio.eio.cors_allowed_origins is not None
