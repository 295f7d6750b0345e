"""Documents and helpers of the stories about the facade."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from app.build import Treadle, build
from app.config import Settings
from engine.access import ALL_SCOPES, OWNER, Actor
from engine.clock import ManualClock
from engine.model.run import Run
from engine.service import Studio
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from tests.run.workshop import Outside, steps

DOUBLE = """treadle: 1
name: Double
nodes:
  start:
    use: trigger.manual
    with:
      sample:
        - {n: 1}
        - {n: 2}
  double:
    use: data.set
    with:
      fields: {twice: "item.n * 2"}
edges:
  - start -> double
layout:
  start: [0, 0]
  double: [300, 0]
"""

BROKEN = DOUBLE.replace("data.set", "data.sett").replace("- start -> double", "- start -> duble")
"""Two mistakes: a step that is not there and an edge into nowhere."""

SENDING = """treadle: 1
name: Sending
nodes:
  start:
    use: trigger.manual
  pass:
    use: test.pass
  send:
    use: test.send
  last:
    use: data.set
    with:
      fields: {done: "true"}
edges:
  - start -> pass
  - pass -> send
  - send -> last
"""

WAITING = """treadle: 1
name: Waiting
nodes:
  start:
    use: trigger.manual
  wait:
    use: test.wait
edges:
  - start -> wait
"""


def called(name: str, text: str = DOUBLE) -> str:
    """Return a document under another name."""
    first, _, rest = text.partition("\nname: ")
    return f"{first}\nname: {name}\n{rest.partition(chr(10))[2]}"


def an_actor(*scopes: str, name: str = "somebody") -> Actor:
    return Actor(name=name, scopes=frozenset(scopes or ALL_SCOPES))


def a_treadle(folder: Path, outside: Outside, *, in_memory: bool = True, clock: Any = None) -> Treadle:
    """A Treadle that also knows the workshop's steps; two of one folder are two lives of one program."""
    return build(
        Settings(data=folder, synchronous="NORMAL"),
        catalog=Catalog([*builtin_steps(), *steps(outside)]),
        in_memory=in_memory,
        clock=clock or ManualClock(),
    )


async def run_to_end(studio: Studio, ref: str, input: Any = None, **options: Any) -> Run:
    """Start a run and return it once it is over."""
    run = await studio.runs.start(ref, input, **options)
    return await studio.runs.wait(run.id, timedelta(seconds=20))


def owner_of(treadle: Treadle) -> Studio:
    return treadle.studio(OWNER)
