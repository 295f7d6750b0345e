"""Who may run now and who waits: slots for all, and a limit per workflow."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class RunQueue(Generic[T]):
    """
    Runs in the order they came, as many at a time as there are slots, and no more of one workflow than it allows.

    A run that its own workflow holds back does not hold back those of others. `offer` and `done` tell what may start.
    """

    slots: int
    _running: Counter[str] = field(default_factory=Counter)
    _waiting: OrderedDict[str, deque[tuple[int, T, int | None]]] = field(default_factory=OrderedDict)
    _count: int = 0
    _number: int = 0

    @property
    def running(self) -> int:
        """How many are running."""
        return self._count

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(line) for line in self._waiting.values())

    @property
    def is_crowded(self) -> bool:
        """Whether somebody waits, or would have to."""
        return bool(self._waiting) or self._count >= self.slots

    def offer(self, thing: T, *, key: str, limit: int | None) -> bool:
        """Let it start (True), or let it wait behind the others (False)."""
        if self._count < self.slots and key not in self._waiting and (limit is None or self._running[key] < limit):
            self._begin(key)
            return True
        self._number += 1
        self._waiting.setdefault(key, deque()).append((self._number, thing, limit))
        return False

    def done(self, key: str) -> Iterator[T]:
        """Give a slot back and return those that may start now, the longest waiting first."""
        self._count -= 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        while self._count < self.slots and (thing := self._next()) is not None:
            yield thing

    def remove(self, thing: T, *, key: str) -> bool:
        """Take it out of the line; False when it does not stand there."""
        line = self._waiting.get(key, deque())
        for entry in line:
            if entry[1] is thing:
                line.remove(entry)
                if not line:
                    del self._waiting[key]
                return True
        return False

    def _next(self) -> T | None:
        best: str | None = None
        for key, line in self._waiting.items():
            number, _, limit = line[0]
            if (limit is None or self._running[key] < limit) and (best is None or number < self._waiting[best][0][0]):
                best = key
        if best is None:
            return None
        _, thing, _ = self._waiting[best].popleft()
        if not self._waiting[best]:
            del self._waiting[best]
        self._begin(best)
        return thing

    def _begin(self, key: str) -> None:
        self._count += 1
        self._running[key] += 1
