"""A run that calls another workflow 1,000 times and waits for all of them, beside as many runs that nobody called."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from engine.ids import NodeId, new_workflow_id
from engine.model.codec import write_document
from engine.model.items import Batch
from engine.model.run import RunStatus
from engine.model.workflow import Document, Edge, Node, Workflow
from engine.run.worker import Worker

from .bench_engine import a_run, on_loop, with_worker
from .rounds import Effort, take_turns
from .table import Row

LONGEST = timedelta(minutes=10)


def call_rows(effort: Effort) -> list[Row]:
    """Return the microseconds of one child of a call for each item, beside a run of the same workflow that nobody called."""
    children = effort.of(1_000)
    items: Batch = [{"price": 9.5, "qty": number} for number in range(children)]
    taken = take_turns(
        {"call": lambda: child_us(effort.folder, items), "run": lambda: lone_us(effort.folder, items)}, effort.rounds
    )
    return [
        Row(
            name=f"calls, one child of {children:,}, durable",
            measured=taken.median("call"),
            unit="µs",
            limit=taken.median("run"),
            limit_name="a run nobody called",
            ratio=taken.ratio("call", "run"),
        )
    ]


def called() -> Document:
    """Return the workflow that is called: one step behind its entrance."""
    nodes = [
        Node(id=NodeId("start"), use="trigger.call"),
        Node(id=NodeId("total"), use="data.set", fields={"fields": {"total": "item.price * item.qty"}}),
    ]
    return Document(name="Called", nodes={node.id: node for node in nodes}, edges=(Edge(NodeId("start"), NodeId("total")),))


def calling() -> Document:
    """Return a workflow that calls it once for each item and waits."""
    nodes = [
        Node(id=NodeId("start"), use="trigger.manual"),
        Node(id=NodeId("call"), use="flow.call", fields={"workflow": "Called", "per": "item"}),
    ]
    return Document(name="Bench", nodes={node.id: node for node in nodes}, edges=(Edge(NodeId("start"), NodeId("call")),))


async def keep(worker: Worker) -> None:
    """Put the called workflow into the worker's store."""
    now = worker.clock.now()
    workflow = Workflow(
        id=new_workflow_id(now),
        name="Called",
        draft=write_document(called()),
        revision=1,
        active_version=None,
        created_at=now,
        updated_at=now,
    )
    await worker.store.write(lambda work: work.workflows.add(workflow))


def child_us(folder: Path, items: Batch) -> float:
    """Return the microseconds per child, from the caller being submitted to its end being on disk."""

    async def measure(worker: Worker) -> float:
        await keep(worker)
        begin = time.perf_counter()
        run = worker.submit(a_run("calling"), calling(), items, keeps_document=True)
        over = await worker.outcome(run.id, LONGEST)
        took = time.perf_counter() - begin
        assert over.status is RunStatus.SUCCEEDED, over.error
        children = await worker.store.read(lambda work: work.runs.list_children(run.id, limit=len(items) + 1))
        assert len(items) == len(children)
        return took / len(items) * 1e6

    return on_loop(with_worker(folder, measure))


def lone_us(folder: Path, items: Batch) -> float:
    """Return the microseconds per run when as many runs of the called workflow are submitted at once."""

    async def measure(worker: Worker) -> float:
        document = called()
        begin = time.perf_counter()
        runs = [worker.submit(a_run("called"), document, [item], keeps_document=False) for item in items]
        for over in await asyncio.gather(*(worker.wait(run.id) for run in runs)):
            assert over.status is RunStatus.SUCCEEDED, over.error
        return (time.perf_counter() - begin) / len(items) * 1e6

    return on_loop(with_worker(folder, measure))
