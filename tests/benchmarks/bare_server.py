"""
The limit for webhooks: a bare ASGI function behind the server that Treadle uses (uvicorn, httptools, uvloop).

Run as `python -m tests.benchmarks.bare_server --port PORT`; it ends with a signal.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import orjson
import uvicorn

from app.cli.output import fast_loop


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Read JSON, compute, answer JSON, with nothing in between."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["method"] == "GET":
        body = b"{}"
    else:
        item = orjson.loads((await receive())["body"])
        body = orjson.dumps({"id": scope["path"].rpartition("/")[2], "total": item["price"] * item["qty"]})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until a signal comes."""
    port = int(sys.argv[sys.argv.index("--port") + 1])
    config = uvicorn.Config(bare, port=port, log_config=None, access_log=False, loop="none", http="httptools")
    gc.freeze()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
