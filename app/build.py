"""The composition root: settings in, a running Treadle out. The only file that knows every class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from app.config import Settings
from app.lifecycle import Lifecycle, Service
from connectors import load_connectors
from engine.access import Actor
from engine.clock import Clock, SystemClock
from engine.code.packages import Packages
from engine.code.pool import CodePool
from engine.events.bus import EventBus
from engine.maintenance.callers import Callers
from engine.maintenance.indexer import Indexer
from engine.maintenance.pruner import Pruner
from engine.model.workflow import Keep
from engine.run.folders import Folders, OneFolder
from engine.run.replayer import Replayer
from engine.run.worker import Worker
from engine.service import Parts, Studio
from engine.service.samples import Samples
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.contract import Http
from engine.store import SqlStore, open_store
from engine.triggers.triggers import Triggers

GRACE = timedelta(seconds=2)
"""How long steps at work get to come to their end when the program stops; systems kill a service that takes long."""


@cache
def load_catalog() -> Catalog:
    """Return every step this Treadle knows: the built-in ones and those of the connectors."""
    return Catalog([*builtin_steps(), *load_connectors()])


class Treadle:
    """
    One Treadle, wired but not started.

    `start` opens the store and, as asked, lets the engine work off runs and the triggers fire; `stop` ends it all in reverse.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        store: SqlStore,
        bus: EventBus,
        catalog: Catalog,
        http: Outside,
        folders: Folders,
    ) -> None:
        self.settings, self.clock, self.store, self.bus = settings, clock, store, bus
        self.catalog, self.http, self.folders = catalog, http, folders
        store.emit_to(bus.publish)
        self.code = CodePool(
            settings.cages,
            Packages(settings.packages, is_allowed=settings.allow_packages),
            is_allowed=settings.allow_code,
            most=settings.code_processes,
        )
        self.worker = Worker(
            store,
            catalog,
            clock,
            bus,
            files=store.blobs,
            http=http,
            folders=folders,
            slots=settings.slots,
            grace=GRACE,
            code=self.code,
        )
        self.triggers = Triggers(store, self.worker, catalog, clock, inbox_limit=settings.inbox_limit)
        self.callers = Callers(store)
        self.indexer = Indexer(store, clock)
        self.replayer = Replayer(store, clock, bus)
        self.pruner = Pruner(
            store,
            clock,
            keep=timedelta(days=settings.keep_days),
            usual=Keep(
                runs=settings.keep_runs or None,
                failed_days=settings.keep_failed_days or None,
                payload_days=settings.keep_payload_days or None,
            ),
            quota=settings.quota_mb * 1024 * 1024 or None,
        )
        self._lifecycle = Lifecycle()
        self._parts = Parts(
            store=store,
            worker=self.worker,
            activation=self.triggers.activation,
            backfills=self.triggers.backfills,
            replayer=self.replayer,
            catalog=catalog,
            clock=clock,
            bus=bus,
            files=store.blobs,
            folders=settings.folders,
            data=settings.data,
            quota=settings.quota_mb * 1024 * 1024 or None,
            samples=Samples(catalog),
            code=self.code,
            allows_packages=settings.allow_packages,
        )

    def studio(self, actor: Actor) -> Studio:
        """Return this Treadle as one actor sees it."""
        return Studio(self._parts, actor)

    async def start(self, *, engine: bool = True, triggers: bool = True, resume: bool = True) -> None:
        """
        Open the store; with `engine` run what comes, with `resume` also what an earlier life left open, with `triggers` let
        them fire.

        Raises `StoreError` when the store cannot be opened or another process runs the engine on it.
        """
        services: list[Service] = [self.store]
        if engine:
            services += [self.http, self.code, self.worker if resume else _WithoutResuming(self.worker)]
        if engine and resume:
            services.append(self.callers)
        if triggers:
            services += [self.triggers, self.replayer, self.pruner, *([self.indexer] if self.settings.search == "on" else [])]
        await self._lifecycle.start(services)

    async def stop(self) -> None:
        """End everything; runs that are not over go on at the next start."""
        await self._lifecycle.stop()


class _WithoutResuming:
    """The worker for a single run: what else is open in the store waits for a Treadle that stays."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def start(self) -> None:
        """Begin to work on what is submitted."""
        await self._worker.start(resume=False)

    async def stop(self) -> None:
        """End the work."""
        await self._worker.stop()


class Outside:
    """
    The one way out, as a service.

    The client behind it is made when a step first goes out: its library takes a tenth of a second to load, which a run that
    stays at home need not wait for.
    """

    def __init__(self) -> None:
        self._client: Http | None = None
        self._close: Callable[[], Awaitable[None]] | None = None

    async def start(self) -> None:
        """Nothing to do: connections open when they are needed."""

    async def stop(self) -> None:
        """Close what is open."""
        if self._close is not None:
            await self._close()
            self._client = self._close = None

    async def request(self, method: str, url: str, **options: Any) -> Any:
        """Send one request; see `HttpClient.request`."""
        if self._client is None:
            from app.version import VERSION
            from connectors._runtime.http import HttpClient

            client = HttpClient(user_agent=f"Treadle/{VERSION}")
            self._client, self._close = client, client.close
        return await self._client.request(method, url, **options)


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    store: SqlStore | None = None,
    catalog: Catalog | None = None,
    is_guest: bool = False,
    in_memory: bool = False,
    fixed_folder: Path | None = None,
) -> Treadle:
    """
    Wire one Treadle; whatever is handed in takes the place of the real thing.

    `is_guest` opens the store beside a Treadle that runs the engine on it; `in_memory` takes a throw-away store instead;
    `fixed_folder` makes one given folder the folder of every workflow.
    """
    clock = clock or SystemClock()
    store = store or open_store(
        "sqlite://" if in_memory else settings.database_url,
        clock=clock,
        blobs_dir=settings.blobs,
        synchronous=settings.synchronous,
        exclusive=not (is_guest or in_memory),
    )
    return Treadle(
        settings,
        clock=clock,
        store=store,
        bus=EventBus(),
        catalog=catalog or load_catalog(),
        http=Outside(),
        folders=OneFolder(fixed_folder) if fixed_folder else Folders(settings.folders),
    )
