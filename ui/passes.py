"""The steps of a run as a page shows them: one line for a step, however often the passes of loops ran it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from engine.model.run import PortSummary, Step, StepStatus

_SAYS_MOST = (
    StepStatus.RUNNING,
    StepStatus.WAITING,
    StepStatus.FAILED,
    StepStatus.CANCELLED,
    StepStatus.SUCCEEDED,
    StepStatus.SKIPPED,
)
"""A step that stands differently in several passes is shown as the first of these that is among them."""


@dataclass(frozen=True, slots=True)
class Passes:
    """One node in all the passes it ran in (at least one), by their numbers; `whole` tells of them together."""

    steps: tuple[Step, ...]
    whole: Step
    failed: int = 0
    _by_scope: dict[str, Step] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def node(self) -> str:
        """The node's id."""
        return self.whole.node

    def choose(self, scope: str | None = None) -> Step:
        """Return the step in the pass `scope`; without such a pass, in the first that failed, else in the last one."""
        chosen = self._by_scope.get(scope) if scope is not None else None
        return chosen or next((step for step in self.steps if step.status is StepStatus.FAILED), self.steps[-1])

    def failed_after(self, at: int) -> int | None:
        """Return the place of the next pass that failed, from the front again after the last; None when none did."""
        failed = [number for number, step in enumerate(self.steps) if step.status is StepStatus.FAILED]
        return next((number for number in failed if number > at), failed[0] if failed else None)


def fold_passes(steps: Iterable[Step]) -> dict[str, Passes]:
    """
    Return the steps of a run by node, in the order they began.

    What a frame notes about the end of its own pass is no step of its own: the frame is one step, its passes are those of the
    steps within.
    """
    found: dict[str, list[Step]] = {}
    for step in steps:
        if not is_own_pass(step.node, step.scope):
            found.setdefault(step.node, []).append(step)
    return {node: _together(tuple(sorted(ran, key=lambda step: numbers_of(step.scope)))) for node, ran in found.items()}


def is_own_pass(node: str, scope: str) -> bool:
    """Tell whether the scope is a pass of the node itself (`loop` in `outer:0/loop:3`)."""
    return scope.rpartition("/")[2].rpartition(":")[0] == node


def says_most(stands: Collection[str]) -> str:
    """Return the state that stands for all of these (at least one)."""
    return next((str(status) for status in _SAYS_MOST if status in stands), "running")


def numbers_of(scope: str) -> tuple[int, ...]:
    """Return the numbers of a pass, counted from 1, the outermost first; none at the top."""
    return tuple(int(part.rpartition(":")[2]) + 1 for part in scope.split("/")) if scope else ()


def _together(steps: tuple[Step, ...]) -> Passes:
    failed = [step for step in steps if step.status is StepStatus.FAILED]
    by_scope = {step.scope: step for step in steps}
    if len(steps) == 1:
        return Passes(steps, steps[0], len(failed), by_scope)
    ports: dict[str, int] = {}
    for step in steps:
        for port, summary in step.ports.items():
            ports[port] = ports.get(port, 0) + summary.count
    stands = {step.status for step in steps}
    ends = [step.finished_at for step in steps if step.finished_at]
    whole = replace(
        steps[-1],
        scope="",
        status=StepStatus(says_most(stands)),
        attempts=max(step.attempts for step in steps),
        started_at=min((step.started_at for step in steps if step.started_at), default=None),
        finished_at=max(ends) if len(ends) == len(steps) else None,
        items_in=sum(step.items_in for step in steps),
        ports={port: PortSummary(count=count) for port, count in ports.items()},
        error=failed[0].error if failed else None,
    )
    return Passes(steps, whole, len(failed), by_scope)
