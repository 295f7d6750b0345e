"""Fixtures of the workshop."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.store import open_store
from tests.run.workshop import Outside, Workshop, steps


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def make_workshop(tmp_path: Path, outside: Outside) -> Callable[..., Any]:
    """Return a maker of workshops; two of one `where` are two lives of one program."""

    async def make(where: str = "sqlite://", clock: Any = None, *, starts: bool = True, **options: Any) -> Workshop:
        clock = clock or SystemClock()
        store = open_store(where, clock=clock, blobs_dir=tmp_path / "blobs", synchronous="NORMAL")
        await store.start()
        catalog = Catalog([*builtin_steps(), *steps(outside)])
        bus = EventBus()
        worker = Worker(
            store,
            catalog,
            clock,
            bus,
            files=None,
            http=None,
            folders=OneFolder(tmp_path / "files"),
            **options,  # type: ignore[arg-type]
        )
        if starts:
            await worker.start()
        return Workshop(worker, store, clock, bus, outside, catalog)

    return make


@pytest.fixture
async def shop(make_workshop: Callable[..., Any]) -> AsyncIterator[Workshop]:
    workshop = await make_workshop()
    yield workshop
    await workshop.worker.stop()
    await workshop.store.stop()
