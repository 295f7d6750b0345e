"""`/workflows/{ref}/versions`: what was published, what changed in between, and the way back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import Response

from app.api.door import NO_NUL, Caller, answer, problems
from app.api.forms import version_form
from app.api.models import Describe, VersionDiff, VersionFull, VersionHead, VersionList
from app.api.workflows import Ref
from engine.model.changes import ABSENT
from engine.model.codec import write_document
from engine.model.diff import Difference
from engine.service.versions import DRAFT, Comparison

router = APIRouter(prefix="/workflows/{ref}/versions", tags=["versions"])

Name = Annotated[
    str, Path(description="A version's id, or the beginning of one while it is clear.", max_length=100, pattern=NO_NUL)
]


@router.get("", summary="List versions", responses={200: {"model": VersionList}, **problems(404)})
async def list_versions(studio: Caller, ref: Ref, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Response:
    """The newest first."""
    found = await studio.versions.list_page(ref, limit=limit)
    return answer({"versions": [version_form(version) for version in found]})


@router.get(
    "/{version}",
    summary="Read a version",
    responses={
        200: {"model": VersionFull, "content": {"application/yaml": {"schema": {"type": "string"}}}},
        **problems(404),
    },
)
async def read_version(studio: Caller, ref: Ref, version: Name, accept: Annotated[str, Header()] = "*/*") -> Response:
    """With its document as text; `Accept: application/yaml` gives the text alone."""
    found = await studio.versions.get(ref, version)
    text = write_document(found.document)
    if "yaml" in accept and "json" not in accept:
        return Response(text, 200, {"cache-control": "no-store"}, "application/yaml; charset=utf-8")
    return answer({**version_form(found), "document": text})


@router.get("/{version}/diff", summary="Compare versions", responses={200: {"model": VersionDiff}, **problems(404)})
async def diff_versions(
    studio: Caller,
    ref: Ref,
    version: Name,
    to: Annotated[str, Query(description="The version to compare with; the draft by default.", max_length=100)] = DRAFT,
) -> Response:
    """What it takes to come from this version to another, down to the field."""
    return answer(diff_form(await studio.versions.compare(ref, version, to)))


@router.post("/{version}/restore", summary="Restore a version", status_code=204, responses=problems(404, 409))
async def restore_version(studio: Caller, ref: Ref, version: Name) -> Response:
    """Makes it the draft, which can be undone there. What is active stays so until the next activation."""
    await studio.versions.restore(ref, version)
    return Response(status_code=204)


@router.patch("/{version}", summary="Name a version", responses={200: {"model": VersionHead}, **problems(404)})
async def describe_version(studio: Caller, ref: Ref, version: Name, body: Describe) -> Response:
    """Its message is what people call it by."""
    return answer(version_form(await studio.versions.describe(ref, version, body.message)))


def diff_form(compared: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON; a value that was not written on one side has no member there."""
    diff = compared.diff
    return {
        "added": list(diff.added),
        "removed": list(diff.removed),
        "changed": {node: [_difference(one) for one in ways] for node, ways in diff.changed.items()},
        "added_edges": [str(edge) for edge in diff.added_edges],
        "removed_edges": [str(edge) for edge in diff.removed_edges],
        "workflow": [_difference(one) for one in diff.document],
        "moved": list(diff.moved),
        "reordered": diff.is_reordered,
    }


def _difference(one: Difference) -> dict[str, Any]:
    form: dict[str, Any] = {"path": list(one.path)}
    if one.before is not ABSENT:
        form["before"] = one.before
    if one.after is not ABSENT:
        form["after"] = one.after
    return form
