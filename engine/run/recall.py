"""
What the journal of an interrupted run knows of passes: which ended and what they gave, which go on, which had failed.

A run that goes on opens its frames anew; each asks here about its passes. One that ended is not entered again, its line in the
journal says what left it. One that did not is taken up where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.ids import NodeId
from engine.model.items import Batch, Outputs
from engine.model.run import Fact, FactKind, RunStatus

from .effects import LEDGER, Begun, Question, Uncertain, way_after_crash
from .execution import Execution
from .forked import Forked
from .framing import OpenFrame
from .passes import Pass
from .payloads import Payload, Reference, StoredOutputs
from .planner import Plan, PlanNode
from .resume import SETTLING, Ending, Restored

ENDS = frozenset({FactKind.SCOPE_DONE, FactKind.SCOPE_FAILED})


class Recall:
    """
    The lines of passes, by scope.

    `failures` are steps that failed for good with nothing yet to show that this was dealt with, by the scope of the pass that
    catches them; "" stands for the run itself.
    """

    def __init__(self, facts: Sequence[Fact], plan: Plan) -> None:
        self.plan = plan
        self._facts: dict[str, list[Fact]] = {}
        self._ends: dict[str, Fact] = {}
        self._seen: set[str] = set()
        self._opened: set[tuple[str, NodeId]] = set()
        self._broken: set[str] = set()
        self._shadows: dict[str, Execution] = {}
        self.failures: dict[str, Fact] = {}
        self.has_responded = any(fact.kind is FactKind.RESPONDED for fact in facts)
        for fact in facts:
            if fact.kind is FactKind.FORKED:
                for known in {"": self._facts.setdefault("", []), **self._facts}.values():
                    known.append(fact)  # what it says of intents concerns the passes that were taken over as well
            elif fact.kind in ENDS:
                self._ends[fact.scope] = fact
                self._seen.add(fact.scope)
            else:
                self._facts.setdefault(fact.scope, []).append(fact)
                for scope in _around(fact.scope):
                    if scope in self._seen:
                        break
                    self._seen.add(scope)
        for scope, found in self._facts.items():
            if (here := plan.at(scope)) is None:
                continue
            is_over = self._is_over(scope)
            for fact in found:
                index = here.index.get(fact.node)
                if index is None:
                    continue
                if fact.kind is FactKind.STEP_SUCCEEDED and _is(here.nodes[index], "break"):
                    self._broken.add(self._loop_around(scope))  # counts also from a try in the pass that is over
                if is_over:
                    continue
                if fact.kind is FactKind.STEP_STARTED and here.nodes[index].frame is not None:
                    self._opened.add((scope, fact.node))
                elif fact.kind is FactKind.STEP_FAILED or fact.summary.get("ends") == "failed":
                    is_catchable = fact.kind is FactKind.STEP_FAILED
                    self.failures.setdefault(self._catcher(scope) if is_catchable else "", fact)

    # — what frames ask —

    def ended(self, scope: str) -> Fact | None:
        """Return the line that ended a pass."""
        return self._ends.get(scope)

    def has_begun(self, scope: str) -> bool:
        """Tell whether the journal has a line of a pass, or of one within it."""
        return scope in self._seen

    def passes_of(self, scope: str, node: NodeId) -> int:
        """Return how many passes of a frame the journal knows: one more than the highest number."""
        start = f"{scope}/{node}:" if scope else f"{node}:"
        numbers = (name[len(start) :] for name in self._ends if name.startswith(start))
        return max((int(number) + 1 for number in numbers if number.isdigit()), default=0)

    def was_opened(self, scope: str, node: NodeId) -> bool:
        """Tell whether a frame had begun."""
        return (scope, node) in self._opened

    def bring_to(self, one: Pass) -> None:
        """Settle in a pass what its lines say is settled."""
        restored = Restored(self._facts.get(one.scope, ()))
        restored.bring_to(one)
        one.earlier = restored.earlier
        one.has_broken = one.scope in self._broken

    def gave(self, ended: Fact) -> Outputs:
        """Return what left a pass that ended."""
        if ended.payload is None:
            return {}
        opened: dict[NodeId, StoredOutputs] = {}

        def follow(reference: Reference) -> Batch:
            if reference[0] not in opened:
                fact = next(
                    fact
                    for fact in self._facts[ended.scope]
                    if fact.node == reference[0] and fact.kind is FactKind.STEP_SUCCEEDED and fact.payload is not None
                )
                assert fact.payload is not None
                opened[reference[0]] = StoredOutputs(Payload(fact.payload), follow)
            return opened[reference[0]][reference[1]].items

        return StoredOutputs(Payload(ended.payload), follow)

    # — what the run asks —

    def ending(self, at_top: Ending | None) -> Ending | None:
        """
        Return how the run had come out, or the question it asks, where that happened in the body of a frame.

        `at_top` is what the steps outside of all frames say; a failure counts more than what was cancelled because of it.
        """
        failed = self.failures.get("")
        if failed is not None and failed.scope:
            if failed.kind is FactKind.STEP_FAILED:
                return Ending(status=RunStatus.FAILED, error=failed.summary.get("error"))
            return Ending.by_step("failed", str(failed.summary.get("message", "")), failed.node)
        if at_top is not None:
            return at_top
        questions: list[Question] = []
        for scope, facts in self._facts.items():
            if not scope or self._is_over(scope) or (here := self.plan.at(scope)) is None:
                continue
            is_lost = any(scope == lost or scope.startswith(lost + "/") for lost in self.failures)
            begun: dict[int, Begun] = {}
            for fact in facts:
                if fact.kind is FactKind.FORKED:
                    forked = Forked.of_fact(fact)
                    for number, step in begun.items():
                        step.part(is_void=(here.nodes[number].id, scope) in forked.void)
                    continue
                index = here.index.get(fact.node)
                if index is None:
                    continue
                if fact.summary.get("ends"):
                    return Ending.by_step(str(fact.summary["ends"]), str(fact.summary.get("message", "")), fact.node)
                if fact.kind is FactKind.STEP_CANCELLED and not is_lost:
                    return Ending(status=RunStatus.CANCELLED)
                if fact.kind in SETTLING or fact.kind is FactKind.STEP_WAITING:
                    begun.pop(index, None)
                elif fact.kind in LEDGER:
                    begun.setdefault(index, Begun()).take(fact)
            for index, step in begun.items():
                planned = here.nodes[index]
                if planned.frame is None and step.is_uncertain and way_after_crash(planned, step.decision) == "ask":
                    questions.append(Question(planned, step.uncertain, step.size, scope))
        return Ending(status=RunStatus.NEEDS_DECISION, error=Uncertain(questions).as_dict()) if questions else None

    def end_waits(self, top: Execution) -> None:
        """Record that what waited in the body of a frame does not wait any more, since the run is over."""
        for scope, facts in self._facts.items():
            if not scope or (here := self.plan.at(scope)) is None:
                continue
            waiting: dict[NodeId, Fact] = {}
            for fact in facts:
                if fact.kind is FactKind.STEP_WAITING:
                    waiting[fact.node] = fact
                elif fact.kind in SETTLING:
                    waiting.pop(fact.node, None)
            for node in waiting:
                if node in here.index:
                    top.record_at(scope, FactKind.STEP_CANCELLED, here.node(node))

    def registered(self) -> list[tuple[str, PlanNode]]:
        """Return what is to be undone should the run fail, in the order it was done: scope and node of each `compensate`."""
        found: list[tuple[int, str, PlanNode]] = []
        for scope, facts in self._facts.items():
            if (here := self.plan.at(scope)) is None or self._is_lost(scope):
                continue
            for fact in facts:
                index = here.index.get(fact.node)
                if index is None or fact.kind is not FactKind.STEP_SUCCEEDED:
                    continue
                if _is(here.nodes[index], "compensate"):
                    found.append((fact.seq, scope, here.nodes[index]))
        return [(scope, planned) for _, scope, planned in sorted(found, key=lambda one: one[0])]

    # — scopes as they were —

    def scope_at(self, top: Execution, scope: str) -> Execution:
        """Return a scope as the journal has it: the one that is open, else one that is only looked at."""
        at, name = top, top.scope
        rest = scope[len(name) :].strip("/")
        for part in rest.split("/") if rest else ():
            node, _, number = part.rpartition(":")
            planned = at.plan.node(NodeId(node))
            frame = at.frames.get(planned.index)
            if frame is not None and (open_ := frame.open.get(int(number))) is not None:
                at = open_
                continue
            name = f"{name}/{part}" if name else part
            if (known := self._shadows.get(name)) is None:
                assert planned.frame is not None
                frame = OpenFrame.kinds[planned.frame.kind](at, planned, at.progress.gather(planned), self)
                frame.prepare()
                known = self._shadows[name] = frame.make(int(number))
            at = known
        return at

    def step_of(self, one: Pass, fact: Fact) -> tuple[Execution, PlanNode]:
        """Return the scope and the node of a line, within a pass."""
        scope = self.scope_at(one, fact.scope)
        return scope, scope.plan.node(fact.node)

    # — inside —

    def _is_over(self, scope: str) -> bool:
        """Whether a scope, or one around it, came to its end; an undoing has its own end, whatever became of what it undoes."""
        for around in _around(scope):
            if around in self._ends:
                return True
            here = self.plan.at(around)
            if here is not None and here.outer is not None and _is(here.owner, "compensate"):
                return False
        return False

    def _is_lost(self, scope: str) -> bool:
        """Whether the scope lies in one that failed, and was caught and undone."""
        return any((end := self._ends.get(around)) and end.kind is FactKind.SCOPE_FAILED for around in _around(scope))

    def _catcher(self, scope: str) -> str:
        for around in _around(scope):
            here = self.plan.at(around)
            if here is not None and here.outer is not None and (frame := here.owner.frame) is not None and frame.catches:
                return around
        return ""

    def _loop_around(self, scope: str) -> str:
        for around in _around(scope):
            here = self.plan.at(around)
            if here is not None and here.outer is not None and (frame := here.owner.frame) is not None and frame.kind == "loop":
                return around
        return ""


def _is(planned: PlanNode, kind: str) -> bool:
    return planned.frame is not None and planned.frame.kind == kind


def _around(scope: str) -> list[str]:
    """Return a scope and those around it, the innermost first; the top is not one of them."""
    found = []
    while scope:
        found.append(scope)
        scope = scope.rpartition("/")[0]
    return found


def end_waits(top: Execution, restored: Restored, recall: Recall | None = None) -> None:
    """Record that whatever waited in a run, and in the passes of its frames, waits no more: the run is over."""
    restored.end_waits(top)
    if recall is None and top.plan.bodies:
        recall = Recall(restored.facts, top.plan)
    if recall is not None:
        recall.end_waits(top)
