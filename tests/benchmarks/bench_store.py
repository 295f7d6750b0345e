"""
How fast the store is, beside what the disk and the driver allow on this machine at this minute.

Here the journal is fed with facts that are ready made; what whole runs reach is measured in `bench_durable`.
"""

import asyncio
import json
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlcipher

from engine.clock import SystemClock
from engine.ids import NodeId, VersionId, WorkflowId, new_run_id
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.store import SqlStore, open_store

from .rounds import Effort, take_turns
from .table import Row

PAYLOAD = os.urandom(520)
"""As long as what a step of `bench_engine.computing` hands on, five items of six fields, written down."""

SUMMARY = {"ports": {"out": {"count": 5, "bytes": 330}}, "items_in": 5}


def fdatasync_p50_us(folder: Path, *, times: int = 200) -> float:
    """Return the median microseconds of one synced append of 4 KiB, which is what a commit cannot be faster than."""
    block, taken = os.urandom(4096), []
    handle = os.open(folder / "fdatasync", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    sync = getattr(os, "fdatasync", os.fsync)
    try:
        for _ in range(times):
            begin = time.perf_counter()
            os.write(handle, block)
            sync(handle)
            taken.append(time.perf_counter() - begin)
    finally:
        os.close(handle)
        (folder / "fdatasync").unlink()
    return statistics.median(taken) * 1e6


def raw_rows_per_s(folder: Path, *, group: int = 100, rows: int = 20_000) -> float:
    """Return the rows per second of the bare driver, as large as a step's, in one table with one unique index, FULL."""
    path = folder / "raw.db"
    for name in (path, path.with_name("raw.db-wal"), path.with_name("raw.db-shm")):
        name.unlink(missing_ok=True)
    database = sqlcipher.connect(str(path), isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
        database.execute(f"PRAGMA {pragma}")
    database.execute(
        "CREATE TABLE facts (run_id TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, node TEXT NOT NULL, "
        "scope TEXT NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL, summary TEXT, payload_form INTEGER NOT NULL, "
        "payload BLOB, PRIMARY KEY (run_id, seq))"
    )
    summary, now = json.dumps(SUMMARY), time.time_ns() // 1000
    data = [
        (f"run_{number // 10:024x}", number % 10, "step_succeeded", "node_1", "", 1, now, summary, 0, PAYLOAD)
        for number in range(rows)
    ]
    begin = time.perf_counter()
    for start in range(0, rows, group):
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO facts VALUES (?,?,?,?,?,?,?,?,?,?)", data[start : start + group])
        database.execute("COMMIT")
    taken = time.perf_counter() - begin
    database.close()
    return rows / taken


async def record_runs(store: SqlStore, *, count: int, steps: int = 10, is_strict: bool = False) -> None:
    """Record whole runs one after the other, with a barrier at the end of each (strict: after each step)."""
    clock, journal = SystemClock(), store.journal
    for _ in range(count):
        now = clock.now()
        run = Run(
            id=new_run_id(now),
            workflow_id=WorkflowId("wf_bench"),
            workflow_name="bench",
            version_id=VersionId("v"),
            status=RunStatus.RUNNING,
            trigger="trigger.manual",
            start_node=NodeId("node_0"),
            queued_at=now,
            started_at=now,
        )
        journal.start(run, input=b"[{}]")
        for seq in range(steps):
            fact = Fact(
                run_id=run.id,
                seq=seq,
                kind=FactKind.STEP_SUCCEEDED,
                node=NodeId("node_1"),
                at=now,
                summary=SUMMARY,
                payload=PAYLOAD,
            )
            journal.append(fact, epoch=0)
            if is_strict:
                await journal.barrier()
        journal.finish(replace(run, status=RunStatus.SUCCEEDED, finished_at=clock.now()))
        await journal.barrier()


def journal_steps_per_s(
    where: str | Path,
    folder: Path,
    *,
    runs: int,
    steps: int = 10,
    total: int = 20_000,
    is_strict: bool = False,
    synchronous: str = "FULL",
) -> float:
    """Return the steps per second that `runs` runs at the same time record through the store, each step in its own row."""

    async def measure() -> float:
        count = max(1, total // runs // steps)
        async with open_store(where, clock=SystemClock(), blobs_dir=folder / "blobs", synchronous=synchronous) as store:
            await record_runs(store, count=5)
            begin = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(runs):
                    group.create_task(record_runs(store, count=count, steps=steps, is_strict=is_strict))
            return runs * count * steps / (time.perf_counter() - begin)

    return asyncio.run(measure())


def append_us(folder: Path, *, times: int = 20_000) -> float:
    """Return the microseconds that `journal.append` takes on the event loop."""

    async def measure() -> float:
        async with open_store("sqlite://", clock=SystemClock(), blobs_dir=folder / "blobs") as store:
            fact = Fact(
                run_id=new_run_id(SystemClock().now()),
                seq=0,
                kind=FactKind.STEP_SUCCEEDED,
                node=NodeId("n"),
                at=SystemClock().now(),
                payload=PAYLOAD,
            )
            append = store.journal.append
            begin = time.perf_counter()
            for _ in range(times):
                append(fact, epoch=0)
            taken = time.perf_counter() - begin
            return taken / times * 1e6

    return asyncio.run(measure())


def store_rows(effort: Effort) -> list[Row]:
    """Return how many steps per second the journal alone takes (no steps are run), beside raw SQLite in groups of 100."""
    folder = effort.folder

    def fresh() -> Path:
        return folder / f"journal-{time.monotonic_ns()}.db"

    taken = take_turns(
        {
            "raw": lambda: raw_rows_per_s(folder, rows=effort.of(20_000, least=100)),
            "lone": lambda: journal_steps_per_s(fresh(), folder, runs=1, total=effort.of(4000)),
            "strict": lambda: journal_steps_per_s(fresh(), folder, runs=1, total=effort.of(1000), is_strict=True),
            "many": lambda: journal_steps_per_s(fresh(), folder, runs=64, total=effort.of(20_000)),
            "append": lambda: append_us(folder, times=effort.of(20_000)),
        },
        effort.rounds,
    )
    names = {"strict": "1 run, each step awaited", "lone": "1 run", "many": "64 runs"}
    return [
        *(
            Row(
                name=f"journal alone, {shown}",
                measured=taken.median(name),
                unit="steps/s",
                limit=taken.median("raw"),
                limit_name="raw, groups of 100",
                ratio=taken.ratio(name, "raw"),
            )
            for name, shown in names.items()
        ),
        Row(name="one line of the journal, on the event loop", measured=taken.median("append"), unit="µs"),
    ]
