"""
What the executor costs per node, with no journal behind it; and the documents and runs that other measurements use too.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from app.cli.output import fast_loop
from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.ids import NodeId, VersionId, new_run_id
from engine.model.items import Batch, Output
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document, Edge, Node
from engine.run.compiling import compile_plan
from engine.run.env import RunEnv
from engine.run.executor import execute
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import StepSpec
from engine.store import open_store

from .rounds import Effort, take_turns
from .table import Row, at_most, hopefully_at_most

T = TypeVar("T")

NOTHING: Any = None
CATALOG = Catalog([*builtin_steps(), StepSpec(name="bench.pass", title="Pass", call=lambda batch: Output(batch.items))])
FIVE: Batch = [{"id": n, "name": f"customer {n}", "price": 9.5 + n, "qty": n, "total": 0, "note": "x" * 20} for n in range(5)]


def executor_rows(effort: Effort) -> list[Row]:
    """Return the cost of a node that does nothing, beside a bare `await`, and of one that computes a field of five items."""
    times = effort.of(200)
    taken = take_turns(
        {
            "await": lambda: bare_await_us(times * 100),
            "trivial": lambda: unjournaled_us_per_node(trivial(99), FIVE, times=times),
            "computing": lambda: unjournaled_us_per_node(computing(99), FIVE, times=times),
            "by hand": lambda: computing_by_hand_us(times * 100),
        },
        effort.rounds,
    )
    bare, by_hand = taken.median("await"), taken.median("by hand")
    trivial_us, computing_us = taken.median("trivial"), taken.median("computing")
    # 45 bare awaits (0.11 µs each where the goal was set) are the 5 µs of the goal, on any machine.
    return [
        Row(
            name="executor, trivial node",
            measured=trivial_us,
            unit="µs",
            limit=bare,
            limit_name="a bare await",
            ratio=taken.ratio("trivial", "await"),
            goal=at_most(45),
        ),
        Row(name="the same, as a number", measured=trivial_us, unit="µs", goal=hopefully_at_most(5)),
        Row(
            name="executor, node that computes five items",
            measured=computing_us,
            unit="µs",
            limit=by_hand,
            limit_name="by hand",
            ratio=taken.ratio("computing", "by hand"),
        ),
    ]


def a_chain(nodes: list[Node]) -> Document:
    """Return a document of these nodes in a row behind a manual trigger."""
    all_nodes = [Node(id=NodeId("start"), use="trigger.manual"), *nodes]
    edges = tuple(Edge(a.id, b.id) for a, b in itertools.pairwise(all_nodes))
    return Document(name="Bench", nodes={node.id: node for node in all_nodes}, edges=edges)


def trivial(count: int) -> Document:
    """Return `count` steps that pass their batch on."""
    return a_chain([Node(id=NodeId(f"n{number}"), use="bench.pass") for number in range(count)])


def computing(count: int) -> Document:
    """Return `count` steps that compute a field of five items each; what each records is about 520 bytes."""
    fields = {"fields": {"total": "item.price * item.qty"}}
    return a_chain([Node(id=NodeId(f"n{number}"), use="data.set", fields=fields) for number in range(count)])


def a_run(version: str) -> Run:
    """Return a run that is about to begin."""
    now = SystemClock().now()
    return Run(
        id=new_run_id(now),
        workflow_id=None,
        workflow_name="Bench",
        version_id=VersionId(version),
        status=RunStatus.RUNNING,
        trigger="test",
        start_node=NodeId("start"),
        queued_at=now,
    )


def bare_await_us(times: int) -> float:
    """Return the microseconds of taking one thing from a queue and awaiting a coroutine that does nothing."""

    async def nothing() -> None:
        pass

    async def measure() -> float:
        ready = deque(range(times))
        begin = time.perf_counter()
        while ready:
            ready.popleft()
            await nothing()
        return (time.perf_counter() - begin) / times * 1e6

    return on_loop(measure())


def computing_by_hand_us(times: int) -> float:
    """Return the microseconds of what a computing node does, as one would write it in Python."""
    begin = time.perf_counter()
    for _ in range(times):
        [{**item, "total": item["price"] * item["qty"]} for item in FIVE]
    return (time.perf_counter() - begin) / times * 1e6


def unjournaled_us_per_node(document: Document, items: Batch, *, times: int = 100) -> float:
    """Return the microseconds per node of a run that keeps no journal."""

    async def measure() -> float:
        plan = compile_plan(document, CATALOG)
        env = RunEnv(clock=SystemClock(), http=NOTHING, files=NOTHING, folders=OneFolder(Path()), bus=EventBus())
        run = a_run("bare")
        await execute(run, plan, env, items=items)
        begin = time.perf_counter()
        for _ in range(times):
            await execute(run, plan, env, items=items)
        return (time.perf_counter() - begin) / times / len(plan.nodes) * 1e6

    return on_loop(measure())


def on_loop(work: Awaitable[T]) -> T:
    """Await something on the kind of event loop that `treadle serve` has."""

    async def awaited() -> T:
        return await work

    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        return runner.run(awaited())


async def with_worker(folder: Path, work: Callable[[Worker], Awaitable[T]], *, synchronous: str = "FULL", where: str = "") -> T:
    """Call `work` with a worker on a fresh file, or on the database at the address `where`."""
    path = where or folder / f"engine-{time.monotonic_ns()}.db"
    async with open_store(path, clock=SystemClock(), blobs_dir=folder / "blobs", synchronous=synchronous) as store:
        worker = Worker(
            store, CATALOG, SystemClock(), EventBus(), files=NOTHING, http=NOTHING, folders=OneFolder(folder), slots=2000
        )
        await worker.start(resume=False)
        try:
            return await work(worker)
        finally:
            await worker.stop()
