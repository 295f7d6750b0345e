"""Each workflow's own folder of files: what file steps read and write, and a person can open."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from engine.ids import WorkflowId

_WITHOUT_MARKS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def slug(name: str) -> str:
    """Return a name as lower-case ASCII words with dashes, fit for a file name on every system; never empty."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_WITHOUT_MARKS)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "workflow"


class Folders:
    """
    Finds and makes the folders under one root.

    A stored workflow's folder is `<slug>-<end of its id>`: it keeps its files when the workflow is renamed. A document that
    was never stored has `<slug>`. `fixed` puts every workflow into one given folder (`treadle run FILE --folder DIR`).
    """

    def __init__(self, root: Path, *, fixed: Path | None = None) -> None:
        self._root, self._fixed = root, fixed

    def of(self, workflow_id: WorkflowId | None, name: str) -> Path:
        """Return the folder of a workflow, made if it is new."""
        folder = self._fixed or self._find(workflow_id, name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _find(self, workflow_id: WorkflowId | None, name: str) -> Path:
        if workflow_id is None:
            return self._root / slug(name)
        tail = workflow_id[-8:]
        known = next(iter(sorted(self._root.glob(f"*-{tail}"))), None)
        return known or self._root / f"{slug(name)}-{tail}"
