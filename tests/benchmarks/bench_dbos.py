"""
Treadle beside DBOS: the same machine, the same database, the same steps, 64 runs at a time, in turn.

DBOS is installed by this benchmark itself, into an environment of its own in the cache folder; nothing of it comes near ours.
Each run computes a field of five items ten times, every result durable (SQLite: ours with `synchronous=FULL`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import orjson
import platformdirs
import psycopg

from .bench_durable import STEPS, steps_per_s
from .bench_postgresql import postgresql
from .rounds import Effort, Skipped, take_turns
from .table import Row, at_least

WANTED = ("dbos>=3.4,<4", "psycopg[binary]")
AT_A_TIME = 64
COMPUTING = STEPS - 1
SIDE = Path(__file__).with_name("dbos_side.py")
PATIENCE = 600


def dbos_rows(effort: Effort) -> list[Row]:
    """Return durable steps per second beside those of DBOS, on SQLite and on PostgreSQL; raises `Skipped`."""
    python = dbos_python()
    theirs, ours = effort.of(256, least=2), effort.of(20_000)
    at_a_time = min(AT_A_TIME, theirs)
    rounds = min(3, effort.rounds)
    with postgresql() as address:
        own = _another_database(address, "dbos_bench")
        treadle = partial(computing_per_s, effort.folder, at_a_time=at_a_time, total=ours)
        taken = take_turns(
            {
                "sqlite": treadle,
                "sqlite dbos": lambda: dbos_steps_per_s(python, _fresh(effort.folder), at_a_time, theirs),
                "postgresql": partial(treadle, where=address),
                "postgresql dbos": lambda: dbos_steps_per_s(python, own, at_a_time, theirs),
            },
            rounds,
        )
    return [
        Row(
            name=f"durable steps, {at_a_time} runs at a time, {shown}",
            measured=taken.median(name),
            unit="steps/s",
            limit=taken.median(f"{name} dbos"),
            limit_name="DBOS",
            ratio=taken.ratio(name, f"{name} dbos"),
            goal=at_least(10),
        )
        for name, shown in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
    ]


def computing_per_s(folder: Path, *, at_a_time: int, total: int, where: str = "") -> float:
    """Return our computing steps per second; the trigger of each run is left out of the count."""
    return steps_per_s(folder, at_a_time=at_a_time, total=total, where=where) * COMPUTING / STEPS


def dbos_steps_per_s(python: Path, address: str, at_a_time: int, runs: int) -> float:
    """Return the steps per second of DBOS, in a process of its own."""
    command = [python, SIDE, address, str(at_a_time), str(runs), str(COMPUTING)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    if done.returncode != 0:
        raise Skipped(f"DBOS failed: {done.stderr.decode(errors='replace').strip().splitlines()[-1:]}")
    found: dict[str, float] = orjson.loads(done.stdout.splitlines()[-1])
    return found["steps_per_s"]


def dbos_python(folder: Path | None = None) -> Path:
    """Return the Python of an environment that has DBOS, made on the first call; raises `Skipped` when it cannot be had."""
    folder = folder or Path(platformdirs.user_cache_dir("treadle-bench", appauthor=False)) / "dbos"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    environment = {name: value for name, value in os.environ.items() if "CONSTRAINT" not in name and name != "PYTHONPATH"}
    for command in (
        [sys.executable, "-m", "venv", "--clear", folder],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *WANTED],
    ):
        try:
            done = subprocess.run(command, capture_output=True, env=environment, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Skipped(f"DBOS cannot be installed for the comparison: {error}.") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise Skipped(f"DBOS cannot be installed for the comparison: {said[-1] if said else 'pip gave no reason'}")
    (folder / "complete").touch()
    return python


def _fresh(folder: Path) -> str:
    return f"sqlite:///{folder / f'dbos-{time.monotonic_ns()}.sqlite'}"


def _another_database(address: str, name: str) -> str:
    """Make a database on the same server and return its address."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"/{name}"))
