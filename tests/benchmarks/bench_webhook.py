"""
Durable webhooks through the whole product, beside a bare ASGI function, on this machine, in turn.

The product is `treadle serve` with the studio mounted and the dispatcher in front; the workflow has three nodes, and its answer
goes out when the firing, the run and its steps are on disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from .rounds import Effort, take_turns
from .served import ROOT, Served, bring_in, serve_bare, serve_treadle
from .table import Row, at_least, hopefully_at_most

CONNECTIONS = 64


def webhook_rows(effort: Effort) -> list[Row]:
    """Return requests per second with 64 connections beside bare ASGI, the slowest percent, and a lone caller's wait."""
    with tempfile.TemporaryDirectory(prefix="treadle-bench-", ignore_cleanup_errors=True) as folder:
        bring_in(Path(folder))
        with serve_treadle(Path(folder)) as full, serve_bare() as bare:
            return compare(full, bare, effort)


def compare(full: Served, bare: Served, effort: Effort) -> list[Row]:
    """Return the rows for two servers that are up."""
    seconds = 2.0 * effort.scale
    for server in (bare, full):
        load(server, CONNECTIONS, seconds / 4)
    taken = take_turns(
        {
            "bare": lambda: load(bare, CONNECTIONS, seconds),
            "full": lambda: load(full, CONNECTIONS, seconds),
            "bare lone": lambda: load(bare, 1, seconds / 2),
            "lone": lambda: load(full, 1, seconds / 2),
        },
        effort.rounds,
    )
    return [
        Row(
            name="webhook, 3 nodes, durable, 64 connections",
            measured=taken.median("full.per_second"),
            unit="req/s",
            limit=taken.median("bare.per_second"),
            limit_name="bare ASGI",
            ratio=taken.ratio("full.per_second", "bare.per_second"),
            goal=at_least(0.35),
        ),
        Row(
            name="its p99",
            measured=taken.median("full.p99_ms"),
            unit="ms",
            limit=taken.median("bare.p99_ms"),
            limit_name="bare ASGI",
            ratio=taken.ratio("full.p99_ms", "bare.p99_ms"),
            goal=hopefully_at_most(50),
        ),
        Row(
            name="its processor time per request",
            measured=taken.median("full.cpu_us"),
            unit="µs",
            limit=taken.median("bare.cpu_us"),
            limit_name="bare ASGI",
            ratio=taken.ratio("full.cpu_us", "bare.cpu_us"),
        ),
        Row(
            name="webhook, lone caller, p50",
            measured=taken.median("lone.p50_ms"),
            unit="ms",
            limit=taken.median("bare lone.p50_ms"),
            limit_name="bare ASGI",
            ratio=taken.ratio("lone.p50_ms", "bare lone.p50_ms"),
        ),
    ]


def load(server: Served, connections: int, seconds: float) -> dict[str, float]:
    """
    Keep a server busy; return `per_second`, `p50_ms`, `p99_ms` and `cpu_us`.

    The last is the server's processor time per request, which other work on the machine hardly changes. The clients run in
    a process of their own. Raises `RuntimeError` when any answer was no success.
    """
    command = [sys.executable, "-m", "tests.benchmarks.load_client", str(server.port), str(connections), str(seconds)]
    before = server.cpu_s()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60 + seconds * 2)
    used = server.cpu_s() - before
    figures: dict[str, float] = orjson.loads(done.stdout)
    if figures.pop("errors"):
        raise RuntimeError("some answers were no success")
    return {**figures, "cpu_us": used / figures.pop("count") * 1e6}
