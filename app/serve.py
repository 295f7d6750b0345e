"""The studio, the API and the webhooks on one port, and a window on top where one is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import ui as nicegui_ui
from rich.console import Console

import ui
from app.api.app import build_api
from app.build import Treadle, build
from app.config import Settings
from app.desktop import Window, open_window
from app.instance import announced, find_instance
from app.interpreter import allow_many_files, tune_interpreter
from app.logs import set_up_logs
from app.starters import FIRST, add_starter
from app.web.dispatcher import Dispatcher
from app.web.figures import gather
from app.web.hooks import Hooks
from app.web.pages import PublicPages
from app.web.patience import PatientProtocol
from app.web.security import Gate, Hosts, check_listen
from app.web.sessions import Sessions, launch_url, load_key, make_launch_token
from app.web.socket_guard import SocketGuard
from engine.access import OWNER
from engine.errors import Conflict
from engine.run.answers import Answers

log = logging.getLogger(__name__)

RECONNECT_S = 30
"""How long a page may lose its line before it is built anew; a big canvas can keep a browser busy for seconds."""

WAIT_AT_END_S = 2
"""How long requests that are under way get to finish when the program ends; steps at work get as long again."""


def wire_web(treadle: Treadle, sessions: Sessions) -> Dispatcher:
    """Return the one ASGI application: webhooks, API and state in front, the studio behind its gate."""
    settings = treadle.settings
    studio = treadle.studio(OWNER)
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    ui.install(lambda: studio, data=settings.data)
    nicegui_ui.run_with(
        outer,
        title="Treadle",
        favicon=str(Path(ui.__file__).parents[1] / "assets" / "icons" / "favicon.svg"),
        language="en-US",
        reconnect_timeout=RECONNECT_S,
        show_welcome_message=False,
    )
    SocketGuard(sessions).install()
    hooks = Hooks(
        treadle.triggers.webhooks,
        treadle.worker,
        treadle.store.blobs,
        studio.runs.finished,
        limit=settings.max_body_mb * 1024 * 1024,
        wait=settings.webhook_wait_s,
    )

    pages = PublicPages(
        treadle.store,
        treadle.worker,
        treadle.triggers.forms,
        Answers(treadle.store, treadle.worker, treadle.clock),
        treadle.store.blobs,
        limit=settings.max_body_mb * 1024 * 1024,
    )

    async def is_ready() -> bool:
        await treadle.store.journal.barrier()  # raises StoreError while the disk refuses what was written
        return True

    return Dispatcher(
        Gate(outer, sessions),
        hooks=hooks,
        api=build_api(studio),
        pages=pages,
        hosts=Hosts(),
        metrics=gather(treadle.store, treadle.worker, treadle.triggers),
        ready=is_ready,
    )


async def serve_studio(settings: Settings, *, window: bool) -> None:
    """
    Serve until somebody ends it: a signal, or the window being closed.

    Raises `NotAllowed` for an address that is not this machine's own, `Conflict` when the port is taken or a Treadle runs on
    this data folder already (with `window` that one is opened instead).
    """
    check_listen(settings.host)
    set_up_logs(settings.log_level)
    allow_many_files()
    if known := find_instance(settings.data):
        await _show_running(settings, known.url, window=window)
        return
    listener = _listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    url = f"http://{'[::1]' if ':' in settings.host else settings.host}:{port}"
    treadle = build(settings)
    treadle.worker.address = settings.public_url.rstrip("/") or url
    try:
        await treadle.start()
        await _first_start(treadle)
        key = await load_key(treadle.store)
        server = _Server(
            uvicorn.Config(
                wire_web(treadle, Sessions(key, treadle.clock)),
                log_config=None,
                access_log=False,
                lifespan="on",
                loop="none",
                http=PatientProtocol,
                timeout_graceful_shutdown=WAIT_AT_END_S,
                server_header=False,
            )
        )
        tune_interpreter()
        with contextlib.ExitStack() as until_the_end, _signals(server):
            server.on_answering = lambda: until_the_end.enter_context(announced(settings.data, url))
            async with _opened(settings, launch_url(url, make_launch_token(key, treadle.clock)), server, window=window):
                await server.serve(sockets=[listener])
    finally:
        await treadle.stop()
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: ours come first, because there is more to stop than a server."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()
        self.on_answering: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell who waits for it."""
        await super().startup(sockets=sockets)
        self.on_answering()
        self.answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _show_running(settings: Settings, url: str, *, window: bool) -> None:
    if not window:
        raise Conflict(
            f"Treadle is running on {settings.data} already, at {url}.",
            hint="Stop that one first, or choose another folder with --data DIR.",
        )
    treadle = build(settings, is_guest=True)
    await treadle.start(engine=False, triggers=False)
    try:
        link = launch_url(url, make_launch_token(await load_key(treadle.store), treadle.clock))
    finally:
        await treadle.stop()
    opened = await asyncio.to_thread(open_window, link, data_dir=settings.data)
    where = url if opened else link
    Console(stderr=True).print(f"Treadle is running already: {where}", markup=False, highlight=False, soft_wrap=True)
    if opened is not None:
        await asyncio.to_thread(opened.wait)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise Conflict(
            f"Port {port} on {host} cannot be used: {error.strerror}.",
            hint="Another program has it. Choose another one: treadle --port 0 takes any that is free.",
        ) from error
    return listener


async def _first_start(treadle: Treadle) -> None:
    """Put the first starter into a store that has never had a workflow."""

    studio = treadle.studio(OWNER)
    is_new = await treadle.store.write(lambda work: work.values.get("started_at") is None)
    if is_new:
        if not await studio.workflows.list_rows(limit=1):
            await add_starter(studio, treadle.folders, FIRST)
        await treadle.store.write(lambda work: work.values.set("started_at", treadle.clock.now().isoformat()))


@contextlib.contextmanager
def _signals(server: uvicorn.Server) -> Iterator[None]:
    def end(*_: object) -> None:
        if server.should_exit:
            server.force_exit = True
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.asynccontextmanager
async def _opened(settings: Settings, link: str, server: _Server, *, window: bool) -> AsyncIterator[None]:
    """Open the window once the server answers; when a window of our own is closed, the server ends."""

    out = Console(stderr=True)
    windows: list[Window] = []

    async def watch() -> None:
        await server.answering.wait()
        opened = await asyncio.to_thread(open_window, link, data_dir=settings.data) if window else None
        where = link if opened is None else link.partition("?")[0]
        out.print(f"Treadle is ready: {where}", markup=False, highlight=False, soft_wrap=True)
        if opened is not None:
            windows.append(opened)
            if await asyncio.to_thread(opened.wait):
                server.should_exit = True

    task = asyncio.create_task(watch(), name="window")
    try:
        yield
    finally:
        for opened in windows:  # also ends the thread that waits for it, which would keep the program from ending
            await asyncio.to_thread(opened.close)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
