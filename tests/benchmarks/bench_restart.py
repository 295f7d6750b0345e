"""A restart in the middle of much work: 10,000 open runs among 100,000, from opening the store to having them in hand."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.ids import NodeId, VersionId, new_run_id
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.run.folders import OneFolder
from engine.run.payloads import encode_batch
from engine.run.worker import Worker
from engine.store import SqlStore, open_store

from .bench_engine import CATALOG, FIVE, NOTHING, computing, on_loop
from .bench_store import PAYLOAD, SUMMARY
from .rounds import Effort, take_turns
from .table import Row, hopefully_at_most

DOCUMENT = computing(3)
INPUT = encode_batch(FIVE)


def restart_rows(effort: Effort) -> list[Row]:
    """Return the seconds until all open runs are in hand again, and until they are done, beside an empty store's start."""
    ended, opened = effort.of(90_000), effort.of(10_000)
    place = effort.folder / "restart"
    place.mkdir(exist_ok=True)
    empty = effort.folder / "restart-empty"
    empty.mkdir(exist_ok=True)
    taken = take_turns(
        {
            "empty": lambda: restart_s(empty, 0)["ready"],
            "full": lambda: restart_after(place, ended, opened),
        },
        1 if effort.scale >= 1 else effort.rounds,
    )
    return [
        Row(
            name=f"restart, {opened:,} open runs among {ended + opened:,}: all in hand",
            measured=taken.median("full.ready"),
            unit="s",
            limit=taken.median("empty"),
            limit_name="an empty store",
            ratio=taken.ratio("full.ready", "empty"),
            goal=hopefully_at_most(1),
        ),
        Row(name="the same: all done", measured=taken.median("full.done"), unit="s"),
    ]


def restart_after(place: Path, ended: int, opened: int) -> dict[str, float]:
    """Fill a store with runs that ended and runs that are open after one step, and start a second life on it."""
    on_loop(fill(place, ended, opened))
    return restart_s(place, opened)


async def fill(place: Path, ended: int, opened: int) -> None:
    """Write the runs through the journal."""
    clock = SystemClock()
    async with open_store(place / "treadle.db", clock=clock, blobs_dir=place / "blobs") as store:
        for number in range(ended + opened):
            record(store, clock, is_open=number % ((ended + opened) // max(1, opened)) == 0)
            if number % 1_000 == 999:
                await store.journal.barrier()
        await store.journal.barrier()


def record(store: SqlStore, clock: SystemClock, *, is_open: bool) -> None:
    """Write one run: its start and its first step, and its end where it has one."""
    now = clock.now()
    start = NodeId("start")
    run = Run(
        id=new_run_id(now),
        workflow_id=None,
        workflow_name="Bench",
        version_id=VersionId("restart"),
        status=RunStatus.RUNNING,
        trigger="trigger.manual",
        start_node=start,
        queued_at=now,
        started_at=now,
    )
    store.journal.start(run, input=INPUT, document=DOCUMENT if is_open else None)
    fact = Fact(run_id=run.id, seq=0, kind=FactKind.STEP_SUCCEEDED, node=start, at=now, summary=SUMMARY, payload=PAYLOAD)
    if is_open:
        fact = replace(fact, kind=FactKind.LOGGED, summary={"level": "info", "text": "so far"}, payload=None)
        store.journal.append(fact, epoch=0)
    else:
        store.journal.append(fact, epoch=0)
        store.journal.finish(replace(run, status=RunStatus.SUCCEEDED, finished_at=now))


def restart_s(place: Path, opened: int) -> dict[str, float]:
    """Return `ready` and `done`: the seconds until all open runs are in hand, and until none is open any more."""

    async def measure() -> dict[str, float]:
        clock = SystemClock()
        begin = time.perf_counter()
        async with open_store(place / "treadle.db", clock=clock, blobs_dir=place / "blobs") as store:
            worker = Worker(store, CATALOG, clock, EventBus(), files=NOTHING, http=NOTHING, folders=OneFolder(place))
            await worker.start()
            ready = time.perf_counter() - begin
            in_hand = worker.running + worker.waiting
            try:
                while worker.running or worker.waiting:
                    await asyncio.sleep(0.005)
                done = time.perf_counter() - begin
            finally:
                await worker.stop()
            if in_hand < opened * 0.5:
                raise RuntimeError(f"{in_hand} of {opened} runs were in hand")
        return {"ready": ready, "done": done}

    return on_loop(measure())
