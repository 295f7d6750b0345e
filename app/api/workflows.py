"""`/workflows`: list, make, read, replace, delete, switch on and off, run."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Request
from fastapi.responses import Response

from app.api.door import DOCUMENT_BODY, NO_NUL, Caller, answer, check_numbers, problems, read_document
from app.api.errors import dump, problem_of
from app.api.forms import row_form, run_form, version_form, workflow_form
from app.api.models import (
    Activate,
    FinishedRun,
    RunRow,
    StartRun,
    VersionHead,
    WorkflowFull,
    WorkflowHead,
    WorkflowList,
)
from engine.access import require
from engine.errors import BadRequest, Conflict
from engine.model.workflow import Workflow

router = APIRouter(prefix="/workflows", tags=["workflows"])

Ref = Annotated[str, Path(description="The id or the name of the workflow.", max_length=300, pattern=NO_NUL)]
IfMatch = Annotated[str | None, Header(description="The ETag that was read; the call fails when it is no longer true.")]
LONGEST_WAIT = 300


def etag(workflow: Workflow) -> str:
    """Return the name of this state of a workflow: its draft's revision and what is active."""
    return f'"{workflow.revision}-{(workflow.active_version or "off")[-12:]}"'


def expected_revision(if_match: str | None) -> int | None:
    """Return the revision that an `If-Match` names; raises `BadRequest` for one that we never gave out."""
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix("W/").strip('"').partition("-")[0]
    if not number.isascii() or not number.isdecimal() or len(number) > 15:
        raise BadRequest("The header If-Match does not hold an ETag of this workflow.", hint="Take it from a GET.")
    return int(number)


@router.get("", summary="List workflows", responses={200: {"model": WorkflowList}, **problems()})
async def list_workflows(
    studio: Caller,
    text: Annotated[str, Query(description="Only those whose name holds this.", max_length=200, pattern=NO_NUL)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Workflows by name, each with its active triggers and its last run."""
    rows = await studio.workflows.list_rows(text, limit=limit, offset=offset)
    return answer({"workflows": [row_form(row) for row in rows]})


@router.post(
    "",
    summary="Make a workflow from a document",
    status_code=201,
    responses={201: {"model": WorkflowHead}, **problems(409, 413)},
    openapi_extra=DOCUMENT_BODY,
)
async def create_workflow(studio: Caller, request: Request) -> Response:
    """The new workflow is switched off. Everything that is wrong with the document is told at once."""
    workflow = await studio.workflows.create(await read_document(request))
    return answer(
        workflow_form(workflow), 201, location=f"{request.scope['root_path']}/workflows/{workflow.id}", etag=etag(workflow)
    )


@router.get(
    "/{ref}",
    summary="Read a workflow",
    responses={
        200: {"model": WorkflowFull, "content": {"application/yaml": {"schema": {"type": "string"}}}},
        **problems(404),
    },
)
async def read_workflow(studio: Caller, ref: Ref, accept: Annotated[str, Header()] = "*/*") -> Response:
    """With its draft as text; `Accept: application/yaml` gives the text alone."""
    workflow = await studio.workflows.get(ref)
    if "yaml" in accept and "json" not in accept:
        headers = {"etag": etag(workflow), "cache-control": "no-store"}
        return Response(workflow.draft, 200, headers, "application/yaml; charset=utf-8")
    return answer({**workflow_form(workflow), "document": workflow.draft}, etag=etag(workflow))


@router.put(
    "/{ref}",
    summary="Replace the draft",
    responses={200: {"model": WorkflowHead}, **problems(404, 409, 412, 413)},
    openapi_extra=DOCUMENT_BODY,
)
async def replace_workflow(studio: Caller, ref: Ref, request: Request, if_match: IfMatch = None) -> Response:
    """What is active goes on as it is until it is activated anew. With `If-Match`, 412 tells that somebody saved meanwhile."""
    expected = expected_revision(if_match)
    text = await read_document(request)
    try:
        workflow = await studio.workflows.replace(ref, text, expected_revision=expected)
    except Conflict as error:
        if "revision" in error.where:
            return Response(dump(problem_of(error)), 412, {"cache-control": "no-store"}, "application/json")
        raise
    return answer(workflow_form(workflow), etag=etag(workflow))


@router.delete("/{ref}", summary="Delete a workflow", status_code=204, responses=problems(404, 409))
async def delete_workflow(studio: Caller, ref: Ref) -> Response:
    """Its versions and triggers go with it; its runs stay readable."""
    await studio.workflows.delete(ref)
    return Response(status_code=204)


@router.post("/{ref}/activate", summary="Publish and switch on", responses={200: {"model": VersionHead}, **problems(404, 409)})
async def activate_workflow(studio: Caller, ref: Ref, body: Annotated[Activate | None, Body()] = None) -> Response:
    """The draft becomes a version and its triggers start; a webhook path that another workflow has is a conflict."""
    version = await studio.workflows.activate(ref, body.message if body else "")
    return answer(version_form(version))


@router.post("/{ref}/deactivate", summary="Switch off", responses={200: {"model": WorkflowHead}, **problems(404)})
async def deactivate_workflow(studio: Caller, ref: Ref) -> Response:
    """Its triggers stop; runs that are under way go on."""
    workflow = await studio.workflows.deactivate(ref)
    return answer(workflow_form(workflow), etag=etag(workflow))


@router.post(
    "/{ref}/runs",
    summary="Start a run",
    status_code=202,
    responses={
        202: {"model": RunRow},
        200: {"model": FinishedRun, "description": "With `wait`: the finished run."},
        **problems(404),
    },
)
async def start_run(
    studio: Caller,
    ref: Ref,
    request: Request,
    body: Annotated[StartRun | None, Body()] = None,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Wait up to that many seconds for its end.")] = 0,
) -> Response:
    """202 with the run as it stands. With `wait`, 200 with the finished run, or 202 when it takes longer or is parked."""
    if wait:
        require(studio.actor, "read", "wait for a run and read it")  # before it starts: who is refused tries again
    check_numbers(await request.body())
    given: Any = body or StartRun.model_construct(input=None, from_node=None, test=False, priority=None)
    run = await studio.runs.start(ref, given.input, from_node=given.from_node, is_test=given.test, priority=given.priority)
    location = f"{request.scope['root_path']}/runs/{run.id}"
    if wait:
        run = await studio.runs.wait(run.id, timedelta(seconds=wait))
        if run.status.is_final:
            return answer(await studio.runs.finished(run.id), content_location=location)
    return answer(run_form(run), 202, location=location)
