"""Twenty-four hours of mixed load, lived through in seconds."""

import asyncio
import contextlib
import gc
import os
from datetime import timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from engine.clock import SystemClock
from engine.errors import StoreError
from engine.maintenance.pruner import Pruner
from engine.model.run import RunStatus
from engine.store.blobs import BlobStore
from tests.simulation.disk import Disk, empty, make_database
from tests.simulation.history import History, Program, made_up_time
from tests.simulation.loop import VirtualLoop

HOUR = 3600.0
PAUSE = 30.0
"""Seconds from one event to the next, on average."""


@pytest.fixture
def history(tmp_path):
    loop = VirtualLoop(Random(24))
    database = make_database(SystemClock())
    history = History(24, loop, database, BlobStore(tmp_path))
    asyncio.set_event_loop(loop)
    yield history
    asyncio.set_event_loop(None)
    loop.close()
    empty(database)
    database.close()


async def live_a_day(history, hours, on_hour):
    """Live for so many hours with an event now and then, old runs removed as they always are, and `on_hour` at each hour."""
    chance = history.chance
    program = Program(history, Disk(chance, slowness=0.01, refusal=0.001))
    await program.store.start()
    await program.store.write(history._keep_workflows)
    await program.start({t.version_id: document for t, document in zip(history.triggers, history.workflows, strict=True)})
    pruner = Pruner(program.store, history.clock, keep=timedelta(hours=1))
    count = 0
    for hour in range(hours):
        end = history.loop.now + HOUR
        while history.loop.now < end:
            await asyncio.sleep(chance.expovariate(1 / PAUSE))
            items = [{"n": chance.randrange(100), "g": "a", "via": ""} for _ in range(chance.choice((1, 2, 7)))]
            with contextlib.suppress(Exception):
                await program.inbox.accept(chance.choice(history.triggers), items, key=f"event {count}")
                count += 1
        await history._wake(program)
        with contextlib.suppress(StoreError):  # the disk refused; the next round comes at its time, as ever
            await pruner.run_once()
        await asyncio.sleep(60)
        on_hour(hour, program)
    for _ in range(10):
        await history._wake(program)
        await asyncio.sleep(60)
    open_runs = program.store.look(lambda work: work.runs.list_open())
    await program.stop()
    await history._bury()
    return count, [run for run in open_runs if run.status is not RunStatus.NEEDS_DECISION]


def open_files():
    """Return how many files this process holds."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


@pytest.mark.timeout(120)
def test_a_day_leaves_nothing_behind(history):
    """
    After a day of runs the program holds as many objects and files as after its first hours, and every run is over.
    """
    held: list[int] = []
    files: list[int] = []

    def on_hour(hour, program):
        gc.collect()
        held.append(len(gc.get_objects()))
        files.append(open_files())

    with (
        patch("engine.triggers.inbox.REMEMBERED", 100),
        patch("engine.run.worker.REMEMBERED", 100),
        made_up_time(history.loop),
    ):
        count, left = history.loop.run_until_complete(live_a_day(history, 24, on_hour))
    assert [] == left
    assert 2000 < count
    early, late = max(held[4:8]), max(held[20:])
    assert late < early + 1000, held  # one object per run would be 1,900 by then
    assert max(files[4:8]) >= max(files[20:]), files
