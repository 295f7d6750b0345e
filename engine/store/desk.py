"""What brings runs of an older Treadle to the failure desk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from engine.model.causes import Cause, cause_of

from .documents import document_of


def cause_of_run(error: Mapping[str, Any] | None, document: str | None) -> tuple[str | None, Cause]:
    """Return the node and the cause of a failed run, from its error and the text of its document, as they were stored."""
    where = (error or {}).get("where")
    node = str(where["node"]) if isinstance(where, Mapping) and where.get("node") else None
    return node, cause_of(error, _uses(document).get(node or "", "") if document is not None else "")


@lru_cache(maxsize=50)
def _uses(document: str) -> Mapping[str, str]:
    try:
        return {node.id: node.use for node in document_of(document).nodes.values()}
    except Exception:
        return {}  # a document that can no longer be read keeps nobody from upgrading
