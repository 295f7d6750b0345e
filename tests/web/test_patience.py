"""Clients that are slow, or send without an end: they hold nothing up for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from app.api import door
from app.web import asgi, patience
from app.web.patience import PatientProtocol
from tests.web.house import House, a_house
from tests.web.test_hooks import a_hook

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_server(house: House) -> AsyncIterator[int]:
    """Serve the house as the program does and hand out the port."""
    config = uvicorn.Config(house.front(), host="127.0.0.1", port=0, http=PatientProtocol, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.publish(a_hook("orders"))
        yield house


@pytest.fixture
async def port(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(patience, "HEAD_S", 0.3)
    monkeypatch.setattr(asgi, "STALL_S", 0.3)
    monkeypatch.setattr(door, "STALL_S", 0.3)
    async with a_server(house) as port:
        yield port


async def told(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts with a pause between them and return all that comes back; the server has to end it soon."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


HEAD = b"POST /hooks/orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


async def test_a_client_that_never_ends_its_head(port: int):
    """
    Whoever connects and does not say what for is let go, however slowly he goes on.
    """
    assert b"" == await told(port, b"POST /hooks/orders HT")
    assert b"" == await told(port, HEAD, *[b"X-A: 1\r\n"] * 20, pause=0.05)


async def test_a_head_without_an_end(port: int):
    """
    Names, values, and addresses are not gathered without end: the connection is closed after some hundred thousand bytes.
    """
    for part in (b"X-A: 1\r\n" * 10_000, b"a" * 65_536):
        answer = await told(port, HEAD + (b"" if part.startswith(b"X") else b"X-Long: "), *[part] * 40)
        assert b"200 OK" not in answer
    assert b"200 OK" not in await told(port, b"GET /", *[b"a" * 65_536] * 40)


async def test_a_body_that_stalls(house: House, port: int):
    """
    A body that stops in the middle is answered as timed out; one that is slow and goes on is taken.
    """
    stalled = await told(port, HEAD + b"Content-Length: 20\r\n\r\n", b'{"total"')
    assert (True, True) == (stalled.startswith(b"HTTP/1.1 408"), b'"timed_out"' in stalled)
    token = (await house.token("write"))["Authorization"].encode()
    head = HEAD.replace(b"/hooks/orders", b"/api/v1/workflows") + b"Authorization: " + token + b"\r\nContent-Length: 9\r\n\r\n"
    stalled = await told(port, head, b"{")
    assert (True, True) == (stalled.startswith(b"HTTP/1.1 408"), b'"timed_out"' in stalled)
    slow = HEAD + b"Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    assert b" 200 OK" in await told(port, slow, b'{"to', b'tal"', b": 7", b"}", pause=0.15)


async def test_quick_ones_are_served_as_before(port: int):
    """
    Several requests over one connection, a head in pieces, a body with the head.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for body in (b'{"total": 1}', b'{"total": 22}', b"{}"):
        head = b"POST /hooks/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        request = head % len(body) + body
        for piece in (request[:30], request[30:]):
            writer.write(piece)
            await asyncio.sleep(0.1)
        assert b" 200 OK" in await reader.readuntil(b"\r\n")
        length = int((await reader.readuntil(b"\r\n\r\n")).lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        await asyncio.sleep(0.4)
    writer.close()
