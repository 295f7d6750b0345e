"""A real HTTP server beside each test, and requests that go to it over a real socket."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import h11
import pytest

from connectors import load_connectors
from connectors._runtime.guard import DESKTOP
from connectors._runtime.http import HttpClient, Limits
from engine.clock import ManualClock
from engine.steps.catalog import Catalog
from engine.steps.computed import bind_fields
from engine.steps.contract import Context
from engine.store.blobs import BlobStore


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: list
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer; `raw` is written as it is and the connection cut, `pause` waits before it."""

    body: object = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    raw: bytes | None = None
    pause: float = 0.0

    def parts(self):
        if isinstance(self.body, bytes):
            return dict(self.headers), self.body
        return {"content-type": "application/json", **self.headers}, json.dumps(self.body).encode()


class Server:
    """Answers by path; `routes` maps a path to a reply, a list of replies in turn, or a function of the request."""

    def __init__(self):
        self.routes = {}
        self.asked = []
        self.at_once = self.most_at_once = 0

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    async def answer(self, asked):
        route = self.routes.get(asked.path, Reply(status=404, body={"error": "nothing here"}))
        if isinstance(route, list):
            route = route.pop(0) if len(route) > 1 else route[0]
        if callable(route):
            route = route(asked)
        return route

    async def serve(self, reader, writer):
        connection = h11.Connection(h11.SERVER)
        with suppress(ConnectionError, asyncio.CancelledError, h11.RemoteProtocolError):
            while await self.exchange(connection, reader, writer):
                connection.start_next_cycle()
        writer.close()

    async def exchange(self, connection, reader, writer):
        async def event():
            while (found := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            return found

        request = await event()
        if not isinstance(request, h11.Request):
            return False
        body = b""
        while isinstance(part := await event(), h11.Data):
            body += bytes(part.data)
        target = urlsplit(request.target.decode())
        headers = {name.decode(): value.decode() for name, value in request.headers}
        asked = Asked(request.method.decode(), target.path, parse_qsl(target.query, keep_blank_values=True), headers, body)
        self.asked.append(asked)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            reply = await self.answer(asked)
            await asyncio.sleep(reply.pause)
        finally:
            self.at_once -= 1
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        headers, data = reply.parts()
        headers.setdefault("content-length", str(len(data)))
        writer.write(connection.send(h11.Response(status_code=reply.status, headers=list(headers.items()))))
        if asked.method != "HEAD" and reply.status not in (204, 304):
            writer.write(connection.send(h11.Data(data=data)))
        writer.write(connection.send(h11.EndOfMessage()))
        await writer.drain()
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE


@asynccontextmanager
async def running(server):
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and "Server.serve" in repr(task)]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
async def server():
    async with running(Server()) as one:
        yield one


@pytest.fixture
async def other():
    """Another host, as far as a browser or a client can tell."""
    async with running(Server()) as one:
        yield one


@pytest.fixture
async def client():
    async with HttpClient(DESKTOP, limits=Limits(inline=100_000, total=1_000_000)) as one:
        yield one


@pytest.fixture
def files(tmp_path):
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def ctx(client, files, tmp_path):
    clock = ManualClock()
    return Context(
        http=client,
        clock=clock,
        log=logging.LoggerAdapter(logging.getLogger("connectors")),
        files=files,
        folder=tmp_path,
        now=clock.now(),
        idempotency_key="run_1/node/0",
    )


@pytest.fixture
def call(ctx):
    """Calls an action by its name, with fields as a workflow writes them."""
    catalog = Catalog(load_connectors())

    async def call(name, fields, item=None, context=ctx):
        spec = catalog.get(name)
        return await spec.call(context, **bind_fields(spec, fields, {"item": item or {}, "items": [item or {}], "index": 0}))

    return call
