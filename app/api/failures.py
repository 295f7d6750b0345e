"""`/failures` and `/replays`: the failure desk."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.door import NO_NUL, Caller, answer, problems
from app.api.failure_forms import failure_form, group_form, replay_form
from app.api.models import In, Problem
from engine.model.failures import ON_DESK, FailureFilter, FailureState

router = APIRouter(tags=["failures"])

GroupRef = Annotated[str, Path(description="The group's id.", max_length=100, pattern=NO_NUL)]
ReplayRef = Annotated[str, Path(description="The replay's id.", max_length=100, pattern=NO_NUL)]
States = Annotated[
    list[FailureState] | None, Query(description="Only failures that stand so; open and replaying when left out.")
]
RunIds = Annotated[list[Annotated[str, Field(max_length=100, pattern=NO_NUL)]] | None, Field(max_length=1000)]
Name = Annotated[str | None, Field(max_length=100, pattern=NO_NUL)]


class ReplayOrder(In):
    """Which failures to repeat, and how."""

    group: Name = Field(None, description="All open failures of this group.")
    runs: RunIds = Field(None, description="Or the failures of these runs.")
    start: Literal["failed_step", "start"] = Field("failed_step", alias="from", description="Where to go on.")
    version: Literal["same", "newest"] = Field("same", description="The version to run.")
    input: dict[str, Any] | list[dict[str, Any]] | None = Field(None, description="Other items, for one run from its start.")
    at_once: int = Field(10, ge=1, le=200, description="How many runs go at a time.")


class DiscardOrder(In):
    """Which failures to put away, and why."""

    group: Name = None
    runs: RunIds = None
    reason: str = Field(min_length=1, max_length=2000, pattern=NO_NUL)


class UndoOrder(In):
    """Which discard to take back, or which runs of it."""

    discard: Name = None
    runs: RunIds = None


class Cause(BaseModel):
    """What the failures of a group have in common; `message` has its values masked."""

    step: str
    code: str
    status: str
    message: str


class Group(BaseModel):
    """Failures of one cause; `message` is what the last one said, `workflows` counts by name."""

    id: str
    cause: Cause
    message: str
    count: int
    replaying: int
    first_at: datetime
    last_at: datetime
    last_run: str
    workflows: dict[str, int]


class GroupList(BaseModel):
    """Groups, the latest failure first; `total` counts all failures of this kind."""

    groups: list[Group]
    total: int


class FailureRow(BaseModel):
    """One failed run on the desk."""

    run: str
    group: str
    workflow: str
    workflow_id: str | None
    node: str | None
    at: datetime
    state: FailureState
    action: str | None
    reason: str | None
    settled_at: datetime | None
    settled_by: str | None
    replay_run: str | None
    replay_of: str | None
    alerts: list[dict[str, Any]]
    error: Problem | None


class FailurePage(BaseModel):
    """Failures of a group, newest first; `next` is the cursor of the following page."""

    failures: list[FailureRow]
    next: str | None


class ReplayRow(BaseModel):
    """A replay and how far it is."""

    id: str
    group: str | None
    start: Literal["failed_step", "start"]
    version: Literal["same", "newest"]
    at_once: int
    state: Literal["running", "done", "cancelled"]
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    total: int
    finished: int
    counts: dict[str, int]


class ReplayList(BaseModel):
    """Replays, newest first."""

    replays: list[ReplayRow]


class Discarded(BaseModel):
    """What was put away; `discard` is the name by which it is brought back."""

    discard: str
    count: int


class Undone(BaseModel):
    """How many failures came back."""

    count: int


@router.get("/failures", summary="List failures by cause", responses={200: {"model": GroupList}, **problems(404)})
async def list_groups(
    studio: Caller,
    state: States = None,
    workflow: Annotated[
        str | None, Query(description="Only those of the workflow with this id or name.", max_length=300, pattern=NO_NUL)
    ] = None,
    text: Annotated[str, Query(description="Only causes or workflows with this.", max_length=200, pattern=NO_NUL)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """Groups of failures that have the same cause, the latest first."""
    filter = FailureFilter(
        states=tuple(state or ON_DESK),
        workflow_id=(await studio.workflows.get(workflow)).id if workflow else None,
        text=text,
        limit=limit,
        offset=offset,
    )
    groups, total = await studio.failures.groups(filter), await studio.failures.count(filter)
    return answer({"groups": [group_form(group) for group in groups], "total": total})


@router.get("/failures/{group}", summary="List a group's failures", responses={200: {"model": FailurePage}, **problems(404)})
async def list_failures(
    studio: Caller,
    group: GroupRef,
    state: States = None,
    before: Annotated[
        str | None, Query(description="The cursor `next` of the page before.", max_length=100, pattern=NO_NUL)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """One by one, the newest run first."""
    found = await studio.failures.list_page(
        FailureFilter(group_id=group, states=tuple(state or ON_DESK), limit=limit + 1), before=before
    )
    page = found[:limit]
    last = page[-1].run_id if len(found) > limit else None
    return answer({"failures": [failure_form(failure) for failure in page], "next": last})


@router.post(
    "/failures/replay", summary="Repeat failures", status_code=202, responses={202: {"model": ReplayRow}, **problems(400, 409)}
)
async def replay(studio: Caller, given: ReplayOrder) -> Response:
    """
    The failures of a group, or of some runs, a few at a time; the order is stored and goes on after a restart.

    One that succeeds leaves the desk; one that fails again comes back, with a link to what it repeated.
    """
    stored = await studio.failures.replay(
        group=given.group,
        runs=given.runs,
        start=given.start,
        version=given.version,
        input=given.input,
        at_once=given.at_once,
    )
    return answer(replay_form(stored), 202)


@router.post("/failures/discard", summary="Put failures away", responses={200: {"model": Discarded}, **problems(400, 409)})
async def discard(studio: Caller, given: DiscardOrder) -> Response:
    """With a reason; `POST /failures/undo` brings them back."""
    action, count = await studio.failures.discard(group=given.group, runs=given.runs, reason=given.reason)
    return answer({"discard": action, "count": count})


@router.post("/failures/undo", summary="Bring failures back", responses={200: {"model": Undone}, **problems(400)})
async def undo(studio: Caller, given: UndoOrder) -> Response:
    """What a discard put away is open again: all of it, or some runs."""
    return answer({"count": await studio.failures.undo(discard=given.discard, runs=given.runs)})


@router.get("/replays", summary="List replays", responses={200: {"model": ReplayList}, **problems()})
async def list_replays(studio: Caller, running: bool = False, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """Newest first, each with how far it is."""
    return answer({"replays": [replay_form(one) for one in await studio.failures.replays(running=running, limit=limit)]})


@router.get("/replays/{replay}", summary="Read a replay", responses={200: {"model": ReplayRow}, **problems(404)})
async def read_replay(studio: Caller, replay: ReplayRef) -> Response:
    """How many of its failures wait, are at work, succeeded, failed again, or could not be repeated (`skipped`)."""
    return answer(replay_form(await studio.failures.get_replay(replay)))


@router.post("/replays/{replay}/cancel", summary="End a replay", responses={200: {"model": ReplayRow}, **problems(404, 409)})
async def cancel_replay(studio: Caller, replay: ReplayRef) -> Response:
    """Nothing more of it begins; what has begun goes on."""
    return answer(replay_form(await studio.failures.cancel_replay(replay)))
