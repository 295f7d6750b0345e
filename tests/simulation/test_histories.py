"""Ten thousand made-up histories with power cuts, bad disks and wrong clocks; each is the same again with its seed."""

import json
import os
import subprocess
import sys
from random import Random

import pytest

from engine.clock import SystemClock
from engine.store.blobs import BlobStore
from tests.simulation.disk import empty, make_database
from tests.simulation.history import Broken, History, live_through
from tests.simulation.loop import VirtualLoop

HISTORIES = int(os.environ.get("TREADLE_HISTORIES", "10000"))
A_PART = 1000
"""Each part is a test, so that several workers can share them; in so many everything that may happen does happen."""


@pytest.fixture
def database():
    database = make_database(SystemClock())
    yield database
    database.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, HISTORIES, A_PART))
def test_no_promise_is_broken_in_ten_thousand_histories(first):
    """
    What was accepted is finished exactly once, receipts are not doubled, limits hold, and nothing is left over.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # measuring would double the time
    count = min(A_PART, HISTORIES - first)
    seeds = ["--first", str(first), "--count", str(count), "--processes", "1"]
    command = [sys.executable, "-m", "tests.simulation", *seeds]
    ended = subprocess.run(command, capture_output=True, text=True, env=plain, check=False)
    assert 0 == ended.returncode, ended.stdout[-3000:] + ended.stderr[-3000:]
    figures = json.loads(ended.stdout.splitlines()[-2])
    assert [] == [name for name, seen in figures.items() if not seen and count == A_PART], "something never happened"


def test_a_seed_is_a_history(database, tmp_path):
    """
    The same seed gives the same history, to the last change outside.
    """
    blobs = BlobStore(tmp_path)
    assert live_through(7, database, blobs) == live_through(7, database, blobs)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        pytest.param("firing", "acknowledged and is lost", id="an event that is forgotten"),
        pytest.param("receipt", "although its receipt was on the disk", id="a change that is made again"),
        pytest.param("told", "was told to be", id="an end that is taken back"),
    ],
)
def test_the_judge_sees_what_is_broken(database, tmp_path, broken, told):
    """
    A promise that is broken on purpose is found out.
    """
    seen: list[str] = []
    for seed in range(50):  # not every history has something of each kind to spoil
        loop = VirtualLoop(Random(seed))
        history = Saboteur(seed, loop, database, BlobStore(tmp_path))
        history.sabotage = broken
        try:
            loop.run_until_complete(history.run())
        except Broken as error:
            seen.append(str(error))
            break
        finally:
            loop.close()
            empty(database)
    assert [True] == [told in text for text in seen]


class Saboteur(History):
    """Breaks one promise before the judge comes."""

    sabotage = ""

    def _judge(self, program):
        if self.sabotage == "firing":
            self.wishes.append(type(self.wishes[0])("nobody", 0, [], is_acknowledged=True))
        if self.sabotage == "receipt":
            self.world.changes.update(dict.fromkeys(self.world.changes, 9))
        if self.sabotage == "told":
            for wish in self.wishes:
                wish.told = "something else"
        super()._judge(program)
