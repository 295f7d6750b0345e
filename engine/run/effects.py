"""
What the journal knows of a step that had begun when the program stopped, and what to do about it.

A change outside is journalled before it is made (the intent) and when it settled (the receipt), for each item of an
each-action and for a batch action as a whole. Where only the intent is there after a crash, nobody knows whether the change
took place. What reads, and what may be repeated, is repeated; for anything else the node's `on_uncertain` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from engine.errors import StepError, TreadleError
from engine.model.items import Batch
from engine.model.run import Fact, FactKind

from .attempt import Earlier
from .partial import decode_partial
from .planner import PlanNode

Way = Literal["again", "ask", "skip"]

LEDGER = frozenset({FactKind.STEP_STARTED, FactKind.STEP_RETRYING, FactKind.STEP_DECIDED, FactKind.EFFECTS})
"""The kinds of line that tell of a step that has not settled."""


class StoredFailure(TreadleError):
    """Why an item failed in an earlier life of the program, as it was written down then."""

    def __init__(self, kept: Mapping[str, Any]) -> None:
        error = kept.get("error") or {}
        super().__init__(str(error.get("message", "")), hint=error.get("hint"), where=error.get("where"))
        self.code = str(error.get("code", "step_failed"))  # type: ignore[misc]
        self.retryable = bool(kept.get("again"))  # type: ignore[misc]
        self.retry_after = timedelta(seconds=kept["after"]) if "after" in kept else None


@dataclass(slots=True)
class Begun:
    """
    A step that had begun and not settled, folded from its facts.

    `open` are the items with an intent and no receipt; `is_whole` says that one intent stands for the whole step, as it does
    for batch actions (and did for all steps before there was a ledger by item). `skipped` are the items that were left out,
    `failed` those that failed in the try that was interrupted, or for good before it. `size` is how many items arrived.
    """

    tries: list[Fact] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    is_whole: bool = False
    decision: str | None = None
    failed: dict[int, StoredFailure] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    size: int = 0
    _receipts: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> Begun:
        """Fold the facts of one step, in order."""
        begun = cls()
        for fact in facts:
            begun.take(fact)
        return begun

    def take(self, fact: Fact) -> None:
        """Take in the next fact of the step."""
        summary = fact.summary
        match fact.kind:
            case FactKind.STEP_STARTED:
                if self.tries and fact.attempt > self.tries[-1].attempt:
                    self._let_try_again()
                self.tries.append(fact)
                self.size = int(summary.get("in", 0))
                self.is_whole = "begun" not in summary
                self.open.update(summary.get("begun", ()))
                self.decision = None
            case FactKind.EFFECTS:
                self._take_effects(fact)
            case FactKind.STEP_RETRYING:
                self.tries.append(fact)
                self.is_whole = False
                self.open.clear()
                self._keep(fact)
                self._let_try_again()
            case FactKind.STEP_DECIDED:
                self._take_decision(summary)

    def _take_effects(self, fact: Fact) -> None:
        summary = fact.summary
        self.open.update(summary.get("begun", ()))
        self._keep(fact)
        self.settled.update(summary.get("done", ()))
        for text, kept in summary.get("failed", {}).items():
            self.failed[int(text)] = StoredFailure(kept)
        self.skipped.update(summary.get("skipped", ()))
        self.open -= self.settled | self.failed.keys() | self.skipped

    def _take_decision(self, summary: Mapping[str, Any]) -> None:
        items = summary.get("items")
        if self.is_whole:
            self.decision = str(summary.get("decision"))
            return
        meant = self.open if items is None else self.open.intersection(items)
        if summary.get("decision") == "skip":
            self.skipped |= meant
        self.open = self.open - meant

    def part(self, *, is_void: bool) -> None:
        """Leave the tries of the run that these facts were taken from behind; what is done stays done."""
        self.tries.clear()
        self.failed.clear()
        self.decision = None
        if is_void:
            self.open.clear()
            self.is_whole = False

    def _keep(self, fact: Fact) -> None:
        if fact.payload is not None:
            self._receipts.append(fact.payload)

    def _let_try_again(self) -> None:
        self.failed = {index: error for index, error in self.failed.items() if not error.retryable}

    @property
    def attempt(self) -> int:
        """The number of the last try."""
        return self.tries[-1].attempt if self.tries else 1

    @property
    def due_at(self) -> datetime | None:
        """When the next try is due, None where the step was not pausing."""
        if self.tries and self.tries[-1].kind is FactKind.STEP_RETRYING:
            return datetime.fromisoformat(str(self.tries[-1].summary["retry_at"]))
        return None

    @property
    def uncertain(self) -> list[int] | None:
        """The items nobody knows about, in order; None when it is the step as a whole. Ask `is_uncertain` first."""
        return None if self.is_whole else sorted(self.open)

    @property
    def is_uncertain(self) -> bool:
        """Whether there is an intent without a receipt."""
        return (self.is_whole or bool(self.open)) and self.due_at is None

    @property
    def is_left_out(self) -> bool:
        """Whether every item was left out, so that nothing is to be done and nothing was."""
        return bool(self.skipped) and not self.settled and not self.failed and len(self.skipped) >= self.size

    def done(self) -> dict[int, Mapping[str, Batch]]:
        """Return what the items that are done gave."""
        done: dict[int, Mapping[str, Batch]] = {}
        for receipt in self._receipts:
            done.update(decode_partial(receipt))
        return done

    def earlier(self) -> Earlier:
        """Return where the tries stand; one that was interrupted is made again under its own number."""
        done = self.done()
        if not self.tries:
            return Earlier(done=done, skipped=frozenset(self.skipped))
        last, due_at = self.tries[-1], self.due_at
        return Earlier(
            number=last.attempt + 1 if due_at is not None else last.attempt,
            first_at=self.tries[0].at,
            due_at=due_at,
            done=done,
            failed={index: error for index, error in self.failed.items() if index not in done},
            skipped=frozenset(self.skipped),
        )


@dataclass(frozen=True, slots=True)
class Question:
    """A step that a person is asked about: all of it (`items` is None), or these items of the `size` that arrived."""

    planned: PlanNode
    items: Sequence[int] | None
    size: int = 0
    scope: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return `{"node", "scope", "items"}`, as it stands in the error of the run."""
        scope = {"scope": self.scope} if self.scope else {}
        return {"node": self.planned.id, **scope, **({} if self.items is None else {"items": list(self.items)})}


class Uncertain(StepError):
    """The program stopped while changes outside were under way; `where` lists them exactly."""

    code = "uncertain"

    def __init__(self, questions: Sequence[Question]) -> None:
        first = questions[0]
        title = first.planned.node.label
        if first.items is None or first.size <= 1:
            what = f"while “{title}” was at work, so nobody here knows whether it was done."
        else:
            many = f"{len(first.items)} of {first.size} items"
            what = f"while “{title}” was at work on {many}, so nobody here knows whether they were done."
        more = f" The same goes for {len(questions) - 1} more." if len(questions) > 1 else ""
        super().__init__(
            f"Treadle stopped {what}{more}",
            hint="Look at the other side. Then choose: do it again, or leave it out and go on. "
            "“On uncertain” in the step's settings decides this for the next time.",
            where={**first.as_dict(), "steps": [question.as_dict() for question in questions]},
        )


def way_after_crash(planned: PlanNode, decision: str | None = None) -> Way:
    """
    Return what becomes of an intent that has no receipt.

    `decision` is what a person chose since, `retry` or `skip`; it counts for this one time.
    """
    if planned.may_repeat:
        return "again"
    chosen = decision or planned.node.on_uncertain
    if chosen == "retry":
        return "again"
    return "skip" if chosen == "skip" else "ask"
