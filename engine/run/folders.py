"""Each workflow's own folder of files: what file steps read and write, never leave, and a person can open."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from engine.ids import WorkflowId

_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def slug(name: str) -> str:
    """Return a name as lower-case ASCII words with dashes, fit for a file name on every system; never empty."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_GERMAN)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "workflow"


class Folders:
    """
    Finds and makes the folders of all workflows, below one root.

    A stored workflow's folder is `<slug>-<end of its id>`: a person can tell it from others, and it is found again after the
    workflow was renamed. A document that was never stored goes by its name alone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, workflow_id: WorkflowId | None, name: str) -> Path:
        """Return the folder of a workflow, made when it is not there yet."""
        folder = self._find(workflow_id, name)
        if not folder.is_dir():  # asking is ten times cheaper than being told that it is there
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _find(self, workflow_id: WorkflowId | None, name: str) -> Path:
        if workflow_id is None:
            return self.root / slug(name)
        tail = workflow_id[-8:]
        known = next(iter(sorted(self.root.glob(f"*-{tail}"))), None)
        return known or self.root / f"{slug(name)}-{tail}"


class OneFolder(Folders):
    """The same folder for every run: `treadle run FILE --folder DIR`."""

    def _find(self, workflow_id: WorkflowId | None, name: str) -> Path:
        return self.root
