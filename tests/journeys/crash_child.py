"""One life of a Treadle that will be killed: keeps a hundred runs in flight and leaves marks of everything it does outside."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

from engine.clock import SystemClock
from engine.errors import Unavailable
from engine.events.bus import EventBus
from engine.ids import RunId, VersionId, new_run_id
from engine.model.items import Output
from engine.model.run import FactKind, Run, RunStatus
from engine.model.workflow import Document, Edge, Node, RetryPolicy
from engine.run import flight
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.contract import BatchCall, Context
from engine.steps.spec import FieldSpec, StepSpec
from engine.store import open_store

EFFECTS = ("one", "left", "right", "each", "last")
IN_FLIGHT = 100


class Marks:
    """Lines in a file, each written with one call, so that a kill leaves whole lines."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def add(self, *words: object) -> None:
        os.write(self._file, (json.dumps(words) + "\n").encode())


def read_marks(path: Path) -> list[list[Any]]:
    """Return the lines of a marks file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def a_document() -> Document:
    """A workflow with effects, pure steps, a retry, a branch that goes side by side, and a join."""
    retry = RetryPolicy(attempts=50)
    nodes = [
        Node(id="start", use="trigger.manual"),
        Node(id="set", use="data.set", fields={"fields": {"n": "item.n + 1"}}),
        Node(id="one", use="crash.mark", on_uncertain="retry"),
        Node(id="pass", use="crash.pass"),
        Node(id="left", use="crash.mark", on_uncertain="retry"),
        Node(id="right", use="crash.mark", on_uncertain="retry", retry=retry),
        Node(id="each", use="crash.each", on_uncertain="retry"),
        Node(id="last", use="crash.mark", on_uncertain="retry"),
        Node(id="sum", use="data.summarize", fields={"by": {"run": "run.id"}, "values": {"n": "sum(items.map(i => i.n))"}}),
    ]
    lines = ["start-set", "set-one", "one-pass", "pass-left", "pass-right", "left-each", "right-each", "each-last", "last-sum"]
    edges = tuple(Edge(*line.split("-")) for line in lines)
    return Document(name="Crash", nodes={node.id: node for node in nodes}, edges=edges)


def steps(marks: Marks, life: int, chance: random.Random) -> list[StepSpec]:
    async def mark(batch: BatchCall) -> Output:
        marks.add(life, batch.ctx.run_id, batch.ctx.node_id)
        await asyncio.sleep(chance.uniform(0.001, 0.05))
        if batch.ctx.node_id == "right" and chance.random() < 0.2:
            raise Unavailable("It is away for a moment.")
        return Output(batch.items)

    async def each(ctx: Context, n: int = 0, concurrency: int = 2) -> dict[str, Any]:
        if ctx.item_index == 0:
            marks.add(life, ctx.run_id, ctx.node_id)
        await asyncio.sleep(chance.uniform(0.001, 0.02))
        return {"n": n}

    fields = (
        FieldSpec(name="n", type="integer", default="{{ item.n }}"),
        FieldSpec(name="concurrency", type="integer", default=2),
    )
    return [
        StepSpec(name="crash.mark", title="Mark", call=mark, effect="write"),
        StepSpec(name="crash.pass", title="Pass", call=lambda batch: Output(batch.items)),
        StepSpec(name="crash.each", title="Each", call=each, effect="write", mode="each", fields=fields),
    ]


async def live(folder: Path, life: int, *, until_done: bool) -> None:
    """
    Take up what is open and keep a hundred runs in flight until the end comes.

    Leaves behind: `effects` (life, run, node) for each effect as it begins; `finished` (life, run, node) for each step that
    was already done when this life began; `told` (run) for each run that was said to be over.
    """
    chance, clock = random.Random(life), SystemClock()
    store = open_store(str(folder / "treadle.db"), clock=clock, blobs_dir=folder / "blobs")
    await store.start()
    bus = EventBus()

    def finished(work: Any) -> list[tuple[str, str]]:
        return [
            (run.id, fact.node)
            for run in work.runs.list_open()
            for fact in work.runs.facts(run.id)
            if fact.kind is FactKind.STEP_SUCCEEDED
        ]

    known = Marks(folder / "finished")
    for run_id, node in await store.read(finished):
        known.add(life, run_id, node)
    catalog = Catalog([*builtin_steps(), *steps(Marks(folder / "effects"), life, chance)])
    nothing: Any = None
    worker = Worker(
        store, catalog, clock, bus, files=nothing, http=nothing, folders=OneFolder(folder / "files"), slots=IN_FLIGHT
    )
    worker.env.chance = lambda: 0.01
    told = Marks(folder / "told")
    await worker.start()
    open_runs = [run.id for run in await store.read(lambda work: work.runs.list_open())]

    def begin() -> RunId:
        now = clock.now()
        run = Run(
            id=new_run_id(now),
            workflow_id=None,
            workflow_name="Crash",
            version_id=VersionId("crash"),
            status=RunStatus.QUEUED,
            trigger="test",
            start_node=None,
            queued_at=now,
        )
        return worker.submit(run, document, [{"n": n} for n in range(3)]).id

    async def follow(run_id: RunId | None) -> None:
        while run_id is not None:
            run = await worker.wait(run_id)
            told.add(run.id, run.status.value)
            run_id = None if until_done else begin()

    document = a_document()
    new = 0 if until_done else IN_FLIGHT - len(open_runs)
    Marks(folder / "ready").add(life)
    await asyncio.gather(*(follow(run_id) for run_id in [*open_runs, *(begin() for _ in range(new))]))
    await worker.stop()
    await store.stop()


def main(folder: str, life: int, until_done: bool) -> None:
    """Live one life; a run that was interrupted many times is not to blame for it here, and does not rest for long."""
    flight.LONGEST_REST_S = 0.1  # type: ignore[misc]
    asyncio.run(live(Path(folder), life, until_done=until_done))
