"""
Works off replays: repeats failures a few at a time, from the failed step or from the start.

An order and its places are rows, and each run that repeats a failure is queued in the transaction that says so: after a crash
the replay goes on where it was, and no failure is repeated twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from engine.clock import Clock
from engine.errors import BadRequest, NotFound, TreadleError
from engine.events.bus import EventBus
from engine.events.types import Event, RunFinished
from engine.ids import NodeId, RunId, VersionId
from engine.model.codec import document_hash, read_document
from engine.model.failures import ItemState, Replay
from engine.model.run import Fact, FactKind, Run
from engine.model.workflow import Document
from engine.protocols import Store, UnitOfWork

from .fork import behind, facts_for_retry, run_for_retry
from .payloads import Payload, decode_batch

log = logging.getLogger(__name__)

AGAIN_S: Final = 2.0
"""How often replays are looked at while some are running, should nobody tell that one of their runs is over."""

_WAITING: Final[tuple[ItemState, ...]] = ("waiting",)


@dataclass(frozen=True, slots=True)
class Begun:
    """A repetition, ready to be queued; `problem` says why there is none."""

    old: RunId
    run: Run | None = None
    input: bytes = b""
    document: Document | None = None
    facts: Sequence[Fact] = ()
    problem: str | None = None


class Replayer:
    """Carries out the replays of a store; `ring` tells it of a new one."""

    def __init__(self, store: Store, clock: Clock, bus: EventBus) -> None:
        self._store, self._clock, self._bus = store, clock, bus
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to work, with the replays that an earlier life left open."""
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="replayer")

    async def stop(self) -> None:
        """Start nothing more; what is queued stays queued."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def ring(self) -> None:
        """Say that there is a new replay, or that a run of one is over."""
        self._bell.set()

    async def run_once(self) -> int:
        """Queue what may begin now and close what is over; returns how many replays are still running."""
        replays = await self._store.read(lambda work: work.replays.list_page(running=True, limit=1000))
        left = 0
        for replay in reversed(replays):
            left += await self._carry_on(replay)
        return left

    async def _carry_on(self, replay: Replay) -> bool:
        room = replay.at_once - replay.counts.get("running", 0)
        if room > 0 and replay.counts.get("waiting", 0):
            begun = await self._store.read(lambda work: self._prepare(work, replay, room))
            await self._store.write(lambda work: self._queue(work, replay.id, begun))
            return True
        if replay.finished < replay.total:
            return True
        await self._store.write(lambda work: work.replays.end(replay.id, "done", at=self._clock.now()))
        return False

    def _prepare(self, work: UnitOfWork, replay: Replay, room: int) -> list[Begun]:
        found = []
        for item in work.replays.items(replay.id, states=_WAITING, limit=room):
            try:
                found.append(prepare(work, replay, item.run_id, self._clock))
            except TreadleError as error:
                found.append(Begun(item.run_id, problem=error.message))
        return found

    def _queue(self, work: UnitOfWork, replay_id: str, begun: Sequence[Begun]) -> None:
        if work.replays.get(replay_id).state != "running":
            return
        for one in begun:
            item = work.replays.find_item(replay_id, one.old)
            if item is None or item.state != "waiting":
                continue
            if one.run is None:
                work.replays.set_item(replay_id, one.old, "skipped", note=one.problem)
                work.failures.open_again(replay_id, one.old)
                continue
            work.runs.add(one.run, input=one.input, document=one.document)
            work.runs.add_facts(one.facts)
            work.replays.set_item(replay_id, one.old, "running", new_run_id=one.run.id)
            work.failures.on_replayed(one.old, one.run.id)
        work.ring()

    async def _serve(self) -> None:
        while True:
            self._bell.clear()
            left = 1
            try:
                left = await self.run_once()
            except TreadleError:
                log.exception("carrying on with replays failed")
            if not left:
                await self._bell.wait()
                continue
            # Somebody who listens costs every step a little, so nobody does while there is nothing to replay.
            unsubscribe = self._bus.subscribe(self._on_finished, RunFinished)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_S):
                        await self._bell.wait()
            finally:
                unsubscribe()

    def _on_finished(self, event: Event) -> None:
        self._bell.set()


def prepare(work: UnitOfWork, replay: Replay, run_id: RunId, clock: Clock) -> Begun:
    """Return the run that repeats a failed one as the replay wants it; raises `NotFound` when what it needs is gone."""
    old = work.runs.get(run_id)
    document, version_id, is_kept = _document(work, old, replay)
    new = run_for_retry(old, now=clock.now())
    start = old.start_node if old.start_node in document.nodes else None
    new = replace(new, version_id=version_id, start_node=start)
    payload = replay.input if replay.input is not None else work.runs.get_input(run_id)
    facts: list[Fact] = []
    if replay.start == "failed_step":
        stored = work.runs.facts(run_id, with_payload=True)
        same = replay.version == "same" and replay.input is None
        at = given = None
        if replay.input is not None:
            at, given = failed_step(work, run_id), decode_batch(replay.input)
            if at not in document.nodes:
                raise NotFound("node", at, hint="The version that is to run does not have it. Replay from the start.")
            again = behind(document, {at})
            stored = [fact for fact in stored if fact.node not in again]
            payload = work.runs.get_input(run_id)
        known = facts_for_retry(stored, run_id, new.id, now=clock.now(), keeps_keys=same, at=at, given=given)
        facts = known if replay.version == "same" else facts_for(document, known)
    return Begun(run_id, new, payload, document if is_kept else None, facts)


def failed_step(work: UnitOfWork, run_id: RunId) -> NodeId:
    """Return the step at which a run failed, to be given other items; raises `NotFound`, `BadRequest` where that cannot be."""
    node = work.failures.get(run_id).node
    if node is None:
        raise BadRequest("The run failed at no step of its own.", hint="Give the data from the start.")
    if any(fact.node == node and fact.scope for fact in work.runs.facts(run_id)):
        raise BadRequest(
            f"The step {node} failed inside a loop or a frame, which gets its items from outside.",
            hint="Give the data from the start, or fork the run at the loop itself.",
        )
    return node


def facts_for(document: Document, facts: Sequence[Fact]) -> list[Fact]:
    """
    Return those facts that hold in another version: of the steps that it has as well, of the same kind.

    A batch that was written down by reference to a step that the version does not have is lost, and the step is done again.
    """
    kept: list[Fact] = []
    names: set[str] = set()
    for fact in facts:
        if fact.kind is FactKind.FORKED:
            kept.append(replace(fact, seq=len(kept)))
            continue
        if fact.node not in document.nodes:
            continue
        if fact.kind is FactKind.STEP_SUCCEEDED and fact.payload is not None:
            payload = Payload(fact.payload)
            refers = [payload.reference(port) for port in payload.ports]
            if any(one is not None and one[0] not in names for one in refers):
                continue
        names.add(fact.node)
        kept.append(replace(fact, seq=len(kept)))
    return kept


def _document(work: UnitOfWork, old: Run, replay: Replay) -> tuple[Document, VersionId, bool]:
    """Return the document to run, its version, and whether its text has to be kept with the run."""
    if replay.version == "newest" and old.workflow_id is not None:
        workflow = work.workflows.get(old.workflow_id)
        version_id = workflow.active_version
        if version_id is None:
            newest = work.workflows.list_versions(workflow.id, limit=1)
            version_id = newest[0].id if newest else None
        if version_id is not None:
            return work.workflows.get_version(version_id).document, version_id, False
        document = read_document(workflow.draft)
        return document, document_hash(document), True
    document = work.runs.get_document(old.id)
    try:
        work.workflows.get_version(old.version_id)
    except NotFound:
        return document, old.version_id, True
    return document, old.version_id, False
