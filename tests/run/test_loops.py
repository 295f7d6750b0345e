"""Loops: over items, batches and conditions, side by side, broken, failed, nested; what leaves and where it came from."""

import pytest

from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
NUMBERS = [{"n": 1}, {"n": 2}, {"n": 3}]


def a_loop(**settings):
    return a_node("each", "flow.loop", **settings)


def a_set(id="work", **fields):
    return a_node(id, "data.set", fields={"fields": fields})


def looped(body, edges, items=(), after="", **settings):
    """Make a document of a loop with this body; `edges` lead from `each.each` to `each.next`."""
    return a_document([START, a_loop(**settings), *body], f"start -> each, {edges}{after}")


async def done(shop, document, items=NUMBERS, node="each"):
    finished = await shop.run(document, items)
    assert finished["error"] is None
    return finished["outputs"][node]["done"]


async def test_a_pass_for_each_item(shop):
    """
    Each item goes through the body by itself; what comes back leaves by `done`, in order.
    """
    document = looped([a_set(twice="item.n * 2", at="loop.index", of="loop.count", all="items.length()")],
                      "each.each -> work -> each.next")  # fmt: skip
    expected = [{"n": n, "twice": 2 * n, "at": n - 1, "of": 3, "all": 1} for n in (1, 2, 3)]
    assert expected == await done(shop, document)


async def test_a_pass_for_each_batch(shop):
    """
    Batches of n, the last one smaller.
    """
    document = looped(
        [a_set(all="items.length()", first="loop.item.n")], "each.each -> work -> each.next", over="batches", size=2
    )
    assert [(2, 1), (2, 1), (1, 3)] == [(item["all"], item["first"]) for item in await done(shop, document)]


async def test_while_a_condition_holds(shop):
    """
    What comes back goes into the next pass.
    """
    document = looped([a_set(n="item.n * 2")], "each.each -> work -> each.next", over="condition",
                      condition="item.n < 100", keep="last")  # fmt: skip
    assert [{"n": 128}] == await done(shop, document, [{"n": 1}])


async def test_a_condition_that_does_not_hold_at_first(shop):
    """
    No pass is made, and what came in leaves.
    """
    document = looped([a_set(n="1 / 0")], "each.each -> work -> each.next", over="condition", condition="false", keep="last")
    assert NUMBERS == await done(shop, document)


async def test_the_ceiling(shop):
    """
    A loop that would never end stops with a sentence that says so.
    """
    document = looped([a_set(n="item.n")], "each.each -> work -> each.next", over="condition", condition="true", ceiling=5)
    error = (await shop.run(document, NUMBERS))["error"]
    assert "“Each” made 5 passes, as many as it may, and its condition still holds." == error["message"]
    assert ("too_many_passes", "each") == (error["code"], error["where"]["node"])
    document = looped([a_set(n="item.n")], "each.each -> work -> each.next", ceiling=2)
    assert "would take 3 passes; at most 2" in (await shop.run(document, NUMBERS))["error"]["message"]


async def test_what_is_kept(shop):
    """
    All, the last, or a count.
    """
    for keep, expected in {"all": [2, 4, 6], "last": [6]}.items():
        document = looped([a_node("work", "test.double")], "each.each -> work -> each.next", keep=keep)
        assert expected == [item["n"] for item in await done(shop, document)]
    document = looped([a_node("work", "test.double")], "each.each -> work", keep="none")
    assert [{"passes": 3, "failed": 0}] == await done(shop, document)


async def test_passes_side_by_side(shop, outside):
    """
    As many passes as `concurrency` says go at a time; what leaves is in the order of the passes all the same.
    """
    document = looped([a_node("work", "test.send")], "each.each -> work -> each.next", concurrency=3)
    sent = await done(shop, document, [{"n": n} for n in range(9)])
    assert list(range(9)) == [item["sent"] for item in sent]
    assert 3 == outside.most_together


async def test_break(shop):
    """
    After `flow.break` no further pass begins.
    """
    body = [a_node("enough", "flow.if", when="item.n == 2"), a_node("stop", "flow.break")]
    document = looped(body, "each.each -> enough, enough.true -> stop -> each.next, enough.false -> each.next")
    assert [{"n": 1}, {"n": 2}] == await done(shop, document)
    document = looped([a_set(n="item.n")], "each.each -> work -> each.next", break_when="item.n == 2")
    assert [{"n": 1}, {"n": 2}] == await done(shop, document)


async def test_skips_inside_never_hang(shop):
    """
    A pass in which nothing comes back is over when nothing more can go on in it.
    """
    body = [a_node("odd", "data.filter", where="item.n % 2 == 1"), a_node("a"), a_node("b")]
    document = looped(body, "each.each -> odd -> a -> b -> each.next")
    assert [{"n": 1}, {"n": 3}] == await done(shop, document)
    assert [] == await done(shop, document, [{"n": 2}])


async def test_loops_in_loops(shop):
    """
    Each pass of the outer loop opens the inner one anew; the inner pass sees both.
    """
    inner = a_node("inner", "flow.loop")
    split = a_node("split", "data.split", list="item.xs")
    work = a_set("work", at="[loop.outer.index, loop.index]", from_="nodes.start.item.name")
    nodes = [START, a_loop(), split, inner, work]
    edges = "start -> each, each.each -> split -> inner, inner.each -> work -> inner.next, inner.done -> each.next"
    items = [{"name": "a", "xs": [1, 2]}, {"name": "b", "xs": [3]}]
    found = await done(shop, a_document(nodes, edges), items)
    assert [([0, 0], "a"), ([0, 1], "a"), ([1, 0], "b")] == [(item["at"], item["from_"]) for item in found]


async def test_steps_know_their_scope(shop):
    """
    The journal names the pass of each step; the loop's own line counts them.
    """
    document = looped([a_set(n="item.n")], "each.each -> work -> each.next")
    run = shop.start(document, NUMBERS)
    await shop.worker.wait(run.id)
    facts = await shop.store.read(lambda work: work.runs.facts(run.id))
    told = [(fact.kind.value, fact.node, fact.scope) for fact in facts]
    assert ("step_succeeded", "work", "each:1") in told
    assert ("scope_done", "each", "each:2") in told
    assert 3 == facts[-1].summary["passes"]


async def test_a_failing_pass_ends_the_run(shop):
    """
    Without a word about errors a failure in the body is the run's.
    """
    document = looped([a_node("work", "test.some_fail")], "each.each -> work -> each.next")
    finished = await shop.run(document, [{"n": 1}, {"n": -1}, {"n": 2}])
    assert ("failed", "-1 is bad") == (finished["status"], finished["error"]["message"])


@pytest.mark.parametrize("on_error", ["route", "ignore"])
async def test_a_failing_pass_may_leave_by_error(shop, on_error):
    """
    The items of a pass that failed leave by `error`, or are dropped and counted; the others go on.
    """
    nodes = [START, a_loop(on_error=on_error), a_node("work", "test.some_fail"), a_node("bad"), a_node("good")]
    edges = "start -> each, each.each -> work -> each.next, each.error -> bad, each.done -> good"
    finished = await shop.run(a_document(nodes, edges), [{"n": 1}, {"n": -1}, {"n": 2}])
    assert [{"n": 1}, {"n": 2}] == finished["outputs"]["good"]["out"]
    if on_error == "route":
        assert ["-1 is bad"] == [item["error"]["message"] for item in finished["outputs"]["bad"]["out"]]


async def test_lineage_goes_through(shop):
    """
    A step after the loop knows which item of a step before it its item came from.
    """
    nodes = [START, a_loop(over="batches", size=2), a_node("part", "test.part"), a_set("ask", was="nodes.start.item.name")]
    edges = "start -> each, each.each -> part, part.odd -> each.next, part.even -> each.next, each.done -> ask"
    people = [{"name": name, "n": n} for n, name in enumerate("abcde")]
    finished = await shop.run(a_document(nodes, edges), people)
    assert list("badce") == [item["was"] for item in finished["outputs"]["ask"]["out"]]


async def test_the_body_is_not_seen_from_outside(shop):
    """
    What the steps of a body gave belongs to their pass.
    """
    nodes = [START, a_loop(), a_node("work"), a_set("ask", x="nodes.work.items")]
    document = a_document(nodes, "start -> each, each.each -> work -> each.next, each.done -> ask")
    assert "stands in the body of a frame" in (await shop.run(document, NUMBERS))["error"]["message"]


async def test_beside_a_slow_branch(shop, outside):
    """
    A loop goes on while another branch waits.
    """
    nodes = [START, a_node("slow", "test.wait"), a_loop(), a_node("work", "test.send"), a_node("end")]
    document = a_document(nodes, "start -> slow, start -> each, each.each -> work -> each.next, slow -> end, each.done -> end")
    run = shop.start(document, NUMBERS)

    await until(lambda: len(outside.seen("send")) == 3)
    outside.gate("gate").set()
    await shop.worker.wait(run.id)
    assert 6 == len((await shop.finished(run.id))["outputs"]["end"]["out"])


async def test_a_retry_inside(shop, outside):
    """
    A step in a body is tried again like any other.
    """
    from datetime import timedelta

    from engine.errors import Unavailable
    from engine.model.workflow import RetryPolicy

    outside.fail["2"] = [Unavailable("away")]
    work = a_node("work", "test.send", retry=RetryPolicy(attempts=2, first=timedelta(0)))
    assert [1, 2, 3] == [item["sent"] for item in await done(shop, looped([work], "each.each -> work -> each.next"))]
