"""The way back from a value of a stored run: fields, expressions, loops, tries; and against an independent reference."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.run.tracing import Traces
from tests.run.workshop import a_document, a_node

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")


async def way_back(shop, document, items, *at, **more):
    finished = await shop.run(document, items)
    assert finished["error"] is None
    return await shop.store.read(lambda work: Traces(work, finished["id"], shop.catalog).back(*at, **more))


async def test_a_field_is_followed_through_expressions(shop):
    """
    Each hop says how the field came to be: computed by an expression from other fields, then copied from the source.
    """
    price = a_node("price", "data.set", fields={"fields": {"sum": "item.qty * item.each"}})
    document = a_document([START, price, a_node("keep", "data.filter", where="item.qty > 1")], "start -> price -> keep")
    hops = await way_back(shop, document, [{"qty": 1, "each": 9}, {"qty": 3, "each": 5}], "keep", "out", 0, path="sum")
    told = [(hop.node, hop.index, hop.path, hop.value, hop.how, hop.expression) for hop in hops]
    assert [
        ("keep", 0, "sum", 15, "copied", None),
        ("price", 1, "sum", 15, "computed", "item.qty * item.each"),
        ("start", 1, "qty", 3, "source", None),
        ("start", 1, "each", 5, "source", None),
    ] == told


async def test_through_a_loop(shop):
    """
    The way back leads through the pass and out of it.
    """
    work = a_node("work", "data.set", fields={"fields": {"n": "item.n * 2"}})
    document = a_document([START, a_node("each", "flow.loop"), work], "start -> each, each.each -> work -> each.next")
    hops = await way_back(shop, document, [{"n": 1}, {"n": 2}], "each", "done", 1, path="n")
    places = [(hop.scope, hop.node, hop.port, hop.index, hop.value) for hop in hops]
    assert [
        ("", "each", "done", 1, 4),
        ("each:1", "each", "next", 0, 4),
        ("each:1", "work", "out", 0, 4),
        ("each:1", "each", "each", 0, 2),
        ("", "start", "out", 1, 2),
    ] == places


async def test_through_passes_that_feed_each_other(shop):
    """
    In a loop with a condition the way leads from pass to pass.
    """
    loop = a_node("each", "flow.loop", over="condition", condition="item.n < 8", keep="last")
    document = a_document([START, loop, a_node("work", "test.double")], "start -> each, each.each -> work -> each.next")
    hops = await way_back(shop, document, [{"n": 1}], "each", "done", 0)
    assert ["each:2", "each:1", "each:0"] == [hop.scope for hop in hops if hop.node == "work"]
    assert ("start", ()) == (hops[-1].node, hops[-1].came_from)


STEPS = ("filter", "set", "sort", "loop", "batches", "split", "sum", "try", "merge")


@st.composite
def pipelines(draw):
    return draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5))


def build(steps):
    """Make the document; every step keeps the list `ids` of the source items that an item was made from."""
    nodes, edges, at = [START], [], "start"
    for number, step in enumerate(steps):
        name = f"s{number}"
        match step:
            case "filter":
                nodes.append(a_node(name, "data.filter", where="item.n % 3 != 0"))
            case "set":
                nodes.append(a_node(name, "data.set", fields={"fields": {"n": "item.n + index"}}))
            case "sort":
                nodes.append(a_node(name, "data.sort", by=["item.n"], order="desc"))
            case "sum":
                values = {"n": "sum(items.map(i => i.n))", "ids": "items.flat_map(i => i.ids).unique()"}
                nodes.append(a_node(name, "data.summarize", by={"k": "item.n % 2"}, values=values))
            case "split":
                nodes.append(a_node(f"{name}b", "data.set", fields={"fields": {"xs": "[1, 2]"}}))
                edges.append(f"{at} -> {name}b")
                at = f"{name}b"
                nodes.append(a_node(name, "data.split", list="item.xs", keep="all"))
            case "loop" | "batches" | "try":
                use = "flow.try" if step == "try" else "flow.loop"
                fields = {} if step != "batches" else {"over": "batches", "size": 2}
                nodes += [a_node(name, use, fields=fields), a_node(f"{name}w", "data.sort", by=["-item.n"])]
                port = "body" if step == "try" else "each"
                edges += [f"{at} -> {name}", f"{name}.{port} -> {name}w -> {name}.next"]
                at = f"{name}.done"
                continue
            case "merge":
                nodes += [a_node(f"{name}f", "data.filter", where="item.n > 4"), a_node(name, "flow.merge", mode="append")]
                edges += [f"{at} -> {name}f", f"{name}f -> {name}.a", f"{name}f.rejected -> {name}.b"]
                at = name
                continue
        edges.append(f"{at} -> {name}")
        at = name
    return a_document(nodes, ", ".join(edges)), at


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=pipelines(), numbers=st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_random_pipelines(make_workshop, steps, numbers):
    """
    The sources at the end of the way back are those that the data itself remembers.
    """
    items = [{"n": n, "ids": [at]} for at, n in enumerate(numbers)]
    document, last = build(steps)
    name, _, port = last.partition(".")

    async def check():
        shop = await make_workshop()
        finished = await shop.run(document, items)
        assert finished["error"] is None
        for index, item in enumerate(finished["outputs"].get(name, {}).get(port or "out", [])):
            hops = await shop.store.read(
                lambda work, at=index: Traces(work, finished["id"], shop.catalog).back(name, port or "out", at)
            )
            assert sorted(item["ids"]) == sorted({hop.index for hop in hops if hop.node == "start"})
        await shop.worker.stop()
        await shop.store.stop()

    asyncio.run(check())
