"""
Kill -9 at random moments, while a whole Treadle runs loops, calls, waits, alerts, schedules and changes outside.

A hundred kills here; `TREADLE_KILLS=1000` for a night.
"""

import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlcipher3

from tests.journeys.chaos_child import main, read_marks, the_stories

KILLS = int(os.environ.get("TREADLE_KILLS", "100"))
EVENTS = max(8, KILLS // 4)
"""Events of each story."""


class OtherSide(ThreadingHTTPServer):
    """A service that remembers by path, and by the idempotency key that came with it, what it was told to do."""

    daemon_threads = True
    request_queue_size = 1024  # a life begins with a thousand open runs that all call at once

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.chance = random.Random(1)
        self.done = defaultdict(Counter)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keys_of(self, story):
        """Return the idempotency keys by path of what a story did."""
        return {path: keys for path, keys in self.done.items() if path.startswith(f"/{story}/")}

    def handle_error(self, request, client_address):
        """A client that was killed is no news."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        if server.chance.random() < 0.05:
            return self.answer(503)
        server.done[self.path][self.headers["Idempotency-Key"]] += 1
        time.sleep(server.chance.uniform(0, 0.02))
        return self.answer(200)

    def answer(self, status):
        body = b'{"ok": true}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def processes():
    """Processes that start quickly, because what they need is imported once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.journeys.chaos_child"])
    return context


@pytest.fixture(scope="module")
def aftermath(processes, tmp_path_factory):
    """Live and be killed, again and again, then live once to the end; return the folder and the other side."""
    folder = tmp_path_factory.mktemp("chaos")
    chance, other_side = random.Random(20261123), OtherSide()
    for life in range(KILLS):
        child = processes.Process(target=main, args=(str(folder), other_side.address, life, EVENTS))
        child.start()
        deadline = time.monotonic() + 30
        while [life] not in read_marks(folder / "ready") and chance.random() > 0.001:
            assert child.is_alive() or child.exitcode == 0, f"life {life} ended by itself with {child.exitcode}"
            assert time.monotonic() < deadline
            time.sleep(0.005)
            if child.exitcode == 0:
                break
        time.sleep(chance.expovariate(8))
        child.kill()
        child.join()
    last = processes.Process(target=main, args=(str(folder), other_side.address, KILLS, EVENTS))
    last.start()
    last.join(120)
    assert 0 == last.exitcode, "runs are stuck"
    yield folder, other_side
    other_side.shutdown()
    other_side.server_close()


@pytest.fixture
def database(aftermath):
    connection = sqlcipher3.connect(str(aftermath[0] / "treadle.db"))
    yield connection
    connection.close()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60 + 3 * KILLS),
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and fork are POSIX"),
]


def expected_of(story):
    """Return the paths that a story tells the other side about, by what its workflow says."""
    events = range(EVENTS)
    items = [(event, n) for event in events for n in range(1 + event % 4)]
    match story:
        case "orders":
            return {f"/orders/book/{event}/{n}" for event, n in items} | {f"/orders/close/{event}" for event in events}
        case "loops":
            return {f"/loops/body/{event}/{n}" for event, n in items} | {
                f"/loops/done/{event}/{1 + event % 4}" for event in events
            }
        case "calls":
            return {f"/calls/child/{event}/{n}" for event, n in items} | {
                f"/calls/end/{event}/{1 + event % 4}" for event in events
            }
        case "saga":
            kept = {f"/saga/{what}/{event}" for event in events for what in ("reserve", "end")}
            return kept | {f"/saga/undo/{event}" for event in events if event % 2}
    raise AssertionError(f"nobody knows what {story} does")


def test_nothing_is_lost_or_stuck(aftermath, database):
    """
    Each event became exactly one run, each run is over, what was told of a run is so, and the file is whole.
    """
    folder, other_side = aftermath
    assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
    runs = dict(database.execute("SELECT id, status FROM runs").fetchall())
    assert {"succeeded", "failed"} == set(runs.values())
    by_key = Counter(
        database.execute("SELECT f.workflow_id, f.key FROM runs r JOIN firings f ON f.id = r.firing_id").fetchall()
    )
    assert {1} == set(by_key.values())
    events = {key for _, key in by_key}
    manual = [name for name, text in the_stories(other_side.address).items() if "trigger.manual" in text]
    assert {f"{name} {number}" for name in manual for number in range(EVENTS)} <= events
    assert {f"{name} {number}" for name, number in read_marks(folder / "accepted")} <= events
    assert {} == {run: status for run, status in read_marks(folder / "told") if runs[run] != status}
    assert [(0,)] == database.execute("SELECT count(*) FROM waits").fetchall()


@pytest.mark.parametrize("story", ["orders", "loops", "calls", "saga"])
def test_each_change_is_made_once(aftermath, story):
    """
    Every change that a story stands for reached the other side, each under one idempotency key, and no other did.
    """
    keys = aftermath[1].keys_of(story)
    assert expected_of(story) == set(keys)
    assert {} == {path: found for path, found in keys.items() if len(found) != 1}


def test_every_slot_is_served_once(aftermath, database):
    """
    A schedule that asks for all that was missed serves each second once; only the slot of the very end may wait for its run.
    """
    keys = aftermath[1].keys_of("slots")
    assert {} == {path: found for path, found in keys.items() if len(found) != 1}
    slots = database.execute("SELECT key, run_id FROM firings WHERE key LIKE 'due:%' ORDER BY key").fetchall()
    assert len(slots) == len({key for key, _ in slots})
    served = {f"/slots/{key.removeprefix('due:')}" for key, run_id in slots if run_id}
    assert served == set(keys)
    assert [] == [key for key, run_id in slots[:-1] if run_id is None]


def test_every_failure_is_told_once(aftermath, database):
    """
    Each run that failed is told of once, and telling it is no failure of its own.
    """
    failed = {run for (run,) in database.execute("SELECT id FROM runs WHERE status = 'failed'").fetchall()}
    assert EVENTS == len(failed)
    told = aftermath[1].keys_of("alerts")
    assert {f"/alerts/{run}" for run in failed} == set(told)
    assert {} == {path: found for path, found in told.items() if len(found) != 1}


def test_the_kills_proved_something(aftermath):
    """
    Changes were cut off in the middle and made again under the key that they had.
    """
    again = sum(count > 1 for keys in aftermath[1].done.values() for count in keys.values())
    assert again > KILLS // 20
