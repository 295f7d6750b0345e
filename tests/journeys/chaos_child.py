"""One life of a whole Treadle that will be killed: its workflows change things outside, and events come in all the time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from pathlib import Path
from typing import Any

from app.build import Treadle, build
from app.config import Settings
from engine.access import OWNER
from engine.errors import TreadleError
from engine.model.run import RunStatus
from engine.protocols import RunFilter, TriggerState
from engine.run import flight

STORIES = Path(__file__).parent / "stories"
AT_ONCE = 30
"""How many events may be on their way at a time."""


class Marks:
    """Lines in a file, each written with one call, so that a kill leaves whole lines."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def add(self, *words: object) -> None:
        """Write one line."""
        os.write(self._file, (json.dumps(words) + "\n").encode())


def read_marks(path: Path) -> list[list[Any]]:
    """Return the lines of a marks file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def the_stories(address: str) -> dict[str, str]:
    """Return the workflows by name, with the address of the other side filled in."""
    return {path.stem: path.read_text("utf-8").replace("ADDRESS", address) for path in sorted(STORIES.glob("*.yaml"))}


async def settle_in(treadle: Treadle, address: str) -> dict[str, TriggerState]:
    """Make the workflows that are not there yet, switch them on, and return the triggers that events are handed to."""
    studio = treadle.studio(OWNER)
    known = {row.workflow.name: row.workflow for row in await studio.workflows.list_rows()}
    for name, text in the_stories(address).items():
        workflow = known.get(name) or await studio.workflows.create(text)
        if workflow.active_version is None:
            await studio.workflows.activate(workflow.id)
    states = await treadle.store.read(lambda work: work.triggers.list_all("trigger.manual"))
    return {state.workflow_name: state for state in states}


async def live(folder: Path, address: str, life: int, *, events: int) -> None:
    """
    Take up what is open and hand over events until all of them came to their end; being killed meanwhile is the rule.

    Leaves behind: `ready` (life); `accepted` (story, number) for each event whose acceptance was told; `told` (run, status).
    """
    chance = random.Random(life)
    treadle = build(Settings(data=folder))
    treadle.worker.env.chance = lambda: 0.01
    await treadle.start()
    triggers = await settle_in(treadle, address)
    accepted, told = Marks(folder / "accepted"), Marks(folder / "told")
    Marks(folder / "ready").add(life)
    done = {tuple(mark) for mark in read_marks(folder / "accepted")}
    ahead = [(name, number) for number in range(events) for name in triggers if (name, number) not in done]
    room = asyncio.Semaphore(AT_ONCE)

    async def hand_over(name: str, number: int) -> None:
        async with room:
            items = [{"event": number, "n": n} for n in range(1 + number % 4)]
            found = await treadle.triggers.inbox.accept(triggers[name], items, key=f"{name} {number}")
            accepted.add(name, number)
            if found.run_id is not None and chance.random() < 0.5:
                run = await treadle.worker.wait(found.run_id)
                if run.status.is_final:
                    told.add(run.id, run.status.value)

    helping = asyncio.create_task(help_out(treadle))
    await asyncio.gather(*(hand_over(*event) for event in ahead))
    while await treadle.store.read(open_runs):
        await asyncio.sleep(0.05)
    helping.cancel()
    await treadle.stop()


def open_runs(work: Any) -> list[Any]:
    """Return the runs that are not over."""
    found: list[Any] = work.runs.list_open()
    return found


def asking_runs(work: Any) -> list[Any]:
    """Return the runs that want to know what became of a change."""
    found: list[Any] = work.runs.list_page(RunFilter(statuses=(RunStatus.NEEDS_DECISION,), limit=200))
    return found


async def help_out(treadle: Treadle) -> None:
    """Be the people whom runs wait for: decide, approve, send signals."""
    while True:
        await asyncio.sleep(0.05)
        for run in await treadle.store.read(asking_runs):
            with contextlib.suppress(TreadleError):  # somebody else decided, or it is on its way
                await treadle.worker.decide(run.id, "retry")


def main(folder: str, address: str, life: int, events: int) -> None:
    """Live one life; a run that was interrupted many times is not to blame for it here, and does not rest for long."""
    flight.LONGEST_REST_S = 0.1  # type: ignore[misc]
    asyncio.run(live(Path(folder), address, life, events=events))
