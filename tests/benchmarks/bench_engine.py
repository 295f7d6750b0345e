"""
How fast runs go: the executor alone, with the journal, many at a time, and with a hundred thousand items.

Run with `python -m tests.benchmarks.bench_engine`. Every figure is a median of interleaved rounds, beside what the bare driver
allows in the same minute; only ratios are worth comparing between machines.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.ids import VersionId, new_run_id
from engine.model.items import Batch, Output
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document, Edge, Node
from engine.run.env import RunEnv
from engine.run.executor import execute
from engine.run.folders import OneFolder
from engine.run.planner import compile_plan
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import StepSpec
from engine.store import open_store

from .bench_store import fdatasync_p50_us, raw_rows_per_s

NOTHING: Any = None
CATALOG = Catalog([*builtin_steps(), StepSpec(name="bench.pass", title="Pass", call=lambda batch: Output(batch.items))])
FIVE: Batch = [{"id": n, "name": f"customer {n}", "price": 9.5 + n, "qty": n, "total": 0, "note": "x" * 20} for n in range(5)]
BIG = 100_000


def a_chain(nodes: list[Node]) -> Document:
    """Return a document of these nodes in a row behind a manual trigger."""
    all_nodes = [Node(id="start", use="trigger.manual"), *nodes]
    edges = tuple(Edge(a.id, b.id) for a, b in itertools.pairwise(all_nodes))
    return Document(name="Bench", nodes={node.id: node for node in all_nodes}, edges=edges)


def trivial(count: int) -> Document:
    """Return `count` steps that pass their batch on."""
    return a_chain([Node(id=f"n{number}", use="bench.pass") for number in range(count)])


def computing(count: int) -> Document:
    """Return `count` steps that compute a field of five items each; what each records is about 450 bytes."""
    return a_chain(
        [
            Node(id=f"n{number}", use="data.set", fields={"fields": {"total": "item.price * item.qty"}})
            for number in range(count)
        ]
    )


def the_pipeline() -> Document:
    """Return generate → set → filter → summarize over a hundred thousand items."""
    item = {"id": "index", "price": "index % 100 + 0.5", "qty": "index % 7", "city": "index % 50"}
    return a_chain(
        [
            Node(id="generate", use="data.generate", fields={"count": BIG, "item": item}),
            Node(id="set", use="data.set", fields={"fields": {"total": "item.price * item.qty"}}),
            Node(id="filter", use="data.filter", fields={"where": "item.total > 100"}),
            Node(
                id="summarize",
                use="data.summarize",
                fields={"by": ["item.city"], "values": {"total": "sum(items.map(i => i.total))"}},
            ),
        ]
    )


def a_run(version: str) -> Run:
    now = SystemClock().now()
    return Run(
        id=new_run_id(now),
        workflow_id=None,
        workflow_name="Bench",
        version_id=VersionId(version),
        status=RunStatus.RUNNING,
        trigger="test",
        start_node="start",  # type: ignore[arg-type]
        queued_at=now,
    )


def bare_us_per_node(document: Document, *, items: Batch, rounds: int = 100) -> float:
    """Return the microseconds per node of a run that keeps no journal."""

    async def measure() -> float:
        plan = compile_plan(document, CATALOG)
        env = RunEnv(clock=SystemClock(), http=NOTHING, files=NOTHING, folders=OneFolder(Path()), bus=EventBus())
        run = a_run("bare")
        await execute(run, plan, env, items=items)
        begin = time.perf_counter()
        for _ in range(rounds):
            await execute(run, plan, env, items=items)
        return (time.perf_counter() - begin) / rounds / len(plan.nodes) * 1e6

    return asyncio.run(measure())


async def with_worker(folder: Path, work: Callable[[Worker], Any], *, synchronous: str = "FULL") -> Any:
    """Call `work` with a worker on a fresh file."""
    path = folder / f"engine-{time.monotonic_ns()}.db"
    async with open_store(path, clock=SystemClock(), blobs_dir=folder / "blobs", synchronous=synchronous) as store:
        worker = Worker(
            store, CATALOG, SystemClock(), EventBus(), files=NOTHING, http=NOTHING, folders=OneFolder(folder), slots=2000
        )
        await worker.start(resume=False)
        try:
            return await work(worker)
        finally:
            await worker.stop()


def steps_per_s(folder: Path, *, at_a_time: int, total: int, synchronous: str = "FULL") -> float:
    """Return the durable steps per second of runs of ten steps, so many at a time; a run counts once its end is on disk."""

    async def measure(worker: Worker) -> float:
        document = computing(10)
        rounds = max(1, total // at_a_time // 11)

        async def one_after_the_other(count: int) -> None:
            for _ in range(count):
                await worker.wait(worker.submit(a_run("ten"), document, FIVE, keeps_document=False).id)

        await one_after_the_other(5)
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_a_time):
                group.create_task(one_after_the_other(rounds))
        return at_a_time * rounds * 11 / (time.perf_counter() - begin)

    return float(asyncio.run(with_worker(folder, measure, synchronous=synchronous)))


def run_ms(folder: Path, document: Document, items: Batch, *, rounds: int, synchronous: str = "FULL") -> float:
    """Return the milliseconds of one durable run, from being submitted to its end being on disk."""

    async def measure(worker: Worker) -> float:
        taken = []
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            run = await worker.wait(worker.submit(a_run("one"), document, items, keeps_document=False).id)
            taken.append(time.perf_counter() - begin)
            assert run.status is RunStatus.SUCCEEDED, run.error
        return statistics.median(taken[1:]) * 1000

    return float(asyncio.run(with_worker(folder, measure, synchronous=synchronous)))


def pipeline_alone(folder: Path) -> dict[str, float]:
    """Run the big pipeline in a process of its own; return its milliseconds and its peak of memory above idle, in MB."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_engine", "--pipeline", str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def _pipeline(folder: Path) -> dict[str, float]:
    async def measure(worker: Worker) -> dict[str, float]:
        await worker.wait(worker.submit(a_run("warm"), computing(3), FIVE, keeps_document=False).id)
        idle = _rss_mb()
        begin = time.perf_counter()
        run = await worker.wait(worker.submit(a_run("big"), the_pipeline(), [{}], keeps_document=False).id)
        taken = time.perf_counter() - begin
        assert run.status is RunStatus.SUCCEEDED, run.error
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"ms": taken * 1000, "peak_mb": peak - idle}

    found: dict[str, float] = asyncio.run(with_worker(folder, measure))
    return found


def _rss_mb() -> float:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def by_hand_ms() -> float:
    """Return the milliseconds of the big pipeline written by hand, with neither journal nor expressions."""
    begin = time.perf_counter()
    items = [{"id": n, "price": n % 100 + 0.5, "qty": n % 7, "city": n % 50} for n in range(BIG)]
    items = [{**item, "total": item["price"] * item["qty"]} for item in items]
    items = [item for item in items if item["total"] > 100]
    totals: dict[float, float] = {}
    for item in items:
        totals[item["city"]] = totals.get(item["city"], 0) + item["total"]
    return (time.perf_counter() - begin) * 1000


def measure(folder: Path, *, rounds: int = 5) -> dict[str, float]:
    """Return all figures: medians of interleaved rounds, and the ratios that the goals speak of."""
    hundred = computing(99)
    figures: dict[str, Callable[[], float]] = {
        "fdatasync p50, µs": lambda: fdatasync_p50_us(folder),
        "raw SQLite, groups of 100, rows/s": lambda: raw_rows_per_s(folder),
        "executor, trivial node, µs": lambda: bare_us_per_node(trivial(99), items=FIVE),
        "executor, computing node, µs": lambda: bare_us_per_node(hundred, items=FIVE),
        "100-node run, journaled, ms": lambda: run_ms(folder, hundred, FIVE, rounds=30),
        "100-node run, journaled, NORMAL, ms": lambda: run_ms(folder, hundred, FIVE, rounds=30, synchronous="NORMAL"),
        "1 run at a time, steps/s": lambda: steps_per_s(folder, at_a_time=1, total=5_000),
        "64 runs at a time, steps/s": lambda: steps_per_s(folder, at_a_time=64, total=25_000),
        "1000 runs at a time, steps/s": lambda: steps_per_s(folder, at_a_time=1000, total=33_000),
        "100,000 items by hand, ms": by_hand_ms,
    }
    taken: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(rounds):
        for name, figure in figures.items():
            taken[name].append(figure())
        for name, value in pipeline_alone(folder).items():
            shown = "100,000 items, durable, ms" if name == "ms" else "100,000 items, peak above idle, MB"
            taken.setdefault(shown, []).append(value)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    raw = medians["raw SQLite, groups of 100, rows/s"]
    bare = medians["executor, computing node, µs"] * len(hundred.nodes) / 1000
    medians["100-node run, journaled / unjournaled"] = medians["100-node run, journaled, ms"] / bare
    for runs in (1, 64, 1000):
        name = f"{runs} run{'s' if runs > 1 else ''} at a time, steps/s"
        medians[f"{name.removesuffix(', steps/s')} / raw groups of 100"] = medians[name] / raw
    return medians


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["--pipeline"]:
        sys.stdout.write(json.dumps(_pipeline(Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory(prefix="treadle-bench-") as folder:
        for name, value in measure(Path(folder)).items():
            sys.stdout.write(f"{name:<48} {value:>12,.2f}\n")


if __name__ == "__main__":
    main()
