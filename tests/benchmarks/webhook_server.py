"""
Servers for the webhook benchmark, one per process: `python -m tests.benchmarks.webhook_server bare|full FOLDER`.

`bare` is the limit: an ASGI function that reads JSON and answers JSON. `full` is the whole product, studio included, with one
active workflow of three nodes whose answer comes from its last. Each prints its port when it listens and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import uvicorn

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


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Read JSON, compute, answer JSON, with nothing in between."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    item = orjson.loads(message["body"])
    body = orjson.dumps({"id": scope["path"].rpartition("/")[2], "total": item["price"] * item["qty"]})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(app: Any) -> None:
    """Serve until stdin ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", loop="none", http="httptools")
    server = uvicorn.Server(config)

    def watch() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


async def full(folder: Path, synchronous: str) -> None:
    """Serve the whole product as `treadle serve` wires it."""
    from app.build import build
    from app.config import load_settings
    from app.serve import wire_web
    from app.web.sessions import Sessions, load_key
    from engine.access import OWNER

    treadle = build(load_settings(data=folder, environment={}, synchronous=synchronous))
    await treadle.start()
    studio = treadle.studio(OWNER)
    workflow = await studio.workflows.create(WORKFLOW)
    await studio.workflows.activate(workflow.id)
    app = wire_web(treadle, Sessions(await load_key(treadle.store), treadle.clock))
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        await serve(app)
    finally:
        await treadle.stop()
        sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}\n")


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    work = serve(bare) if kind == "bare" else full(folder, sys.argv[3])
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
