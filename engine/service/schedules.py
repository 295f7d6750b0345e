"""Time: calendars, when schedules are due, what became of their slots, and backfills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, NotFound, TreadleError
from engine.ids import NodeId, RunId, WorkflowId
from engine.model.calendar import BUILT_IN, Calendar, Calendars, read_calendar
from engine.model.ics import read_ics
from engine.model.run import RunStatus
from engine.protocols import FiringState, Store, TriggerState, UnitOfWork
from engine.run.calendars import KEPT, kept_calendars, load_calendars
from engine.service.workflows import find_workflow
from engine.triggers.activation import SCHEDULE, Activation
from engine.triggers.backfill import Backfill, BackfillPlan, Backfills
from engine.triggers.schedule import slot_key
from engine.triggers.timetable import parse_timetable, preview

MOST_CALENDARS: Final = 200
MOST_SLOTS: Final = 5_000
MOST_OF_ONE: Final = 200
"""Slots of one schedule where several are shown."""

LONGEST_VIEW: Final = timedelta(days=400)

SlotState = Literal["due", "running", "done", "failed", "cancelled", "held", "missed"]
_STATES: Final[Mapping[RunStatus, SlotState]] = {
    RunStatus.SUCCEEDED: "done",
    RunStatus.FAILED: "failed",
    RunStatus.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One due time of one schedule, and what became of it; `run_id` is None where there is no run."""

    due: datetime
    workflow_id: WorkflowId
    workflow_name: str
    node: NodeId
    state: SlotState
    run_id: RunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarView:
    """The slots of a window in order; `is_cut` says that there are more than are shown."""

    slots: Sequence[Slot]
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What an iCalendar file made of a calendar; `left_out` names what could not be taken over."""

    calendar: Calendar
    left_out: Sequence[str]


class ScheduleService:
    """What a person or a program may do with time."""

    def __init__(
        self,
        *,
        store: Store,
        activation: Activation,
        backfills: Backfills,
        calendars: Calendars,
        clock: Clock,
        actor: Actor,
    ) -> None:
        self._store, self._activation, self._backfills = store, activation, backfills
        self._calendars, self._clock, self._actor = calendars, clock, actor

    # — calendars —

    def calendars(self) -> list[Calendar]:
        """Return every calendar by name, the built-in ones included."""
        require(self._actor, "read", "read calendars")
        return list(self._calendars)

    def calendar(self, name: str) -> Calendar:
        """Return one calendar; raises `NotFound`."""
        require(self._actor, "read", "read calendars")
        found = self._calendars.find(name)
        if found is None:
            raise NotFound("calendar", name, hint=self._calendars.nearest(name))
        return found

    async def save_calendar(self, name: str, value: Mapping[str, Any]) -> Calendar:
        """
        Keep a calendar under its name, new or in the place of the one before; schedules that use it are due anew from now on.

        Raises `BadRequest` with all that is wrong with it, `Conflict` for the name of a built-in one, or when a schedule that
        uses it would never be due again.
        """
        require(self._actor, "write", "change calendars")
        calendar = read_calendar(name, value)
        await self._change(name, calendar.as_json())
        return calendar

    async def delete_calendar(self, name: str) -> None:
        """Remove a calendar; raises `NotFound`, and `Conflict` while a schedule uses it or for a built-in one."""
        require(self._actor, "write", "change calendars")
        await self._change(name, None)

    async def import_calendar(self, name: str, text: str) -> Import:
        """
        Add the all-day events of an iCalendar file to a calendar, which is made when it is not there yet.

        Raises `BadRequest` for text that is no such file.
        """
        require(self._actor, "write", "change calendars")
        found = read_ics(text)
        before = self._calendars.find(name)
        kept: dict[str, Any] = before.as_json() if before is not None else {}
        kept["holidays"] = {**kept.get("holidays", {}), **{day.isoformat(): label for day, label in found.days.items()}}
        kept["yearly"] = {**kept.get("yearly", {}), **{str(rule): label for rule, label in found.yearly.items()}}
        calendar = await self.save_calendar(name, kept)
        return Import(calendar=calendar, left_out=tuple(found.left_out))

    async def _change(self, name: str, value: Any) -> None:
        if name in BUILT_IN:
            raise Conflict(f"The calendar “{name}” is built in.", hint="Make one under another name.")
        now = self._clock.now()

        def change(work: UnitOfWork) -> None:
            kept = dict(kept_calendars(work))
            users = [one for one in work.triggers.list_all(SCHEDULE) if one.fields.get("calendar") == name]
            if value is None:
                if name not in kept:
                    raise NotFound("calendar", name)
                if users:
                    raise Conflict(
                        f"The calendar “{name}” is used by “{users[0].workflow_name}”.", hint="Change the schedule first."
                    )
                del kept[name]
            else:
                kept[name] = value
            if len(kept) > MOST_CALENDARS:
                raise Conflict(f"There are {MOST_CALENDARS} calendars already.", hint="Remove one first.")
            work.values.set(KEPT, kept)
            _reckon_anew(work, users, Calendars(kept), now)

        await self._store.write(change)
        await load_calendars(self._store, self._calendars)
        await self._activation.refresh()

    # — slots —

    def preview(self, fields: Mapping[str, Any], *, timezone: str = "UTC", count: int = 5) -> list[datetime]:
        """
        Return the next due times of a schedule with these fields, as local times.

        Raises `BadInput` that names the field that is wrong.
        """
        require(self._actor, "read", "read schedules")
        return preview(
            cron=fields.get("cron"),
            every=fields.get("every"),
            timezone=fields.get("timezone") or timezone,
            calendar=fields.get("calendar"),
            on_holiday=fields.get("on_holiday"),
            calendars=self._calendars,
            after=self._clock.now(),
            count=count,
        )

    async def view(self, since: datetime, until: datetime, ref: str | None = None) -> CalendarView:
        """
        Return the slots from `since` up to, and without, `until`, of one workflow or of all that are switched on.

        A slot of the past without a run was missed, unless it lies before the version was published. Raises `BadRequest` for
        a window that makes no sense, `NotFound`.
        """
        require(self._actor, "read", "read schedules")
        if since.tzinfo is None or until.tzinfo is None or not timedelta(0) < until - since <= LONGEST_VIEW:
            raise BadRequest(
                "This is no window of time.", hint=f"It has two moments with offsets, {LONGEST_VIEW.days} days apart at most."
            )
        now = self._clock.now()
        return await self._store.read(lambda work: self._look(work, since, until, ref, now))

    def _look(self, work: UnitOfWork, since: datetime, until: datetime, ref: str | None, now: datetime) -> CalendarView:
        wanted = None if ref is None else find_workflow(work, ref).id
        schedules = [one for one in work.triggers.list_all(SCHEDULE) if wanted in (None, one.workflow_id)]
        most = MOST_SLOTS if len(schedules) == 1 else MOST_OF_ONE
        slots: list[Slot] = []
        is_cut = False
        for trigger in schedules:
            found = self._slots(work, trigger, since, until, now, most + 1)
            is_cut = is_cut or len(found) > most
            slots += found[:most]
            if len(slots) > MOST_SLOTS:
                is_cut = True
                break
        slots.sort(key=lambda slot: (slot.due, slot.workflow_name, slot.node))
        return CalendarView(slots=slots[:MOST_SLOTS], is_cut=is_cut)

    def _slots(
        self, work: UnitOfWork, trigger: TriggerState, since: datetime, until: datetime, now: datetime, most: int
    ) -> list[Slot]:
        fired = {
            moment: (state, run_id, status)
            for key, state, run_id, status in work.firings.list_keys(
                trigger.workflow_id, trigger.node, slot_key(since), slot_key(until), limit=most
            )
            if (moment := _moment_of(key)) is not None
        }
        try:
            table = parse_timetable({**trigger.fields, "timezone": trigger.timezone}, calendars=self._calendars)
            planned = table.between(since, until, trigger.next_due, most=most)
        except TreadleError:
            planned = []
        published = work.workflows.get_version(trigger.version_id).created_at
        slots = []
        for due in sorted({*planned, *fired}):
            state, run_id, status = fired.get(due, (None, None, None))
            if state is None and published > due:
                continue
            slots.append(
                Slot(
                    due=due,
                    workflow_id=trigger.workflow_id,
                    workflow_name=trigger.workflow_name,
                    node=trigger.node,
                    state=_state(due, state, status, now),
                    run_id=run_id,
                )
            )
        return slots

    # — backfills —

    async def plan_backfill(self, ref: str, since: datetime, until: datetime, node: str | None = None) -> BackfillPlan:
        """Return how many slots of the window would be fired; nothing is. Raises `BadRequest`, `Conflict`, `NotFound`."""
        require(self._actor, "run", "plan backfills")
        return await self._backfills.plan(await self.workflow_id(ref), since, until, node)

    async def backfill(
        self, ref: str, since: datetime, until: datetime, node: str | None = None, *, at_a_time: int = 10
    ) -> Backfill:
        """Fire each slot of the window once, at most so many open runs at a time; returns once it is on disk."""
        require(self._actor, "run", "backfill schedules")
        workflow_id = await self.workflow_id(ref)
        return await self._backfills.begin(workflow_id, since, until, node, at_a_time=at_a_time, author=self._actor.name)

    async def backfills(self) -> list[Backfill]:
        """Return the latest backfills, newest first."""
        require(self._actor, "read", "read backfills")
        return await self._backfills.list_all()

    async def wait_for_backfill(self, backfill_id: str) -> Backfill:
        """Return a backfill once all its runs are over; raises `NotFound`."""
        require(self._actor, "read", "read backfills")
        return await self._backfills.wait(backfill_id)

    async def cancel_backfill(self, backfill_id: str) -> Backfill:
        """Fire no more slots; the runs it started go on. Raises `NotFound`."""
        require(self._actor, "run", "cancel backfills")
        return await self._backfills.cancel(backfill_id)

    async def workflow_id(self, ref: str) -> WorkflowId:
        """Return the id of a workflow by id or name, for whoever may start its runs; raises `NotFound`."""
        require(self._actor, "run", "backfill schedules")
        return await self._store.read(lambda work: find_workflow(work, ref).id)


def _reckon_anew(work: UnitOfWork, users: Sequence[TriggerState], calendars: Calendars, now: datetime) -> None:
    for trigger in users:
        table = parse_timetable({**trigger.fields, "timezone": trigger.timezone}, calendars=calendars)
        if trigger.next_due is not None and trigger.next_due <= now:
            continue  # due already: it fires as it was, and goes on by the new calendar
        due = table.between(now, now + timedelta(days=3660), trigger.next_due, most=1)
        work.triggers.set_next_due(trigger.workflow_id, trigger.node, due[0] if due else None)


def _moment_of(key: str) -> datetime | None:
    try:
        return datetime.fromisoformat(key.removeprefix("due:")).astimezone(UTC)
    except ValueError:
        return None


def _state(due: datetime, state: FiringState | None, status: RunStatus | None, now: datetime) -> SlotState:
    if state is None:
        return "due" if due > now else "missed"
    if state == "held":
        return "held"
    if state == "discarded":
        return "missed"
    return _STATES.get(status, "running") if status is not None else "running"
