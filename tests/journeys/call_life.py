"""One life of a Treadle that will be killed: runs that call others, some of which fail and raise an alarm."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

from app.build import build
from app.config import Settings
from engine.access import OWNER
from engine.errors import Conflict
from engine.model.items import Output
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import StepSpec

PARENT = """treadle: 1
name: Parent
nodes:
  start:
    use: trigger.manual
  call:
    use: flow.call
    with: {workflow: Child, per: item, concurrency: 2}
  check:
    use: data.set
    with:
      fields: {sure: "item.n == 4 ? decimal('x') : 1"}
edges:
  - start -> call
  - call -> check
settings: {on_failure: Alarm}
"""
CHILD = """treadle: 1
name: Child
nodes:
  start:
    use: trigger.call
    with:
      input: {n: integer}
  rest:
    use: crash.rest
edges:
  - start -> rest
"""
ALARM = """treadle: 1
name: Alarm
nodes:
  start:
    use: trigger.workflow_failed
  rest:
    use: crash.rest
edges:
  - start -> rest
"""
IN_FLIGHT = 12


async def live(folder: Path, life: int, until_done: bool) -> None:
    """Keep parents in flight until the end comes; with `until_done` work off what is open."""
    chance = random.Random(life)

    async def rests(batch: Any) -> Output:
        await asyncio.sleep(chance.uniform(0, 0.02))
        return Output(batch.items)

    catalog = Catalog([*builtin_steps(), StepSpec(name="crash.rest", title="Rest", call=rests)])
    treadle = build(Settings(data=folder, synchronous="NORMAL"), catalog=catalog)
    await treadle.start(triggers=False)
    studio = treadle.studio(OWNER)
    for text in (PARENT, CHILD, ALARM):
        try:
            await studio.workflows.create(text)
        except Conflict:
            continue
    (folder / f"ready {life}").touch()

    async def keep_going() -> None:
        while True:
            n = chance.randrange(5)
            run = await studio.runs.start("Parent", [{"n": n}, {"n": n}, {"n": n}])
            await studio.runs.wait(run.id, None)
            with (folder / "done").open("a") as file:
                file.write("x")

    if not until_done:
        await asyncio.gather(*(keep_going() for _ in range(IN_FLIGHT)))
    async with asyncio.timeout(30):
        while await treadle.store.read(lambda work: work.runs.list_open()):
            await asyncio.sleep(0.02)
    await treadle.stop()


def main(folder: str, life: int, until_done: bool) -> None:
    """Run one life."""
    os.environ["TREADLE_DATA"] = folder
    asyncio.run(live(Path(folder), life, until_done))
