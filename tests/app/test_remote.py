"""Speaking to the Treadle that is running: its words come through, and silence is told."""

import hashlib
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from app.build import build
from app.cli.output import Exit, exit_for
from app.config import Settings
from app.instance import Instance
from app.remote import RemoteError, connect
from engine.access import OWNER
from engine.errors import TreadleError

pytestmark = pytest.mark.anyio

PROBLEM = {"code": "not_found", "message": "There is no workflow “x”.", "hint": "Look.", "where": {"kind": "workflow"}}


@pytest.fixture
def other():
    """A server whose answers a test chooses; `calls` is what it was asked."""

    class Other(BaseHTTPRequestHandler):
        def answer(self):
            self.server.calls.append((self.command, self.path, self.headers.get("authorization")))
            status, body = self.server.says
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the names are the library's

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    server.calls, server.says = [], (200, b"{}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def treadle(tmp_path):
    treadle = build(Settings(data=tmp_path), in_memory=True)
    await treadle.start(engine=False, triggers=False)
    yield treadle
    await treadle.stop()


def at(port):
    return Instance(pid=1, url=f"http://127.0.0.1:{port}")


async def test_a_token_for_one_call(treadle, other):
    """
    The call carries a token that is kept as a hash, and it is ended when the call is over, also when it failed.
    """
    tokens = treadle.studio(OWNER).tokens
    other.says = (200, b'{"ok": 1}')
    async with connect(at(other.server_port), tokens) as remote:
        assert {"ok": 1} == await remote.call("GET", "/workflows")
        (token,) = await tokens.list_all()
        assert token.revoked_at is None
    ((method, path, authorization),) = other.calls
    assert ("GET", "/api/v1/workflows") == (method, path)
    assert token.hash == hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    assert (await tokens.list_all())[0].revoked_at
    with pytest.raises(ValueError, match="broken"):
        async with connect(at(other.server_port), tokens):
            raise ValueError("broken")
    assert all(token.revoked_at for token in await tokens.list_all())


async def test_its_problems_come_through_word_for_word(treadle, other):
    """
    Code, message, hint and place are those of the answer, and so is the exit code.
    """
    other.says = (404, json.dumps({"error": PROBLEM}).encode())
    async with connect(at(other.server_port), treadle.studio(OWNER).tokens) as remote:
        with pytest.raises(RemoteError) as caught:
            await remote.call("POST", "/workflows/x/activate")
    assert PROBLEM == caught.value.as_dict()
    assert Exit.WRONG_USE is exit_for(caught.value)
    assert Exit.FAILED is exit_for(RemoteError({**PROBLEM, "code": "conflict"}))


async def test_an_answer_without_content(treadle, other):
    """
    Nothing is None.
    """
    other.says = (200, b"")
    async with connect(at(other.server_port), treadle.studio(OWNER).tokens) as remote:
        assert await remote.call("GET", "/a") is None


@pytest.mark.parametrize("body", [b"<html>502 Bad Gateway</html>", b'{"error": "odd"}', b"[]", b"{}"])
async def test_something_else_answers(treadle, other, body):
    """
    Another program on that port is told from a Treadle.
    """
    other.says = (502, body)
    async with connect(at(other.server_port), treadle.studio(OWNER).tokens) as remote:
        with pytest.raises(TreadleError, match="is no Treadle") as caught:
            await remote.call("GET", "/a")
    assert "another program" in caught.value.hint


async def test_nobody_answers(treadle):
    """
    A refused connection is a sentence with a hint.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with connect(at(port), treadle.studio(OWNER).tokens) as remote:
        with pytest.raises(TreadleError, match="does not answer") as caught:
            await remote.call("GET", "/a")
    assert "Try again" in caught.value.hint
