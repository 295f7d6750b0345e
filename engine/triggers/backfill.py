"""
Backfill: fire the slots of a window that has passed, each exactly once.

A slot has the same key here as when its schedule fires it, and (trigger, key) is unique in the inbox: what ran already is
passed over, and asking twice changes nothing. Where a backfill stands is kept with each slot in one transaction, so it goes on
where it was after a crash; at most `at_a_time` of its runs are open at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from engine.clock import Clock
from engine.errors import BadRequest, Conflict, NotFound, TreadleError
from engine.ids import FiringId, NodeId, RunId, WorkflowId, new_id
from engine.model.calendar import Calendars
from engine.model.items import Batch
from engine.protocols import Firing, Store, TriggerState, UnitOfWork
from engine.run.disk import reach_disk
from engine.run.worker import Worker

from .activation import SCHEDULE
from .inbox import Inbox, make_firing
from .schedule import slot_key
from .timetable import Timetable, parse_timetable

log = logging.getLogger(__name__)

KEPT: Final = "backfills"
REMEMBERED: Final = 50
MOST_SLOTS: Final = 100_000
MOST_AT_A_TIME: Final = 1_000
FIRST_PAUSE: Final = 1.0

State = Literal["running", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """
    One window of one schedule; `next` is the first slot that was not looked at yet.

    `total` counts the slots of the window, `started` those that became runs, `known` those that had run before.
    """

    id: str
    workflow_id: WorkflowId
    workflow_name: str
    node: NodeId
    since: datetime
    until: datetime
    next: datetime | None
    at_a_time: int
    total: int
    started: int = 0
    known: int = 0
    state: State = "running"
    error: str | None = None
    author: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        moments = ("since", "until", "next")
        return {name: _text(value) if name in moments else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPlan:
    """What a backfill would do: so many slots, so many of which have run already; `slots` are the first few to be fired."""

    workflow_id: WorkflowId
    workflow_name: str
    node: NodeId
    total: int
    known: int
    slots: tuple[datetime, ...]

    @property
    def fresh(self) -> int:
        """How many runs it would start."""
        return self.total - self.known


class Backfills:
    """The backfills of one Treadle, as a service: start it after the worker, stop it before."""

    def __init__(self, store: Store, inbox: Inbox, worker: Worker, clock: Clock, calendars: Calendars) -> None:
        self._store, self._inbox, self._worker, self._clock, self._calendars = store, inbox, worker, clock, calendars
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Go on with what an earlier life left unfinished."""
        for backfill in await self.list_all():
            if backfill.state == "running" and backfill.id not in self._tasks:
                self._begin(backfill)

    async def stop(self) -> None:
        """Fire no more; what is left goes on at the next start."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def plan(self, workflow_id: WorkflowId, since: datetime, until: datetime, node: str | None = None) -> BackfillPlan:
        """
        Return what a backfill of the slots from `since` up to, and without, `until` would do; nothing is fired.

        Raises `Conflict` when the workflow is off or its trigger held, `BadRequest` for a window that makes no sense.
        """
        return await self._store.read(lambda work: self._plan(work, workflow_id, since, until, node))

    async def begin(
        self,
        workflow_id: WorkflowId,
        since: datetime,
        until: datetime,
        node: str | None = None,
        *,
        at_a_time: int = 10,
        author: str = "",
    ) -> Backfill:
        """Start one and return it once it is on disk; raises what `plan` raises."""
        if not 1 <= at_a_time <= MOST_AT_A_TIME:
            raise BadRequest(f"A backfill has 1 to {MOST_AT_A_TIME:,} runs at a time.", hint="10 is a good number.")
        now = self._clock.now()

        def keep(work: UnitOfWork) -> Backfill:
            plan = self._plan(work, workflow_id, since, until, node)
            made = Backfill(
                id=new_id("fill", now),
                workflow_id=plan.workflow_id,
                workflow_name=plan.workflow_name,
                node=plan.node,
                since=since,
                until=min(until, now),
                next=since,
                at_a_time=at_a_time,
                total=plan.total,
                state="running" if plan.fresh else "done",
                known=0 if plan.fresh else plan.total,
                author=author,
            )
            _keep(work, made)
            return made

        made = await self._store.write(keep)
        if made.state == "running":
            self._begin(made)
        return made

    async def cancel(self, backfill_id: str) -> Backfill:
        """Fire no more slots; runs it started go on. Raises `NotFound`."""

        def change(work: UnitOfWork) -> Backfill:
            found = _find(work, backfill_id)
            if found.state == "running":
                found = replace(found, state="cancelled")
                _keep(work, found)
            return found

        return await self._store.write(change)

    async def list_all(self) -> list[Backfill]:
        """Return the backfills that are remembered, newest first."""
        kept = await self._store.read(lambda work: work.values.get(KEPT, {}))
        return sorted((_read(one) for one in kept.values()), key=lambda one: one.id, reverse=True)

    async def wait(self, backfill_id: str) -> Backfill:
        """Return it once it is over, with its runs."""
        if (task := self._tasks.get(backfill_id)) is not None:
            await asyncio.shield(task)
        return await self._store.read(lambda work: _find(work, backfill_id))

    def _plan(
        self, work: UnitOfWork, workflow_id: WorkflowId, since: datetime, until: datetime, node: str | None
    ) -> BackfillPlan:
        if since.tzinfo is None or until.tzinfo is None:
            raise BadRequest("A window needs moments with their offsets.", hint="Such as 2026-11-01T00:00:00+01:00.")
        until = min(until, self._clock.now())
        if since >= until:
            raise BadRequest("The window is empty: it ends before it begins, or lies in the future.")
        trigger = _schedule_of(work, workflow_id, node)
        slots = self._table(trigger).between(since, until, trigger.next_due, most=MOST_SLOTS + 1)
        if len(slots) > MOST_SLOTS:
            raise BadRequest(f"The window has more than {MOST_SLOTS:,} slots.", hint="Take a shorter one.")
        known = {key for key, _, _, _ in work.firings.list_keys(workflow_id, trigger.node, slot_key(since), slot_key(until))}
        fresh = [due for due in slots if slot_key(due) not in known]
        return BackfillPlan(
            workflow_id=workflow_id,
            workflow_name=trigger.workflow_name,
            node=trigger.node,
            total=len(slots),
            known=len(slots) - len(fresh),
            slots=tuple(fresh[:10]),
        )

    def _table(self, trigger: TriggerState) -> Timetable:
        return parse_timetable({**trigger.fields, "timezone": trigger.timezone}, calendars=self._calendars)

    def _begin(self, backfill: Backfill) -> None:
        task = asyncio.create_task(self._carry(backfill), name=f"backfill {backfill.id}")
        self._tasks[backfill.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(backfill.id, None))

    async def _carry(self, backfill: Backfill) -> None:
        open_runs: set[asyncio.Task[Any]] = set()
        try:
            while True:
                room = backfill.at_a_time - len(open_runs)
                fired = await self._fire(backfill.id, room)
                for run_id in fired.runs:
                    open_runs.add(asyncio.create_task(self._worker.wait(run_id), name=f"backfilled {run_id}"))
                if fired.is_over:
                    break
                if len(open_runs) >= backfill.at_a_time:
                    _, open_runs = await asyncio.wait(open_runs, return_when=asyncio.FIRST_COMPLETED)
            if open_runs:
                await asyncio.wait(open_runs)
            await reach_disk(self._store.journal)
        except TreadleError as error:
            log.error("a backfill stopped", extra={"backfill": backfill.id, "error": error.message})
            await self._fail(backfill.id, error)
        finally:
            for task in open_runs:
                task.cancel()

    async def _fire(self, backfill_id: str, room: int) -> _Fired:
        """Accept the next few slots and start their runs; a disk that refuses is waited for."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._fire_once(backfill_id, room)
            except (NotFound, BadRequest, Conflict):
                raise
            except TreadleError as error:
                log.warning("a backfill waits", extra={"backfill": backfill_id, "error": error.message})
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)

    async def _fire_once(self, backfill_id: str, room: int) -> _Fired:
        now = self._clock.now()
        found = _Fired()
        firings: list[FiringId] = []

        def fire(work: UnitOfWork) -> list[tuple[TriggerState, Firing, Batch]]:
            fired: list[tuple[TriggerState, Firing, Batch]] = []
            backfill = _find(work, backfill_id)
            if backfill.state != "running" or backfill.next is None:
                found.is_over = True
                return fired
            trigger = _schedule_of(work, backfill.workflow_id, backfill.node)
            table = self._table(trigger)
            slots = table.between(backfill.next, backfill.until, trigger.next_due, most=room * 10 + 1)
            known = 0
            following: datetime | None = None
            for due in slots:
                if len(fired) >= room or known >= room * 10:
                    following = due
                    break
                items: Batch = [{"due": table.local(due), "fired": table.local(now)}]
                firing, is_new = work.firings.accept(make_firing(trigger, items, now=now, key=slot_key(due)))
                if is_new:
                    fired.append((trigger, firing, items))
                    firings.append(firing.id)
                else:
                    known += 1
            found.is_over = following is None
            _keep(
                work,
                replace(
                    backfill,
                    next=following,
                    started=backfill.started + len(fired),
                    known=backfill.known + known,
                    state="done" if following is None else "running",
                ),
            )
            return fired

        await self._inbox.accept_all(fire)
        found.runs = [run_id for firing in firings if (run_id := self._inbox.started(firing)) is not None]
        return found

    async def _fail(self, backfill_id: str, error: TreadleError) -> None:
        def change(work: UnitOfWork) -> None:
            _keep(work, replace(_find(work, backfill_id), state="failed", error=error.message))

        with contextlib.suppress(TreadleError):
            await self._store.write(change)


@dataclass(slots=True)
class _Fired:
    runs: list[RunId] = field(default_factory=list)
    is_over: bool = False


def _schedule_of(work: UnitOfWork, workflow_id: WorkflowId, node: str | None) -> TriggerState:
    workflow = work.workflows.get(workflow_id)
    schedules = [one for one in work.triggers.list_all(SCHEDULE) if one.workflow_id == workflow_id]
    if not schedules:
        raise Conflict(
            f"“{workflow.name}” has no schedule that is switched on.",
            hint="Activate the workflow first; its active version runs.",
        )
    if node is None and len(schedules) > 1:
        names = ", ".join(one.node for one in schedules)
        raise BadRequest(f"“{workflow.name}” has several schedules.", hint=f"Name one of them: {names}.")
    found = next((one for one in schedules if node in (None, one.node)), None)
    if found is None:
        raise NotFound("schedule", str(node), hint=f"The schedules are: {', '.join(one.node for one in schedules)}.")
    if found.is_paused:
        raise Conflict(f"The schedule “{found.node}” is held.", hint="Let it go on first, or its slots would all be held.")
    return found


def _find(work: UnitOfWork, backfill_id: str) -> Backfill:
    kept = work.values.get(KEPT, {})
    if backfill_id not in kept:
        raise NotFound("backfill", backfill_id)
    return _read(kept[backfill_id])


def _keep(work: UnitOfWork, backfill: Backfill) -> None:
    kept = {**work.values.get(KEPT, {}), backfill.id: backfill.as_json()}
    over = sorted(name for name, one in kept.items() if one["state"] != "running")
    for name in over[: max(0, len(kept) - REMEMBERED)]:
        if name != backfill.id:
            del kept[name]
    work.values.set(KEPT, kept)


def _read(kept: Mapping[str, Any]) -> Backfill:
    moments = {name: datetime.fromisoformat(kept[name]) for name in ("since", "until", "next") if kept[name] is not None}
    return Backfill(**{**kept, **moments})


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat()
