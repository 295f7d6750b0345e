"""Loops: a pass for each item, for each batch, or one after the other while a condition holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from engine.errors import StepCrashed, StepError, TreadleError
from engine.expressions.values import truth
from engine.model.items import Batch, Output
from engine.model.run import FactKind
from engine.model.workflow import ERROR_PORT
from engine.steps.contract import Loop

from .calling import StepCall
from .execution import Execution
from .framing import LEFT, Failure, OpenFrame
from .going import Going
from .outcomes import as_treadle_error
from .passes import Pass, Sources, origins_of
from .payloads import Whole
from .planner import PlanNode
from .recall import Recall
from .resume import Ending


class TooManyPasses(StepError):
    """A loop reached its ceiling."""

    code = "too_many_passes"


class LoopFrame(OpenFrame, kind="loop"):
    """
    A loop at work.

    `gave` keeps what leaves of finished passes, by their number, and nothing else of them; `lost` the items of those that
    failed, with their errors. `state` is what the next pass of a loop with a condition gets.
    """

    __slots__ = ("_end", "_next", "_passes", "course", "gave", "lost", "state", "total")

    def __init__(self, home: Execution, planned: PlanNode, ports: Mapping[str, Batch], recall: Recall | None) -> None:
        super().__init__(home, planned, ports, recall)
        self.course = Loop()
        self.total: int | None = None
        self.gave: dict[int, tuple[Batch, Sequence[Sources]]] = {}
        self.lost: dict[int, tuple[Batch, Sequence[Sources]]] = {}
        self.state: tuple[Batch, Sequence[Sources]] = (self.batch, range(len(self.batch)))
        self._next = self._passes = 0
        self._end: int | None = None

    def prepare(self) -> None:
        """Read the fields; raises what is wrong with them."""
        planned = self.planned
        assert planned.call is not None
        try:
            fields = self.home.plain_fields(planned, self.ports)
            course = planned.call(StepCall(self.ports, lambda: self.home.context(planned)), **fields)
        except Exception as error:
            raise as_treadle_error(error, planned.node.label) from error
        if not isinstance(course, Loop):
            raise StepCrashed(
                f"“{planned.node.label}” is a loop and did not say how it goes.", hint="This is a bug in the step."
            )
        self.course = course
        self.total = None if course.size is None else -(-len(self.batch) // course.size)

    def begin(self, going: Going) -> Ending | None:
        """Begin the first passes; a ceiling that is known to be too low is told before anything is done."""
        try:
            self.prepare()
            ceiling = self.course.ceiling
            if self.total is not None and ceiling is not None and self.total > ceiling:
                raise TooManyPasses(
                    f"“{self.planned.node.label}” would take {self.total:,} passes; at most {ceiling:,} are allowed.",
                    hint="Raise “At most”, make the batches bigger, or let fewer items in.",
                )
        except TreadleError as error:
            return self.fail(error, going)
        if self.recall is None or not self.recall.was_opened(self.home.scope, self.planned.id):
            self.home.record(FactKind.STEP_STARTED, self.planned, summary={"in": len(self.batch), "size": self.course.size})
        return self._go_on(going)

    def _go_on(self, going: Going) -> Ending | None:
        """Begin as many passes as may go at a time; settle the loop when there is none to begin and none open."""
        try:
            while len(self.open) < self.course.concurrency and self._may_begin():
                number = self._next
                self._next = number + 1
                ended = self.recall.ended(self.scope_of(number)) if self.recall is not None else None
                if ended is None or self.recall is None:
                    self.enter(number, going)
                elif ended.kind is FactKind.SCOPE_FAILED:
                    self._note_lost(number, ended.summary.get("error") or {})
                else:
                    self._note(number, self.recall.gave(ended).get(LEFT), ended.summary.get("broke"))
        except TreadleError as error:
            return self.fail(error, going)
        return None if self.open else self._finish(going)

    def _may_begin(self) -> bool:
        number = self._next
        if self._end is not None:
            return number < self._end
        if self.total is not None:
            return number < self.total
        if self.recall is not None and self.recall.has_begun(self.scope_of(number)):
            return True
        condition, ceiling = self.course.condition, self.course.ceiling
        assert condition is not None
        items = self.state[0]
        if not truth(condition.value_over(items, loop=self._loop(number, items, self.home.base_scope()))):
            return False
        if ceiling is not None and number >= ceiling:
            raise TooManyPasses(
                f"“{self.planned.node.label}” made {number:,} passes, as many as it may, and its condition still holds.",
                hint="Look whether the condition can ever become false, or raise “At most”.",
            )
        return True

    def given(self, number: int) -> tuple[Batch, Sequence[Sources]]:
        """Return the items of a pass."""
        size = self.course.size
        if size is not None:
            first = number * size
            return self.batch[first : first + size], range(first, min(first + size, len(self.batch)))
        if number + 1 == self._next:
            return self.state
        # One that is looked at again.
        before = self.recall.ended(self.scope_of(number - 1)) if number and self.recall is not None else None
        if before is None or self.recall is None:
            return self.batch, range(len(self.batch))
        return self._entry(self.recall.gave(before).get(LEFT))

    def names(self, one: Pass, around: Mapping[str, Any]) -> dict[str, Any]:
        """Return `loop`."""
        return {"loop": self._loop(one.number, one.given, around)}

    def _loop(self, number: int, items: Batch, around: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "index": number,
            "item": items[0] if items else None,
            "items": items,
            "count": self.total,
            "outer": around.get("loop"),
        }

    def passed(self, one: Pass, left: Output, going: Going) -> Ending | None:
        """Keep what leaves of a pass and begin the next."""
        self._note(one.number, left, self._next if one.has_broken else None)
        return self._go_on(going)

    def failed(self, one: Pass, failure: Failure, going: Going) -> Ending | None:
        """Keep the items of a pass that failed, as `on_error` says, and begin the next."""
        self._note_lost(one.number, failure.error)
        return self._go_on(going)

    def is_broken_by(self, one: Pass, left: Output) -> bool:
        """Tell whether `break_when` holds over what a pass gave."""
        if self.course.break_when is None:
            return False
        names = {"loop": self._loop(one.number, one.given, self.home.base_scope())}
        return truth(self.course.break_when.value_over(left.items, **names))

    def summary(self, one: Pass) -> dict[str, Any]:
        """Say of a pass that let the loop end how many passes had begun by then."""
        summary = super().summary(one)
        return {**summary, "broke": self._next} if one.has_broken else summary

    def _note(self, number: int, left: Output | None, broke: int | None) -> None:
        """Keep what leaves of a pass; `broke` says how many had begun when it let the loop end, None that it did not."""
        self._passes += 1
        if broke:
            self._end = broke if self._end is None else min(self._end, broke)
        entry = self._entry(left)
        if self.course.size is None:
            self.state = entry
        if self.course.keep == "last":
            if number >= max(self.gave, default=-1):
                self.gave = {number: entry}
        elif self.course.keep == "all" and entry[0]:
            self.gave[number] = entry

    def _note_lost(self, number: int, error: Mapping[str, Any]) -> None:
        self._passes += 1
        items, came_from = self.given(number)
        self.lost[number] = ([{**item, ERROR_PORT: dict(error)} for item in items], came_from)
        if self.course.size is None:
            self._end = self._next

    def _finish(self, going: Going) -> Ending | None:
        passes, keep = self._passes, self.course.keep
        if keep == "none":
            done = Output([{"passes": passes, "failed": len(self.lost)}], {self.in_port: Whole(len(self.batch), 1)})
        elif keep == "last" and not self.gave and self.course.size is None and not self.lost:
            done = Output(self.batch)
        else:
            done = self._joined(self.gave)
        outputs = {"done": done}
        routed = sum(len(items) for items, _ in self.lost.values())
        more: dict[str, Any] = {"passes": passes}
        if self.lost:
            more["failed"] = len(self.lost)
        if self.lost and self.planned.node.on_error == "route":
            outputs[ERROR_PORT] = self._joined(self.lost)
            return self.close(outputs, going, routed=routed, **more)
        return self.close(outputs, going, ignored=routed, **more)

    def _entry(self, left: Output | None) -> tuple[Batch, Sequence[Sources]]:
        if left is None:
            return [], ()
        return left.items, cast(Sequence[Sources], left.origins.get(self.in_port, ()))

    def _joined(self, parts: Mapping[int, tuple[Batch, Sequence[Sources]]]) -> Output:
        items: Batch = []
        sources: list[Sources] = []
        for number in sorted(parts):
            items += parts[number][0]
            sources.extend(parts[number][1])
        return Output(items, {self.in_port: origins_of(sources)})
