"""
How many steps per second reach the disk, beside what the bare driver writes of such rows in the same minute.

Durable means `synchronous=FULL`: a run counts once its end is on disk, and a power cut takes nothing of it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial
from pathlib import Path

from engine.model.items import Batch
from engine.model.run import RunStatus
from engine.model.workflow import Document
from engine.run.worker import Worker

from .bench_engine import FIVE, a_run, computing, on_loop, unjournaled_us_per_node, with_worker
from .bench_store import fdatasync_p50_us, raw_rows_per_s
from .rounds import Effort, take_turns
from .table import Row, at_least, at_most, hopefully_at_least, hopefully_at_most

STEPS = 11
"""Steps of one run: a trigger and ten that compute a field of five items."""


def machine_rows(effort: Effort) -> list[Row]:
    """Return what this machine allows: one synced append, and rows through the bare driver."""
    folder = effort.folder
    taken = take_turns(
        {
            "fdatasync": lambda: fdatasync_p50_us(folder, times=effort.of(200)),
            "one": lambda: raw_rows_per_s(folder, group=1, rows=effort.of(1_000)),
            "hundred": lambda: raw_rows_per_s(folder, rows=effort.of(20_000, least=100)),
        },
        effort.rounds,
    )
    return [
        Row(name="fdatasync of 4 KiB, p50", measured=taken.median("fdatasync"), unit="µs"),
        Row(name="raw SQLite, one row per commit", measured=taken.median("one"), unit="rows/s"),
        Row(name="raw SQLite, 100 rows per commit", measured=taken.median("hundred"), unit="rows/s"),
    ]


def durable_rows(effort: Effort) -> list[Row]:
    """Return durable steps per second with 1, 64 and 1,000 runs at a time, beside raw SQLite in groups of 100."""
    folder = effort.folder
    runs = {1: effort.of(5_000), 64: effort.of(40_000), 1000: effort.of(66_000)}
    taken = take_turns(
        {
            "raw": lambda: raw_rows_per_s(folder, rows=effort.of(20_000, least=100)),
            **{
                str(at_a_time): partial(steps_per_s, folder, at_a_time=min(at_a_time, total // STEPS or 1), total=total)
                for at_a_time, total in runs.items()
            },
        },
        effort.rounds,
    )
    rows = [
        Row(
            name=f"durable steps, {at_a_time:,} run{'s' if at_a_time > 1 else ''} at a time",
            measured=taken.median(str(at_a_time)),
            unit="steps/s",
            limit=taken.median("raw"),
            limit_name="raw, groups of 100",
            ratio=taken.ratio(str(at_a_time), "raw"),
            goal=at_least(0.35) if at_a_time > 1 else None,
        )
        for at_a_time in runs
    ]
    best = max(row.measured for row in rows)
    return [*rows, Row(name="the best of these, as a number", measured=best, unit="steps/s", goal=hopefully_at_least(40_000))]


def hundred_rows(effort: Effort) -> list[Row]:
    """Return what a lone run of 100 nodes takes with its journal, beside the same one without."""
    hundred, folder, times = computing(99), effort.folder, effort.of(40)
    taken = take_turns(
        {
            "bare": lambda: unjournaled_us_per_node(hundred, FIVE, times=times) * len(hundred.nodes) / 1000,
            "full": lambda: run_ms(folder, hundred, FIVE, times=times),
            "normal": lambda: run_ms(folder, hundred, FIVE, times=times, synchronous="NORMAL"),
        },
        effort.rounds,
    )
    bare, full, normal = taken.median("bare"), taken.median("full"), taken.median("normal")
    return [
        Row(
            name="100-node run, durable",
            measured=full,
            unit="ms",
            limit=bare,
            limit_name="without a journal",
            ratio=taken.ratio("full", "bare"),
            goal=at_most(5),
        ),
        Row(name="the same, as a number", measured=full, unit="ms", goal=hopefully_at_most(5)),
        Row(
            name="100-node run, synchronous=NORMAL",
            measured=normal,
            unit="ms",
            limit=bare,
            limit_name="without a journal",
            ratio=taken.ratio("normal", "bare"),
        ),
    ]


def steps_per_s(folder: Path, *, at_a_time: int, total: int, synchronous: str = "FULL", where: str = "") -> float:
    """Return the durable steps per second of runs of eleven steps, so many at a time."""

    async def measure(worker: Worker) -> float:
        document = computing(STEPS - 1)
        rounds = max(1, total // at_a_time // STEPS)

        async def one_after_the_other(count: int) -> None:
            for _ in range(count):
                run = await worker.wait(worker.submit(a_run("ten"), document, FIVE, keeps_document=False).id)
                assert run.status is RunStatus.SUCCEEDED, run.error

        await one_after_the_other(min(5, rounds))
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_a_time):
                group.create_task(one_after_the_other(rounds))
        return at_a_time * rounds * STEPS / (time.perf_counter() - begin)

    return on_loop(with_worker(folder, measure, synchronous=synchronous, where=where))


def run_ms(folder: Path, document: Document, items: Batch, *, times: int, synchronous: str = "FULL") -> float:
    """Return the milliseconds of one durable run, from being submitted to its end being on disk."""

    async def measure(worker: Worker) -> float:
        taken = []
        for _ in range(times + 1):
            begin = time.perf_counter()
            run = await worker.wait(worker.submit(a_run("one"), document, items, keeps_document=False).id)
            taken.append(time.perf_counter() - begin)
            assert run.status is RunStatus.SUCCEEDED, run.error
        return statistics.median(taken[1:]) * 1000

    return on_loop(with_worker(folder, measure, synchronous=synchronous))
