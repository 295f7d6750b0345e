"""
Undoing what was done: the steps at `undo` of each `flow.compensate` that was passed, the last one first, when a run fails.

What was registered in a frame that catches the failure is undone before the frame goes on; the rest when the run itself fails.
Each undoing is a pass of its own in the journal, so one that is done is not done again after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.model.items import Batch, Output

from .execution import Execution
from .framing import Failure, OpenFrame
from .going import Going, Then, is_within
from .passes import Pass
from .planner import PlanNode
from .recall import Recall
from .resume import Ending


@dataclass(slots=True, eq=False)
class Undo:
    """One `flow.compensate` that items have passed, in `home`, or in the `scope` of that name where only the journal knows."""

    planned: PlanNode
    scope: str
    home: Execution | None = None
    recall: Recall | None = None

    def lies_in(self, scope: Execution) -> bool:
        """Tell whether it was registered in a scope, or in a frame within it."""
        if self.home is not None:
            return is_within(self.home, scope)
        return not scope.scope or self.scope == scope.scope or self.scope.startswith(scope.scope + "/")


class UndoFrame(OpenFrame, kind="compensate"):
    """One undoing; what fails in it is shown, and the next one follows."""

    __slots__ = ("then",)
    then: Then

    def begin(self, going: Going) -> Ending | None:
        """Begin, unless it is done."""
        if self.recall is not None and self.recall.ended(self.scope_of(0)) is not None:
            return self.then()
        self.enter(0, going)
        return None

    def make(self, number: int) -> Pass:
        """Return the pass; it goes on while the scope it lies in has ended."""
        one = super().make(number)
        one.is_apart = True
        return one

    def summary(self, one: Pass) -> dict[str, Any]:
        """Say that it undid something; within a frame that caught the failure, the run may still be tried from there."""
        top = one.top
        return {**super().summary(one), "undo": True} if top.is_ending else super().summary(one)

    def passed(self, one: Pass, left: Output, going: Going) -> Ending | None:
        """Go on to the next."""
        return self.then()

    def failed(self, one: Pass, failure: Failure, going: Going) -> Ending | None:
        """Go on to the next all the same."""
        return self.then()


def remember(scope: Execution, planned: PlanNode) -> None:
    """Remember that items passed a `compensate`."""
    top = scope.top if isinstance(scope, Pass) else scope
    if top.undos is None:
        top.undos = []
    top.undos.append(Undo(planned, scope.scope, scope))


def recall_undos(top: Execution, recall: Recall) -> None:
    """Remember what an interrupted run had registered."""
    top.undos = [Undo(planned, scope, None, recall) for scope, planned in recall.registered()] or None


def bury(going: Going) -> None:
    """Go on with the scopes in which something failed, once nothing is at work in them: undo, then what follows."""
    while going.ending is None:
        free = next((entry for entry in going.failing if not _is_at_work(entry[0], going)), None)
        if free is None:
            return
        going.failing.remove(free)
        going.ending = _undo_in(*free, going)


def _is_at_work(scope: Execution, going: Going) -> bool:
    return any(True for _ in going.tasks_in(scope)) or any(is_within(at, scope, also_apart=True) for at in going.undoing)


def _undo_in(scope: Execution, then: Then, going: Going) -> Ending | None:
    top = scope.top if isinstance(scope, Pass) else scope
    mine = [undo for undo in top.undos or () if undo.lies_in(scope)]
    if not mine:
        return then()
    going.undoing.append(scope)

    def next_one() -> Ending | None:
        if mine:
            undo = mine.pop()
            top.undos = [one for one in top.undos or () if one is not undo] or None
            home = undo.home
            if home is None:
                assert undo.recall is not None
                home = undo.recall.scope_at(top, undo.scope)
            frame = UndoFrame(home, undo.planned, _arrived(home, undo.planned), undo.recall)
            frame.then = next_one
            return frame.begin(going)
        going.undoing.remove(scope)
        return then()

    return next_one()


def _arrived(home: Execution, planned: PlanNode) -> Mapping[str, Batch]:
    """Return the items that passed the node: what left it is what came."""
    outputs = home.progress.outputs[planned.index]
    output = outputs.get(planned.first_out) if outputs is not None else None
    return {planned.first_in: output.items if output is not None else []}
