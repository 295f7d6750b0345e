"""
Who may run now and who waits: slots for all, limits per workflow and per key, and a fair share for everyone.

A line is what belongs to one workflow. Only a window of each line stands here: the rest are rows of the store, which the queue
asks for (`hungry`) when the window runs low. Nothing here is kept over a restart, because nothing has to be: a run that goes is
a row that says `running`, and that row is its lease (docs/adr/0011-a-lease-is-a-row.md).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from engine.model.limits import PRIORITIES, Concurrency

T = TypeVar("T")

WINDOW: Final = 256
"""How many waiting runs of one line stand in memory."""
LOW: Final = 64
"""From how few that could start soon on the store is asked for more."""
SHARE: Final = 7
"""A line takes at most so many times the slots that are still free, so that a newcomer always finds one."""
AHEAD: Final = 8
"""How many more of a key than may go are brought from the store, so that the next one need not be asked for."""
FAIR_TURN: Final = 8
"""Every so many turns whoever waits longest goes, whatever the priorities."""


class Standing(Enum):
    """What became of an offer: it starts, it waits here, or it waits as a row of the store."""

    STARTS = auto()
    WAITS = auto()
    STORED = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a run stands: its line and key, what bounds both, and its rank within them.

    `order` parts runs of the same priority; the smaller goes first. `kept` runs wait in memory, however many there are.
    """

    line: str
    key: str = ""
    order: str = ""
    of_line: int | None = None
    of_key: int | None = None
    priority: int = 0
    kept: bool = False

    @classmethod
    def of(cls, line: str, key: str, order: str, priority: int, limits: Concurrency | None) -> Place:
        """Return the place of a run under its workflow's limits."""
        if limits is None:
            return cls(line, key, order, priority=priority)
        return cls(line, key, order, limits.of_workflow, limits.of_key, priority, limits.when_full != "queue")


@dataclass(slots=True)
class _Waiter(Generic[T]):
    thing: T
    place: Place

    def __lt__(self, other: _Waiter[T]) -> bool:
        return (-self.place.priority, self.place.order) < (-other.place.priority, other.place.order)


@dataclass(slots=True)
class _Line(Generic[T]):
    """
    One workflow: how many run, who waits here by key (in the order the keys take turns), how many wait in the store.

    `top` is the highest priority of those in the store, `cursor` the key that was brought from there last, `offers` counts what
    came, `is_exhausted` says that none of those in the store could start now.
    """

    name: str
    running: int = 0
    by_key: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, list[_Waiter[T]]] = field(default_factory=dict)
    count: int = 0
    stored: int = 0
    top: int = PRIORITIES[0]
    cursor: str = ""
    offers: int = 0
    is_exhausted: bool = False
    served: int = 0

    def has_room(self, place: Place) -> bool:
        """Whether the limits let one more go."""
        if place.of_line is not None and self.running >= place.of_line:
            return False
        return place.of_key is None or self.by_key[place.key] < place.of_key

    def candidates(self) -> Iterator[_Waiter[T]]:
        """Give the first of each key that has room, in the order the keys take turns."""
        for waiters in self.waiting.values():
            if self.has_room(waiters[0].place):
                yield waiters[0]

    def oldest(self) -> _Waiter[T] | None:
        """Return who waits longest among those that have room."""
        able = [waiter for waiters in self.waiting.values() if self.has_room(waiters[0].place) for waiter in waiters]
        return min(able, key=lambda waiter: waiter.place.order, default=None)

    def take(self, waiter: _Waiter[T]) -> None:
        """Take one out; its key goes to the end of the turn."""
        waiters = self.waiting.pop(waiter.place.key)
        waiters.remove(waiter)
        if waiters:
            self.waiting[waiter.place.key] = waiters
        self.count -= 1

    def put(self, waiter: _Waiter[T]) -> None:
        """Let one wait here."""
        insort(self.waiting.setdefault(waiter.place.key, []), waiter)
        self.count += 1

    def soon(self) -> int:
        """How many of those in memory could start as soon as there is a slot."""
        return sum(
            len(waiters)
            if (of_key := waiters[0].place.of_key) is None
            else min(len(waiters), max(0, of_key - self.by_key[key]))
            for key, waiters in self.waiting.items()
        )


@dataclass(frozen=True, slots=True)
class Appetite:
    """What is wanted from the store: how many, how many of each key are here already, the key to go on behind."""

    wanted: int
    near: Counter[str]
    cursor: str
    offers: int


class RunQueue(Generic[T]):
    """
    As many runs at a time as there are slots, and no more of a workflow or a key than it allows.

    Of the lines that may go on, the one with the highest priority is next, among equals the one with the fewest running, then
    the one that waited longest for its turn; within a line the keys take turns. `offer` and `done` tell what may start.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.hungry: set[str] = set()
        self.on_hungry: Callable[[], None] = lambda: None
        self._lines: dict[str, _Line[T]] = {}
        self._waiting: dict[str, _Line[T]] = {}
        self._resuming: deque[tuple[T, Place]] = deque()
        self._count = 0
        self._turn = 0

    @property
    def running(self) -> int:
        """How many are running."""
        return self._count

    @property
    def waiting(self) -> int:
        """How many wait, here or in the store."""
        return sum(line.count + line.stored for line in self._lines.values()) + len(self._resuming)

    @property
    def is_crowded(self) -> bool:
        """Whether somebody waits, or would have to."""
        return bool(self._waiting) or self._count >= self.slots or bool(self._resuming)

    @property
    def in_memory(self) -> int:
        """How many wait here."""
        return sum(line.count for line in self._lines.values()) + len(self._resuming)

    def held(self, place: Place) -> int:
        """How many of the place's key run or wait here."""
        line = self._line(place.line)
        if place.of_key is None:
            return line.running + line.count
        return line.by_key[place.key] + len(line.waiting.get(place.key, ()))

    def offer(self, thing: T, place: Place) -> Standing:
        """Let it start, or let it wait behind the others: here, or in the store where it is already written down."""
        line = self._line(place.line)
        line.offers += 1
        if not line.stored and not self._is_behind(line, place) and self._may_start(line, place):
            self._begin(line, place)
            return Standing.STARTS
        is_urgent = line.stored and place.priority > line.top and line.count < 2 * WINDOW
        if place.kept or is_urgent or (not line.stored and line.count < WINDOW):
            self._put(line, _Waiter(thing, place))
            return Standing.WAITS
        return self._leave(line, place)

    def leave(self, place: Place) -> Standing:
        """Note that one waits in the store and is to be brought from there."""
        line = self._line(place.line)
        line.offers += 1
        return self._leave(line, place)

    def _leave(self, line: _Line[T], place: Place) -> Standing:
        line.stored += 1
        line.top = max(line.top, place.priority)
        line.is_exhausted = False
        self._ask(line)
        return Standing.STORED

    def resume(self, thing: T, place: Place) -> bool:
        """Take up one that holds its lease already; it waits for nothing but a slot (then: False)."""
        line = self._line(place.line)
        line.running += 1
        line.by_key[place.key] += 1
        if self._count < self.slots:
            self._count += 1
            return True
        self._resuming.append((thing, place))
        return False

    def done(self, place: Place) -> Iterator[T]:
        """Give a slot and a lease back and return those that may start now."""
        self._count -= 1
        self._let_go(place)
        yield from self.next_ones()

    def next_ones(self) -> Iterator[T]:
        """Return those that may start now."""
        while self._count < self.slots:
            if self._resuming:
                thing, _ = self._resuming.popleft()
                self._count += 1
                yield thing
            elif (waiter := self._next()) is not None:
                yield waiter.thing
            else:
                return

    def remove(self, thing: T, place: Place) -> bool:
        """Take it out of the line; False when it does not stand there."""
        for entry in self._resuming:
            if entry[0] is thing:
                self._resuming.remove(entry)
                self._let_go(place)
                return True
        line = self._line(place.line)
        for waiter in line.waiting.get(place.key, ()):
            if waiter.thing is thing:
                self._take(line, waiter)
                self._settle(line)
                return True
        return False

    # — what the store holds —

    def learn(self, stored: Mapping[str, tuple[int, int]]) -> None:
        """Say how many wait in the store and the highest priority among them, line by line."""
        for name, (count, top) in stored.items():
            line = self._line(name)
            line.stored, line.top = max(count - line.count, 1), max(line.top, top)
            line.is_exhausted = False
            self._ask(line)

    def appetite(self, name: str) -> Appetite:
        """Return what of a line is wanted from the store."""
        line = self._line(name)
        near = Counter(line.by_key)
        for key, waiters in line.waiting.items():
            near[key] += len(waiters)
        return Appetite(max(1, WINDOW - line.soon()), near, line.cursor, line.offers)

    def fed(
        self,
        name: str,
        fresh: Sequence[tuple[T, Place]],
        asked: Appetite,
        *,
        is_all: bool,
        has_rest: bool,
        has_changed: bool = False,
    ) -> None:
        """
        Take in what the store gave.

        `is_all` says that it has no others that could start now, `has_rest` that there are some that cannot, `has_changed` that
        it is worth asking again.
        """
        line = self._line(name)
        for thing, place in fresh:
            self._put(line, _Waiter(thing, place))
            line.cursor = place.key
        has_come = line.offers != asked.offers  # while the store was asked: it may not have seen them
        line.stored = max(line.stored - len(fresh), 1)
        if (is_all or not (fresh or has_changed)) and not has_come:
            line.is_exhausted = True
            if is_all and not has_rest:
                line.stored, line.top = 0, PRIORITIES[0]
        self.hungry.discard(name)
        self._settle(line)

    def turned_away(self, place: Place) -> Iterator[T]:
        """
        Give the slot and lease of one back that found no place after all (another program has it) and waits in the store again.

        Returns those that may start now. The line is not asked for more until something of it is done or `learn` tells of it:
        the same one would be brought and turned away again and again.
        """
        self._count -= 1
        line = self._line(place.line)
        line.stored += 1
        self._let_go(place)
        line.is_exhausted = True
        self.hungry.discard(line.name)
        yield from self.next_ones()

    # — inside —

    def _line(self, name: str) -> _Line[T]:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line(name)
        return line

    def _put(self, line: _Line[T], waiter: _Waiter[T]) -> None:
        line.put(waiter)
        self._waiting[line.name] = line

    def _take(self, line: _Line[T], waiter: _Waiter[T]) -> None:
        line.take(waiter)
        if not line.count:
            del self._waiting[line.name]

    def _is_behind(self, line: _Line[T], place: Place) -> bool:
        """Whether somebody of the same key waits already and is not less urgent."""
        waiters = line.waiting.get(place.key)
        return waiters is not None and waiters[0].place.priority >= place.priority

    def _may_start(self, line: _Line[T], place: Place) -> bool:
        free = self.slots - self._count
        return free > 0 and line.running < SHARE * free and line.has_room(place)

    def _begin(self, line: _Line[T], place: Place) -> None:
        self._count += 1
        self._turn += 1
        line.running += 1
        line.by_key[place.key] += 1
        line.served = self._turn

    def _let_go(self, place: Place) -> None:
        line = self._line(place.line)
        line.running -= 1
        line.by_key[place.key] -= 1
        if not line.by_key[place.key]:
            del line.by_key[place.key]
        line.is_exhausted = False
        self._settle(line)

    def _settle(self, line: _Line[T]) -> None:
        """Forget a line that nothing is in; ask for more where the window runs low."""
        if not (line.running or line.count or line.stored):
            self._lines.pop(line.name, None)
            self.hungry.discard(line.name)
        else:
            self._ask(line)

    def _ask(self, line: _Line[T]) -> None:
        if line.stored and not line.is_exhausted and line.name not in self.hungry and line.soon() < LOW:
            self.hungry.add(line.name)
            self.on_hungry()

    def _next(self) -> _Waiter[T] | None:
        free = self.slots - self._count
        is_fair = (self._turn + 1) % FAIR_TURN == 0
        best: _Waiter[T] | None = None
        best_rank: tuple[int, int, int, str] | None = None
        for line in self._waiting.values():
            if line.running >= SHARE * free:
                continue
            if is_fair:
                waiter = line.oldest()
                rank = None if waiter is None else (0, 0, 0, waiter.place.order)
            else:
                waiter = min(line.candidates(), key=lambda one: -one.place.priority, default=None)
                rank = None if waiter is None else (-waiter.place.priority, line.running, line.served, waiter.place.order)
            if rank is not None and (best_rank is None or rank < best_rank):
                best, best_rank = waiter, rank
        if best is None:
            return None
        line = self._lines[best.place.line]
        self._take(line, best)
        self._begin(line, best.place)
        self._ask(line)
        return best
