"""A small workshop: steps that show what the engine does, documents in one line, a worker on a throw-away store."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from engine.errors import BadInput
from engine.events.bus import EventBus
from engine.ids import VersionId, new_run_id
from engine.model.items import Output
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document, Edge, Node, Settings
from engine.run.worker import Worker
from engine.service.views import RunData, finished_form, fold_steps
from engine.steps.catalog import Catalog
from engine.steps.contract import ItemFailures, Multi, StopRun, Wait
from engine.steps.spec import FieldSpec, PortSpec, StepSpec
from engine.store import SqlStore


def an_edge(text: str) -> Edge:
    """Read `a.port -> b.port`."""
    source, target = (part.strip().partition(".") for part in text.split("->"))
    return Edge(source[0], target[0], source[2] or "out", target[2] or "in")


def a_node(id: str, use: str = "test.pass", **settings: Any) -> Node:
    """Make a node; what is no setting of a node is one of its fields."""
    known = {name: settings.pop(name) for name in list(settings) if name in Node.__dataclass_fields__}
    return Node(id=id, use=use, fields=known.pop("fields", settings), **known)


def a_document(nodes: list[Node], edges: str = "", **settings: Any) -> Document:
    """Make a document; `edges` are parted by commas, and `a -> b -> c` is two of them."""
    lines: list[Edge] = []
    for chain in filter(None, (part.strip() for part in edges.split(","))):
        stops = [stop.strip() for stop in chain.split("->")]
        lines += [an_edge(f"{a} -> {b}") for a, b in itertools.pairwise(stops)]
    return Document(name="A test", nodes={node.id: node for node in nodes}, edges=tuple(lines), settings=Settings(**settings))


def a_run(document: Document, clock: Any, **changes: Any) -> Run:
    """Make a run that was never stored."""
    now = clock.now()
    run = Run(
        id=new_run_id(now),
        workflow_id=None,
        workflow_name=document.name,
        version_id=VersionId(f"v{id(document)}"),
        status=RunStatus.QUEUED,
        trigger="test",
        start_node=None,
        queued_at=now,
        is_test=True,
    )
    return replace(run, **changes)


@dataclass
class Outside:
    """What the steps of these tests did to the world, and what they wait for."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    together: int = 0
    most_together: int = 0
    fail: dict[str, list[Exception]] = field(default_factory=dict)

    def gate(self, name: str) -> asyncio.Event:
        """Return the gate that a `test.wait` of this name stands before."""
        return self.gates.setdefault(name, asyncio.Event())

    def seen(self, name: str) -> list[Any]:
        """Return what the calls of that name were given."""
        return [what for called, what in self.calls if called == name]


def steps(outside: Outside) -> list[StepSpec]:
    """The steps of the workshop."""

    def passes(batch):
        outside.calls.append(("pass", batch.ctx.node_id))
        return Output(batch.items)

    def doubles(batch):
        return Output([{**item, "n": item["n"] * 2} for item in batch.items])

    def makes(batch):
        return [{"n": len(batch.items)}, {"n": 0}]

    def parts(batch):
        evens = [index for index, item in enumerate(batch.items) if item["n"] % 2 == 0]
        odds = [index for index, item in enumerate(batch.items) if item["n"] % 2]
        return {
            "even": Output([batch.items[index] for index in evens], {"in": evens}),
            "odd": Output([batch.items[index] for index in odds], {"in": odds}),
        }

    def joins(batch):
        left, right = batch.ports["a"], batch.ports["b"]
        origins = {"a": [*range(len(left)), *[-1] * len(right)], "b": [*[-1] * len(left), *range(len(right))]}
        return Output([*left, *right], origins)

    def totals(batch):
        return Output([{"n": sum(item["n"] for item in batch.items)}], {"in": [list(range(len(batch.items)))]})

    def spoils(batch):
        batch.items[0]["spoilt"] = True
        return Output(batch.items)

    def breaks(batch):
        raise ValueError("boom")

    def some_fail(batch):
        failed = {index: BadInput("n", f"{item['n']} is bad") for index, item in enumerate(batch.items) if item["n"] < 0}
        good = [index for index, item in enumerate(batch.items) if item["n"] >= 0]
        outputs = Output([batch.items[index] for index in good], {"in": good})
        if failed:
            raise ItemFailures(failed, outputs)
        return outputs

    def stops(batch, status="failed"):
        raise StopRun(status, "That is enough.")

    async def sends(ctx, what=None, concurrency=1):
        outside.calls.append(("send", what))
        outside.together += 1
        outside.most_together = max(outside.most_together, outside.together)
        try:
            await asyncio.sleep(0.002)
            if errors := outside.fail.get(str(what)):
                raise errors.pop(0)
            return {"sent": what, "key": ctx.idempotency_key}
        finally:
            outside.together -= 1

    async def waits(batch, gate="gate"):
        outside.calls.append(("wait", gate))
        await outside.gate(gate).wait()
        outside.calls.append(("went", gate))
        return Output(batch.items)

    def parks(batch, seconds=0.0, name="", times=1):
        """Wait so often (for seconds, or for a signal), then pass on what came: the items and how they were woken."""
        outside.calls.append(("park", name))
        woken = batch.ctx.woken
        count = 0 if woken is None else woken.wait.details["count"]
        if count < times:
            due = batch.ctx.now + timedelta(seconds=seconds) if seconds else None
            return Wait(kind="signal" if name else "timer", due_at=due, name=name, details={"count": count + 1})
        return [*batch.items, *woken.items, {"how": woken.how}]

    async def sorts(ctx, n=0):
        return Multi({"big": [{"n": n}, {"n": n}]} if n > 1 else {"small": [{"n": n}]})

    each = {"mode": "each", "effect": "write"}
    what = FieldSpec(name="what", type="any", default="{{ item.n }}")
    return [
        StepSpec(name="test.pass", title="Pass", call=passes),
        StepSpec(name="test.note", title="Note", call=passes, effect="write"),
        StepSpec(name="test.double", title="Double", call=doubles),
        StepSpec(name="test.make", title="Make", call=makes),
        StepSpec(name="test.part", title="Part", call=parts, ports_out=(PortSpec("even"), PortSpec("odd"))),
        StepSpec(name="test.join", title="Join", call=joins, ports_in=(PortSpec("a"), PortSpec("b"))),
        StepSpec(name="test.total", title="Total", call=totals),
        StepSpec(name="test.spoil", title="Spoil", call=spoils),
        StepSpec(name="test.break", title="Break", call=breaks),
        StepSpec(name="test.some_fail", title="Some fail", call=some_fail),
        StepSpec(name="test.stop", title="Stop", call=stops, fields=(FieldSpec(name="status", default="failed"),)),
        StepSpec(
            name="test.send",
            title="Send",
            call=sends,
            fields=(what, FieldSpec(name="concurrency", type="integer", default=1)),
            **each,
        ),
        StepSpec(name="test.wait", title="Wait", call=waits, effect="read", fields=(FieldSpec(name="gate", default="gate"),)),
        StepSpec(
            name="test.park",
            title="Park",
            call=parks,
            fields=(
                FieldSpec(name="seconds", type="number", default=0.0),
                FieldSpec(name="name", default=""),
                FieldSpec(name="times", type="integer", default=1),
            ),
        ),
        StepSpec(
            name="test.sort",
            title="Sort",
            call=sorts,
            mode="each",
            fields=(FieldSpec(name="n", type="integer", default="{{ item.n }}"),),
            ports_out=(PortSpec("small"), PortSpec("big")),
        ),
    ]


async def until(is_so: Any, seconds: float = 10) -> None:
    """Wait until something is so, and fail when it does not come."""
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.001)


@dataclass
class Workshop:
    """A worker on a throw-away store, and the short ways to look at what it did."""

    worker: Worker
    store: SqlStore
    clock: Any
    bus: EventBus
    outside: Outside
    catalog: Catalog

    def start(self, document: Document, items: Any = None, **changes: Any) -> Run:
        """Submit a run of a document."""
        return self.worker.submit(a_run(document, self.clock, **changes), document, items)

    async def run(self, document: Document, items: Any = None, **changes: Any) -> dict[str, Any]:
        """Run a document to its end and return the finished run."""
        run = self.start(document, items, **changes)
        await self.worker.wait(run.id, timedelta(seconds=20))
        return await self.finished(run.id)

    async def finished(self, run_id: str) -> dict[str, Any]:
        """Return the finished run as borders show it."""

        def look(work: Any) -> dict[str, Any]:
            return finished_form(work.runs.get(run_id), RunData(work, run_id, work.runs.get_document(run_id)).last_outputs())

        return await self.store.read(look)

    async def steps(self, run_id: str) -> dict[str, Any]:
        """Return the steps of a run as they stand in the store."""
        await self.store.journal.barrier()
        return {step.node: step for step in fold_steps(await self.store.read(lambda work: work.runs.facts(run_id)))}

    async def statuses(self, run_id: str) -> dict[str, str]:
        """Return how the steps of a run came out."""
        return {node: step.status.value for node, step in (await self.steps(run_id)).items()}
