"""
How much one evaluation may cost, and the meter that counts it.

Steps are charged where work multiplies: at the entry of a loop (its length times the weight of its body) and in functions
that walk a text, a list or an object. Memory is charged for what an evaluation builds, before it is built where its size can
be known before. A plain expression such as `item.price * item.qty` has no meter at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from .errors import ExpressionError

MEBIBYTE = 1 << 20
METER = "$meter"
SCOPE = "$scope"
MEMO = "$memo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    The limits of one evaluation.

    `steps` counts loop passes and pieces of data looked at (about a microsecond each), `text` is the longest text in
    characters, `memory` the bytes of everything built on the way, `result` the size of the result as JSON in bytes,
    `depth` how deep lists and objects may lie in each other. `batch_steps` are the steps of all items of a batch together, to
    which come a hundred for each item.
    """

    steps: int = 1_000_000
    text: int = 10_000_000
    memory: int = 40 * MEBIBYTE
    result: int = 64 * MEBIBYTE
    depth: int = 100
    batch_steps: int = 20_000_000

    def for_items(self, count: int) -> Budget:
        """Return this budget with room for a batch of `count` items, so that big batches can be summed up."""
        if count <= 20_000:
            return self
        return replace(
            self,
            steps=max(self.steps, count * 50),
            memory=max(self.memory, count * 2_000),
            result=max(self.result, count * 2_000),
        )


DEFAULT = Budget()


class Meter:
    """Counts what one evaluation uses up; raises ExpressionError when a limit is passed."""

    __slots__ = ("budget", "memory", "moment", "scope", "steps")

    moment: datetime | None

    def __init__(self, budget: Budget, scope: Mapping[str, Any]) -> None:
        self.budget = budget
        self.steps = budget.steps
        self.memory = budget.memory
        self.scope = scope
        self.moment = None

    def charge(self, steps: int) -> None:
        """Count `steps` steps."""
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(
                f"the expression needs more than {self.budget.steps:,} steps",
                hint="make the lists smaller first, for example with a filter or limit step",
                is_final=True,
            )

    def take(self, size: int) -> None:
        """Count `size` bytes about to be built."""
        self.memory -= size
        if self.memory < 0:
            raise ExpressionError(
                f"the expression builds more than {self.budget.memory // MEBIBYTE} MB",
                hint="keep less: filter first, or build the parts in steps of their own",
                is_final=True,
            )

    def take_text(self, length: int, wide: bool = False) -> None:
        """Count a text of `length` characters about to be built."""
        if length > self.budget.text:
            raise ExpressionError(
                f"the text gets longer than {self.budget.text:,} characters", hint="write big texts to a file", is_final=True
            )
        self.take(49 + length * (4 if wide else 1))

    def take_list(self, length: int, each: int = 8) -> None:
        """Count a list of `length` values about to be built; `each` is what one of them takes."""
        self.take(56 + length * each)

    def read_text(self, text: str) -> None:
        """Count the walk through one text."""
        if len(text) > 128:
            self.charge(len(text) >> 7)

    def now(self) -> datetime:
        """Return the present moment; it stands still during one evaluation."""
        if self.moment is None:
            clock: Callable[[], datetime] | None = self.scope.get("$now")
            self.moment = clock() if clock is not None else datetime.now(UTC)
        return self.moment
