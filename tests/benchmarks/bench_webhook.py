"""Durable webhooks in the whole product against a bare ASGI function, on this machine, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

ROOT = Path(__file__).parents[2]


def measure_webhook(
    *, rounds: int = 5, seconds: float = 2.0, connections: int = 64, synchronous: str = "FULL"
) -> dict[str, Any]:
    """
    Return medians of interleaved rounds.

    `{"bare", "full", "lone"}` each hold requests per second, p50 and p99 in milliseconds, and `cpu_us`, the processor time of
    the server per request, which other work on the machine hardly changes. `full` answers after the commit of firing, run and
    three steps; `lone` is the same with one connection; `ratio` is full against bare.
    """
    with ExitStack() as stack:
        servers = {kind: _started(stack, kind, synchronous) for kind in ("bare", "full")}
        for server in servers.values():
            _load(server, connections, 0.5)
        found: dict[str, list[dict[str, float]]] = {"bare": [], "full": [], "lone": []}
        for _ in range(rounds):
            for kind, server in servers.items():
                found[kind].append(_load(server, connections, seconds))
            found["lone"].append(_load(servers["full"], 1, seconds / 2))
    figures: dict[str, Any] = {
        kind: {name: round(statistics.median(one[name] for one in taken), 3) for name in taken[0]}
        for kind, taken in found.items()
    }
    ratios = [full["per_second"] / bare["per_second"] for full, bare in zip(found["full"], found["bare"], strict=True)]
    return {**figures, "ratio": round(statistics.median(ratios), 3), "connections": connections, "synchronous": synchronous}


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    process: psutil.Process
    port: int

    def cpu(self) -> float:
        """Return the seconds of processor time it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def _started(stack: ExitStack, kind: str, synchronous: str) -> Server:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="treadle-bench-", ignore_cleanup_errors=True))
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.webhook_server", kind, folder, synchronous],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def end() -> None:
        server.communicate(timeout=30)  # its stdin ends, and so does it

    stack.callback(end)
    line = server.stdout.readline()
    if not line.strip().isdigit():
        raise RuntimeError(f"the server {kind} did not start")
    return Server(psutil.Process(server.pid), int(line))


def _load(server: Server, connections: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.load_client", str(server.port), str(connections), str(seconds)]
    before = server.cpu()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60 + seconds * 2)
    used = server.cpu() - before
    figures: dict[str, float] = orjson.loads(done.stdout)
    if figures.pop("errors"):
        raise RuntimeError("some answers were no success")
    return {**figures, "cpu_us": used / figures.pop("count") * 1e6}


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(measure_webhook(), option=orjson.OPT_INDENT_2).decode() + "\n")
