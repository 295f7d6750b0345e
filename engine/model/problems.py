"""What is wrong with a document: a list of problems, each pointing at its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    One thing that is wrong, where it is, and what would mend it.

    `line` and `column` count from 1 and are None when the document did not come from text. `path` is the place inside the
    document (`("nodes", "fetch", "with", "url")`); `node` and `field` repeat it for the canvas and the inspector.
    """

    code: str
    text: str
    hint: str | None = None
    line: int | None = None
    column: int | None = None
    path: tuple[str | int, ...] = ()
    node: str | None = None
    field: str | None = None
    severity: Severity = "error"

    def as_dict(self) -> dict[str, object]:
        """Return the problem as plain JSON."""
        return {
            "code": self.code,
            "message": self.text,
            "hint": self.hint,
            "line": self.line,
            "column": self.column,
            "path": list(self.path),
            "node": self.node,
            "field": self.field,
            "severity": self.severity,
        }
