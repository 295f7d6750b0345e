"""
Taking turns: every figure once per round, in one order, several rounds.

A shared machine drifts by tens of percent within a minute. What is compared is therefore measured one right after the other
(A B A B), a figure is the median of its rounds, and a ratio the median of the ratios inside each round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Figure = Callable[[], "float | Mapping[str, float]"]
"""Measures once: one number, or several by name."""


class Skipped(Exception):
    """A group cannot be measured here; its text is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: how many rounds, and how much work in each (1.0 is the usual amount)."""

    folder: Path
    rounds: int = 5
    scale: float = 1.0

    def of(self, amount: int, *, least: int = 1) -> int:
        """Return an amount of work as it is wanted here."""
        return max(least, round(amount * self.scale))


@dataclass(slots=True)
class Taken:
    """What was measured: the values of each figure, one per round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return the middle of a figure's rounds."""
        return statistics.median(self.values[name])

    def ratio(self, name: str, to: str) -> float:
        """Return the middle of the ratios of two figures, each taken within one round."""
        return statistics.median(one / other for one, other in zip(self.values[name], self.values[to], strict=True))


def take_turns(figures: Mapping[str, Figure], rounds: int) -> Taken:
    """Measure all figures, in turn. A figure that gives several numbers has them as `figure.name`."""
    taken = Taken()
    for _ in range(rounds):
        for name, figure in figures.items():
            value = figure()
            if isinstance(value, Mapping):
                for part, number in value.items():
                    taken.values.setdefault(f"{name}.{part}", []).append(number)
            else:
                taken.values.setdefault(name, []).append(value)
    return taken
