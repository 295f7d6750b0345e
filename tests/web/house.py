"""One Treadle for tests: store, worker, triggers, studio, and the front door on a real port when a story needs one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from app.api.app import build_api
from app.web.dispatcher import Dispatcher
from app.web.figures import gather, is_ready
from app.web.hooks import Hooks
from app.web.pages import PublicPages
from app.web.security import Gate, Hosts
from app.web.sessions import Sessions
from engine.access import OWNER
from engine.clock import Clock, SystemClock
from engine.events.bus import EventBus
from engine.model.run import Run
from engine.protocols import RunFilter
from engine.run.answers import Answers
from engine.run.folders import Folders
from engine.run.replayer import Replayer
from engine.run.worker import Worker
from engine.service import Parts, Studio
from engine.service.samples import Samples
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.store import open_store
from engine.triggers.inbox import NO_LIMIT
from engine.triggers.triggers import Triggers


class House:
    """
    A whole Treadle without a screen; two of one folder are two lives of one program.

    `die` ends it as a power cut would: nothing is stopped, what is not on disk is gone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        database: str | None = None,
        steps: Any = (),
        inbox_limit: int = NO_LIMIT,
    ) -> None:
        self.inbox_limit = inbox_limit
        self.folder = folder
        self.clock = clock or SystemClock()
        self.bus = EventBus()
        self.catalog = Catalog([*builtin_steps(), *steps])
        where = database or f"sqlite:///{folder / 'treadle.db'}"
        self.store = open_store(where, clock=self.clock, blobs_dir=folder / "blobs", synchronous="NORMAL")
        self.files = self.store.blobs
        self.worker: Worker
        self.triggers: Triggers
        self.studio: Studio

    async def start(self, *, triggers: bool = True, worker: bool = True) -> House:
        await self.store.start()
        self.store.emit_to(self.bus.publish)
        self.worker = Worker(
            self.store,
            self.catalog,
            self.clock,
            self.bus,
            files=self.files,
            http=None,  # type: ignore[arg-type]
            folders=Folders(self.folder / "files"),
        )
        if worker:
            await self.worker.start()
        self.triggers = Triggers(self.store, self.worker, self.catalog, self.clock, inbox_limit=self.inbox_limit)
        if triggers:
            await self.triggers.start()
        parts = Parts(
            store=self.store,
            worker=self.worker,
            activation=self.triggers.activation,
            backfills=self.triggers.backfills,
            replayer=Replayer(self.store, self.clock, self.bus),
            catalog=self.catalog,
            clock=self.clock,
            bus=self.bus,
            files=self.files,
            folders=self.folder / "files",
            samples=Samples(self.catalog),
        )
        self.studio = Studio(parts, OWNER)
        return self

    async def stop(self) -> None:
        await self.triggers.stop()
        await self.worker.stop()
        await self.store.stop()

    async def publish(self, text: str) -> str:
        """Make a workflow from its text and switch it on; returns its id."""
        workflow = await self.studio.workflows.create(text)
        await self.studio.workflows.activate(workflow.id)
        return workflow.id

    def front(self, *, limit: int = 1024 * 1024, wait: float = 10.0) -> Dispatcher:
        """Return the front door with everything behind it but the screen."""
        hooks = Hooks(self.triggers.webhooks, self.worker, self.files, self.studio.runs.finished, limit=limit, wait=wait)
        return Dispatcher(
            Gate(no_screen, Sessions(b"k" * 32, self.clock)),
            hooks=hooks,
            api=build_api(self.studio),
            pages=PublicPages(
                self.store,
                self.worker,
                self.triggers.forms,
                Answers(self.store, self.worker, self.clock),
                self.files,
                limit=limit,
            ),
            hosts=Hosts(),
            metrics=gather(self.store, self.worker, self.triggers),
            ready=lambda: is_ready(self.store),
        )

    async def token(self, *scopes: str) -> dict[str, str]:
        """Return the headers of a caller with a new token."""
        _, secret = await self.studio.tokens.create("a test", scopes or ("read", "run", "write"))
        return {"Authorization": f"Bearer {secret}"}

    async def runs(self) -> list[Run]:
        """Return every run there is, oldest first, once all of them are over."""
        await self.store.journal.barrier()
        found = await self.studio.runs.list_page(RunFilter(limit=10_000))
        return [await self.worker.wait(run.id) for run in reversed(found)]

    async def outputs(self, run: Run, node: str) -> list[dict[str, Any]]:
        """Return what left a node by `out`."""
        return (await self.studio.runs.output(run.id, node)).items


async def no_screen(scope: Any, receive: Any, send: Any) -> None:
    """Stand in the place of the studio: say that it was reached."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"the studio"})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})


@asynccontextmanager
async def a_house(folder: Path, **options: Any) -> AsyncIterator[House]:
    """A house that is stopped at the end."""
    house = await House(folder, **options).start()
    try:
        yield house
    finally:
        await house.stop()


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an ASGI application on a free port of this loop and hand out a client for it."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="on", log_level="error", access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(), name="uvicorn")
    while not server.started:
        if task.done():
            task.result()
            raise RuntimeError("the server did not start")
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        await task


def _no_signals() -> Any:
    from contextlib import nullcontext

    return nullcontext()
