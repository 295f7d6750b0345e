"""Parked runs: what a start costs with so many of them, what they take in memory, how late a crowd of timers is."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.ids import NodeId, new_run_id
from engine.model.items import Output
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.model.waits import Wait
from engine.model.workflow import Document, Edge, Node
from engine.run.folders import OneFolder
from engine.run.payloads import encode_batch, encode_outputs
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import StepSpec
from engine.store import SqlStore, open_store

from .bench_engine import NOTHING, a_run, on_loop
from .rounds import Effort, take_turns
from .table import Row, at_most, hopefully_at_most

PARKED = 100_000
TOGETHER = 1_000
YEAR = timedelta(days=365)
START, PAUSE, MARK = NodeId("start"), NodeId("pause"), NodeId("mark")


def parked_rows(effort: Effort) -> list[Row]:
    """Return how a start fares with 100,000 waiting runs, and how late 1,000 timers are that are due together."""
    many = effort.of(PARKED, least=50)
    crowd = effort.of(TOGETHER, least=20)
    full, empty = effort.folder / "parked.db", effort.folder / "empty.db"
    on_loop(_park(full, many))
    on_loop(_park(empty, 0))
    started = take_turns(
        {"full": lambda: on_loop(_restart(full, effort.folder)), "empty": lambda: on_loop(_restart(empty, effort.folder))},
        effort.rounds,
    )
    late = take_turns(
        {
            "timers": lambda: on_loop(_due_together(full, crowd, effort.folder)),
            "plain": lambda: on_loop(_plain(full, crowd, effort.folder)),
        },
        effort.rounds,
    )
    name = f"{crowd:,} timers due together among {many:,} waiting runs"
    return [
        Row(
            name=f"start with {many:,} waiting runs",
            measured=started.median("full.ms"),
            unit="ms",
            limit=started.median("empty.ms"),
            limit_name="start with none",
            ratio=started.ratio("full.ms", "empty.ms"),
            goal=at_most(5),
        ),
        Row(name="the same, as a number", measured=started.median("full.ms"), unit="ms", goal=hopefully_at_most(2_000)),
        Row(
            name="memory they take after the start",
            measured=max(0.001, started.median("full.kb")),
            unit="KB",
            limit=max(0.001, started.median("empty.kb")),
            limit_name="with none",
            goal=hopefully_at_most(1_000),
        ),
        Row(
            name=f"{name}: the last one's next step, late",
            measured=late.median("timers.last"),
            unit="ms",
            limit=late.median("plain"),
            limit_name="as many runs without waiting",
            ratio=late.ratio("timers.last", "plain"),
            goal=at_most(4),
        ),
        Row(name=f"{name}: half of them", measured=late.median("timers.half"), unit="ms", goal=hopefully_at_most(100)),
        Row(name="the last one, as a number", measured=late.median("timers.last"), unit="ms", goal=hopefully_at_most(100)),
    ]


def waiting_document(until: datetime | None) -> Document:
    """start -> pause -> mark; without a moment the pause is a step that passes on"""
    fields: dict[str, Any] = {"until": until.isoformat()} if until else {"for": 0}
    nodes = {
        START: Node(id=START, use="trigger.manual"),
        PAUSE: Node(id=PAUSE, use="flow.wait", fields=fields),
        MARK: Node(id=MARK, use="bench.mark"),
    }
    return Document(name="Waits", nodes=nodes, edges=(Edge(START, PAUSE), Edge(PAUSE, MARK)))


def _worker(store: SqlStore, folder: Path, marks: list[float]) -> Worker:
    def mark(batch: Any) -> Output:
        marks.append(time.time())
        return Output(batch.items)

    catalog = Catalog([*builtin_steps(), StepSpec(name="bench.mark", title="Mark", call=mark)])
    return Worker(
        store, catalog, SystemClock(), EventBus(), files=NOTHING, http=NOTHING, folders=OneFolder(folder), slots=1_000
    )


def _store(path: Path) -> SqlStore:
    return open_store(path, clock=SystemClock(), blobs_dir=path.parent / "blobs")


async def _park(path: Path, count: int) -> None:
    """Leave so many runs behind whose timers are due next year, as their journals tell it."""
    async with _store(path) as store:
        now = datetime.now(UTC)
        document = waiting_document(now + YEAR)
        payload, _ = encode_outputs({"out": Output([{"n": 1}])})
        items = encode_batch([{"n": 1}])
        wait = Wait(kind="timer", due_at=now + YEAR).as_summary()
        for number in range(count):
            run = _a_parked_run(now)
            store.journal.start(run, input=items, document=document if not number else None)
            gave = {"ports": {"out": 1}, "in": 1, "ms": 0.1}
            done, waits = FactKind.STEP_SUCCEEDED, FactKind.STEP_WAITING
            fact = Fact(run_id=run.id, seq=0, kind=done, node=START, at=now, summary=gave, payload=payload)
            store.journal.append(fact, epoch=0)
            store.journal.append(Fact(run_id=run.id, seq=1, kind=waits, node=PAUSE, at=now, summary=wait), epoch=0)
            store.journal.finish(_a_parked_run(now, RunStatus.WAITING, run.id))
            if number % 2_000 == 0:
                await store.journal.barrier()
        await store.journal.barrier()


def _a_parked_run(now: datetime, status: RunStatus = RunStatus.RUNNING, run_id: Any = None) -> Run:
    return Run(
        id=run_id or new_run_id(now),
        workflow_id=None,
        workflow_name="Waits",
        version_id=a_run("parked").version_id,
        status=status,
        trigger="manual",
        start_node=START,
        queued_at=now,
        started_at=now,
    )


async def _restart(path: Path, folder: Path) -> dict[str, float]:
    """Return the milliseconds until a worker is ready on a database, and the KB that Python holds more than before."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        store = _store(path)
        worker = _worker(store, folder, [])
        tracemalloc.stop()
        begin = time.perf_counter()
        await store.start()
        await worker.start()
        await worker.waker.run_once()
        took = time.perf_counter() - begin
        tracemalloc.start()
        await worker.run_once()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - min(before, 0)
        assert worker.running == worker.waiting == 0
        await worker.stop()
        await store.stop()
    finally:
        tracemalloc.stop()
    return {"ms": took * 1000, "kb": held / 1024}


async def _due_together(path: Path, count: int, folder: Path) -> dict[str, float]:
    """Return by how many milliseconds the step behind the timer was late, half of the runs and the last one."""
    marks: list[float] = []
    async with _store(path) as store:
        worker = _worker(store, folder, marks)
        await worker.start()
        due = datetime.now(UTC) + timedelta(seconds=2 + count / 500)
        document = waiting_document(due)
        runs = [worker.submit(a_run("timers"), document, [{"n": 1}], keeps_document=True) for _ in range(count)]
        for run in runs:
            assert (await worker.wait(run.id)).status is RunStatus.WAITING
        assert datetime.now(UTC) < due, "parking took longer than the timers"
        async with asyncio.timeout(60):
            while len(marks) < count:
                await asyncio.sleep(0.05 if datetime.now(UTC) < due else 0.2)
        await worker.stop()
    late = [(mark - due.timestamp()) * 1000 for mark in marks]
    assert min(late) >= 0
    return {"half": max(0.001, median(late)), "last": max(late)}


async def _plain(path: Path, count: int, folder: Path) -> float:
    """Return the milliseconds until as many runs have come to the same step without waiting."""
    marks: list[float] = []
    async with _store(path) as store:
        worker = _worker(store, folder, marks)
        await worker.start()
        document = waiting_document(None)
        begin = time.time()
        runs = [worker.submit(a_run("plain"), document, [{"n": 1}], keeps_document=True) for _ in range(count)]
        for run in runs:
            await worker.wait(run.id)
        await worker.stop()
    return (max(marks) - begin) * 1000
