"""Pull the plug while runs call others, fail and raise alarms, and look at what is left."""

import multiprocessing
import os
import random
import sys
import time
from collections import Counter

import pytest
import sqlcipher3

from tests.journeys.call_life import main

KILLS = int(os.environ.get("TREADLE_CALL_KILLS", "15"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and fork are POSIX")
@pytest.mark.timeout(60 + 3 * KILLS)
def test_every_child_once_and_no_caller_left_waiting(tmp_path):
    """
    After kill -9 at random moments every run comes to its end, every caller has its three children, each once, and every
    failure stands on the desk and was told once. `TREADLE_CALL_KILLS` sets how many kills.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.journeys.call_life"])
    chance = random.Random(2026)
    for life in range(KILLS):
        child = processes.Process(target=main, args=(str(tmp_path), life, False))
        child.start()
        deadline = time.monotonic() + 20
        while not (tmp_path / f"ready {life}").exists():
            assert child.is_alive(), f"life {life} ended by itself with {child.exitcode}"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.5))
        child.kill()
        child.join()
    last = processes.Process(target=main, args=(str(tmp_path), KILLS, True))
    last.start()
    last.join(50)
    assert 0 == last.exitcode

    database = sqlcipher3.connect(str(tmp_path / "treadle.db"))
    runs = database.execute("SELECT id, workflow_name, status, parent_run_id FROM runs").fetchall()
    failures = [row[0] for row in database.execute("SELECT run_id FROM failures").fetchall()]
    told = [row[0] for row in database.execute("SELECT key FROM firings WHERE state = 'started'").fetchall()]
    steps = Counter(database.execute("SELECT run_id, node, scope FROM facts WHERE kind = 'step_succeeded'").fetchall())
    database.close()

    parents = {run[0]: run[2] for run in runs if run[1] == "Parent"}
    children = Counter(run[3] for run in runs if run[1] == "Child")
    alarms = [run for run in runs if run[1] == "Alarm"]
    failed = [run for run, status in parents.items() if status == "failed"]
    assert {"succeeded", "failed"} == set(parents.values())
    assert dict.fromkeys(parents, 3) == dict(children)
    assert {"succeeded"} == {run[2] for run in runs if run[1] != "Parent"}
    assert sorted(failed) == sorted(failures)
    assert sorted(f"failed {run}" for run in failed) == sorted(told)
    assert (len(failed), {1}) == (len(alarms), set(steps.values()))
    assert len(failed) > KILLS / 3
