"""Pull the plug while five hundred letters go out, and let the other side count them."""

import json
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.journeys.mail_child import AT_ONCE, ITEMS, main

KILLS = int(os.environ.get("TREADLE_EFFECT_KILLS", "8"))
"""How often the plug is pulled; a nightly run sets a hundred."""


class Letterbox(BaseHTTPRequestHandler):
    """Counts what comes by its idempotency key, and takes a moment to answer."""

    protocol_version = "HTTP/1.1"

    def _take(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.came[(self.command, self.headers["idempotency-key"])] += 1
            self.server.carried[(self.command, body["n"])].add(self.headers["idempotency-key"])
        time.sleep(0.004)
        answer = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = _take  # noqa: N815 - the library's names

    def log_message(self, *_):
        """Say nothing."""

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ValueError, TypeError):
            self.close_connection = True


class Silent(ThreadingHTTPServer):
    """A server whose callers may be killed in the middle of a word."""

    daemon_threads = True

    def handle_error(self, *_):
        """Say nothing."""


@pytest.fixture
def letterbox():
    server = Silent(("127.0.0.1", 0), Letterbox)
    server.lock, server.came = threading.Lock(), Counter()
    server.carried = {(method, n): set() for method in ("POST", "PUT") for n in range(ITEMS)}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def marks(folder):
    path = folder / "marks"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and fork are POSIX")
@pytest.mark.timeout(600)
def test_no_letter_goes_out_twice_unasked(letterbox, tmp_path):
    """
    Every letter arrives. One that may not be repeated arrives once, and once more for each time a person said so; a person is
    asked about exactly those without a receipt. One that may be repeated carries the same key each time.
    """
    chance = random.Random(20261123)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.journeys.mail_child"])
    url = f"http://127.0.0.1:{letterbox.server_port}"
    kills = 0
    while kills < KILLS and not [mark for mark in marks(tmp_path) if "over" in mark]:
        child = context.Process(target=main, args=(str(tmp_path), url))
        ready = sum("ready" in mark for mark in marks(tmp_path))
        child.start()
        deadline = time.monotonic() + 30
        while sum("ready" in mark for mark in marks(tmp_path)) == ready:
            assert child.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        wanted = sum(letterbox.came.values()) + chance.randint(1, 2 * ITEMS // (KILLS + 2))
        while sum(letterbox.came.values()) < wanted and child.is_alive() and time.monotonic() < deadline:
            time.sleep(0.001)
        child.kill()
        child.join()
        kills += 1
    last = context.Process(target=main, args=(str(tmp_path), url))
    last.start()
    last.join(120)
    assert 0 == last.exitcode

    told = marks(tmp_path)
    over = {mark["name"]: mark for mark in told if "over" in mark}
    assert {"Letters by POST": "succeeded", "Letters by PUT": "succeeded"} == {name: one["over"] for name, one in over.items()}
    for one in over.values():
        assert list(range(ITEMS)) == one["gave"]

    asked = [mark for mark in told if "asked" in mark]
    assert all(mark["asked"] == mark["told"] and len(mark["asked"]) <= AT_ONCE for mark in asked)
    assert {"Letters by POST"} == {mark["name"] for mark in asked}
    again = Counter(item for mark in asked for item in mark["asked"])
    run_id = over["Letters by POST"]["id"]
    came = {n: letterbox.came[("POST", f"{run_id}:send:{n}")] for n in range(ITEMS)}
    assert all(1 <= came[n] <= 1 + again[n] for n in range(ITEMS))
    assert {1} == {len(keys) for keys in letterbox.carried.values()}, "a letter has one key, however often it is sent"
    repeated = sum(count - 1 for (method, _), count in letterbox.came.items() if method == "PUT")
    assert repeated <= kills * AT_ONCE
    assert again, "the kills came at moments that prove nothing"
