"""
What all frames have in common: passes that begin and end, and failures that are caught.

Nothing here waits: a pass is a scope that gets its turn like every other, so any number of them may be open, parked or at work,
beside the rest of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import TreadleError
from engine.model.items import Batch, Item, Origins, Output, Outputs
from engine.model.run import FactKind, RunStatus
from engine.model.workflow import ERROR_PORT

from .attempt import Attempt, decide_failure
from .execution import Execution
from .going import Going, Settled, Then
from .lineage import Place
from .outcomes import Done, Failed
from .passes import Pass, Sources, origins_of, scope_of
from .payloads import encode_outputs
from .planner import Plan, PlanNode
from .resume import Ending

if TYPE_CHECKING:
    from .recall import Recall

LEFT = "next"
"""The port of what a pass gave, in the line of the journal that ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    What failed in a pass: the error as people see it, the item it was about, and where that came from.

    `sources` count in the batch that arrived at the frame that catches it.
    """

    error: Mapping[str, Any]
    item: Item
    sources: Sources

    def output(self, in_port: str) -> Output:
        """Return the item with its error, as it leaves the frame."""
        origins: Origins = origins_of([self.sources])
        return Output([{**self.item, ERROR_PORT: dict(self.error)}], {in_port: origins})


class OpenFrame:
    """
    A frame at work in the scope `home`; `open` are its passes that have begun and not ended.

    `recall` is what the journal knows, where the run was interrupted.
    """

    __slots__ = ("began", "home", "open", "planned", "ports", "recall")
    kinds: ClassVar[dict[str, type[OpenFrame]]] = {}
    """The classes of frames by the kind that steps name."""

    def __init_subclass__(cls, kind: str) -> None:
        OpenFrame.kinds[kind] = cls

    def __init__(self, home: Execution, planned: PlanNode, ports: Mapping[str, Batch], recall: Recall | None) -> None:
        self.home, self.planned, self.ports, self.recall = home, planned, ports, recall
        self.open: dict[int, Pass] = {}
        self.began = perf_counter()

    @property
    def in_port(self) -> str:
        """Where the batch of the frame arrives."""
        return self.planned.first_in

    @property
    def body_port(self) -> str:
        """Where its body begins."""
        spec = self.planned.spec
        assert spec is not None
        return spec.frame.body if spec.frame is not None else ""

    @property
    def body(self) -> Plan:
        """The plan of its body."""
        frame = self.planned.frame
        assert frame is not None
        assert frame.body is not None
        return frame.body

    @property
    def batch(self) -> Batch:
        """What arrived."""
        return self.ports.get(self.in_port) or []

    @property
    def catches(self) -> bool:
        """Whether what fails in a pass ends there."""
        return self.planned.frame is not None and self.planned.frame.catches

    # — what each kind of frame says —

    def begin(self, going: Going) -> Ending | None:
        """Begin the first pass or passes."""
        raise NotImplementedError

    def passed(self, one: Pass, left: Output, going: Going) -> Ending | None:
        """Go on after a pass that gave `left`."""
        raise NotImplementedError

    def failed(self, one: Pass, failure: Failure, going: Going) -> Ending | None:
        """Go on after a pass that failed; only asked of frames that catch."""
        raise NotImplementedError

    def given(self, number: int) -> tuple[Batch, Sequence[Sources]]:
        """Return what a pass gets, and which items of the frame's batch that was made from."""
        return self.batch, range(len(self.batch))

    def prepare(self) -> None:
        """Read the fields of the node; raises what is wrong with them."""

    def is_broken_by(self, one: Pass, left: Output) -> bool:
        """Tell whether what a pass gave lets the frame begin no further one."""
        return False

    def names(self, one: Pass, around: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that expressions in a pass know beside those around the frame."""
        return {}

    # — passes —

    def scope_of(self, number: int) -> str:
        """Return the name of a pass's scope."""
        return scope_of(self.home.scope, self.planned.id, number)

    def make(self, number: int) -> Pass:
        """Return a pass with all that the journal knows of it settled."""
        one = Pass(self, number, *self.given(number))
        if self.recall is not None:
            self.recall.bring_to(one)
        return one

    def enter(self, number: int, going: Going) -> None:
        """Begin a pass, or take up one that was interrupted."""
        one = self.open[number] = self.make(number)
        if self.recall is not None and (fact := self.recall.failures.get(one.scope)) is not None:
            scope, planned = self.recall.step_of(one, fact)
            error = fact.summary.get("error") or {}
            catch_in(one, scope, planned, scope.progress.gather(planned), error, going)
        else:
            going.wake(one)

    def leave(self, one: Pass, going: Going) -> Ending | None:
        """Record that a pass came to its end, and go on."""
        del self.open[one.number]
        for index in one.progress.skipped:
            one.on_skipped(one.plan.nodes[index])
        one.progress.skipped.clear()
        try:
            left, payload = one.leaving(), None
            one.has_broken = one.has_broken or self.is_broken_by(one, left)
            if left.items and self.home.env.journal is not None:
                payload, written = encode_outputs({LEFT: left}, one.known)
                left = written[LEFT]
        except TreadleError as error:
            return self.fail(error, going)
        summary = self.summary(one)
        summary["ports"] = {LEFT: len(left.items)}
        one.record(FactKind.SCOPE_DONE, self.planned, summary=summary, payload=payload)
        return self.passed(one, left, going)

    def lose(self, one: Pass, failure: Failure, going: Going) -> Ending | None:
        """Record that a pass failed, and go on."""
        self.open.pop(one.number, None)
        payload, _ = encode_outputs({ERROR_PORT: failure.output(self.in_port)})
        summary = {**self.summary(one), "error": failure.error}
        one.record(FactKind.SCOPE_FAILED, self.planned, summary=summary, payload=payload)
        return self.failed(one, failure, going)

    def summary(self, one: Pass) -> dict[str, Any]:
        """Return what stands in the line that ends a pass."""
        return {"in": len(one.given), "ms": int((perf_counter() - one.began) * 1e6) / 1000}

    # — the frame's own node —

    def close(self, outputs: Outputs, going: Going, *, ignored: int = 0, routed: int = 0, **more: Any) -> Ending | None:
        """Settle the frame's node with what leaves it; `more` joins the summary."""
        self.home.frames.pop(self.planned.index, None)
        done = Done(outputs=outputs, ignored=ignored, routed=routed, more=more)
        ending = going.settle(self.home, Settled(self.planned, self.ports, done, 1, self.began))
        if ending is not None:
            return catch(self.home, going, self.planned, self.ports, ending)
        going.wake(self.home)
        return None

    def fail(self, error: TreadleError, going: Going) -> Ending | None:
        """Let the frame's own node fail, as its `on_error` says; what is open in it is ended."""
        self.home.frames.pop(self.planned.index, None)
        for one in self.open.values():
            die(one, going, lambda: None)
        first_at = self.home.run.queued_at
        attempt = Attempt(planned=self.planned, ports=self.ports, first_at=first_at, outcome=Failed(error=error))
        outcome = decide_failure(attempt, self.home).outcome
        assert outcome is not None
        ending = going.settle(self.home, Settled(self.planned, self.ports, outcome, 1, self.began))
        if ending is not None:
            return catch(self.home, going, self.planned, self.ports, ending)
        going.wake(self.home)
        return None


def catch(scope: Execution, going: Going, planned: PlanNode, ports: Mapping[str, Batch], ending: Ending) -> Ending | None:
    """
    Return the ending of the run that the ending of a step means, None where the run goes on.

    A frame around it may catch the failure; and where something is to be undone, the run ends after that.
    """
    if ending.status is not RunStatus.FAILED:
        return ending
    top = scope.top if isinstance(scope, Pass) else scope
    if ending.is_catchable and isinstance(scope, Pass):
        if scope.is_ending:
            return ending if top.is_ending and not going.failing and not going.undoing else None
        catcher: Execution | None = scope
        while isinstance(catcher, Pass) and not catcher.owner.catches:
            catcher = catcher.outer
        if isinstance(catcher, Pass):
            catch_in(catcher, scope, planned, ports, ending.error or {}, going)
            return None
    if not top.undos and not going.undoing:
        return ending
    die(top, going, lambda: ending)
    return None


def catch_in(
    one: Pass, scope: Execution, planned: PlanNode, ports: Mapping[str, Batch], error: Mapping[str, Any], going: Going
) -> None:
    """Let a pass end because a step in it, or in a frame within it, failed."""
    item, sources = failed_item(one, scope, planned, ports, error)
    failure = Failure(error=error, item=item, sources=sources)
    die(one, going, lambda: one.owner.lose(one, failure, going))


def die(scope: Execution, going: Going, then: Then) -> None:
    """Let nothing more begin in a scope; `then` comes once what is at work in it has ended and what it did is undone."""
    if any(at is scope for at, _ in going.failing):
        return
    _hush(scope)
    for task in list(going.tasks_in(scope)):
        if not going.tasks[task][1].writes or task in scope.env.pausing:
            task.cancel()
    going.failing.append((scope, then))


def _hush(scope: Execution) -> None:
    if isinstance(scope, Pass):
        scope.is_dead = True
    else:
        scope.is_ending = True
    scope.progress.ready.clear()
    scope.progress.skipped.clear()
    if scope.pending is not None:
        scope.pending.leave(scope)
    for frame in scope.frames.values():
        for one in frame.open.values():
            _hush(one)


def failed_item(
    one: Pass, scope: Execution, planned: PlanNode, ports: Mapping[str, Batch], error: Mapping[str, Any]
) -> tuple[Item, Sources]:
    """Return the item that a step failed with, else the first that arrived at it; and what they were made from."""
    port = next((port for port, batch in ports.items() if batch), planned.first_in)
    batch = ports.get(port) or []
    numbers: Sequence[int] = range(len(batch))
    index = (error.get("where") or {}).get("item")
    if isinstance(index, int) and 0 <= index < len(batch):
        numbers = (index,)
    item = batch[numbers[0]] if numbers else {}
    lineage = scope.lineage
    arrived = (lineage.arrived_from(planned, port, number) for number in numbers)
    places: Iterator[Place] = (place for place in arrived if place is not None)
    at = scope
    while at is not one and isinstance(at, Pass):
        places, at = at.places_outside(places), at.outer
    found = tuple(one.sources(places))
    return item, found[0] if len(found) == 1 else found or -1
