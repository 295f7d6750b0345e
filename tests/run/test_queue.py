"""Who may run now: slots, limits per workflow and key, fair shares, and a window onto what the store holds."""

from collections import Counter, defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.run import queue as queue_module
from engine.run.queue import SHARE, Place, RunQueue, Standing

STARTS, WAITS, STORED = Standing.STARTS, Standing.WAITS, Standing.STORED


def at(line: str, number: int = 0, **more: object) -> Place:
    """Return a place in a line; runs with smaller numbers came earlier."""
    return Place(line, order=f"{number:08}", **more)


def test_runs_start_in_the_order_they_came():
    """
    With one slot, each run waits for the one before.
    """
    queue = RunQueue(1)
    assert [STARTS, WAITS, WAITS] == [queue.offer(name, at(name, number)) for number, name in enumerate("abc")]
    assert ["b"] == list(queue.done(at("a")))
    assert ["c"] == list(queue.done(at("b")))


def test_a_full_workflow_does_not_hold_up_others():
    """
    A workflow at its own limit lets others pass.
    """
    queue = RunQueue(9)
    assert STARTS == queue.offer("a1", at("a", 1, of_line=1))
    assert WAITS == queue.offer("a2", at("a", 2, of_line=1))
    assert STARTS == queue.offer("b1", at("b", 3, of_line=1))
    assert ["a2"] == list(queue.done(at("a", 1, of_line=1)))


def test_a_full_key_does_not_hold_up_others():
    """
    Each key of a workflow has its own limit, and the keys take turns.
    """
    queue = RunQueue(3)
    acme, bolt = ({"key": key, "of_key": 1} for key in ("acme", "bolt"))
    assert [STARTS, WAITS, WAITS] == [queue.offer(f"acme{n}", at("a", n, **acme)) for n in range(3)]
    assert [STARTS, WAITS] == [queue.offer(f"bolt{n}", at("a", 10 + n, **bolt)) for n in range(2)]
    assert ["bolt1"] == list(queue.done(at("a", 10, **bolt)))
    assert ["acme1"] == list(queue.done(at("a", 0, **acme)))


def test_a_run_can_leave_the_line():
    """
    What is taken out of the line never starts.
    """
    queue = RunQueue(1)
    first, second, third = object(), object(), object()
    for number, thing in enumerate((first, second, third)):
        queue.offer(thing, at("a", number))
    assert (True, False) == (queue.remove(second, at("a")), queue.remove(second, at("a")))
    assert [third] == list(queue.done(at("a")))


def test_the_urgent_go_first_and_nobody_waits_for_ever():
    """
    A higher priority goes before a lower one; every eighth turn goes to whoever waits longest all the same.
    """
    queue = RunQueue(1)
    queue.offer("now", at("a", 0))
    queue.offer("slow", at("b", 1, priority=-5))
    for number in range(2, 20):
        queue.offer(f"urgent{number}", at(f"line{number}", number, priority=5))
    started = []
    while queue.running:
        (last,) = started[-1:] or ["now"]
        place = at("a") if last == "now" else at("b") if last == "slow" else at(f"line{last.removeprefix('urgent')}")
        started += list(queue.done(place))
    assert "urgent2" == started[0]
    assert started.index("slow") < 8
    assert 19 == len(started)


def test_one_line_never_takes_the_last_slots():
    """
    With eight slots and more, one workflow leaves an eighth of them free, so that the run of a newcomer starts at once.
    """
    queue = RunQueue(80)
    for number in range(200):
        queue.offer(number, at("a", number))
    assert 70 == queue.running
    assert [STARTS] * 5 == [queue.offer(name, at(name, 1000)) for name in "bcdef"]
    assert 80 * SHARE // (SHARE + 1) == queue.running - 5


def test_a_hundred_thousand_waiting_runs_are_no_objects():
    """
    Beyond a window they are left to the store; a run of another workflow starts all the same.
    """
    queue = RunQueue(4)
    for number in range(100_000):
        queue.offer(number, at("big", number, of_line=2))
    assert (2, 99_998, queue_module.WINDOW) == (queue.running, queue.waiting, queue.in_memory)
    assert STARTS == queue.offer("small", at("small"))
    assert set() == queue.hungry
    for _ in range(queue_module.WINDOW - queue_module.LOW + 1):
        list(queue.done(at("big", of_line=2)))
    assert {"big"} == queue.hungry


class Lines(RuleBasedStateMachine):
    """
    A queue beside a store that is a plain list: whatever comes and goes, no limit is passed, nothing is lost, nothing idles.
    """

    SLOTS = 5
    LIMITS = {"a": {"of_line": 2}, "b": {"of_line": 4, "of_key": 1}, "c": {}}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        queue_module.WINDOW, queue_module.LOW = 3, 2
        self.queue, self.number = RunQueue(self.SLOTS), 0
        self.going: dict[int, Place] = {}
        self.stored: dict[int, Place] = {}
        self.places: dict[int, Place] = {}
        self.over: set[int] = set()

    def teardown(self):
        queue_module.WINDOW, queue_module.LOW = 256, 64

    def begin(self, number):
        assert number not in self.going
        assert number not in self.over
        self.stored.pop(number, None)
        self.going[number] = self.places[number]

    @rule(line=st.sampled_from("abc"), key=st.sampled_from("xyz"), priority=st.integers(-1, 1))
    def comes(self, line, key, priority):
        self.number += 1
        place = at(line, self.number, key=key if line == "b" else "", priority=priority, **self.LIMITS[line])
        self.places[self.number] = place
        self.stored[self.number] = place
        if self.queue.offer(self.number, place) is STARTS:
            self.begin(self.number)

    @precondition(lambda self: self.going)
    @rule(chance=st.randoms())
    def ends(self, chance):
        number = chance.choice(sorted(self.going))
        self.over.add(number)
        for other in self.queue.done(self.going.pop(number)):
            self.begin(other)

    @precondition(lambda self: self.stored)
    @rule(chance=st.randoms())
    def is_cancelled(self, chance):
        number = chance.choice(sorted(self.stored))
        self.queue.remove(number, self.places[number])
        del self.stored[number]
        self.over.add(number)

    @rule()
    def crashes(self):
        """All memory is gone; the leases are what the store says they are."""
        self.queue = RunQueue(self.SLOTS)
        for number, place in sorted(self.going.items()):
            assert self.queue.resume(number, place)
        counts = Counter(place.line for place in self.stored.values())
        self.queue.learn({line: (count, 1) for line, count in counts.items()})
        self.feed()

    @rule()
    def feed(self):
        for _ in range(100):
            if not self.queue.hungry:
                break
            self.feed_once()
        assert not self.queue.hungry

    def feed_once(self):
        """Do what the store does: the keys in turn behind the cursor, of each the first in rank."""
        for line in sorted(self.queue.hungry):
            asked = self.queue.appetite(line)
            here = {w.thing for ws in self.queue._line(line).waiting.values() for w in ws}
            by_key = defaultdict(list)
            for number, place in self.stored.items():
                if place.line == line and number not in here:
                    by_key[place.key].append(number)
            found, has_rest, is_all = [], False, True
            for key in sorted(by_key, key=lambda key: (key <= asked.cursor, key)):
                if len(found) >= asked.wanted:
                    is_all, has_rest = False, True
                    break
                of_key = self.LIMITS[line].get("of_key")
                room = asked.wanted if of_key is None else max(0, of_key + 1 - asked.near[key])
                ranked = sorted(by_key[key], key=lambda number: (-self.places[number].priority, number))
                found += ranked[:room]
                has_rest = has_rest or len(ranked) > room
            self.queue.fed(line, [(n, self.places[n]) for n in found], asked, is_all=is_all, has_rest=has_rest)
            for number in self.queue.next_ones():
                self.begin(number)

    @invariant()
    def no_limit_is_passed(self):
        assert len(self.going) == self.queue.running <= self.SLOTS
        for line, limits in self.LIMITS.items():
            there = [place for place in self.going.values() if place.line == line]
            assert len(there) <= limits.get("of_line", self.SLOTS)
            assert all(count <= limits.get("of_key", self.SLOTS) for count in Counter(p.key for p in there).values())

    @invariant()
    def memory_is_bounded(self):
        assert self.queue.in_memory <= 3 * (2 * 3 + self.SLOTS + 3)

    def drain(self):
        """Let everything end: nothing that came is left behind."""
        for _ in range(10_000):
            self.feed()
            if not self.going:
                break
            number = min(self.going)
            self.over.add(number)
            for other in self.queue.done(self.going.pop(number)):
                self.begin(other)
        assert set(self.places) == self.over
        assert (0, 0) == (self.queue.running, self.queue.waiting)

    @rule()
    def everything_comes_to_its_end(self):
        self.drain()


TestLines = Lines.TestCase
TestLines.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
