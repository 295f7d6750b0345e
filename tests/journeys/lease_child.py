"""One life of a Treadle that will be killed: runs of three customers stand in line, two of each and four in all may go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.ids import VersionId, WorkflowId, new_run_id
from engine.model.limits import Concurrency
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document, Edge, Node, Settings
from engine.run import queue, worker
from engine.run.folders import OneFolder
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.contract import BatchCall
from engine.steps.spec import StepSpec
from engine.store import open_store
from tests.run.leases import watch_leases

LIMITS = Concurrency(limit=2, key="{{ item.customer }}", total=4)
DOCUMENT = Document(
    name="Leases",
    nodes={
        "start": Node(id="start", use="trigger.manual"),
        "rest": Node(id="rest", use="lease.rest"),
        "last": Node(id="last", use="data.set", fields={"fields": {"done": "true"}}),
    },
    edges=(Edge("start", "rest"), Edge("rest", "last")),
    settings=Settings(concurrency=LIMITS),
)


async def live(folder: Path, *, until_done: bool) -> None:
    """Take up what is open, put forty more in line (not in the last life), and work until the end comes."""
    queue.WINDOW, queue.LOW = 8, 4
    clock = SystemClock()
    store = open_store(str(folder / "treadle.db"), clock=clock, blobs_dir=folder / "blobs")
    await store.start()
    watch_leases(store, of_key=2, of_line=4)

    async def rest(batch: BatchCall) -> list[Any]:
        await asyncio.sleep(0.003)
        return batch.items

    catalog = Catalog([*builtin_steps(), StepSpec(name="lease.rest", title="Rest", call=rest, effect="read")])
    nothing: Any = None
    works = worker.Worker(store, catalog, clock, EventBus(), files=nothing, http=nothing, folders=OneFolder(folder / "files"))
    await works.start()
    for number in range(0 if until_done else 40):
        now = clock.now()
        run = Run(
            id=new_run_id(now), workflow_id=WorkflowId("wf_leases"), workflow_name="Leases", version_id=VersionId("v"),
            status=RunStatus.QUEUED, trigger="test", start_node=None, queued_at=now, is_test=True,
        )  # fmt: skip
        works.submit(run, DOCUMENT, [{"customer": "abc"[number % 3], "n": number}])
    await store.journal.barrier()
    lives = len(list(folder.glob("ready*")))
    (folder / f"ready{lives}").touch()
    open_runs = [run.id for run in await store.read(lambda work: work.runs.list_open())]
    await asyncio.gather(*(works.wait(run_id) for run_id in open_runs))
    if not until_done:
        await asyncio.Event().wait()
    await works.stop()
    await store.stop()


def main(folder: str, until_done: bool) -> None:
    """Run one life."""
    asyncio.run(live(Path(folder), until_done=until_done))
