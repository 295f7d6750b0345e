"""`/schedule`, `/calendars`, `/backfills`: when schedules are due, which days count, and slots made up for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.door import NO_NUL, Caller, answer, problems, read_json
from app.api.forms import moment
from engine.access import require
from engine.errors import BadRequest
from engine.model.calendar import Calendar
from engine.triggers.backfill import Backfill

router = APIRouter(tags=["schedules"])

NameRef = Annotated[str, Path(max_length=200, pattern=NO_NUL)]


class CalendarForm(BaseModel):
    """A calendar: weekly working days, holidays by date and by yearly rule, and days that are worked all the same."""

    name: str
    working_days: list[str]
    holidays: dict[str, str]
    yearly: dict[str, str]
    working: list[str]


class CalendarList(BaseModel):
    """Every calendar by name."""

    calendars: list[CalendarForm]


class CalendarImport(BaseModel):
    """The calendar with what was added, and what could not be."""

    calendar: CalendarForm
    left_out: list[str]


class SlotRow(BaseModel):
    """One due time of one schedule; `run_id` is null where there is no run."""

    due: datetime
    workflow: str
    workflow_id: str
    node: str
    state: Literal["due", "running", "done", "failed", "cancelled", "held", "missed"]
    run_id: str | None


class SlotList(BaseModel):
    """The slots of a window in order; `is_cut` says that there are more."""

    slots: list[SlotRow]
    is_cut: bool


class AskBackfill(BaseModel):
    """A window to be made up for."""

    model_config = ConfigDict(extra="forbid")

    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    node: str | None = Field(None, max_length=200)
    at_a_time: int = Field(10, ge=1, le=1000)
    dry_run: bool = False


class BackfillAnswer(BaseModel):
    """A dry run (`id` null, `slots` the first few that would be fired), or a backfill under way."""

    id: str | None
    workflow_id: str
    workflow: str
    node: str
    total: int
    known: int
    started: int
    state: Literal["planned", "running", "done", "cancelled", "failed"]
    error: str | None
    slots: list[datetime]


class BackfillList(BaseModel):
    """The latest backfills, newest first."""

    backfills: list[BackfillAnswer]


@router.get("/schedule", summary="List due times", responses={200: {"model": SlotList}, **problems(404)})
async def list_slots(
    studio: Caller,
    since: Annotated[datetime | None, Query(description="The first moment, with its offset.")] = None,
    until: Annotated[datetime | None, Query(description="The moment after the last, with its offset.")] = None,
    workflow: Annotated[str | None, Query(description="Only this one, by id or name.", max_length=300, pattern=NO_NUL)] = None,
) -> Response:
    """Due, done and missed slots of the schedules that are switched on, at most 400 days; without a window the coming week."""
    start = since or studio.clock.now()
    view = await studio.schedules.view(start, until or start + timedelta(days=7), workflow)
    slots = [
        {
            "due": moment(slot.due),
            "workflow": slot.workflow_name,
            "workflow_id": slot.workflow_id,
            "node": slot.node,
            "state": slot.state,
            "run_id": slot.run_id,
        }
        for slot in view.slots
    ]
    return answer({"slots": slots, "is_cut": view.is_cut})


@router.get("/calendars", summary="List calendars", responses={200: {"model": CalendarList}, **problems()})
async def list_calendars(studio: Caller) -> Response:
    """By name, the built-in ones included."""
    return answer({"calendars": [calendar_form(one) for one in studio.schedules.calendars()]})


@router.get("/calendars/{name}", summary="Read a calendar", responses={200: {"model": CalendarForm}, **problems(404)})
async def read_calendar(studio: Caller, name: NameRef) -> Response:
    """Its working days, holidays and yearly rules."""
    return answer(calendar_form(studio.schedules.calendar(name)))


@router.put(
    "/calendars",
    summary="Keep a calendar",
    responses={200: {"model": CalendarForm}, **problems(409)},
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def save_calendar(studio: Caller, request: Request) -> Response:
    """
    New, or in the place of the one of that name: `{"name", "working_days", "holidays", "yearly", "working"}`.

    Schedules that use it are due by the new one from now on.
    """
    require(studio.actor, "write", "change calendars")
    given = (await read_json(request, Anything)).model_dump()
    return answer(calendar_form(await studio.schedules.save_calendar(str(given.pop("name", "")), given)))


@router.post(
    "/calendars/import",
    summary="Import holidays",
    responses={200: {"model": CalendarImport}, **problems(409)},
    openapi_extra={"requestBody": {"required": True, "content": {"text/calendar": {"schema": {"type": "string"}}}}},
)
async def import_calendar(
    studio: Caller, request: Request, name: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = ""
) -> Response:
    """Add the all-day events of the iCalendar file in the body to the calendar `name`; it is made where there is none."""
    require(studio.actor, "write", "change calendars")
    text = (await request.body()).decode("utf-8", "replace")
    brought = await studio.schedules.import_calendar(name, text)
    return answer({"calendar": calendar_form(brought.calendar), "left_out": list(brought.left_out)})


@router.delete("/calendars/{name}", summary="Remove a calendar", status_code=204, responses=problems(404, 409))
async def delete_calendar(studio: Caller, name: NameRef) -> Response:
    """A calendar that a schedule uses is a conflict."""
    await studio.schedules.delete_calendar(name)
    return Response(status_code=204)


@router.post(
    "/workflows/{ref}/backfill",
    summary="Make up for a window",
    status_code=202,
    responses={200: {"model": BackfillAnswer}, 202: {"model": BackfillAnswer}, **problems(404, 409)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "required": ["from", "to"]}}},
        }
    },
)
async def backfill(studio: Caller, ref: Annotated[str, Path(max_length=300, pattern=NO_NUL)], request: Request) -> Response:
    """
    Fire each slot of the window that has not run, once: `{"from", "to", "node", "at_a_time", "dry_run"}`.

    With `dry_run` the answer (200) only counts them. Otherwise (202) the runs start, at most `at_a_time` open at once.
    """
    require(studio.actor, "run", "backfill schedules")
    workflow = await studio.schedules.workflow_id(ref)
    given = await read_json(request, AskBackfill)
    if given.since.tzinfo is None or given.until.tzinfo is None:
        raise BadRequest("A moment needs its offset.", hint="Such as 2026-11-23T12:00:00Z.")
    if given.dry_run:
        plan = await studio.schedules.plan_backfill(workflow, given.since, given.until, given.node)
        form = {"id": None, "started": 0, "state": "planned", "error": None, "slots": [moment(due) for due in plan.slots]}
        known = {"workflow_id": plan.workflow_id, "workflow": plan.workflow_name, "node": plan.node}
        return answer({**form, **known, "total": plan.total, "known": plan.known})
    made = await studio.schedules.backfill(workflow, given.since, given.until, given.node, at_a_time=given.at_a_time)
    return answer(backfill_form(made), 202)


@router.get("/backfills", summary="List backfills", responses={200: {"model": BackfillList}, **problems()})
async def list_backfills(studio: Caller) -> Response:
    """The latest fifty, newest first."""
    return answer({"backfills": [backfill_form(one) for one in await studio.schedules.backfills()]})


@router.post("/backfills/{name}/cancel", summary="End a backfill", responses={200: {"model": BackfillAnswer}, **problems(404)})
async def cancel_backfill(studio: Caller, name: NameRef) -> Response:
    """No more slots are fired; the runs it started go on."""
    return answer(backfill_form(await studio.schedules.cancel_backfill(name)))


class Anything(BaseModel):
    """Any JSON object; what is in it is judged elsewhere."""

    model_config = ConfigDict(extra="allow")


def calendar_form(calendar: Calendar) -> dict[str, Any]:
    """Return a calendar with its name."""
    return {"name": calendar.name, **calendar.as_json()}


def backfill_form(backfill: Backfill) -> dict[str, Any]:
    """Return a backfill as the API tells it."""
    return {
        "id": backfill.id,
        "workflow_id": backfill.workflow_id,
        "workflow": backfill.workflow_name,
        "node": backfill.node,
        "total": backfill.total,
        "known": backfill.known,
        "started": backfill.started,
        "state": backfill.state,
        "error": backfill.error,
        "slots": [],
    }
