"""`treadle serve` in a process of its own, exactly as a person starts it, and a bare ASGI server to hold it against."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LONGEST_START_S = 60.0
TREADLE = [sys.executable, "-c", "from app.cli import main; main()"]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
WORKFLOW = """
treadle: 1
name: Order webhook
nodes:
  hook:
    use: trigger.webhook
    with: {path: "orders/{id}", answer: by_step}
  total:
    use: data.set
    with:
      fields: {total: "item.body.price * item.body.qty"}
  answer:
    use: flow.respond
    with:
      body: {id: "{{ item.params.id }}", total: "{{ item.total }}"}
edges:
  - hook -> total
  - total -> answer
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own; `start_s` is how long it took from being started to its first answer."""

    process: psutil.Process
    port: int
    start_s: float

    def cpu_s(self) -> float:
        """Return the seconds of processor time it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Return what it holds in memory (resident)."""
        return float(self.process.memory_info().rss) / 1024 / 1024


@contextmanager
def serve_treadle(data: Path, *, synchronous: str = "FULL") -> Iterator[Served]:
    """Start `treadle serve` on a data folder; it answers `/healthz` when this yields, and has ended when this returns."""
    environment = {**os.environ, "TREADLE_SYNCHRONOUS": synchronous}
    with _ended([*TREADLE, "serve", "--data", str(data)], environment) as server:
        yield server


@contextmanager
def serve_bare() -> Iterator[Served]:
    """Start the limit: an ASGI function that reads JSON, computes and answers JSON, on the same server and event loop."""
    with _ended([sys.executable, "-m", "tests.benchmarks.bare_server"], dict(os.environ)) as server:
        yield server


def bring_in(data: Path, text: str = WORKFLOW) -> None:
    """Put an active workflow into a data folder that no Treadle runs on."""
    from app.build import build
    from app.config import load_settings
    from engine.access import OWNER

    async def change() -> None:
        treadle = build(load_settings(data=data, environment={}))
        await treadle.start()
        try:
            studio = treadle.studio(OWNER)
            workflow = await studio.workflows.create(text)
            await studio.workflows.activate(workflow.id)
        finally:
            await treadle.stop()

    asyncio.run(change())


@contextmanager
def _ended(command: list[str], environment: dict[str, str]) -> Iterator[Served]:
    port = _free_port()
    began = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--port", str(port)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _answers(port):
            if server.poll() is not None or time.perf_counter() - began > LONGEST_START_S:
                raise RuntimeError(f"{' '.join(command[1:])} did not start")
            time.sleep(0.005)
        yield Served(psutil.Process(server.pid), port, time.perf_counter() - began)
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(HEALTH)
        return connection.recv(12) == b"HTTP/1.1 200"
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
