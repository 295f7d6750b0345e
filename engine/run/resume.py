"""From the journal back to a run in flight: what is settled stays settled, what was not is taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.ids import NodeId
from engine.model.items import Batch
from engine.model.run import Fact, FactKind, RunStatus
from engine.model.waits import Waking
from engine.steps.contract import Response, Wait

from .attempt import Earlier
from .effects import LEDGER, Begun, Question, Uncertain, way_after_crash
from .forked import Forked
from .payloads import Payload, Reference, StoredOutputs

if TYPE_CHECKING:
    from .execution import Execution

SETTLING = frozenset({FactKind.STEP_SUCCEEDED, FactKind.STEP_FAILED, FactKind.STEP_SKIPPED, FactKind.STEP_CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """
    How a run came out: a final or parked status, and the error that says why.

    `running` means that it was left open because the worker stops; it goes on from here at the next start. `response` is what
    its caller gets to hear once the end is on disk. `is_catchable` is true of a step that failed, which a frame may catch.
    """

    status: RunStatus
    error: Mapping[str, Any] | None = None
    response: Response | None = None
    is_catchable: bool = False

    @classmethod
    def by_step(cls, status: str, message: str, node: NodeId) -> Ending:
        """Return the ending that a step asked for: `succeeded`, or `failed` with its message."""
        if status == "succeeded":
            return cls(status=RunStatus.SUCCEEDED)
        error = {"code": "stopped", "message": message, "hint": None, "where": {"node": node}}
        return cls(status=RunStatus.FAILED, error=error)


@dataclass(slots=True)
class Restored:
    """
    What the journal knows of a run that was interrupted.

    `earlier` holds the tries of steps that had begun and not settled. Batches are decoded when a step asks for them.
    """

    facts: Sequence[Fact]
    earlier: dict[int, Earlier] = field(default_factory=dict)

    @property
    def next_seq(self) -> int:
        """The number of the next fact."""
        return self.facts[-1].seq + 1 if self.facts else 0

    def bring_to(self, execution: Execution) -> Ending | None:
        """
        Settle in `execution` what the journal says is settled.

        Returns the ending where nothing is left to do: the run had failed or ended by a step, or a step needs a decision.
        """
        nodes, progress = execution.plan.index, execution.progress
        told: set[int] = set()
        waits: dict[int, tuple[Wait, Waking | None]] = {}
        begun: dict[int, Begun] = {}
        ending: Ending | None = None
        was_cancelled = False
        for fact in self.facts:
            if fact.kind is FactKind.FORKED:
                execution.forked = forked = Forked.of_fact(fact)
                for number, step in begun.items():
                    step.part(is_void=(execution.plan.nodes[number].id, execution.scope) in forked.void)
                continue
            index = nodes.get(fact.node)
            if index is None:
                continue
            match fact.kind:
                case FactKind.STEP_SUCCEEDED:
                    begun.pop(index, None)
                    if ends := fact.summary.get("ends"):
                        ending = ending or Ending.by_step(str(ends), str(fact.summary.get("message", "")), fact.node)
                    self._settle(execution, index, fact)
                case FactKind.STEP_SKIPPED:
                    told.add(index)
                    is_left_out = fact.summary.get("reason") == "left_out" and not progress.settled[index]
                    if begun.pop(index, None) is not None or is_left_out:
                        progress.settle(index, None)
                case FactKind.STEP_FAILED:
                    begun.pop(index, None)
                    progress.settled[index] = 1
                    ending = ending or Ending(status=RunStatus.FAILED, error=fact.summary.get("error"))
                case FactKind.STEP_CANCELLED:
                    begun.pop(index, None)
                    progress.settled[index] = 1
                    was_cancelled = True
                case FactKind.STEP_WAITING:
                    begun.pop(index, None)
                    waits[index] = (Wait.of_summary(fact.summary), None)
                case FactKind.STEP_WOKEN if index in waits:
                    waits[index] = (waits[index][0], Waking.of_summary(fact.summary, fact.payload))
                case FactKind.SIGNALLED:
                    execution.sent_before[index] = execution.sent_before.get(index, 0) + 1
                case FactKind.RESPONDED:
                    execution.has_responded = True
                case kind if kind in LEDGER:
                    begun.setdefault(index, Begun()).take(fact)
        if ending is None and was_cancelled:
            ending = Ending(status=RunStatus.CANCELLED)
        if ending is not None:
            return ending
        asleep = _lay_down(execution, waits) if waits else ()
        unclear = self._take_up(execution, begun)
        left = [index for index in progress.ready if not progress.settled[index] and index not in asleep]
        progress.ready.clear()
        progress.ready.extend(left)
        progress.skipped[:] = [index for index in progress.skipped if index not in told]
        return unclear

    def end_waits(self, execution: Execution) -> None:
        """Record that what waited, or was woken and did not get to go on, is cancelled: the run is over."""
        open_ones: dict[int, Fact] = {}
        for fact in self.facts:
            index = execution.plan.index.get(fact.node)
            if index is None:
                continue
            if fact.kind is FactKind.STEP_WAITING:
                open_ones[index] = fact
            elif fact.kind in SETTLING:
                open_ones.pop(index, None)
        for index in open_ones:
            execution.on_cancelled(execution.plan.nodes[index])

    def _settle(self, execution: Execution, index: int, fact: Fact) -> None:
        if fact.payload is None:
            execution.progress.settle(index, {})
            return
        payload = Payload(fact.payload)

        def follow(reference: Reference) -> Batch:
            outputs = execution.progress.outputs[execution.plan.index[reference[0]]]
            assert outputs is not None
            return outputs[reference[1]].items

        def remember(port: str, items: Batch) -> None:
            if items:
                execution.known.setdefault(id(items), (fact.node, port))

        execution.progress.settle(index, StoredOutputs(payload, follow, remember), payload.counts)

    def _take_up(self, execution: Execution, begun: Mapping[int, Begun]) -> Ending | None:
        """Decide about the steps that had begun: on with what is left of them, left out, or a person is asked."""
        questions: list[Question] = []
        for index, step in begun.items():
            planned = execution.plan.nodes[index]
            if step.is_uncertain:
                match way_after_crash(planned, step.decision):
                    case "ask":
                        questions.append(Question(planned, step.uncertain, step.size))
                        continue
                    case "skip" if step.is_whole:
                        _leave_out(execution, index)
                        continue
                    case "skip":
                        execution.record(FactKind.EFFECTS, planned, attempt=step.attempt, summary={"skipped": step.uncertain})
                        step.skipped |= step.open
            if step.is_left_out:
                _leave_out(execution, index)
            else:
                self.earlier[index] = step.earlier()
        if not questions:
            return None
        return Ending(status=RunStatus.NEEDS_DECISION, error=Uncertain(questions).as_dict())


def _leave_out(execution: Execution, index: int) -> None:
    execution.on_skipped(execution.plan.nodes[index], "uncertain")
    execution.progress.settle(index, None)


def _lay_down(execution: Execution, waits: Mapping[int, tuple[Wait, Waking | None]]) -> set[int]:
    """Say in `execution` what waits and what was woken; returns the steps that go on waiting."""
    asleep = set()
    for index, (wait, waking) in waits.items():
        if execution.progress.settled[index]:
            continue
        pending = execution.await_wakes()
        pending.begin(execution, index, wait)
        if waking is None:
            asleep.add(index)
        else:
            pending.end(execution, index, waking)
    if asleep:
        execution.await_wakes().bell.set()  # somebody may have woken one between the reading of the journal and this moment
    return asleep
