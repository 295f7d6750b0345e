"""A loop of 10,000 passes in one durable run, beside as many steps in runs without a loop."""

from __future__ import annotations

import time
from pathlib import Path

from engine.ids import NodeId
from engine.model.run import RunStatus
from engine.model.workflow import Document, Edge, Node
from engine.run.worker import Worker

from .bench_durable import steps_per_s
from .bench_engine import a_run, on_loop, with_worker
from .rounds import Effort, take_turns
from .table import Row


def loop_rows(effort: Effort) -> list[Row]:
    """Return the microseconds of one pass of a loop whose body computes a field, beside a step of a lone run."""
    passes = effort.of(10_000)
    taken = take_turns(
        {
            "loop": lambda: pass_us(effort.folder, passes),
            "step": lambda: 1e6 / steps_per_s(effort.folder, at_a_time=1, total=effort.of(5_000)),
        },
        effort.rounds,
    )
    return [
        Row(
            name=f"loop, one pass of {passes:,}, durable",
            measured=taken.median("loop"),
            unit="µs",
            limit=taken.median("step"),
            limit_name="a step of a lone run",
            ratio=taken.ratio("loop", "step"),
        )
    ]


def looping() -> Document:
    """Return a loop over items whose body has one step."""
    nodes = [
        Node(id=NodeId("start"), use="trigger.manual"),
        Node(id=NodeId("loop"), use="flow.loop"),
        Node(id=NodeId("body"), use="data.set", fields={"fields": {"total": "item.price * item.qty"}}),
    ]
    edges = (
        Edge(NodeId("start"), NodeId("loop")),
        Edge(NodeId("loop"), NodeId("body"), "each"),
        Edge(NodeId("body"), NodeId("loop"), "out", "next"),
    )
    return Document(name="Bench", nodes={node.id: node for node in nodes}, edges=edges)


def pass_us(folder: Path, passes: int) -> float:
    """Return the microseconds per pass of one durable run."""
    items = [{"price": 9.5, "qty": number} for number in range(passes)]

    async def measure(worker: Worker) -> float:
        begin = time.perf_counter()
        run = await worker.wait(worker.submit(a_run("loop"), looping(), items, keeps_document=False).id)
        took = time.perf_counter() - begin
        assert run.status is RunStatus.SUCCEEDED, run.error
        return took / passes * 1e6

    return on_loop(with_worker(folder, measure))
