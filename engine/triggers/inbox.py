"""
The durable inbox: an event is stored first, then turned into exactly one run.

A firing with a key that is known is the same firing: its run is returned and nothing starts again. While its trigger is paused
a firing is held. What was accepted and never started, because the program ended in between, becomes a run at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engine.clock import Clock
from engine.errors import NotFound
from engine.events.types import RunQueued
from engine.ids import FiringId, NodeId, RunId, WorkflowId, new_firing_id, new_run_id
from engine.model.items import Batch
from engine.model.run import Run, RunStatus
from engine.protocols import Firing, Store, TriggerState, UnitOfWork
from engine.run.payloads import encode_batch

log = logging.getLogger(__name__)

LONGEST_KEY = 300
AT_ONCE = 200
"""How many waiting firings become runs in one transaction."""


class Runner(Protocol):
    """What the inbox asks of the worker."""

    def submit(self, run: Run, *, batch: Batch | None = None, firing: Firing | None = None) -> None:
        """
        Take a run that is to start now.

        With a `batch` the run is not in the store yet: run, firing and first facts are written in one go. Without one it is
        queued in the store, its input too.
        """


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an event: `run_id` is None while it is held; `is_new` is False for one that was known."""

    run_id: RunId | None
    is_new: bool = True


class Inbox:
    """Accepts firings for the triggers of this Treadle."""

    def __init__(self, store: Store, runner: Runner, clock: Clock) -> None:
        self._store, self._runner, self._clock = store, runner, clock

    def start_now(self, trigger: TriggerState, items: Batch) -> RunId:
        """
        Start a run for an event that carries no key: firing, run and its first steps are one entry in the journal.

        Nothing is on disk yet when this returns; wait for the journal's barrier before telling anybody.
        """
        now = self._clock.now()
        firing = make_firing(trigger, items, now=now)
        run = make_run(trigger, firing, now=now)
        self._runner.submit(run, batch=items, firing=firing)
        return run.id

    async def accept(self, trigger: TriggerState, items: Batch, *, key: str | None = None) -> Accepted:
        """Store an event and start its run; returns when both are on disk. An event with a known key starts nothing."""
        now = self._clock.now()
        firing = make_firing(trigger, items, now=now, key=key)
        run, is_new = await self._store.write(lambda work: keep(work, trigger, firing, now=now))
        if run is not None and is_new:
            self._runner.submit(run)
        return Accepted(run.id if run else None, is_new)

    async def accept_all(self, change: Callable[[UnitOfWork], Sequence[Run]]) -> int:
        """Start the runs that a change has queued in its transaction; returns how many."""
        runs = await self._store.write(change)
        for run in runs:
            self._runner.submit(run)
        return len(runs)

    async def recover(self) -> int:
        """Turn firings that were accepted and never became a run into runs; call it once at start. Returns how many."""
        return await self._start_waiting(lambda firing: firing.state == "queued")

    async def release(self, workflow_id: WorkflowId, node: NodeId) -> int:
        """Let the firings go that were held while the trigger was paused; returns how many runs that made."""
        return await self._start_waiting(
            lambda firing: firing.state == "held" and firing.workflow_id == workflow_id and firing.node == node
        )

    async def _start_waiting(self, is_meant: Callable[[Firing], bool]) -> int:
        now, count, passed = self._clock.now(), 0, set[FiringId]()

        def start_some(work: UnitOfWork) -> list[Run]:
            runs: list[Run] = []
            for firing in work.firings.list_waiting(limit=100_000):
                if len(runs) >= AT_ONCE:
                    break
                if firing.id in passed or not is_meant(firing):
                    continue
                passed.add(firing.id)
                if (run := queue_again(work, firing, now=now)) is not None:
                    runs.append(run)
            return runs

        while started := await self.accept_all(start_some):
            count += started
        return count


def make_firing(trigger: TriggerState, items: Batch, *, now: datetime, key: str | None = None) -> Firing:
    """Return the firing for an event; without a key of its own the event is its own only copy."""
    firing_id = new_firing_id(now)
    return Firing(
        id=firing_id,
        workflow_id=trigger.workflow_id,
        version_id=trigger.version_id,
        node=trigger.node,
        key=firing_id if key is None else key[:LONGEST_KEY],
        payload=encode_batch(items),
        accepted_at=now,
        state="held" if trigger.is_paused else "queued",
    )


def make_run(trigger: TriggerState, firing: Firing, *, now: datetime) -> Run:
    """Return the queued run that a firing becomes."""
    return Run(
        id=new_run_id(now),
        workflow_id=trigger.workflow_id,
        workflow_name=trigger.workflow_name,
        version_id=trigger.version_id,
        status=RunStatus.QUEUED,
        trigger=trigger.kind,
        start_node=trigger.node,
        firing_id=firing.id,
        queued_at=now,
    )


def keep(work: UnitOfWork, trigger: TriggerState, firing: Firing, *, now: datetime) -> tuple[Run | None, bool]:
    """
    Store a firing and queue its run; returns the run and whether the firing is new.

    There is no run while the firing is held. Firing, run and event commit together, so a crash loses none alone.
    """
    stored, is_new = work.firings.accept(firing)
    if not is_new:
        return work.runs.find_by_firing(stored.id), False
    if firing.state == "held":
        return None, True
    return _queue(work, make_run(trigger, firing, now=now), firing, now=now), True


def queue_again(work: UnitOfWork, firing: Firing, *, now: datetime) -> Run | None:
    """Queue the run of a firing that waited; None when its workflow is gone."""
    try:
        workflow = work.workflows.get(firing.workflow_id)
        version = work.workflows.get_version(firing.version_id)
    except NotFound:
        log.warning("firing without workflow", extra={"firing": firing.id})
        return None
    node = version.document.nodes.get(firing.node)
    trigger = TriggerState(
        workflow_id=workflow.id,
        workflow_name=workflow.name,
        version_id=version.id,
        node=firing.node,
        kind=node.use if node else "trigger",
    )
    return _queue(work, make_run(trigger, firing, now=now), firing, now=now)


def _queue(work: UnitOfWork, run: Run, firing: Firing, *, now: datetime) -> Run:
    work.runs.add(run, input=firing.payload)
    work.firings.mark_started(firing.id, run.id)
    work.publish(RunQueued(at=now, run_id=run.id, workflow_id=run.workflow_id, workflow_name=run.workflow_name))
    return run
