"""
The worker: takes runs, carries them to their end, and takes up again what an earlier life of the program left open.

A run that is submitted starts at once, without a trip to the database: its record is the first line of what the journal writes
next. `barrier` of the journal tells when it is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final

from engine.clock import Clock
from engine.errors import Conflict, NotFound, StoreError, TreadleError
from engine.events.bus import EventBus
from engine.ids import NodeId, RunId
from engine.model.codec import document_hash
from engine.model.items import Batch
from engine.model.limits import Concurrency
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import Firing, Store, UnitOfWork
from engine.steps.catalog import Catalog
from engine.steps.code import CodeRunner
from engine.steps.contract import Files, Http, Response

from .calendars import load_calendars
from .calls import StepCalls
from .compiling import PlanCache
from .disk import reach_disk
from .endings import Endings
from .env import RunEnv, Unlock
from .express import MOST_ITEMS, find_express
from .feeding import Feeder, documents_of
from .flight import PARKED, Flight, carry, ended, finished_event, queued_event, too_late
from .folders import Folders
from .following import follow
from .fork import Fork, fork_run
from .links import load_links
from .patience import Patience
from .payloads import body_of, decode_batch, encode_batch
from .places import dropped_error, lease_key, place_of, superseded_error
from .planner import Plan, sample_items
from .queue import Place, RunQueue, Standing
from .rates import RateGate
from .resume import Ending
from .slots import altered
from .takeover import Answer, Decision, check_answer, find_interrupted
from .takers import Takers
from .waker import Waker

log = logging.getLogger(__name__)

REMEMBERED: Final = 1_000
MOST_HELD: Final = 16 * 1024
"""How many bytes of a waiting run's input are kept in memory; larger ones are read again when it starts."""


class Worker:
    """
    Runs runs, `slots` at a time, each workflow within its `settings.concurrency`.

    `submit`, `wait`, `response` and `cancel` are called on the event loop. `start` takes up what is open in the store, `stop`
    lets steps that are at work come to their end for `grace`, and leaves runs that are not over to the next start.
    """

    interval = timedelta(seconds=15)

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        clock: Clock,
        bus: EventBus,
        *,
        files: Files,
        http: Http,
        folders: Folders,
        slots: int = 1_000,
        unlock: Unlock | None = None,
        code: CodeRunner | None = None,
        grace: timedelta = timedelta(seconds=5),
        proves_batches: bool = False,
        address: str = "",
        is_alone: bool = True,
    ) -> None:
        self.address = address
        self.store, self.clock, self.bus = store, clock, bus
        store.settle_with(Endings(clock))
        self.plans = PlanCache(catalog)
        self.env = RunEnv(
            clock=clock,
            http=http,
            files=files,
            folders=folders,
            bus=bus,
            unlock=unlock,
            code=code,
            respond=self._respond,
            proves_batches=proves_batches,
        )
        self.env.gate = RateGate(clock, self.env.pause_until, store)
        self._grace = grace
        self._is_alone = is_alone
        self.env.is_shared = not is_alone
        self._queue: RunQueue[Flight] = RunQueue(slots)
        self._flights: dict[RunId, Flight] = {}
        self._ghosts: dict[RunId, Flight] = {}
        self._failing: dict[RunId, asyncio.Task[None]] = {}
        self._feeder = Feeder(store, self._queue, self._flights, self)
        self._recent: OrderedDict[RunId, Run] = OrderedDict()
        self._rung: set[RunId] = set()
        self.env.takers = Takers(store, clock)
        self.waker = Waker(store, self.env, self.woken)
        self._poller: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()
        self._is_running = False
        self._is_express = False
        self._takes_all = True
        self._submitted: set[RunId] = set()
        self._patience = Patience()

    # — start and stop —

    async def start(self, *, resume: bool = True) -> None:
        """Begin to work; with `resume`, runs that an earlier life left open go on from their last finished step."""
        if self._is_running:
            return
        self._is_running = True
        self.env.is_stopping = False
        self.env.journal = self.store.journal
        await load_calendars(self.store, self.env.calendars)
        self._is_express = hasattr(self.store.journal, "whole") and not self.env.proves_batches
        self.env.links = await load_links(self.store, self.address)
        if hasattr(self.store.journal, "lost"):
            self.store.journal.lost = self._on_lost
            self.store.journal.waits = self._on_waits
            self.store.journal.rung = self.ring
            self.store.journal.cancelled = self._on_cancelled
        self.env.calls = lambda run, node: StepCalls(self.store, self.clock, run, node)
        self.env.read_woken = lambda run_id: self.store.read(lambda work: work.waits.woken((run_id,)))
        self._feeder.start()
        if resume:
            await self.run_once(interrupted=True)
            await self.waker.start()
        self._takes_all = resume
        self._poller = asyncio.create_task(self._poll(), name="worker poll")

    async def stop(self) -> None:
        """Start nothing more, let steps at work come to their end for a while, and return when it is really over."""
        if not self._is_running:
            return
        self._is_running = False
        self.env.is_stopping = True
        if self._poller is not None:
            self._poller.cancel()
            self._poller = None
        await self.waker.stop()
        await self._feeder.stop()
        for task in tuple(self.env.pausing):
            task.cancel()
        going = {flight.task: flight for flight in self._flights.values() if flight.task is not None}
        if going:
            _, late = await asyncio.wait(going, timeout=self._grace.total_seconds())
            for task in late:
                going[task].end("stop")
            if late:
                await asyncio.wait(late, timeout=self._grace.total_seconds())
        if self._failing:
            await asyncio.wait(tuple(self._failing.values()), timeout=self._grace.total_seconds())
        if any(flight.task is None for flight in self._flights.values()):
            with suppress(TimeoutError):  # runs that were carried at once land when the disk has them
                async with asyncio.timeout(self._grace.total_seconds()):
                    await reach_disk(self.store.journal)
        for flight in [*self._flights.values(), *self._ghosts.values()]:
            flight.close()
        self._flights.clear()
        self._ghosts.clear()
        self._patience.close()
        with suppress(TimeoutError):  # on a disk that refuses: closing the store tries once more, and says what is left behind
            async with asyncio.timeout(self._grace.total_seconds()):
                await reach_disk(self.store.journal)

    async def run_once(self, *, interrupted: bool = False) -> int:
        """
        Take what is queued in the store and not in hand yet; return how many runs that were.

        With `interrupted`, runs that stand as running are taken over too: their worker is gone.
        """
        in_hand, ghosts = frozenset(self._flights), tuple(self._ghosts)

        def look(work: UnitOfWork) -> tuple[list[Run], dict[RunId, Document | None], Mapping[str, tuple[int, int]], list[Run]]:
            runs = find_interrupted(work, in_hand) if interrupted else []
            return runs, documents_of(work, runs), work.runs.count_queued(), [work.runs.get(run_id) for run_id in ghosts]

        runs, documents, queued, waited_for = await self.store.read(look)
        for run in waited_for:
            if run.status.is_final:
                self._tell_ghost(run)
        taken = 0
        for run in runs:
            if (flight := self.bring(run, documents[run.id])) is not None:
                taken += 1
                flight.place = place_of(flight.run, flight.plan)
                if self._queue.resume(flight, flight.place):
                    self.begin(flight)
        self._queue.learn(queued)
        taken += await self._feeder.feed()
        if self._failing:
            await asyncio.wait(tuple(self._failing.values()))
        return taken

    def _is_ours(self, run: Run) -> bool:
        """Whether to take a run from the store: without `resume` only what was submitted here, and what that called."""
        if self._takes_all:
            return True
        if run.parent_run_id in self._submitted:
            self._submitted.add(run.id)
        return run.id in self._submitted

    def ring(self) -> None:
        """Say that a run was queued in the store, so that it is found now and not at the next look."""
        self._bell.set()

    def woken(self, run_ids: Sequence[RunId]) -> None:
        """Say that steps of these runs were woken in the store (`Waits.wake`), once that is committed: the runs go on."""
        for run_id in run_ids:
            if (bell := self.env.bells.get(run_id)) is not None:
                bell.set()
            elif run_id in self._flights:
                self._rung.add(run_id)  # it is being read, or on its way to being parked: looked at again when it lands
            else:
                self._bell.set()

    def _on_waits(self, run_ids: tuple[RunId, ...], wake_at: datetime | None) -> None:
        self.woken(run_ids)
        if wake_at is not None:
            self.waker.note(wake_at)

    async def _poll(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval.total_seconds()):
                    await self._bell.wait()
            self._bell.clear()
            try:
                await self.run_once()
            except TreadleError:
                log.exception("looking for queued runs failed")

    # — taking runs —

    def submit(
        self,
        run: Run,
        document: Document,
        items: Batch | None = None,
        *,
        payload: bytes | None = None,
        firing: Firing | None = None,
        keeps_document: bool | None = None,
        priority: int | None = None,
    ) -> Run:
        """
        Start a run, or let it wait for a slot; returns it as it now stands.

        `run` names id, workflow, version and trigger; the start node is found where it names none. `items` is the batch of the
        start node (None: the sample of a manual trigger, else one empty item), `payload` the same batch where it is encoded
        already. `firing` is stored with the run in one transaction. `keeps_document` says that the text stands with the run
        because no stored version has it (default: a test, or a run without a workflow). `priority` goes
        before the workflow's own. A run that finds no place and may not wait is over at once, as cancelled, and says why.
        It is on disk once the journal's next `barrier` returns. Raises `InvalidDocument` for a plan that cannot be.
        """
        self._check_running()
        if not self._takes_all:
            self._submitted.add(run.id)
        plan = self.plans.get(run.version_id, document)
        start = plan.choose_start(run.start_node)
        if items is None:
            items = decode_batch(payload) if payload is not None else sample_items(plan, start)
        if payload is None:
            payload = encode_batch(items)
        keeps = keeps_document if keeps_document is not None else run.is_test or run.workflow_id is None
        kept = document if keeps else None
        limits = plan.document.settings.limits
        flight = self._flight(run, plan, items=items)
        if (
            limits is None
            and plan.document.settings.budget is None
            and self._carry_at_once(flight, start, payload, kept, firing)
        ):
            return flight.run
        urgency = plan.document.settings.priority if priority is None else priority
        run = altered(run, start_node=start, priority=urgency)
        if limits is not None:
            try:
                run = altered(run, lease_key=lease_key(run, plan, items, self.clock))
            except TreadleError as error:
                return self._refuse(flight, run, Ending(status=RunStatus.FAILED, error=error.as_dict()), payload, kept, firing)
        place = Place.of(run.line, run.lease_key, run.id, urgency, limits)
        if place.kept and (reason := self._make_room(place, run, limits)) is not None:
            return self._refuse(flight, run, Ending(status=RunStatus.CANCELLED, error=reason), payload, kept, firing)
        flight.run, flight.place = run, place
        # Where several programs claim runs of one store, the claim counts, not we.
        goes_here = self._is_alone or limits is None
        standing = self._queue.offer(flight, place) if goes_here else self._queue.leave(place)
        may_start = standing is Standing.STARTS
        status, at = (RunStatus.RUNNING, self.clock.now()) if may_start else (RunStatus.QUEUED, None)
        flight.run = altered(run, status=status, started_at=at)
        self.store.journal.start(flight.run, input=payload, document=kept, firing=firing)
        if may_start:
            self.begin(flight)
            return flight.run
        if standing is Standing.STORED:
            del self._flights[run.id]
        elif len(payload) > MOST_HELD:
            flight.items, flight.restored, flight.is_stored = [], None, True
        if self.bus.is_heard:
            self.bus.publish((queued_event(run, self.clock.now()),))
        return flight.run

    def _carry_at_once(
        self, flight: Flight, start: NodeId | None, payload: bytes, document: Document | None, firing: Firing | None
    ) -> bool:
        """Carry a short run of plain steps here and now, where nobody listens or waits; False when it has to take its turn."""
        items, journal = flight.items, self.store.journal
        way = find_express(flight.plan, start)
        if (
            way is None
            or not way.is_worth_trying
            or len(items) > MOST_ITEMS
            or not self._is_express
            or self.bus.is_heard
            or self._queue.is_crowded
            or journal.is_full
        ):
            return False
        run = altered(flight.run, start_node=start, status=RunStatus.RUNNING, started_at=self.clock.now())
        carried = way.carry(run, self.env, items, body_of(payload))
        if carried is None:
            return False
        self.env.steps_done += carried.steps
        flight.run = run
        done = altered(run, status=RunStatus.SUCCEEDED, finished_at=self.clock.now())
        journal.whole(done, carried.lines, carried.size, input=payload, document=document, firing=firing)
        journal.when_kept(partial(self._land, flight, done, carried.response))
        return True

    def _land(self, flight: Flight, run: Run, response: Response | None) -> None:
        """Tell who waits for a run that was carried at once; it is on disk now."""
        flight.run = run
        if response is not None:
            flight.respond(response)
        self._announce(flight)

    def _check_running(self) -> None:
        if not self._is_running:
            raise Conflict(
                "This Treadle starts no runs now; its engine is stopped or about to stop.", hint="Try again in a moment."
            )

    def _make_room(self, place: Place, run: Run, limits: Concurrency | None) -> Mapping[str, Any] | None:
        """Do what the workflow says about a run that finds it full; returns why the run itself has to go, if it does."""
        most = place.of_line if place.of_key is None else place.of_key
        if limits is None or most is None:
            return None
        same = [
            flight
            for flight in self._flights.values()
            if flight.run.id != run.id
            and flight.place.line == place.line
            and (place.of_key is None or flight.place.key == place.key)
            and flight.reason is None
            and flight.run.status in (RunStatus.QUEUED, RunStatus.RUNNING)
        ]
        if len(same) < most:
            return None
        if limits.when_full == "drop_newest":
            return dropped_error(run)
        for flight in sorted(same, key=lambda one: one.run.id)[: len(same) - most + 1]:
            self._supersede(flight, run.id)
        return None

    def _supersede(self, flight: Flight, by: RunId) -> None:
        error = superseded_error(flight.run, by)
        if flight.task is not None or not self._queue.remove(flight, flight.place):
            flight.end("cancel", error)
        elif flight.is_stored:
            flight.end("cancel", error)
            self._failing[flight.run.id] = asyncio.create_task(
                self._supersede_stored(flight, error), name=f"{flight.run.id} gives way"
            )
        else:
            flight.run = ended(flight.run, Ending(status=RunStatus.CANCELLED, error=error), self.env)
            self.store.journal.finish(flight.run)
            self._announce(flight)

    async def _supersede_stored(self, flight: Flight, error: Mapping[str, Any]) -> None:
        """End a run in the store that gives way before it begins; a disk that refuses is asked again until the worker stops."""
        is_idle = flight.run.status is RunStatus.RUNNING
        try:
            while self._is_running:
                try:
                    flight.run = await self.store.write(
                        lambda work: work.runs.request_cancel(flight.run.id, error, is_idle=is_idle)
                    )
                except StoreError:
                    await asyncio.sleep(1)
                else:
                    self._announce(flight)
                    return
        finally:
            self._failing.pop(flight.run.id, None)

    def _refuse(
        self, flight: Flight, run: Run, ending: Ending, payload: bytes, document: Document | None, firing: Firing | None
    ) -> Run:
        """Write down a run that is over before it began."""
        flight.run = run = ended(run, ending, self.env)
        self.store.journal.start(run, input=payload, document=document, firing=firing)
        self._announce(flight)
        return run

    def _flight(self, run: Run, plan: Plan, *, items: Batch | None = None, is_stored: bool = False) -> Flight:
        done = asyncio.get_running_loop().create_future()
        flight = Flight(run, plan, done, items if items is not None else [], is_stored)
        self._flights[run.id] = flight
        if self._patience.is_needed:
            flight.asking = self._patience.comes_back(run.id)
        return flight

    def _enqueue(self, flight: Flight) -> None:
        """Let a run that is parked in the store go on as soon as there is a place."""
        flight.place = replace(place_of(flight.run, flight.plan), kept=True)
        if self._queue.offer(flight, flight.place) is Standing.STARTS:
            self.begin(flight)

    def bring(self, run: Run, document: Document | None) -> Flight | None:
        """Make a stored run ready to be started; None when it is in hand, or cannot be: then it has failed."""
        if run.id in self._flights or run.id in self._failing or not self._is_running or not self._is_ours(run):
            return None
        try:
            if document is None:
                raise NotFound("version", run.version_id, hint="Its workflow was deleted. Start it anew.")
            plan = self.plans.get(run.version_id, document)
        except TreadleError as error:
            self._failing[run.id] = asyncio.create_task(self._fail_stored(run, error), name=f"{run.id} cannot start")
            return None
        flight = self._ghosts.pop(run.id, None)
        if flight is None:
            return self._flight(run, plan, is_stored=True)
        flight.run, flight.plan = run, plan
        self._flights[run.id] = flight
        if self._patience.is_needed:
            flight.asking = [*(flight.asking or ()), *(self._patience.comes_back(run.id) or ())]
        return flight

    def key_of(self, run: Run, document: Document, payload: bytes) -> str:
        """Return what the limit of its workflow counts a run by; raises `BadInput` when that cannot be computed."""
        return lease_key(run, self.plans.get(run.version_id, document), decode_batch(payload), self.clock)

    def begin(self, flight: Flight) -> None:
        """Start a run that has its place."""
        flight.task = asyncio.create_task(self._carry(flight), name=flight.run.id)

    def set_slots(self, slots: int) -> None:
        """Let more or fewer runs work at the same time, from now on."""
        self._queue.slots = slots
        for flight in self._queue.next_ones():
            self.begin(flight)

    async def _fail_stored(self, run: Run, error: TreadleError) -> None:
        def claim(work: UnitOfWork) -> Run | None:
            work.waits.forget(run.id)
            return work.runs.claim(run.id, now=self.clock.now())

        try:
            claimed = await self.store.write(claim)
            if claimed is not None:
                over = ended(claimed, Ending(status=RunStatus.FAILED, error=error.as_dict()), self.env)
                self.store.journal.finish(over)
                await reach_disk(self.store.journal)
                self._remember(over)
                self._tell_ghost(over)
        except TreadleError:
            log.exception("a run that cannot start could not be ended", extra={"run_id": run.id})
        finally:
            self._failing.pop(run.id, None)

    # — asking about runs —

    @property
    def running(self) -> int:
        """How many runs are going."""
        return self._queue.running

    @property
    def waiting(self) -> int:
        """How many runs wait for a slot."""
        return self._queue.waiting

    def find_running(self, run_id: RunId) -> Run | None:
        """Return a run that is in this worker's hands."""
        flight = self._flights.get(run_id)
        return flight.run if flight else None

    async def wait(self, run_id: RunId, timeout: timedelta | None = None) -> Run:  # noqa: ASYNC109 - work goes on
        """
        Return the run once it is over or parked, or as it stands when the time is up.

        One that is parked for nothing but the runs it called is waited for. What a finished run says here is on disk. Raises
        `NotFound`.
        """
        run = await self._wait(run_id, timeout)
        if run.status is not RunStatus.WAITING:
            return run
        return await follow(self.store, self._wait, run_id, timeout)

    async def _wait(self, run_id: RunId, timeout: timedelta | None = None) -> Run:  # noqa: ASYNC109 - work goes on
        flight = self._flights.get(run_id)
        if flight is None:
            if (recent := self._recent.get(run_id)) is None:
                found = await self._look_up(run_id)
                if isinstance(found, Run):
                    return found
                flight = found
            else:
                await reach_disk(self.store.journal)
                return recent
        if timeout is None:
            return await asyncio.shield(flight.done)
        await asyncio.wait((flight.done,), timeout=timeout.total_seconds())
        return flight.done.result() if flight.done.done() else flight.run

    async def response(self, run_id: RunId, timeout: timedelta | None = None) -> Response | None:  # noqa: ASYNC109
        """
        Return what the run answers to its caller, None when it ends without an answer; what it shows is on disk.

        A run that parks is waited for until it is taken up again here. Raises `TimeoutError` when it has not answered in time;
        the run goes on. Raises `NotFound`.
        """
        flight = self._flights.get(run_id)
        if flight is None:
            found = None if run_id in self._recent else await self._look_up(run_id)
            if found is None or (isinstance(found, Run) and (found.status not in PARKED or not self._is_running)):
                return None
            flight = None if isinstance(found, Run) else found
        if flight is not None and flight.response is not None:
            return flight.response
        waiter = flight.ask() if flight is not None else self._patience.ask(run_id)
        alarm = timeout and asyncio.get_running_loop().call_later(timeout.total_seconds(), too_late, waiter)
        try:
            return await waiter
        finally:
            if alarm:
                alarm.cancel()
            self._patience.forget(run_id, waiter)

    async def outcome(self, run_id: RunId, timeout: timedelta) -> Run:  # noqa: ASYNC109 - work goes on
        """
        Return the run once it is over, however often it parks, or as it stands when the time is up or the worker stops.

        Raises `NotFound`.
        """
        until = monotonic() + timeout.total_seconds()
        while True:
            run = await self._wait(run_id, timedelta(seconds=max(0.0, until - monotonic())))
            left = until - monotonic()
            if run.status.is_final or left <= 0 or not self._is_running:
                return run
            if run_id not in self._flights and run_id not in self._recent:
                await self._patience.until_back(run_id, left)

    async def _look_up(self, run_id: RunId) -> Run | Flight:
        """Return a run that is in no hand; one that waits in the store as a flight, so that its end can be waited for."""
        await reach_disk(self.store.journal)
        run, document = await self.store.read(lambda work: (run := work.runs.get(run_id), documents_of(work, [run])[run_id]))
        if (flight := self._flights.get(run_id) or self._ghosts.get(run_id)) is not None:
            return flight
        if (recent := self._recent.get(run_id)) is not None:
            return recent
        if run.status is not RunStatus.QUEUED or document is None or not self._is_running:
            return run
        plan, done = self.plans.get(run.version_id, document), asyncio.get_running_loop().create_future()
        flight = self._ghosts[run_id] = Flight(run, plan, done, [], True)
        return flight

    async def cancel(self, run_id: RunId) -> Run:
        """
        End a run: a queued or parked one at once, a running one as soon as its steps let go; returns it as it then is.

        A run that is over stays as it is. Raises `NotFound`.
        """
        flight = self._flights.get(run_id)
        if flight is not None and flight.task is None and self._queue.remove(flight, flight.place):
            if flight.is_stored:
                del self._flights[run_id]
                return await self._cancel_stored(run_id, is_idle=flight.run.status is RunStatus.RUNNING)
            flight.run = ended(flight.run, Ending(status=RunStatus.CANCELLED), self.env)
            self.store.journal.finish(flight.run)
            await reach_disk(self.store.journal)
            self._announce(flight)
            return flight.run
        if flight is not None and flight.task is not None:
            flight.end("cancel")
            return await asyncio.shield(flight.done)
        return await self._cancel_stored(run_id)

    async def _cancel_stored(self, run_id: RunId, *, is_idle: bool = False) -> Run:
        run = await self.store.write(lambda work: work.runs.request_cancel(run_id, is_idle=is_idle))
        if run.status is RunStatus.CANCELLED:
            self._tell_ghost(run)
            if self.bus.is_heard:
                self.bus.publish((finished_event(run, self.clock.now()),))
        return run

    def _tell_ghost(self, run: Run) -> None:
        """Tell those who wait for a run that stood in the store, queued or parked, that it is over."""
        if (ghost := self._ghosts.pop(run.id, None)) is not None:
            ghost.run = run
            ghost.close()
        self._patience.is_over(run.id)

    async def decide(
        self, run_id: RunId, decision: Decision, *, node: NodeId | None = None, items: Sequence[int] | None = None
    ) -> Run:
        """
        Answer a run that needs a decision: do what is uncertain again (`retry`) or leave it out (`skip`); the run goes on.

        All that it asks about is meant, or the step `node`, or these of its items; while something stays open it parks again.
        Raises `NotFound`, `Conflict` when the run does not ask anything, `BadRequest` when it does not ask about that.
        """
        if (parking := self._flights.get(run_id)) is not None and parking.run.status is RunStatus.NEEDS_DECISION:
            await asyncio.shield(parking.done)
        run, document = await self.store.read(lambda work: (work.runs.get(run_id), work.runs.get_document(run_id)))
        if run.status is not RunStatus.NEEDS_DECISION or run_id in self._flights:
            raise Conflict(f"The run {run_id} does not wait for a decision; it is {run.status.value}.")
        answer = Answer(decision=decision, node=node, items=None if items is None else tuple(items))
        check_answer(answer, run.error)
        flight = self._flight(run, self.plans.get(run.version_id, document), is_stored=True)
        flight.answer, flight.asked = answer, run.error
        self._enqueue(flight)
        return flight.run

    async def retry(self, run_id: RunId) -> Run:
        """
        Start a new run that goes on from where this one failed, with what its steps gave so far; returns it once it is on disk.

        Raises `NotFound`, and `Conflict` when the run is not over or succeeded.
        """
        old = await self.store.read(lambda work: work.runs.get(run_id))
        if old.status not in (RunStatus.FAILED, RunStatus.CANCELLED):
            raise Conflict(f"The run {run_id} is {old.status.value}; only a failed or cancelled run can be tried again.")
        return await self.fork(run_id, Fork())

    async def fork(self, run_id: RunId, fork: Fork) -> Run:
        """
        Start a new run that goes on from an old one with what it gave so far (see `engine.run.fork`); returns it once queued.

        Raises `NotFound`, `Conflict` for a run that is at work, `EffectsToDecide` where a choice is missing, `BadRequest`.
        """
        self._check_running()
        if fork.document is not None:
            self.plans.get(document_hash(fork.document), fork.document)
        catalog, now = self.plans.catalog, self.clock.now()
        run, document = await self.store.write(lambda work: fork_run(work, run_id, fork, catalog, now=now))
        return self.take(run, document)

    def take(self, run: Run, document: Document) -> Run:
        """Take a run in hand that stands as queued in the store; returns it as it now stands."""
        if not self._is_running or run.id in self._flights:
            return run  # it is found at the next start, or was found already
        plan = self.plans.get(run.version_id, document)
        if plan.document.settings.limits is not None:
            self._queue.leave(place_of(run, plan))  # it gets its key, and its place by that, when it is brought from the store
            return run
        flight = self._flight(run, plan, is_stored=True)
        self._enqueue(flight)
        return flight.run

    # — carrying runs —

    async def _carry(self, flight: Flight) -> None:
        try:
            await carry(flight, self.store, self.env)
        except asyncio.CancelledError:
            log.debug("cancelled while the end of a run was written", extra={"run_id": flight.run.id})
        finally:
            if flight.is_turned_away and self._is_running:
                self._put_back(flight)
                ready = self._queue.turned_away(flight.place)
            else:
                self._announce(flight)
                ready = self._queue.done(flight.place)
            for other in ready:
                if self._is_running:
                    self.begin(other)

    def _put_back(self, flight: Flight) -> None:
        """Leave a run in the store that found no place; those who wait for its end still do."""
        self._flights.pop(flight.run.id, None)
        flight.task, flight.has_begun, flight.is_turned_away = None, False, False
        self._ghosts[flight.run.id] = flight

    def _announce(self, flight: Flight) -> None:
        self._flights.pop(flight.run.id, None)
        if flight.run.id in self._rung:
            self._rung.discard(flight.run.id)
            self._bell.set()
        if flight.run.status.is_final:
            self._remember(flight.run)
        elif flight.asking and flight.run.status in PARKED and self._is_running:
            self._patience.keep(flight.run.id, flight.asking)
            flight.asking = None
        flight.close()
        if self.bus.is_heard and flight.run.status is not RunStatus.RUNNING:
            self.bus.publish((finished_event(flight.run, self.clock.now()),))

    def _remember(self, run: Run) -> None:
        self._recent[run.id] = run
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def _respond(self, run_id: RunId, response: Response) -> None:
        flight = self._flights.get(run_id)
        if flight is not None:
            flight.respond(response)

    def _on_cancelled(self, run_ids: tuple[RunId, ...]) -> None:
        """End runs that are at work because the run that called them is over."""
        for run_id in run_ids:
            if (flight := self._flights.get(run_id)) is not None:
                flight.end("cancel")

    def _on_lost(self, run_ids: tuple[RunId, ...]) -> None:
        """Let go of runs that are somebody else's by now; what they would still write is refused by the store."""
        for run_id in run_ids:
            flight = self._flights.get(run_id)
            if flight is None:
                continue
            log.warning("another worker has this run, or it was ended elsewhere", extra={"run_id": run_id})
            if flight.task is None and self._queue.remove(flight, flight.place):
                self._announce(flight)
            else:
                flight.end("lost")
