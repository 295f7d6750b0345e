"""One life of a program whose runs wait for timers, signals and approvals: it parks and wakes until it is killed."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from pathlib import Path

from engine.access import OWNER
from engine.clock import SystemClock
from engine.errors import TreadleError
from engine.events.bus import EventBus
from engine.ids import NodeId, VersionId, new_run_id
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document, Edge, Node
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.service.waits import WaitService
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.store import SqlStore, open_store

KINDS = ("timer", "signal", "approval")


def a_document(kind: str) -> Document:
    """start -> first -> second -> end: two waits of a kind, one after the other"""
    waits = {
        "timer": Node(id=NodeId(""), use="flow.wait", fields={"for": "{{ item.ms / 1000 }}"}),
        "signal": Node(id=NodeId(""), use="flow.wait", fields={"signal": "go", "key": "{{ item.id }}"}),
        "approval": Node(id=NodeId(""), use="flow.approval", fields={"title": "Go?", "buttons": {"out": "Go"}}),
    }
    one = waits[kind]
    nodes = [Node(id=NodeId("start"), use="trigger.manual")]
    nodes += [Node(id=NodeId(name), use=one.use, fields=one.fields) for name in ("first", "second")]
    nodes.append(Node(id=NodeId("end"), use="data.set", fields={"fields": {"done": "true"}}))
    edges = [Edge(a.id, b.id) for a, b in itertools.pairwise(nodes)]
    return Document(name=kind, nodes={node.id: node for node in nodes}, edges=tuple(edges))


DOCUMENTS = {kind: a_document(kind) for kind in KINDS}


def open_worker(path: Path) -> tuple[SqlStore, Worker, WaitService]:
    """Return the parts of one life, not started yet."""
    clock = SystemClock()
    store = open_store(path, clock=clock, blobs_dir=path.parent / "blobs", synchronous="NORMAL")
    files = OneFolder(path.parent / "files")
    catalog = Catalog(builtin_steps())
    worker = Worker(store, catalog, clock, EventBus(), files=store.blobs, http=None, folders=files)  # type: ignore[arg-type]
    return store, worker, WaitService(store=store, worker=worker, clock=clock, actor=OWNER)


async def wake_some(waits: WaitService, chance: float) -> int:
    """Send signals to, and decide for, some of those who wait; returns how many there were."""
    count = 0
    for row in [*await waits.list_rows("signal", limit=200), *await waits.list_rows("approval", limit=200)]:
        count += 1
        if random.random() < chance:
            try:
                if row.kind == "signal":
                    await waits.signal("go", key=row.key)
                else:
                    await waits.decide(row.run_id, row.node, "out")
            except TreadleError:
                pass  # another one was faster
    return count


async def live(path: Path) -> None:
    """Begin runs, tell of each once it is on disk, and wake what waits, until the end."""
    store, worker, waits = open_worker(path)
    await store.start()
    await worker.start()
    while True:
        for kind in KINDS:
            run_id = new_run_id(worker.clock.now())
            run = Run(
                id=run_id,
                workflow_id=None,
                workflow_name=kind,
                version_id=VersionId(kind),
                status=RunStatus.QUEUED,
                trigger="manual",
                start_node=NodeId("start"),
                queued_at=worker.clock.now(),
            )
            worker.submit(run, DOCUMENTS[kind], [{"id": run_id, "ms": random.randrange(1, 60)}])
            await store.journal.barrier()
            print(run_id, flush=True)  # noqa: T201 - this is what the parent counts
        await wake_some(waits, 0.5)
        await asyncio.sleep(0.002)


async def finish(path: Path) -> None:
    """Live once more, to the end of every run."""
    store, worker, waits = open_worker(path)
    await store.start()
    await worker.start()
    async with asyncio.timeout(60):
        while True:
            await wake_some(waits, 1.0)
            counts = await store.read(lambda work: work.runs.count_by_status())
            if not any(count for status, count in counts.items() if not status.is_final):
                break
            await asyncio.sleep(0.02)
    await worker.stop()
    await store.stop()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
