"""What fills the disk, and whether it takes what is written."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.access import Actor, require
from engine.protocols import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowShare:
    """Bytes of one workflow's runs: their `data`, their `journal`, and the large batches and `files` they need."""

    workflow_id: str | None
    name: str
    runs: int
    data: int
    journal: int
    files: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.data + self.journal + self.files


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """
    Bytes by what they are for. `parts` add up to about `total`; what is `free` inside the database is given back by and by.

    `room` is what the disk has left, `quota` the limit that was set. `trouble` says why the disk refuses just now.
    """

    parts: dict[str, int]
    total: int
    free: int
    room: int | None
    quota: int | None
    used: int
    trouble: str | None
    workflows: Sequence[WorkflowShare]


class DiskService:
    """What a person or a program may know about the disk."""

    def __init__(self, store: Store, actor: Actor, *, folder: Path | None, quota: int | None) -> None:
        self._store: Any = store
        self._actor, self._folder, self._quota = actor, folder, quota

    @property
    def trouble(self) -> str | None:
        """Why the disk refuses what is to be written, as a sentence; None while all is well. Asks nobody: pages show it."""
        error = getattr(self._store, "trouble", None)
        return None if error is None else f"{error.message} {error.hint or ''}".strip()

    async def usage(self) -> DiskUsage:
        """Return what fills the disk."""
        require(self._actor, "read", "look at the disk")
        found = await self._store.usage()
        used = await self._store.used()
        beside, room = await asyncio.to_thread(self._beside)
        known = found.data + found.journal + found.search + found.free
        inner = sum(one.data + one.journal for one in found.workflows)
        parts = {
            "data": found.data,
            "journal": found.journal,
            "search": found.search,
            "files": found.files,
            "unneeded": found.unneeded,
            "log": found.log,
            "free": found.free,
            "other": max(0, found.database - known) if inner or found.database else 0,
            **beside,
        }
        total = found.database + found.log + found.files + found.unneeded + sum(beside.values())
        workflows = [
            WorkflowShare(
                workflow_id=one.workflow_id, name=one.name, runs=one.runs, data=one.data, journal=one.journal, files=one.files
            )
            for one in found.workflows
        ]
        return DiskUsage(
            parts=parts,
            total=total,
            free=found.free,
            room=room,
            quota=self._quota,
            used=used,
            trouble=self.trouble,
            workflows=workflows,
        )

    def _beside(self) -> tuple[dict[str, int], int | None]:
        """Return the bytes of what lies beside the database in the data folder, and what the disk has left."""
        sizes = {"snapshots": 0, "folders": 0, "logs": 0}
        if self._folder is None or not self._folder.is_dir():
            return sizes, None
        for place, name in (("snapshots", "snapshots"), ("files", "folders"), ("logs", "logs")):
            sizes[name] = _size_of(self._folder / place)
        try:
            return sizes, shutil.disk_usage(self._folder).free
        except OSError:
            return sizes, None


def _size_of(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_size
            except OSError:
                continue
    return total
