"""
The durable inbox: an event is stored first, then turned into exactly one run.

A firing with a key that is known is the same firing: its run is returned and nothing starts again. While its trigger is paused
a firing is held. What was accepted and never started, because the program ended in between, becomes a run at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from engine.clock import Clock
from engine.errors import Busy, NotFound, TreadleError
from engine.ids import FiringId, NodeId, RunId, VersionId, WorkflowId, new_firing_id, new_run_id
from engine.model.items import Batch
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import Firing, Store, TriggerState, UnitOfWork
from engine.run.payloads import encode_batch
from engine.run.worker import Worker

log = logging.getLogger(__name__)

LONGEST_KEY = 300
AT_ONCE = 200
"""How many waiting firings are looked at in one go."""

IN_ONE_GO = 20
"""How many runs are started before others on the event loop get their turn."""

REMEMBERED = 10_000
NO_LIMIT = 1 << 60
COUNT_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an event: `run_id` is None while it is held; `is_new` is False for one that was known."""

    run_id: RunId | None
    is_new: bool = True


class Inbox:
    """
    Accepts firings for the triggers of this Treadle.

    Documents of active versions are kept at hand, so that an event needs no trip to the database before its run starts.
    """

    def __init__(self, store: Store, worker: Worker, clock: Clock, *, limit: int = NO_LIMIT) -> None:
        self._store, self._worker, self._clock, self._limit = store, worker, clock, limit
        self._documents: OrderedDict[VersionId, Document] = OrderedDict()
        self._waiting, self._count_again = 0, 0.0
        self._started: OrderedDict[FiringId, RunId] = OrderedDict()

    def check_room(self) -> None:
        """Raise `Busy` while the disk or the line of queued runs is too far behind to take one more event."""
        if self._store.journal.is_full:
            raise Busy("The disk does not keep up with what is to be written.", retry_after=timedelta(seconds=2))
        if monotonic() >= self._count_again:  # counting walks over the lines, which is too much to do for each event
            self._count_again, self._waiting = monotonic() + COUNT_EVERY_S, self._worker.waiting
        if self._waiting >= self._limit:
            raise Busy(f"{self._waiting:,} runs are queued already.", retry_after=timedelta(seconds=10))

    def learn(self, documents: dict[VersionId, Document]) -> None:
        """Keep the documents of the active versions at hand."""
        self._documents = OrderedDict(documents)

    def start_now(self, trigger: TriggerState, items: Batch) -> RunId:
        """
        Start a run for an event that carries no key: firing, run and its first steps are one entry in the journal.

        Nothing is on disk yet when this returns; wait for the journal's barrier before telling anybody.
        """
        now = self._clock.now()
        firing = make_firing(trigger, items, now=now)
        return self._submit(make_run(trigger, firing, now=now), self._documents[trigger.version_id], items, firing)

    async def accept(self, trigger: TriggerState, items: Batch, *, key: str) -> Accepted:
        """Store an event, then start its run; the firing is on disk when this returns. A known event starts nothing."""
        firing = make_firing(trigger, items, now=self._clock.now(), key=key)
        stored, is_new = await self._store.write(lambda work: work.firings.accept(firing))
        if not is_new:
            run_id = await self._run_of(stored)
            if run_id is None and stored.state == "queued":
                # Kept, but its answer never came back, so that nobody started it: whoever sends it again does.
                run_id = await self._start(trigger, stored, None)
            return Accepted(run_id, False)
        if stored.state == "held":
            return Accepted(None)
        return Accepted(await self._start(trigger, stored, items))

    async def accept_all(self, change: Callable[[UnitOfWork], Sequence[tuple[TriggerState, Firing, Batch]]]) -> int:
        """Start the runs of firings that a change has accepted in its transaction; returns how many."""
        accepted = await self._store.write(change)
        count = 0
        for number, (trigger, firing, items) in enumerate(accepted, start=1):
            if firing.state == "queued" and await self._start(trigger, firing, items) is not None:
                count += 1
            if number % IN_ONE_GO == 0:
                await asyncio.sleep(0)  # let webhooks and pages have their turn
                if self._store.journal.is_full:
                    await self._store.journal.barrier()
        return count

    def started(self, firing_id: FiringId) -> RunId | None:
        """Return the run that a firing has become in this life of the program, None when it is not known here."""
        return self._started.get(firing_id)

    async def recover(self) -> int:
        """Turn firings that were accepted and never became a run into runs; call it once at start. Returns how many."""
        return await self._start_waiting(lambda firing: firing.state == "queued")

    async def release(self, workflow_id: WorkflowId, node: NodeId) -> int:
        """Let the firings go that were held while the trigger was paused; returns how many runs that made."""
        return await self._start_waiting(
            lambda firing: firing.state == "held" and firing.workflow_id == workflow_id and firing.node == node
        )

    async def _start(self, trigger: TriggerState, firing: Firing, items: Batch | None) -> RunId | None:
        """Start the run of a stored firing; None when that is not possible now: it stays in the inbox for the next start."""
        try:
            document = self._documents.get(trigger.version_id) or await self._read_document(trigger.version_id)
            if known := self._started.get(firing.id):
                return known
            return self._submit(make_run(trigger, firing, now=self._clock.now()), document, items, firing)
        except TreadleError as error:
            log.error("firing waits", extra={"firing": firing.id, "error": error.message})
            return None

    def _submit(self, run: Run, document: Document, items: Batch | None, firing: Firing) -> RunId:
        self._worker.submit(run, document, items, payload=firing.payload, firing=firing)
        self._started[firing.id] = run.id
        if len(self._started) > REMEMBERED:
            self._started.popitem(last=False)
        return run.id

    async def _run_of(self, firing: Firing) -> RunId | None:
        """Return the run of a known firing, also when that run is only on its way to the disk."""
        if run_id := firing.run_id or self._started.get(firing.id):
            return run_id
        run = await self._store.read(lambda work: work.runs.find_by_firing(firing.id))
        return run.id if run else None

    async def _read_document(self, version_id: VersionId) -> Document:
        version = await self._store.read(lambda work: work.workflows.get_version(version_id))
        return version.document

    async def _start_waiting(self, is_meant: Callable[[Firing], bool]) -> int:
        count = 0
        passed: set[FiringId] = set()
        while True:
            found = await self._store.read(lambda work: list(waiting_firings(work, is_meant, passed)))
            if not found:
                return count
            for trigger, firing in found:
                passed.add(firing.id)
                if trigger is None:
                    log.warning("firing without workflow", extra={"firing": firing.id})
                elif await self._start(trigger, firing, None) is not None:
                    count += 1
            await self._store.journal.barrier()


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
        trigger=trigger.kind.removeprefix("trigger."),
        start_node=trigger.node,
        firing_id=firing.id,
        queued_at=now,
    )


def waiting_firings(
    work: UnitOfWork, is_meant: Callable[[Firing], bool], passed: set[FiringId]
) -> list[tuple[TriggerState | None, Firing]]:
    """Return some firings that wait, oldest first, each with its trigger; None where the workflow or version is gone."""
    found: list[tuple[TriggerState | None, Firing]] = []
    for firing in work.firings.list_waiting(limit=len(passed) + 10_000):
        if len(found) >= AT_ONCE:
            break
        if firing.id not in passed and is_meant(firing):
            found.append((_trigger_of(work, firing), firing))
    return found


def _trigger_of(work: UnitOfWork, firing: Firing) -> TriggerState | None:
    try:
        workflow = work.workflows.get(firing.workflow_id)
        version = work.workflows.get_version(firing.version_id)
    except NotFound:
        return None
    node = version.document.nodes.get(firing.node)
    return TriggerState(
        workflow_id=workflow.id,
        workflow_name=workflow.name,
        version_id=version.id,
        node=firing.node,
        kind=node.use if node else "trigger",
    )
