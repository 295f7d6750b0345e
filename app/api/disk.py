"""`/disk`: what fills it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from app.api.door import Caller, answer, problems
from engine.service.disk import DiskUsage

router = APIRouter(prefix="/disk", tags=["disk"])


class Share(BaseModel):
    """Bytes of one workflow's runs."""

    workflow_id: str | None
    name: str
    runs: int
    data: int
    journal: int
    files: int
    total: int


class DiskAnswer(BaseModel):
    """Bytes by what they are for; `room` is what the disk has left, `trouble` why it refuses just now."""

    parts: dict[str, int]
    total: int
    free: int
    room: int | None
    quota: int | None
    used: int
    trouble: str | None
    workflows: list[Share]


@router.get("", summary="See what fills the disk", responses={200: {"model": DiskAnswer}, **problems()})
async def read_disk(studio: Caller) -> Response:
    """The largest workflow first."""
    return answer(disk_form(await studio.disk.usage()))


def disk_form(usage: DiskUsage) -> dict[str, Any]:
    """Return the usage as plain JSON."""
    return {**asdict(usage), "workflows": [{**asdict(one), "total": one.total} for one in usage.workflows]}
