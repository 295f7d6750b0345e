"""
Schedules: a table of due times, one alarm for the earliest, and each slot exactly once.

The due times stand in the store, beside the trigger; firing a slot, queueing its run and moving the due time on are one
transaction, and (trigger, due time) is unique in the inbox, so no slot fires twice, whatever stops in between. What passed
while nothing ran is made up for as `missed` says. APScheduler is the clock that wakes us: one job at the earliest due time,
and one each minute that notices a machine that slept or a clock that was set.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from engine.clock import Clock
from engine.errors import NotFound, TreadleError
from engine.ids import NodeId, WorkflowId
from engine.model.calendar import Calendars
from engine.model.items import Batch
from engine.protocols import Firing, TriggerState, UnitOfWork
from engine.triggers.activation import SCHEDULE, Active
from engine.triggers.inbox import Inbox, make_firing
from engine.triggers.timetable import Every, Missed, Timetable, parse_timetable

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=1)
"""A slot that is less late than this was not missed, only served late."""

MOST_SLOTS = 500
"""How many missed slots of one schedule become runs in one transaction; the rest follow in the next."""

AT_ONCE = 200
"""How many schedules fire in one transaction."""

NET = 60
"""Seconds between two looks at the clock, whatever the alarm says."""

Key = tuple[WorkflowId, NodeId]


@dataclass(slots=True)
class Entry:
    """One active schedule; an entry whose `due` was overtaken by a newer one is left in the heap and passed over."""

    trigger: TriggerState
    table: Timetable
    due: datetime


@dataclass(frozen=True, slots=True)
class Slots:
    """What one schedule owes now: the due times to fire, and the next one."""

    fire: tuple[datetime, ...]
    following: datetime | None


def slots_due(table: Timetable, due: datetime, now: datetime, missed: Missed | None = None) -> Slots:
    """
    Decide which slots from `due` up to `now` are fired.

    The last one is fired when it is less than a minute late, whatever the policy; the others were missed: `skip` forgets them,
    `once` fires the last of them all, `all` fires each (at most 500 at a time, `following` is then still in the past).
    """
    missed = missed or table.missed
    slot: datetime | None = due if missed == "all" else _leap(table, due, now)
    passed: list[datetime] = []
    while slot is not None and slot <= now and len(passed) < (MOST_SLOTS if missed == "all" else 1_000_000):
        passed.append(slot)
        slot = table.next_after(slot, slot)
    if missed == "all" or not passed:
        return Slots(tuple(passed), slot)
    last = passed[-1]
    return Slots((last,) if missed == "once" or now - last <= GRACE else (), slot)


def _leap(table: Timetable, slot: datetime, now: datetime) -> datetime:
    """Return a slot close before the last one up to `now`, so that years of missed minutes are not walked one by one."""
    near = now - (2 * table.rule.pause if isinstance(table.rule, Every) else timedelta(hours=3))
    if slot >= near:
        return slot
    ahead = table.next_after(near, slot)
    return ahead if ahead is not None and ahead <= now else slot


class Schedules:
    """The schedules of all active versions, and the service that fires them."""

    name = "schedules"

    def __init__(self, inbox: Inbox, clock: Clock, calendars: Calendars | None = None) -> None:
        self._inbox, self._clock = inbox, clock
        self._calendars = calendars or Calendars()
        self._entries: dict[Key, Entry] = {}
        self._heap: list[tuple[datetime, Key]] = []
        self._parsed: dict[tuple[object, ...], Timetable] = {}
        self._alarm = asyncio.Event()
        self._scheduler: AsyncIOScheduler | None = None
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def next_due(self) -> datetime | None:
        """The earliest due time there is."""
        while self._heap:
            due, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and entry.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def load(self, active: Active) -> None:
        """Make the schedules among these the ones that fire. Subscribe this to the activation."""
        entries: dict[Key, Entry] = {}
        for trigger in active.triggers:
            if trigger.kind != SCHEDULE or trigger.next_due is None:
                continue
            try:
                entries[trigger.workflow_id, trigger.node] = Entry(trigger, self._table(trigger), trigger.next_due)
            except TreadleError as error:
                log.error("schedule cannot be read", extra={"workflow": trigger.workflow_id, "error": error.message})
        self._entries = entries
        self._heap = [(entry.due, key) for key, entry in entries.items()]
        heapq.heapify(self._heap)
        self._set_alarm()

    async def start(self) -> None:
        """Begin to fire; what was missed while nothing ran comes first."""
        if self._task is not None:
            return
        # Loaded here: a single run from the command line has no schedules.
        from apscheduler.jobstores.memory import MemoryJobStore
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        scheduler = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        scheduler.start()
        scheduler.add_job(self._alarm.set, "interval", seconds=NET, id="net")
        self._scheduler = scheduler
        self._task = asyncio.create_task(self._serve(), name="schedules")
        self._alarm.set()

    async def stop(self) -> None:
        """Stop firing; returns when it is over."""
        if self._task is None or self._scheduler is None:
            return
        task, scheduler = self._task, self._scheduler
        self._task = self._scheduler = None
        scheduler.shutdown(wait=False)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def run_once(self) -> int:
        """Fire every slot that is due by the clock; returns how many runs that made."""
        count = 0
        while due := self._take_due():
            try:
                count += await self._fire(due)
            except BaseException:
                for entry in due:  # they stay due, and are tried again at the next look
                    heapq.heappush(self._heap, (entry.due, (entry.trigger.workflow_id, entry.trigger.node)))
                raise
        return count

    async def _serve(self) -> None:
        while True:
            await self._alarm.wait()
            self._alarm.clear()
            try:
                await self.run_once()
            except TreadleError as error:
                log.error("schedules could not be fired", extra={"error": error.message})
                continue  # the minute's look tries again
            except Exception:
                log.exception("schedules could not be fired")
                continue
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._scheduler is None or (due := self.next_due) is None:
            return
        # The clock that was handed in decides what is due; APScheduler only has to wake us that long from now.
        wait = max(due - self._clock.now(), timedelta(0))
        self._scheduler.add_job(self._alarm.set, "date", run_date=datetime.now(UTC) + wait, id="due", replace_existing=True)

    def _take_due(self) -> list[Entry]:
        now, taken = self._clock.now(), list[Entry]()
        while len(taken) < AT_ONCE and (due := self.next_due) is not None and due <= now:
            _, key = heapq.heappop(self._heap)
            taken.append(self._entries[key])
        return taken

    async def _fire(self, entries: Sequence[Entry]) -> int:
        now = self._clock.now()
        owed = [(entry, slots_due(entry.table, entry.due, now)) for entry in entries]

        def fire(work: UnitOfWork) -> list[tuple[TriggerState, Firing, Batch]]:
            fired: list[tuple[TriggerState, Firing, Batch]] = []
            for entry, slots in owed:
                try:
                    trigger = work.triggers.get(entry.trigger.workflow_id, entry.trigger.node)
                except NotFound:
                    continue  # switched off a moment ago
                if trigger.next_due != entry.due:
                    continue  # another version took over, with due times of its own
                for due in slots.fire:
                    items: Batch = [{"due": entry.table.local(due), "fired": entry.table.local(now)}]
                    firing, is_new = work.firings.accept(make_firing(trigger, items, now=now, key=slot_key(due)))
                    if is_new:
                        fired.append((trigger, firing, items))
                work.triggers.set_next_due(trigger.workflow_id, trigger.node, slots.following)
            return fired

        count = await self._inbox.accept_all(fire)
        for entry, slots in owed:
            key = (entry.trigger.workflow_id, entry.trigger.node)
            if self._entries.get(key) is not entry:
                continue
            if slots.following is None:
                del self._entries[key]
            else:
                entry.due = slots.following
                heapq.heappush(self._heap, (entry.due, key))
        return count

    def _table(self, trigger: TriggerState) -> Timetable:
        fields = trigger.fields
        calendar = self._calendars.find(str(fields.get("calendar")))
        parts = ("cron", "every", "missed", "calendar", "on_holiday")
        key = (trigger.timezone, id(calendar), *(str(fields.get(name)) for name in parts))
        known = self._parsed.get(key)
        if known is None or known.calendar is not calendar:
            if len(self._parsed) > 20_000:
                self._parsed.clear()
            known = self._parsed[key] = parse_timetable({**fields, "timezone": trigger.timezone}, calendars=self._calendars)
        return known


def slot_key(due: datetime) -> str:
    """Return what makes a slot unique within its trigger."""
    return f"due:{due.astimezone(UTC).isoformat()}"
