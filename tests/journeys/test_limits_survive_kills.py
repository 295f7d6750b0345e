"""Pull the plug while many runs stand in line: no limit is ever passed, no lease leaks."""

import multiprocessing
import os
import random
import sys
import time

import pytest
import sqlcipher3

from tests.journeys.lease_child import main

KILLS = int(os.environ.get("TREADLE_LEASE_KILLS", "12"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and fork are POSIX")
def test_no_limit_is_passed_and_no_lease_leaks(tmp_path):
    """
    Killed at random moments, with limits per key and in total: the database itself saw no moment with a run too many, and in
    the end everything is done and nothing is held. `TREADLE_LEASE_KILLS` makes it a longer night.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.journeys.lease_child"])
    chance, path = random.Random(20261123), tmp_path / "treadle.db"
    for life in range(KILLS):
        child = context.Process(target=main, args=(str(tmp_path), False))
        child.start()
        deadline = time.monotonic() + 30
        while not (tmp_path / f"ready{life}").exists():
            assert child.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.15))
        child.kill()
        child.join()
    last = context.Process(target=main, args=(str(tmp_path), True))
    last.start()
    last.join(55)
    assert 0 == last.exitcode
    database = sqlcipher3.connect(str(path))
    statuses = dict(database.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall())
    passed = database.execute("SELECT count(*) FROM passed").fetchone()[0]
    database.close()
    assert 0 == passed
    assert {"succeeded"} == set(statuses)
    assert 40 * KILLS <= statuses["succeeded"]
