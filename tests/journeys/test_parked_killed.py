"""kill -9 around parking and waking: timers, signals and approvals, two waits per run; none is lost, none is woken twice."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from engine.model.run import FactKind, RunStatus
from tests.journeys import parked_child
from tests.journeys.parked_child import finish, open_worker

pytestmark = pytest.mark.anyio

LIVES = int(os.environ.get("TREADLE_KILLS", "8"))


def one_life(path, accepted, chance):
    """Run the program until it is killed at a moment of chance; what it told of by then is added to `accepted`."""
    child = subprocess.Popen([sys.executable, parked_child.__file__, str(path)], stdout=subprocess.PIPE, text=True)
    after = chance.randrange(1, 60)
    assert child.stdout is not None
    killer = None
    for number, line in enumerate(child.stdout):
        if line.endswith("\n"):
            accepted.append(line.strip())
        if number == after:
            killer = threading.Timer(chance.random() * 0.05, os.kill, (child.pid, signal.SIGKILL))
            killer.start()
    if killer is not None:
        killer.join()
    child.stdout.close()
    assert -signal.SIGKILL == child.wait()


@pytest.mark.slow
async def test_no_wait_is_lost_and_none_ends_twice(tmp_path):
    """
    Every run that was accepted comes to its end; each of its waits was woken exactly once and each step settled once.
    """
    path, accepted, chance = tmp_path / "treadle.db", [], random.Random(7)
    for _ in range(LIVES):
        one_life(path, accepted, chance)
    await finish(path)

    store, _, _ = open_worker(path)
    async with store:
        for run_id in accepted:
            run = await store.read(lambda work, run_id=run_id: work.runs.get(run_id))
            facts = await store.read(lambda work, run_id=run_id: work.runs.facts(run_id))
            assert RunStatus.SUCCEEDED == run.status
            for kind in (FactKind.STEP_WAITING, FactKind.STEP_WOKEN):
                assert Counter(first=1, second=1) == Counter(fact.node for fact in facts if fact.kind is kind), run_id
            settled = Counter(fact.node for fact in facts if fact.kind is FactKind.STEP_SUCCEEDED)
            assert Counter(start=1, first=1, second=1, end=1) == settled
        assert 0 == await store.read(lambda work: work.waits.count())
    assert len(accepted) >= LIVES
