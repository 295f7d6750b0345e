"""`/waiting`, `/approvals`, `/signals`: what waits for whom, decisions, signals."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.door import NO_NUL, Caller, answer, problems
from engine.service.waits import row_form

router = APIRouter(tags=["waiting"])

Kind = Literal["timer", "signal", "approval", "form", "child", "limit"]


class Waiting(BaseModel):
    """One step that waits."""

    run: str
    workflow: str
    step: str
    scope: str
    kind: Kind
    name: str
    key: str
    since: str
    due_at: str | None
    details: dict[str, Any]
    link: str


class WaitingList(BaseModel):
    """What waits, the longest waiting first."""

    waiting: list[Waiting]


class SendSignal(BaseModel):
    """A signal; `data` is the item or items it brings, `keep_s` how many seconds it is kept where nobody waits."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=200, pattern=NO_NUL)
    key: str = Field("", max_length=200, pattern=NO_NUL)
    data: dict[str, Any] | list[dict[str, Any]] | None = None
    keep_s: float | None = Field(None, ge=0, le=10 * 366 * 86400)


class Sent(BaseModel):
    """The runs that a signal woke."""

    woken: list[str]


class DecideApproval(BaseModel):
    """Which button, and what goes with it."""

    model_config = ConfigDict(extra="forbid")
    decision: str = Field(max_length=100, pattern=NO_NUL)
    note: str = Field("", max_length=10_000, pattern=NO_NUL)
    by: str = Field("", max_length=200, pattern=NO_NUL)
    scope: str = Field("", max_length=500, pattern=NO_NUL)
    answers: dict[str, Any] = Field(default_factory=dict)


@router.get("/waiting", summary="List what waits", responses={200: {"model": WaitingList}, **problems()})
async def list_waiting(
    studio: Caller,
    kind: Annotated[Kind, Query(description="For what.")] = "approval",
    person: Annotated[
        str, Query(description="Only approvals that ask this person, or nobody by name.", max_length=200, pattern=NO_NUL)
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Steps that wait for an approval, a signal, a moment …, the longest waiting first."""
    rows = await studio.waits.list_rows(kind, person=person, limit=limit)
    return answer({"waiting": [row_form(row) for row in rows]})


@router.post("/signals", summary="Send a signal", status_code=202, responses={202: {"model": Sent}, **problems(400)})
async def send_signal(studio: Caller, given: SendSignal) -> Response:
    """Wakes every run that waits for this name and key; kept for `keep_s` seconds where nobody does."""
    keep = timedelta(seconds=given.keep_s) if given.keep_s is not None else None
    woken = await studio.waits.signal(given.name, key=given.key, data=given.data, keep=keep)
    return answer({"woken": list(woken)}, 202)


@router.post(
    "/approvals/{run_id}/{node}",
    summary="Decide an approval",
    status_code=202,
    responses={202: {"model": Sent}, **problems(400, 404, 409)},
)
async def decide_approval(
    studio: Caller,
    run_id: Annotated[str, Path(description="The run's id.", max_length=100, pattern=NO_NUL)],
    node: Annotated[str, Path(description="The step that waits.", max_length=200, pattern=NO_NUL)],
    given: DecideApproval,
) -> Response:
    """Presses a button; the run goes on by the port of that name. One that is answered or over already is a conflict."""
    await studio.waits.decide(
        run_id, node, given.decision, note=given.note, by=given.by, scope=given.scope, answers=given.answers
    )
    return answer({"woken": [run_id]}, 202)
