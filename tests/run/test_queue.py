"""Slots, and limits per workflow."""

from hypothesis import given
from hypothesis import strategies as st

from engine.run.queue import RunQueue


def test_runs_start_in_the_order_they_came():
    """
    With one slot, each run waits for the one before.
    """
    queue = RunQueue(1)
    assert [True, False, False] == [queue.offer(name, key=name, limit=None) for name in "abc"]
    assert ["b"] == list(queue.done("a"))
    assert ["c"] == list(queue.done("b"))


def test_a_full_workflow_does_not_hold_up_others():
    """
    A workflow at its own limit lets others pass.
    """
    queue = RunQueue(9)
    assert queue.offer("a1", key="a", limit=1)
    assert not queue.offer("a2", key="a", limit=1)
    assert queue.offer("b1", key="b", limit=1)
    assert ["a2"] == list(queue.done("a"))


def test_a_run_can_leave_the_line():
    """
    What is taken out of the line never starts.
    """
    queue = RunQueue(1)
    first, second, third = object(), object(), object()
    for thing in (first, second, third):
        queue.offer(thing, key="a", limit=None)
    assert (True, False) == (queue.remove(second, key="a"), queue.remove(second, key="a"))
    assert [third] == list(queue.done("a"))


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_no_limit_is_ever_passed(slots, moves):
    """
    Whatever comes and goes: never more than the slots, never more of a workflow than it allows, and nothing idles for nothing.
    """
    limits = {"a": 1, "b": 2, "c": None}
    queue, running, waiting = RunQueue(slots), [], 0
    for number, (key, is_end) in enumerate(moves):
        if is_end and running:
            over = running.pop(0)
            started = list(queue.done(over[0]))
            running += started
            waiting -= len(started)
        elif queue.offer((key, number), key=key, limit=limits[key]):
            running.append((key, number))
        else:
            waiting += 1
        assert len(running) == queue.running <= slots
        assert waiting == queue.waiting
        for one, limit in limits.items():
            assert limit is None or sum(found[0] == one for found in running) <= limit
