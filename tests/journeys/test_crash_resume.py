"""Pull the plug fifty times while a hundred runs are in flight, and look at what is left."""

import multiprocessing
import random
import sys
import time
from collections import Counter

import pytest
import sqlcipher3

from tests.journeys.crash_child import EFFECTS, IN_FLIGHT, main, read_marks

KILLS = 50
MARK_BYTES = 50
"""About how long the line of one effect is."""


@pytest.fixture(scope="module")
def processes():
    """Processes that start quickly, because what they need is imported once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.journeys.crash_child"])
    return context


def live_for(effects, *, marks, seconds):
    """Return when about so many more effects were done, and a moment later: a busy machine gets no shorter lives."""
    wanted = (effects.stat().st_size if effects.exists() else 0) + marks * MARK_BYTES
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and (effects.stat().st_size if effects.exists() else 0) < wanted:
        time.sleep(0.002)
    time.sleep(seconds)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and fork are POSIX")
def test_fifty_kills_with_a_hundred_runs_in_flight(processes, tmp_path):
    """
    After kill -9 at fifty random moments every run comes to its end, no step that had finished ran again, nothing that was told
    is taken back, and the file is whole.
    """
    chance = random.Random(20261123)
    for life in range(KILLS):
        child = processes.Process(target=main, args=(str(tmp_path), life, False))
        child.start()
        deadline = time.monotonic() + 20
        while [life] not in read_marks(tmp_path / "ready"):
            assert child.is_alive(), f"life {life} ended by itself with {child.exitcode}"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        live_for(tmp_path / "effects", marks=chance.randrange(120), seconds=chance.uniform(0.0, 0.05))
        child.kill()
        child.join()
    last = processes.Process(target=main, args=(str(tmp_path), KILLS, True))
    last.start()
    last.join(30)
    assert 0 == last.exitcode

    database = sqlcipher3.connect(str(tmp_path / "treadle.db"))
    runs = dict(database.execute("SELECT id, status FROM runs").fetchall())
    assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
    steps = Counter(database.execute("SELECT run_id, node FROM facts WHERE kind = 'step_succeeded'").fetchall())
    database.close()

    assert len(runs) > IN_FLIGHT
    assert {"succeeded"} == set(runs.values())
    assert {1} == set(steps.values()), "each step is done once"
    assert {(run, node) for run in runs for node in EFFECTS} <= steps.keys()

    effects = [tuple(mark) for mark in read_marks(tmp_path / "effects")]
    done_before = {tuple(mark) for mark in read_marks(tmp_path / "finished")}
    assert set() == done_before & set(effects), "a step that had finished ran again"
    assert {(run, node) for run in runs for node in EFFECTS} <= {(run, node) for _, run, node in effects}

    told = read_marks(tmp_path / "told")
    assert {"succeeded"} == {status for _, status in told}
    assert {run for run, _ in told} <= runs.keys()
    again = sum(count > 1 for (_, node), count in Counter((run, node) for _, run, node in effects).items() if node != "right")
    assert again > 100, "the kills came at moments that prove nothing"
    assert len(done_before) > 1000
