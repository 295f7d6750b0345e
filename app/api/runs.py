"""`/runs`: list, read, look into, end, run again, follow."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from app.api.door import NO_NUL, Caller, answer, problems
from app.api.events import follow
from app.api.forms import receipt_form, run_form, step_form
from app.api.models import (
    ChildList,
    DataPage,
    Decide,
    EffectPage,
    FinishedRun,
    ForkRun,
    LineageList,
    RunPage,
    RunRow,
    Status,
    StepList,
)
from engine.access import may
from engine.errors import BadRequest
from engine.ids import RunId
from engine.model.codec import read_document
from engine.model.run import RunStatus
from engine.model.workflow import Document
from engine.protocols import RunFilter
from engine.run.payloads import show
from engine.service.views import finished_form

router = APIRouter(prefix="/runs", tags=["runs"])

RunRef = Annotated[str, Path(description="The run's id.", max_length=100, pattern=NO_NUL)]
NodeRef = Annotated[str, Path(description="The node's id.", max_length=200, pattern=NO_NUL)]
ScopeName = Annotated[str, Query(description="The pass of a loop, as the step names it.", max_length=500, pattern=NO_NUL)]
PortName = Annotated[str, Query(description="The port.", max_length=100)]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("", summary="List runs", responses={200: {"model": RunPage}, **problems(404)})
async def list_runs(
    studio: Caller,
    workflow: Annotated[
        str | None, Query(description="Only runs of the workflow with this id or name.", max_length=300, pattern=NO_NUL)
    ] = None,
    status: Annotated[list[Status] | None, Query(description="Only these; may be given several times.")] = None,
    test: Annotated[bool | None, Query(description="Only tests, or only what is no test.")] = None,
    since: Annotated[datetime | None, Query(description="Queued at or after this moment, with its offset.")] = None,
    until: Annotated[datetime | None, Query(description="Queued before this moment, with its offset.")] = None,
    text: Annotated[
        str, Query(description="Only runs whose workflow or error holds this.", max_length=200, pattern=NO_NUL)
    ] = "",
    search: Annotated[
        str, Query(description="Only runs with these words in their data, errors or log.", max_length=500, pattern=NO_NUL)
    ] = "",
    trigger: Annotated[str, Query(description="Only runs started so.", max_length=100, pattern=NO_NUL)] = "",
    key: Annotated[str, Query(description="Only runs of the event with this key.", max_length=300, pattern=NO_NUL)] = "",
    at_least_ms: Annotated[int | None, Query(description="Only runs that took at least so long.", ge=0, le=10**12)] = None,
    at_most_ms: Annotated[int | None, Query(description="Only runs that took at most so long.", ge=0, le=10**12)] = None,
    before: Annotated[
        str | None, Query(description="The cursor `next` of the page before.", max_length=100, pattern=NO_NUL)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Newest first. The answer's `next` is the cursor of the following page."""
    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise BadRequest("A moment needs its offset.", hint="Such as 2026-11-23T12:00:00Z.")
    found = await studio.runs.list_page(
        RunFilter(
            workflow_id=(await studio.workflows.get(workflow)).id if workflow else None,
            statuses=tuple(RunStatus(name) for name in status or ()),
            is_test=test,
            since=since,
            until=until,
            text=text,
            search=search,
            trigger=trigger,
            key=key,
            took_at_least=None if at_least_ms is None else timedelta(milliseconds=at_least_ms),
            took_at_most=None if at_most_ms is None else timedelta(milliseconds=at_most_ms),
            before=RunId(before) if before else None,
            limit=limit + 1,
        )
    )
    page = found[:limit]
    return answer({"runs": [run_form(run) for run in page], "next": page[-1].id if len(found) > limit else None})


@router.get("/{run_id}", summary="Read a run", responses={200: {"model": FinishedRun}, **problems(404)})
async def read_run(studio: Caller, run_id: RunRef) -> Response:
    """With what left the nodes that nothing follows, as far as the run has come."""
    return answer(await studio.runs.finished(run_id))


@router.get("/{run_id}/children", summary="List the runs it called", responses={200: {"model": ChildList}, **problems(404)})
async def list_children(studio: Caller, run_id: RunRef, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Response:
    """In the order it called them; each may have children of its own."""
    return answer({"runs": [run_form(run) for run in await studio.runs.children(run_id, limit=limit)]})


@router.get("/{run_id}/steps", summary="List a run's steps", responses={200: {"model": StepList}, **problems(404)})
async def list_steps(studio: Caller, run_id: RunRef) -> Response:
    """In the order they began."""
    return answer({"steps": [step_form(step) for step in await studio.runs.steps(run_id)]})


@router.get(
    "/{run_id}/steps/{node}/output", summary="Read what left a step", responses={200: {"model": DataPage}, **problems(404)}
)
async def read_output(
    studio: Caller,
    run_id: RunRef,
    node: NodeRef,
    port: PortName = "out",
    offset: Offset = 0,
    limit: Limit = 100,
    scope: ScopeName | None = None,
) -> Response:
    """A page of the items that left by one port; of a step in the body of a frame, in the pass `scope` or the last one."""
    return _page(await studio.runs.output(run_id, node, port, offset=offset, limit=limit, scope=scope))


@router.get(
    "/{run_id}/steps/{node}/input", summary="Read what came to a step", responses={200: {"model": DataPage}, **problems(404)}
)
async def read_input(
    studio: Caller,
    run_id: RunRef,
    node: NodeRef,
    port: PortName = "in",
    offset: Offset = 0,
    limit: Limit = 100,
    scope: ScopeName | None = None,
) -> Response:
    """A page of the items that arrived at one port; of a step in the body of a frame, in the pass `scope` or the last one."""
    return _page(await studio.runs.input_page(run_id, node, port, offset=offset, limit=limit, scope=scope))


@router.get("/{run_id}/lineage", summary="Trace a value back", responses={200: {"model": LineageList}, **problems(404)})
async def read_lineage(
    studio: Caller,
    run_id: RunRef,
    step: Annotated[str, Query(description="The node that the item left.", max_length=200, pattern=NO_NUL)] = "",
    item: Annotated[int, Query(description="Its index in the batch.", ge=0, le=1_000_000_000)] = 0,
    path: Annotated[str, Query(description="A field in it, such as total or customer.name.", max_length=500)] = "",
    port: PortName = "out",
    scope: ScopeName = "",
) -> Response:
    """The way back from an item, or from one of its fields, to its sources; each hop names those it was made from."""
    found = await studio.runs.lineage(run_id, step, item, port=port, path=path, scope=scope)
    return answer({"hops": [asdict(hop) for hop in found]})


@router.post("/{run_id}/cancel", summary="End a run", responses={200: {"model": FinishedRun}, **problems(404, 409)})
async def cancel_run(studio: Caller, run_id: RunRef) -> Response:
    """A step at work is told to stop. A run that is over already is a conflict."""
    run = await studio.runs.cancel(run_id)
    return answer(await studio.runs.finished(run_id) if may(studio.actor, "read") else finished_form(run, {}))


@router.post(
    "/{run_id}/decide",
    summary="Answer what a run asks",
    status_code=202,
    responses={202: {"model": RunRow}, **problems(400, 404, 409)},
)
async def decide_run(studio: Caller, run_id: RunRef, given: Decide) -> Response:
    """
    A run that needs a decision goes on.

    It stands at changes outside that may or may not have taken place: `retry` does them again, `skip` leaves them out. Without
    `node` and `items` all are meant; while some stay open the run asks again.
    """
    run = await studio.runs.decide(run_id, given.decision, node=given.node, items=given.items)
    return answer(run_form(run), 202)


@router.get(
    "/{run_id}/steps/{node}/effects",
    summary="Read what a step changed",
    responses={200: {"model": EffectPage}, **problems(404)},
)
async def read_effects(
    studio: Caller, run_id: RunRef, node: NodeRef, scope: ScopeName = "", offset: Offset = 0, limit: Limit = 100
) -> Response:
    """Item by item: what was done outside, with its receipt, what failed, what was left out, and what is uncertain."""
    page = await studio.runs.receipts(run_id, node, scope=scope, offset=offset, limit=limit)
    rows = [receipt_form(receipt) for receipt in page.receipts]
    return answer({"effects": rows, "total": page.total, "offset": page.offset, "counts": page.counts})


@router.post(
    "/{run_id}/fork",
    summary="Go on from a step",
    status_code=202,
    responses={202: {"model": RunRow}, **problems(400, 404, 409)},
)
async def fork_run(studio: Caller, run_id: RunRef, given: ForkRun, request: Request) -> Response:
    """
    A new run that takes over what stands before a step, with other data or another document.

    When steps behind it have changed something outside and no choice is made, the answer is 409 `effects_to_decide`, and
    `where.steps` lists them.
    """
    run = await studio.runs.fork(
        run_id,
        at=given.at,
        input=given.input,
        document=_document(given),
        effects=given.effects,
        otherwise=given.otherwise,
        is_dry=given.dry,
    )
    return answer(run_form(run), 202, location=f"{request.scope['root_path']}/runs/{run.id}")


def _document(given: ForkRun) -> Document | Literal["same", "draft", "active"]:
    if given.document is None:
        return given.use
    return read_document(given.document if isinstance(given.document, str) else orjson.dumps(given.document).decode())


@router.post("/{run_id}/retry", summary="Run again", status_code=202, responses={202: {"model": RunRow}, **problems(404, 409)})
async def retry_run(studio: Caller, run_id: RunRef, request: Request) -> Response:
    """A new run that goes on from the failed step, with what the steps before it gave."""
    run = await studio.runs.retry(run_id)
    return answer(run_form(run), 202, location=f"{request.scope['root_path']}/runs/{run.id}")


@router.get(
    "/{run_id}/events",
    summary="Follow a run",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `state` first, then `step` and `retrying`, at the end `finished`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
)
async def follow_run(studio: Caller, run_id: RunRef) -> Response:
    """
    Server-sent events of a run, as they happen.

    `state` (the run and its steps) comes first, and again when a reader was too slow to get everything; `finished` (the
    finished run) ends the stream. A run that is over gives both at once.
    """
    run = await studio.runs.get(run_id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(follow(studio, run.id), media_type="text/event-stream", headers=headers)


def _page(page: Any) -> Response:
    return answer({"items": [show(item) for item in page.items], "total": page.total, "offset": page.offset})
