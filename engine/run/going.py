"""What is at work in a run at this moment: tasks, scopes that have something ready, and the ending once it is known."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from engine.model.items import Batch

from .execution import Execution
from .outcomes import Outcome
from .planner import PlanNode
from .resume import Ending


@dataclass(slots=True)
class Settled:
    """A step that came to its end."""

    planned: PlanNode
    ports: Mapping[str, Batch]
    outcome: Outcome
    attempt: int
    began: float


Settle = Callable[[Execution, Settled], Ending | None]
"""Records how a step came out and lets what follows begin; returns the run's ending where this is it."""
Then = Callable[[], Ending | None]


@dataclass(slots=True)
class Going:
    """
    The side-by-side part of a run.

    `scopes` are those that have something ready, in turn. `failing` are scopes in which something failed, with what is to be
    done once nothing is at work in them any more; `undoing` those whose undo steps are at work. `settle` is the executor's.
    """

    settle: Settle
    tasks: dict[asyncio.Task[Settled], tuple[Execution, PlanNode]] = field(default_factory=dict)
    here: tuple[Execution, PlanNode] | None = None
    ending: Ending | None = None
    scopes: deque[Execution] = field(default_factory=deque)
    failing: list[tuple[Execution, Then]] = field(default_factory=list)
    undoing: list[Execution] = field(default_factory=list)

    def tasks_in(self, scope: Execution) -> Iterator[asyncio.Task[Settled]]:
        """Give the tasks that are at work in a scope, or in frames within it; what undoes something counts for itself."""
        return (task for task, (at, _) in self.tasks.items() if is_within(at, scope))

    def wake(self, scope: Execution) -> None:
        """Let a scope have its turn, if there is something to do and nothing has ended it."""
        if (scope.progress.ready or scope.progress.skipped) and not scope.is_ending:
            self.scopes.append(scope)


def is_within(at: Execution | None, scope: Execution, *, also_apart: bool = False) -> bool:
    """Tell whether a scope is this one, or lies in a frame within it; with `also_apart` through one that undoes, too."""
    while at is not None and at is not scope:
        at = at.outer if also_apart or not at.is_apart else None
    return at is scope
