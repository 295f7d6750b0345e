"""The world outside: services that are slow or fail, and remember every change that was made to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

from engine.errors import BadInput, Unavailable
from engine.model.items import Batch, Output
from engine.model.waits import Wait
from engine.steps.contract import BatchCall, Context, ItemFailures
from engine.steps.spec import FieldSpec, PortSpec, StepSpec


class World:
    """
    Outlives every life of the program.

    `changes` counts by idempotency key how often a change was made, `crowds` the most runs that were at work at a time: of a
    workflow (under no group), and of each group of it.
    """

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.changes: Counter[str] = Counter()
        self.crowds: Counter[tuple[str, str]] = Counter()


class Life:
    """One life of the program, as the world sees it: after `end` nothing of it comes through."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_over = False
        self.inside: Counter[tuple[str, str, str]] = Counter()

    def end(self) -> None:
        """Cut every line to the world."""
        self.is_over = True

    def enter(self, ctx: Context, group: str) -> None:
        """Note that a run of a workflow is at work here."""
        self.inside[ctx.workflow, group, ctx.run_id] += 1
        there = {(of, run) for workflow, of, run in self.inside if workflow == ctx.workflow}
        crowds, everybody, alike = self.world.crowds, (ctx.workflow, ""), (ctx.workflow, group)
        crowds[everybody] = max(crowds[everybody], len(there))
        crowds[alike] = max(crowds[alike], sum(of == group for of, _ in there))

    def leave(self, ctx: Context, group: str) -> None:
        """Note that it is not any more."""
        self.inside[ctx.workflow, group, ctx.run_id] -= 1
        if not self.inside[ctx.workflow, group, ctx.run_id]:
            del self.inside[ctx.workflow, group, ctx.run_id]

    async def travel(self, longest: float) -> None:
        """Take a while; who died on the way never arrives."""
        await asyncio.sleep(self.world.chance.uniform(0, longest))
        if self.is_over:
            await asyncio.get_running_loop().create_future()


def simulated_steps(life: Life) -> list[StepSpec]:
    """The steps that histories are made of; `tests.simulation.model` knows what each must give."""
    world = life.world

    def marks(batch: BatchCall) -> Output:
        return Output([{**item, "via": f"{item['via']} {batch.ctx.node_id}"} for item in batch.items])

    def parts(batch: BatchCall) -> dict[str, Output]:
        even = [index for index, item in enumerate(batch.items) if item["n"] % 2 == 0]
        odd = [index for index, item in enumerate(batch.items) if item["n"] % 2]
        return {
            "even": Output([batch.items[index] for index in even], {"in": even}),
            "odd": Output([batch.items[index] for index in odd], {"in": odd}),
        }

    def breaks(batch: BatchCall) -> Output:
        failed = {index: BadInput("n", "a multiple of five") for index, item in enumerate(batch.items) if item["n"] % 5 == 0}
        good = [index for index, item in enumerate(batch.items) if item["n"] % 5]
        output = Output([batch.items[index] for index in good], {"in": good})
        if failed:
            raise ItemFailures(failed, output)
        return output

    async def changes(ctx: Context, item: Any, concurrency: int, failing: float) -> Any:
        life.enter(ctx, item["g"])
        try:
            await life.travel(0.02)
            if failing and world.chance.random() < failing:
                raise Unavailable("The other side is away.")
            world.changes[ctx.idempotency_key] += 1
            await life.travel(0.02)
            return item
        finally:
            life.leave(ctx, item["g"])

    async def reads(batch: BatchCall) -> Batch:
        life.enter(batch.ctx, batch.items[0]["g"])
        try:
            await life.travel(0.05)
            return batch.items
        finally:
            life.leave(batch.ctx, batch.items[0]["g"])

    def waits(batch: BatchCall, times: int) -> Any:
        """Wait so often, for a moment or for somebody, and pass the items on."""
        woken = batch.ctx.woken
        left = times if woken is None else woken.wait.details["left"] - 1
        if left <= 0:
            return Output(batch.items)
        if world.chance.random() < 0.5:
            due = batch.ctx.now + timedelta(seconds=world.chance.expovariate(2))
            return Wait(kind="timer", due_at=due, details={"left": left})
        return Wait(kind="signal", name="go", key=batch.ctx.run_id, details={"left": left})

    fields = (
        FieldSpec(name="item", type="any", default="{{ item }}"),
        FieldSpec(name="concurrency", type="integer", default=1),
        FieldSpec(name="failing", type="number", default=0),
    )
    return [
        StepSpec(name="sim.mark", title="Mark", call=marks),
        StepSpec(name="sim.part", title="Part", call=parts, ports_out=(PortSpec("even"), PortSpec("odd"))),
        StepSpec(name="sim.break", title="Break", call=breaks),
        StepSpec(name="sim.send", title="Send", mode="each", effect="write", fields=fields, call=changes),
        StepSpec(name="sim.put", title="Put", mode="each", effect="write", is_idempotent=True, fields=fields, call=changes),
        StepSpec(name="sim.wait", title="Wait", call=waits, fields=(FieldSpec(name="times", type="integer", default=1),)),
        StepSpec(name="sim.read", title="Read", effect="read", call=reads),
    ]
