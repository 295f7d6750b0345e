"""Frames that catch, and undoing: try, caught, finally, compensate."""

import pytest

from engine.errors import Refused
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
TRY = a_node("guard", "flow.try")
NUMBERS = [{"n": 1}, {"n": 2}]
AFTER = ", guard.done -> good, guard.caught -> bad, guard.finally -> last"
ENDS = [a_node("good"), a_node("bad"), a_node("last")]


def tried(body, edges):
    return a_document([START, TRY, *body, *ENDS], f"start -> guard, {edges}{AFTER}")


async def test_nothing_failed(shop):
    """
    What comes back leaves by `done` and `finally`.
    """
    document = tried([a_node("work", "test.double")], "guard.body -> work -> guard.next")
    finished = await shop.run(document, NUMBERS)
    doubled = [{"n": 2}, {"n": 4}]
    assert {"good": {"out": doubled}, "last": {"out": doubled}} == finished["outputs"]


async def test_a_failure_is_caught(shop):
    """
    The item that failed leaves by `caught` with its error, and the run goes on and succeeds.
    """
    document = tried([a_node("work", "test.break"), a_node("never")], "guard.body -> work -> never -> guard.next")
    run = shop.start(document, NUMBERS)
    await shop.worker.wait(run.id)
    finished = await shop.finished(run.id)
    assert "succeeded" == finished["status"]
    (bad,) = finished["outputs"]["bad"]["out"]
    assert (1, "step_crashed", "work") == (bad["n"], bad["error"]["code"], bad["error"]["where"]["node"])
    assert [bad] == finished["outputs"]["last"]["out"]
    assert "good" not in finished["outputs"]


async def test_the_item_that_failed(shop, outside):
    """
    Where one item of many failed, it is that one; steps after the frame know where it came from.
    """

    outside.fail["2"] = [Refused("no")]
    ask = a_node("bad", "data.set", fields={"fields": {"was": "nodes.start.item.n"}})
    nodes = [START, TRY, a_node("work", "test.send"), ask]
    document = a_document(nodes, "start -> guard, guard.body -> work -> guard.next, guard.caught -> bad")
    (bad,) = (await shop.run(document, NUMBERS))["outputs"]["bad"]["out"]
    assert (2, 2, "no") == (bad["n"], bad["was"], bad["error"]["message"])


async def test_from_inside_a_loop(shop):
    """
    A failure in a loop inside goes up to the frame that catches; passes at work are ended.
    """
    loop = a_node("each", "flow.loop", concurrency=3)
    body = [loop, a_node("work", "test.some_fail")]
    document = tried(body, "guard.body -> each, each.each -> work -> each.next, each.done -> guard.next")
    finished = await shop.run(document, [{"n": 1}, {"n": -7}, {"n": 3}])
    assert ["-7 is bad"] == [item["error"]["message"] for item in finished["outputs"]["bad"]["out"]]


async def test_tries_in_tries(shop):
    """
    The innermost frame catches; what fails at its `caught` goes to the next.
    """
    inner = a_node("inner", "flow.try")
    body = [inner, a_node("work", "test.break"), a_node("worse", "test.break")]
    document = tried(
        body,
        "guard.body -> inner, inner.body -> work -> inner.next, inner.done -> guard.next, inner.caught -> worse -> guard.next",
    )
    finished = await shop.run(document, NUMBERS)
    assert ["worse"] == [item["error"]["where"]["node"] for item in finished["outputs"]["bad"]["out"]]


async def test_ending_on_purpose_is_not_caught(shop):
    """
    `flow.stop` ends the run, whatever stands around it.
    """
    document = tried([a_node("work", "flow.stop", message="Enough")], "guard.body -> work")
    finished = await shop.run(document, NUMBERS)
    assert ("failed", "Enough") == (finished["status"], finished["error"]["message"])


async def test_cancelling_is_not_caught(shop, outside):
    """
    A run that is cancelled is cancelled.
    """
    run = shop.start(tried([a_node("work", "test.wait")], "guard.body -> work -> guard.next"), NUMBERS)
    await until(lambda: outside.seen("wait"))
    await shop.worker.cancel(run.id)
    assert "cancelled" == (await shop.finished(run.id))["status"]


async def test_what_is_at_work_beside_it_ends_first(shop, outside):
    """
    Another step of the body that is at work is stopped before `caught` goes on.
    """
    body = [a_node("slow", "test.wait"), a_node("work", "test.break")]
    document = tried(body, "guard.body -> slow -> guard.next, guard.body -> work -> guard.next")
    finished = await shop.run(document, NUMBERS)
    assert "succeeded" == finished["status"]
    assert [] == outside.seen("went")


async def test_an_empty_body_and_no_way_back(shop):
    """
    Where no line leads back, what came in leaves.
    """
    document = tried([a_node("work")], "guard.body -> work")
    assert NUMBERS == (await shop.run(document, NUMBERS))["outputs"]["good"]["out"]


BOOKING = [
    START,
    a_node("a", "test.send", what="a"),
    a_node("undo_a", "flow.compensate"),
    a_node("free_a", "test.send", what="-a"),
    a_node("b", "test.send", what="b"),
    a_node("undo_b", "flow.compensate"),
    a_node("free_b", "test.send", what="-b"),
]
BOOKED = "start -> a -> undo_a -> b -> undo_b, undo_a.undo -> free_a, undo_b.undo -> free_b"


async def test_what_was_done_is_undone(shop, outside):
    """
    When a run fails, the undo steps of what was done run in reverse order; the run failed all the same.
    """
    document = a_document([*BOOKING, a_node("work", "test.break")], f"{BOOKED}, undo_b -> work")
    run = shop.start(document, [{"n": 1}])
    await shop.worker.wait(run.id)
    finished = await shop.finished(run.id)
    assert ("failed", "step_crashed") == (finished["status"], finished["error"]["code"])
    assert ["a", "b", "-b", "-a"] == outside.seen("send")
    assert "undo_a:0" in {fact.scope for fact in await shop.store.read(lambda work: work.runs.facts(run.id))}


async def test_nothing_failed_nothing_undone(shop, outside):
    """
    A run that succeeds undoes nothing.
    """
    assert "succeeded" == (await shop.run(a_document(BOOKING, BOOKED), [{"n": 1}]))["status"]
    assert ["a", "b"] == outside.seen("send")


async def test_only_what_was_done_is_undone(shop, outside):
    """
    What the run did not come to is not undone.
    """

    outside.fail["b"] = [Refused("no")]
    assert "failed" == (await shop.run(a_document(BOOKING, BOOKED), [{"n": 1}]))["status"]
    assert ["a", "b", "-a"] == outside.seen("send")


async def test_an_undo_that_fails_keeps_no_other_from_its_work(shop, outside):
    """
    The failure of an undo step is shown, and the others are undone.
    """

    outside.fail["-b"] = [Refused("no")]
    document = a_document([*BOOKING, a_node("work", "test.break")], f"{BOOKED}, undo_b -> work")
    await shop.run(document, [{"n": 1}])
    assert ["a", "b", "-b", "-a"] == outside.seen("send")


async def test_passes_of_loops_are_undone(shop, outside):
    """
    What finished passes did is undone too, the last pass first.
    """
    free = a_node("free", "test.send", what="-{{ loop.item.n }}{{ nodes.start.item.n }}")
    body = [a_node("each", "flow.loop"), a_node("do", "test.send"), a_node("undo", "flow.compensate"), free]
    nodes = [START, *body, a_node("work", "test.break")]
    edges = "start -> each, each.each -> do -> undo -> each.next, undo.undo -> free, each.done -> work"
    await shop.run(a_document(nodes, edges), NUMBERS)
    assert [1, 2, "-22", "-11"] == outside.seen("send")


async def test_a_try_undoes_what_its_body_did(shop, outside):
    """
    What is caught undoes what was done in the body, before `caught` goes on; what was done before stays.
    """
    nodes = [*BOOKING[:4], TRY, *BOOKING[4:], a_node("work", "test.break"), a_node("bad", "test.send", what="caught")]
    edges = "start -> a -> undo_a -> guard, undo_a.undo -> free_a, guard.body -> b -> undo_b -> work -> guard.next"
    edges += ", undo_b.undo -> free_b, guard.caught -> bad"
    assert "succeeded" == (await shop.run(a_document(nodes, edges), [{"n": 1}]))["status"]
    assert ["a", "b", "-b", "caught"] == outside.seen("send")
