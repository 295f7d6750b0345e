"""The workflows that come with Treadle, and the files they need."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from engine.errors import NotFound
from engine.model.workflow import Workflow
from engine.run.folders import Folders
from engine.service import Studio

FIRST = "overdue_invoices"
"""The starter that opens on the first start."""


def starters_folder() -> Path:
    """Return where the starters lie."""
    return Path(str(files("assets") / "starters"))


def list_starters() -> list[str]:
    """Return the names of the starters."""
    return sorted(path.stem for path in starters_folder().glob("*.yaml"))


def companion_of(document: Path) -> Path:
    """Return the folder of files that travels beside a document: `<stem>.files`."""
    return document.with_suffix(".files")


def bring_files(document: Path, folder: Path) -> list[str]:
    """Copy what lies in the document's companion folder into the workflow's folder; what is there already stays."""
    brought = []
    companion = companion_of(document)
    if companion.is_dir():
        for source in sorted(path for path in companion.rglob("*") if path.is_file()):
            target = folder / source.relative_to(companion)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                brought.append(str(source.relative_to(companion)))
    return brought


async def add_starter(studio: Studio, folders: Folders, name: str) -> Workflow:
    """Make a workflow from a starter, with its files; raises `NotFound` when there is no such starter."""
    path = starters_folder() / f"{name}.yaml"
    if not path.exists():
        raise NotFound("starter", name, hint=f"There are: {', '.join(list_starters())}")
    workflow = await studio.workflows.create(path.read_text("utf-8"), rename=True)
    bring_files(path, folders.of(workflow.id, workflow.name))
    return workflow
