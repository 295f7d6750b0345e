"""
A hundred thousand items through generate → set → filter → summarize, beside the same work written by hand.

The durable run has a process of its own, because a peak of memory is only to be had once per process:
`python -m tests.benchmarks.bench_items FOLDER COUNT`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil

from app.interpreter import tune_interpreter
from engine.ids import NodeId
from engine.model.run import RunStatus
from engine.model.workflow import Document, Node
from engine.run.worker import Worker

from .bench_engine import FIVE, a_chain, a_run, computing, on_loop, unjournaled_us_per_node, with_worker
from .rounds import Effort, take_turns
from .table import Row, at_most, hopefully_at_most

MB = 1024 * 1024


def item_rows(effort: Effort) -> list[Row]:
    """Return milliseconds without and with the journal beside Python by hand, and the memory of the durable run."""
    count = effort.of(100_000, least=100)
    document = the_pipeline(count)
    taken = take_turns(
        {
            "by hand": lambda: by_hand_ms(count),
            "bare": lambda: unjournaled_us_per_node(document, [{}], times=1) * len(document.nodes) / 1000,
            "durable": lambda: in_its_own_process(effort.folder, count),
        },
        effort.rounds,
    )
    by_hand, durable = taken.median("by hand"), taken.median("durable.ms")
    return [
        Row(
            name=f"{count:,} items, 4 nodes, no journal",
            measured=taken.median("bare"),
            unit="ms",
            limit=by_hand,
            limit_name="by hand",
            ratio=taken.ratio("bare", "by hand"),
            goal=at_most(3),
        ),
        Row(
            name=f"{count:,} items, 4 nodes, durable",
            measured=durable,
            unit="ms",
            limit=by_hand,
            limit_name="by hand",
            ratio=taken.ratio("durable.ms", "by hand"),
            goal=hopefully_at_most(400),
        ),
        Row(
            name="its peak of memory above idle",
            measured=taken.median("durable.peak_mb"),
            unit="MB",
            goal=hopefully_at_most(150),
        ),
    ]


def the_pipeline(count: int) -> Document:
    """Return generate → set → filter → summarize over so many items."""
    item = {"id": "index", "price": "index % 100 + 0.5", "qty": "index % 7", "city": "index % 50"}
    values = {"total": "sum(items.map(i => i.total))"}
    return a_chain(
        [
            Node(id=NodeId("generate"), use="data.generate", fields={"count": count, "item": item}),
            Node(id=NodeId("set"), use="data.set", fields={"fields": {"total": "item.price * item.qty"}}),
            Node(id=NodeId("filter"), use="data.filter", fields={"where": "item.total > 100"}),
            Node(id=NodeId("summarize"), use="data.summarize", fields={"by": ["item.city"], "values": values}),
        ]
    )


def by_hand_ms(count: int) -> float:
    """Return the milliseconds of the pipeline written by hand, with neither journal nor expressions nor lineage."""
    begin = time.perf_counter()
    items = [{"id": n, "price": n % 100 + 0.5, "qty": n % 7, "city": n % 50} for n in range(count)]
    items = [{**item, "total": item["price"] * item["qty"]} for item in items]
    items = [item for item in items if item["total"] > 100]
    totals: dict[float, float] = {}
    for item in items:
        totals[item["city"]] = totals.get(item["city"], 0) + item["total"]
    assert len(totals) <= 50
    return (time.perf_counter() - begin) * 1000


def in_its_own_process(folder: Path, count: int) -> dict[str, float]:
    """Run the pipeline durably in a fresh process; return its `ms`, and `peak_mb` above what was in memory before."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_items", str(folder), str(count)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def run_pipeline(folder: Path, count: int) -> dict[str, float]:
    """Run the pipeline durably here; see `in_its_own_process`."""

    async def measure(worker: Worker) -> dict[str, float]:
        await worker.wait(worker.submit(a_run("warm"), computing(3), FIVE, keeps_document=False).id)
        idle = psutil.Process().memory_info().rss
        begin = time.perf_counter()
        run = await worker.wait(worker.submit(a_run("big"), the_pipeline(count), [{}], keeps_document=False).id)
        taken = time.perf_counter() - begin
        assert run.status is RunStatus.SUCCEEDED, run.error
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"ms": taken * 1000, "peak_mb": (peak - idle) / MB}

    return on_loop(with_worker(folder, measure))


if __name__ == "__main__":
    tune_interpreter()
    sys.stdout.write(json.dumps(run_pipeline(Path(sys.argv[1]), int(sys.argv[2]))))
