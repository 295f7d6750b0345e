"""`/catalog`: every kind of step there is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from app.api.door import Caller, answer, problems
from app.api.forms import spec_form
from app.api.models import CatalogList, StepKind
from engine.access import require

router = APIRouter(prefix="/catalog", tags=["catalog"])


@router.get("", summary="List kinds of steps", responses={200: {"model": CatalogList}, **problems()})
async def list_catalog(studio: Caller) -> Response:
    """Triggers first, then actions, in the order of the palette."""
    require(studio.actor, "read", "read the catalog")
    return answer({"steps": [spec_form(spec) for spec in studio.catalog]})


@router.get("/{name}", summary="Read a kind of step", responses={200: {"model": StepKind}, **problems(404)})
async def read_step_kind(studio: Caller, name: Annotated[str, Path(max_length=200)]) -> Response:
    """Its fields, ports and help."""
    require(studio.actor, "read", "read the catalog")
    return answer(spec_form(studio.catalog.get(name)))
