"""Nothing gets out, nothing blows up: hostile expressions, tried in a process whose time and memory are watched."""

import json
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CORPUS_FILE = Path(__file__).with_name("attack_corpus.py")
CORPUS = runpy.run_path(str(CORPUS_FILE))["CORPUS"]
SECONDS = 1.0
MEGABYTES = 64.0


@dataclass
class Ending:
    payload: str
    how: str
    what: str
    seconds: float
    megabytes: float


@pytest.fixture(scope="module")
def endings():
    """Run the whole corpus once in a process of its own, under a hard limit of address space."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is read from /proc")
    done = subprocess.run(
        [sys.executable, str(CORPUS_FILE)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        # Without the measuring of coverage, which would be what is timed.
        env={**{name: value for name, value in os.environ.items() if "COVERAGE" not in name}, "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = {group: [] for group in CORPUS}
    for line in done.stdout.splitlines():
        group, *rest = json.loads(line)
        found[group].append(Ending(*rest))
    return found


def test_the_corpus_is_big_enough():
    """
    There are at least 300 payloads.
    """
    assert sum(len(payloads) for payloads in CORPUS.values()) >= 300


@pytest.mark.parametrize("group", CORPUS)
def test_every_attack_ends_well(endings, group):
    """
    Each payload ends in a clean error or a harmless value, within a second of processor time and 64 MB more memory.
    """
    assert len(CORPUS[group]) == len(endings[group])
    assert [] == [ending for ending in endings[group] if ending.how not in ("value", "error")]
    assert [] == [ending for ending in endings[group] if ending.seconds >= SECONDS]
    assert [] == [ending for ending in endings[group] if ending.megabytes > MEGABYTES]


def test_no_python_object_comes_out(endings):
    """
    No value shows a class, a function or the address of an object, and no secret of a lazy value.
    """
    values = [ending for group in endings.values() for ending in group if ending.how == "value"]
    assert len(values) > 100
    for ending in values:
        assert not any(
            trace in ending.what for trace in ("<class", "<function", "<built-in", " object at 0x", "must not be seen")
        )


def test_dunder_names_are_only_keys(endings):
    """
    A name with underscores is the key of a field like any other, so on an item that has none it gives null.
    """
    walks = [
        ending for ending in endings["attributes"] if ending.payload.startswith("item.__") and ending.payload.endswith("__")
    ]
    assert len(walks) > 20
    assert {"None"} == {ending.what for ending in walks}
