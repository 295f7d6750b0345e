"""What a step waits for, and what woke it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from engine.ids import NodeId, RunId

WaitKind = Literal["timer", "signal", "approval", "form", "child", "limit"]

DUE: Final = "due"
"""`Waking.how` of a wait whose moment came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """
    What a step asks for that goes on later: handed back by its action in place of outputs.

    The step is called again when `due_at` has come (None: never by itself), or when somebody wakes it before: whoever sends the
    signal of that `name` and `key`, decides the approval, ends the child run. `details` is small JSON that lists show and the
    step finds again; what it must not lose until then belongs there, since its fields are rendered anew.
    """

    kind: WaitKind
    due_at: datetime | None = None
    name: str = ""
    key: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_summary(self, wake_at: datetime | None = None) -> dict[str, Any]:
        """Return the summary of the fact `step_waiting`; `wake_at` is the moment to look at it where that comes before."""
        summary: dict[str, Any] = {"kind": self.kind, "due_at": self.due_at.isoformat() if self.due_at else None}
        if wake_at is not None and wake_at != self.due_at:
            summary["wake_at"] = wake_at.isoformat()
        for name in ("name", "key", "details"):
            if value := getattr(self, name):
                summary[name] = value
        return summary

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any]) -> Wait:
        """Return the wait that a fact `step_waiting` tells of."""
        due = summary.get("due_at")
        return cls(
            kind=summary.get("kind", "timer"),
            due_at=datetime.fromisoformat(due) if due else None,
            name=summary.get("name", ""),
            key=summary.get("key", ""),
            details=summary.get("details", {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    """
    What wakes a step: `how` (`due`, `signal`, `decided` …), `note` (small JSON: who, which button), and the batch that comes
    with it, encoded as the input of a run is (`engine.run.payloads.encode_batch`).
    """

    how: str
    at: datetime
    note: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes | None = None

    def as_summary(self) -> dict[str, Any]:
        """Return the summary of the fact `step_woken`."""
        return {"how": self.how, "woken_at": self.at.isoformat(), **({"note": self.note} if self.note else {})}

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any], payload: bytes | None) -> Waking:
        """Return the waking that a fact `step_woken` tells of."""
        return cls(
            how=summary["how"],
            at=datetime.fromisoformat(summary["woken_at"]),
            note=summary.get("note", {}),
            payload=payload,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """
    One step that waits, as the store keeps it; `waking` is there from when it was woken until its run has taken note.

    `wake_at` is when the engine looks at it by itself: `wait.due_at`, or the end of the run's own time.
    """

    run_id: RunId
    node: NodeId
    scope: str
    wait: Wait
    since: datetime
    wake_at: datetime | None = None
    waking: Waking | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal that nobody waited for, kept for the one who will; `payload` is an encoded batch."""

    id: str
    name: str
    key: str
    at: datetime
    expires_at: datetime | None = None
    note: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes | None = None
