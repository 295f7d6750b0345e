"""flow.wait and flow.signal: what they ask for, what they give when they are woken."""

from datetime import timedelta

import pytest

from engine.clock import ManualClock
from engine.model.run import FactKind, RunStatus
from tests.run.test_any_prefix import go
from tests.run.test_waiting import over
from tests.run.workshop import a_document, a_node

pytestmark = pytest.mark.anyio

START = a_node("start", "trigger.manual")
ITEMS = [{"n": 1}, {"n": 2}]


def waits(**fields):
    """start -> pause -> end, and pause.late -> late where there is a deadline"""
    late = ", pause.late -> late" if "deadline" in fields else ""
    nodes = [START, a_node("pause", "flow.wait", **fields), a_node("end")] + ([a_node("late")] if late else [])
    return a_document(nodes, f"start -> pause -> end{late}")


def signals(**fields):
    return a_document([START, a_node("tell", "flow.signal", **{"signal": '"paid"', **fields})], "start -> tell")


async def ended(shop, run):
    await over(shop, run)
    return (await shop.finished(run.id))["outputs"]


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"for": "2h"}, timedelta(hours=2)),
        ({"until": "2026-11-24T12:00:00+00:00"}, timedelta(days=1)),
        ({"until": "{{ item.at }}"}, timedelta(minutes=1)),
        ({"signal": "paid", "deadline": "2d"}, timedelta(days=2)),
    ],
)
async def test_a_wait_says_until_when(make_workshop, fields, due):
    """
    A duration, a moment, an expression, a deadline: the row has the moment.
    """
    shop = await make_workshop(clock=ManualClock())
    run = shop.start(waits(**fields), [{"at": "2026-11-23T12:01:00Z"}])
    await shop.worker.wait(run.id)

    (waiting,) = await shop.store.read(lambda work: work.waits.of_run(run.id))
    assert shop.clock.now() + due == waiting.wake_at
    await shop.worker.stop()
    await shop.store.stop()


async def test_after_a_time_the_items_pass_on(shop):
    """
    The very items that came leave again.
    """
    assert {"end": {"out": ITEMS}} == await ended(shop, shop.start(waits(**{"for": "20ms"}), ITEMS))


@pytest.mark.parametrize("fields", [{"for": 0}, {"until": "2020-01-01"}])
async def test_a_time_that_is_over_is_not_waited_for(shop, fields):
    """
    The run goes on without parking.
    """
    run = shop.start(waits(**fields), ITEMS)
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(run.id)).status
    assert {"end": {"out": ITEMS}} == (await shop.finished(run.id))["outputs"]


@pytest.mark.parametrize("fields", [{}, {"for": "1h", "signal": "paid"}, {"for": "99999999d"}])
async def test_what_cannot_be_waited_for_is_told(shop, fields):
    """
    Nothing, two things at once, beyond the calendar.
    """
    run = await shop.run(waits(**fields), ITEMS)
    assert ("failed", "bad_input") == (run["status"], run["error"]["code"])


async def test_a_signal_of_a_step_wakes_a_run(shop):
    """
    Name and key agree, and what it brings leaves in place of what waited.
    """
    run = shop.start(waits(signal="paid", key="{{ item.n }}"), ITEMS)
    other = shop.start(waits(signal="paid", key="9"), ITEMS)
    for one in (run, other):
        await shop.worker.wait(one.id)

    await shop.run(signals(key="item.n", data="{amount: item.n * 10}"), [{"n": 1}])

    assert {"end": {"out": [{"amount": 10}]}} == await ended(shop, run)
    assert RunStatus.WAITING == (await shop.worker.wait(other.id)).status


async def test_a_signal_may_come_too_early(shop):
    """
    One that is kept is there for the first that waits; one that is not kept is gone.
    """
    await shop.run(signals(key='"k"'), [{"n": 1}])
    await shop.run(signals(key='"k"', keep="1h"), [{"n": 2}])

    assert {"end": {"out": [{"n": 2}]}} == await ended(shop, shop.start(waits(signal="paid", key="k"), ITEMS))
    assert RunStatus.WAITING == (await shop.worker.wait(shop.start(waits(signal="paid", key="k"), ITEMS).id)).status


async def test_a_deadline_has_a_port_of_its_own(shop):
    """
    When nobody sends the signal in time, the items leave by `late`.
    """
    assert {"late": {"out": ITEMS}} == await ended(shop, shop.start(waits(signal="paid", deadline="20ms"), ITEMS))


async def test_data_that_are_no_items_are_told(shop):
    """
    A signal brings objects.
    """
    run = await shop.run(signals(data="17"), [{"n": 1}])
    assert ("failed", "bad_input") == (run["status"], run["error"]["code"])


def test_a_signal_of_each_pass_is_sent_once():
    """
    Wherever a crash cuts the journal, each pass of a loop sends its own signal, and none sends it twice.
    """
    tell = a_node("tell", "flow.signal", signal='"paid"', key="item.n")
    nodes = [a_node("n0", "prefix.pass"), a_node("each", "flow.loop"), tell]
    document = a_document(nodes, "n0 -> each, each.each -> tell -> each.next")
    _, whole = go(document, [])
    for length in range(len(whole) + 1):
        ending, facts = go(document, [], whole[:length])
        sent = [(fact.scope, fact.summary["key"]) for fact in facts if fact.kind is FactKind.SIGNALLED]
        assert (RunStatus.SUCCEEDED, [("each:0", "1"), ("each:1", "2"), ("each:2", "3")]) == (ending.status, sent), length
