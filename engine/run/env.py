"""What running leans on, handed in from outside: the clock, the journal, the bus, files, the way out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from engine.clock import Clock
from engine.events.bus import EventBus
from engine.ids import RunId, WorkflowId
from engine.model.calendar import Calendars
from engine.model.run import Run
from engine.model.waits import Waiting
from engine.protocols import Journal
from engine.steps.code import CodeRunner
from engine.steps.contract import ChildRuns, Files, Http, Response

from .folders import Folders
from .links import Links
from .rates import RateGate
from .retry import Chance

if TYPE_CHECKING:
    from .takers import Takers

Unlock = Callable[[WorkflowId | None, str], Awaitable[Mapping[str, Any]]]
"""Opens the connection of that name for a workflow."""


@dataclass(slots=True, kw_only=True)
class RunEnv:
    """
    One per worker. `journal` is None for a run that leaves no trace (measurements only).

    `respond` is called with the answer to the caller once it is on disk. `sleep_until` returns when the clock has come to that
    moment. `is_stopping` makes runs start no further step and stay open. `proves_batches` hashes the batches before and after
    each step and fails the step that changed them. `pausing` are the tasks that only wait for their next try.
    `calendars` are what expressions find by name. `steps_done` and `steps_failed` count since the start. `bells` has one per
    run in memory in which a step waits; `read_woken` asks the store what was woken in a run. `links` makes
    the links that answer steps; `takers` takes runs over from the store.
    `gate` is what calls to the outside pass where a workflow sets rates; `is_shared` says that other programs carry
    runs of the same store.
    """

    clock: Clock
    http: Http
    files: Files
    folders: Folders
    journal: Journal | None = None
    bus: EventBus | None = None
    unlock: Unlock | None = None
    code: CodeRunner | None = None
    calls: Callable[[Run, str], ChildRuns] | None = None
    respond: Callable[[RunId, Response], None] | None = None
    sleep_until: Callable[[datetime], Awaitable[None]] | None = None
    gate: RateGate | None = None
    is_shared: bool = False
    chance: Chance = field(default=random.random)
    is_stopping: bool = False
    proves_batches: bool = False
    pausing: set[asyncio.Task[Any]] = field(default_factory=set)
    calendars: Calendars = field(default_factory=Calendars)
    bells: dict[RunId, asyncio.Event] = field(default_factory=dict)
    links: Links | None = None
    takers: Takers | None = None
    read_woken: Callable[[RunId], Awaitable[list[Waiting]]] | None = None
    steps_done: int = 0
    steps_failed: int = 0

    async def pause_until(self, moment: datetime) -> None:
        """
        Wait for a moment, in slices, so that a clock that was set forward is noticed.

        One that was set back prolongs nothing: the time that the pause had at its beginning is enough.
        """
        if self.sleep_until is not None:
            await self.sleep_until(moment)
            return
        whole, began = (moment - self.clock.now()).total_seconds(), monotonic()
        while (left := min((moment - self.clock.now()).total_seconds(), whole - (monotonic() - began))) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 30.0))
