"""The program as such: how soon it answers, what it holds in memory, what it does while nothing happens."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from .rounds import Effort, take_turns
from .served import ROOT, Served, serve_treadle
from .table import Row, hopefully_at_most

LIBRARIES = (
    "nicegui", "fastapi", "uvicorn", "uvloop", "sqlalchemy", "alembic.command", "sqlcipher3", "apscheduler.schedulers.asyncio",
    "httpx", "orjson", "zstandard", "re2", "ruamel.yaml", "rich.console", "typer",
)  # fmt: skip
"""What a studio made of these libraries has to load, whoever writes it."""

SETTLE_S = 3.0


def process_rows(effort: Effort) -> list[Row]:
    """Return start, memory and idle processor time of `treadle serve`, beside a process that only loads its libraries."""
    with tempfile.TemporaryDirectory(prefix="treadle-bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder)
        with serve_treadle(data) as first:
            first_start = first.start_s
        taken = take_turns({"libraries": libraries_alone, "start": lambda: start_s(data)}, max(1, min(3, effort.rounds)))
        with serve_treadle(data) as server:
            time.sleep(SETTLE_S * effort.scale)
            memory = server.memory_mb()
            idle = idle_percent(server, seconds=10 * effort.scale)
    libraries_s, libraries_mb = taken.median("libraries.s"), taken.median("libraries.mb")
    return [
        Row(
            name="start to first answer",
            measured=taken.median("start"),
            unit="s",
            limit=libraries_s,
            limit_name="its libraries alone",
            ratio=taken.ratio("start", "libraries.s"),
            goal=hopefully_at_most(2),
        ),
        Row(
            name="very first start, with a new database",
            measured=first_start,
            unit="s",
            limit=libraries_s,
            limit_name="its libraries alone",
            ratio=first_start / libraries_s,
        ),
        Row(
            name="idle memory",
            measured=memory,
            unit="MB",
            limit=libraries_mb,
            limit_name="its libraries alone",
            ratio=memory / libraries_mb,
            goal=hopefully_at_most(150),
        ),
        Row(name="idle processor time, of one core", measured=idle, unit="%", goal=hopefully_at_most(1)),
    ]


def start_s(data: Path) -> float:
    """Return the seconds from starting `treadle serve` to its first answer."""
    with serve_treadle(data) as server:
        return server.start_s


def libraries_alone() -> dict[str, float]:
    """Return the seconds and the resident MB of a process that loads the libraries and does nothing."""
    code = (
        f"import {', '.join(LIBRARIES)}, json, psutil\n"
        "print(json.dumps({'mb': psutil.Process().memory_info().rss / 1024 / 1024}))"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60)
    return {"s": time.perf_counter() - began, **orjson.loads(done.stdout)}


def idle_percent(server: Served, *, seconds: float) -> float:
    """Return the share of one core that a server uses while nobody asks anything of it."""
    before, began = server.cpu_s(), time.perf_counter()
    time.sleep(seconds)
    return (server.cpu_s() - before) / (time.perf_counter() - began) * 100
