"""
What the executor does at a node that belongs to the frames: open a loop or a try, leave a body, break, remember how to undo.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from engine.errors import StepError, TreadleError
from engine.model.items import Batch, Output
from engine.model.run import FactKind
from engine.model.workflow import DEFAULT_OUT, ERROR_PORT

from .execution import Execution
from .framing import LEFT, Failure, OpenFrame, catch
from .going import Going, Settled
from .loops import LoopFrame
from .outcomes import Done, Failed, Outcome
from .passes import Pass
from .planner import PlanNode
from .recall import Recall
from .resume import Ending
from .undoing import remember


class TryFrame(OpenFrame, kind="try"):
    """One pass; what fails in it leaves by `caught`."""

    __slots__ = ()

    def begin(self, going: Going) -> Ending | None:
        """Begin the pass, or go on after it where it had ended."""
        ended = self.recall.ended(self.scope_of(0)) if self.recall is not None else None
        if ended is None or self.recall is None:
            if self.recall is None or not self.recall.was_opened(self.home.scope, self.planned.id):
                self.home.record(FactKind.STEP_STARTED, self.planned, summary={"in": len(self.batch)})
            self.enter(0, going)
            return None
        outputs = self.recall.gave(ended)
        if ended.kind is FactKind.SCOPE_FAILED:
            return self._close_caught(outputs[ERROR_PORT], going)
        return self._close_done(outputs.get(LEFT), going)

    def passed(self, one: Pass, left: Output, going: Going) -> Ending | None:
        """Let what came back leave."""
        return self._close_done(left, going)

    def failed(self, one: Pass, failure: Failure, going: Going) -> Ending | None:
        """Let the item with its error leave."""
        return self._close_caught(failure.output(self.in_port), going)

    def _close_done(self, left: Output | None, going: Going) -> Ending | None:
        """Where no line leads back, what came in leaves; `finally` gets that too where nothing came back."""
        leave = self.body.nodes[-1]
        came_in = Output(self.batch)
        done = (left or Output([])) if leave.ins[0][1] else came_in
        return self.close({"done": done, "finally": done if done.items else came_in}, going)

    def _close_caught(self, caught: Output, going: Going) -> Ending | None:
        return self.close({"caught": caught, "finally": caught}, going, caught=1)


def reach(
    scope: Execution, going: Going, planned: PlanNode, ports: Mapping[str, Batch], recall: Recall | None
) -> Ending | None:
    """Carry out a node that belongs to the frames; returns the ending of the run where this is it."""
    frame = planned.frame
    assert frame is not None
    if frame.kind == "exit":
        assert isinstance(scope, Pass)
        return scope.owner.leave(scope, going)
    if frame.kind in ("loop", "try"):
        opened = scope.frames[planned.index] = OpenFrame.kinds[frame.kind](scope, planned, ports, recall)
        return opened.begin(going)
    outcome: Outcome = Done(outputs={DEFAULT_OUT: Output(ports.get(planned.first_in) or [])})
    if frame.kind == "compensate":
        remember(scope, planned)
    else:
        try:
            break_loop(scope)
        except TreadleError as error:
            outcome = Failed(error=error)
    ending = going.settle(scope, Settled(planned, ports, outcome, 1, perf_counter()))
    return None if ending is None else catch(scope, going, planned, ports, ending)


def break_loop(scope: Execution) -> None:
    """Let the loop around a scope begin no further pass; raises `StepError` where there is none."""
    at: Execution | None = scope
    while isinstance(at, Pass) and not at.is_apart:
        if isinstance(at.owner, LoopFrame):
            at.has_broken = True
            return
        at = at.outer
    raise StepError("There is no loop around this step that could be ended.", hint="Put it into the body of a loop.")
