"""A thousand and ten thousand schedules, and the search over many runs: loading, idling, being on time, finding."""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from engine.clock import SystemClock
from engine.ids import NodeId, RunId, VersionId, WorkflowId, new_run_id
from engine.model.run import Run, RunStatus
from engine.protocols import Found, RunFilter, TriggerState, UnitOfWork
from engine.store import open_store
from engine.triggers.activation import Active
from engine.triggers.schedule import Schedules

from .bench_engine import on_loop
from .rounds import Effort, take_turns
from .table import Row, hopefully_at_most

IDLE_S = 2.0
RUNS = 100_000


def schedule_rows(effort: Effort) -> list[Row]:
    """Return what schedules cost, and what finding runs by their words takes."""
    rows: list[Row] = []
    for count in (1_000, 10_000):
        taken = take_turns({"many": lambda count=count: on_loop(_schedules(count))}, max(1, effort.rounds // 2))  # type: ignore[misc]
        name = f"{count:,} schedules"
        goal = hopefully_at_most(5_000) if count == 10_000 else None
        rows += [
            Row(name=f"{name}: loaded", measured=taken.median("many.load_ms"), unit="ms", goal=goal),
            Row(name=f"{name}: idle", measured=taken.median("many.idle_percent"), unit="% CPU", goal=hopefully_at_most(1)),
            Row(
                name=f"{name}: one wakes late by", measured=taken.median("many.late_ms"), unit="ms", goal=hopefully_at_most(50)
            ),
            Row(
                name=f"{name}: 1,000 due at once taken in",
                measured=taken.median("many.burst_ms"),
                unit="ms",
                goal=hopefully_at_most(1_000),
            ),
        ]
    runs = effort.of(RUNS, least=2_000)
    found = on_loop(_search(effort.folder, runs))
    rows += [
        Row(name=f"search over {runs:,} runs: {name}", measured=ms, unit="ms", goal=hopefully_at_most(100))
        for name, ms in found.items()
    ]
    return rows


class _Inbox:
    """Takes what fires, and notes how late; what a firing then costs is measured elsewhere."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.fired = asyncio.Event()

    async def accept_all(self, change: object) -> int:
        self.late.append(time.time())
        self.fired.set()
        return 0


async def _schedules(count: int) -> dict[str, float]:
    clock = SystemClock()
    now = clock.now()
    far = now + timedelta(days=1)
    triggers = [
        TriggerState(
            workflow_id=WorkflowId(f"wf_{number}"),
            workflow_name=f"Workflow {number}",
            version_id=VersionId("v"),
            node=NodeId("clock"),
            kind="trigger.schedule",
            fields={"cron": f"{number % 60} {number // 60 % 24} * * *"},
            timezone="Europe/Vienna",
            next_due=far + timedelta(seconds=number),
        )
        for number in range(count)
    ]
    inbox = _Inbox()
    schedules = Schedules(inbox, clock)  # type: ignore[arg-type]
    began = time.process_time()
    schedules.load(Active(triggers))
    load = (time.process_time() - began) * 1000
    await schedules.start()
    await asyncio.sleep(0.2)
    before, at = _cpu(), time.monotonic()
    await asyncio.sleep(IDLE_S)
    idle = (_cpu() - before) / (time.monotonic() - at) * 100
    late = []
    for _ in range(5):
        due = clock.now() + timedelta(milliseconds=150)
        key = (triggers[0].workflow_id, triggers[0].node)
        entry = schedules._entries[key]
        entry.due = due
        schedules._heap.insert(0, (due, key))
        inbox.fired.clear()
        schedules._set_alarm()
        async with asyncio.timeout(5):
            await inbox.fired.wait()
        late.append(max(0.0, inbox.late[-1] - due.timestamp()) * 1000)
    await schedules.stop()
    burst = Schedules(inbox, clock)  # type: ignore[arg-type]
    burst.load(Active([_due(trigger, clock.now()) for trigger in triggers[:1_000]]))
    began = time.process_time()
    await burst.run_once()
    took = (time.process_time() - began) * 1000
    return {"load_ms": load, "idle_percent": idle, "late_ms": sorted(late)[len(late) // 2], "burst_ms": took}


def _due(trigger: TriggerState, at: datetime) -> TriggerState:
    return replace(trigger, next_due=at)


async def _search(folder: Path, count: int) -> dict[str, float]:
    clock = SystemClock()
    start = clock.now() - timedelta(days=2)
    cities = ("graz", "vienna", "linz", "salzburg", "innsbruck")
    async with open_store(folder / "search.db", clock=clock, blobs_dir=folder / "blobs", synchronous="NORMAL") as store:
        for first in range(0, count, 2_000):

            def fill(work: UnitOfWork, first: int = first) -> None:
                found = []
                for number in range(first, min(first + 2_000, count)):
                    at = start + timedelta(milliseconds=number)
                    run = Run(
                        id=RunId(new_run_id(at)),
                        workflow_id=WorkflowId(f"wf_{number % 20}"),
                        workflow_name="Orders",
                        version_id=VersionId("v"),
                        status=RunStatus.FAILED if number % 50 == 0 else RunStatus.SUCCEEDED,
                        trigger="manual",
                        start_node=None,
                        queued_at=at,
                        started_at=at,
                        finished_at=at,
                    )
                    work.runs.add(run, input=b"[]")
                    words = (
                        f"order {number} customer{number % 997} {cities[number % 5]} total {number % 3000} "
                        + "lorem ipsum dolor " * 8
                    )
                    found.append(Found(run_id=run.id, workflow=f"wf_{number % 20}", status=run.status.value, words=words))
                work.search.keep(found, late=(), settled=(), cursor=None)

            await store.write(fill)
        figures = {}
        for name, wanted in {
            "a rare word": RunFilter(search="customer17 vienna"),
            "one run": RunFilter(search=str(count // 2)),
            "a word in every run": RunFilter(search="lorem"),
            "a phrase of failed runs of a workflow": RunFilter(
                search='"ipsum dolor"', workflow_id=WorkflowId("wf_0"), statuses=(RunStatus.FAILED,)
            ),
            "nothing": RunFilter(search="unknown"),
        }.items():
            taken = []
            for _ in range(5):
                began = time.perf_counter()
                await store.read(lambda work, wanted=wanted: work.runs.list_page(wanted))  # type: ignore[misc]
                taken.append((time.perf_counter() - began) * 1000)
            figures[name] = sorted(taken)[2]
    for left in folder.glob("search.db*"):
        left.unlink()
    return figures


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
