"""
A small load client of its own process: `python -m tests.benchmarks.load_client PORT CONNECTIONS SECONDS`.

Keeps that many connections busy, each with one request at a time, and prints
`{"per_second", "p50_ms", "p99_ms", "count", "errors"}`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import orjson

BODY = orjson.dumps({"price": 12.5, "qty": 4, "sku": "A-1", "note": "x" * 120})
REQUEST = (
    b"POST /hooks/orders/17 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    % (len(BODY), BODY)
)


class Caller(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last is complete."""

    def __init__(self, took: list[float], until: float) -> None:
        self._took, self._until = took, until
        self._data = b""
        self.errors = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        head = self._data.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._data.lower().find(b"content-length: ", 0, head)
        length = int(self._data[at + 16 : self._data.index(b"\r", at)])
        if len(self._data) < head + 4 + length:
            return
        if self._data[9:12] != b"200":
            self.errors += 1
        self._data = b""
        now = time.perf_counter()
        self._took.append(now - self._began)
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self._until:
            self.errors += 1
        if not self.over.done():
            self.over.set_result(None)


async def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    """Return what that many connections got done in that time."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    began = time.perf_counter()
    callers = [
        (await loop.create_connection(lambda: Caller(took, began + seconds), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    await asyncio.gather(*(caller.over for caller in callers))
    lasted = time.perf_counter() - began
    took.sort()
    return {
        "per_second": len(took) / lasted,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "count": len(took),
        "errors": sum(caller.errors for caller in callers),
    }


def main() -> None:
    work = load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    try:
        import uvloop
    except ImportError:
        figures = asyncio.run(work)
    else:
        figures = uvloop.run(work)
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")


if __name__ == "__main__":
    main()
