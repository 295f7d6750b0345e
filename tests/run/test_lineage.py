"""Where items come from: through filters, branches, joins and sums, in expressions and in the trace."""

import pytest

from engine.run.tracing import trace
from tests.run.workshop import a_document, a_node

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
PEOPLE = [{"name": "Ada", "n": 1}, {"name": "Bob", "n": 2}, {"name": "Cyd", "n": 3}, {"name": "Dan", "n": 4}]


def ask(source: str):
    """Make a node that keeps what the expression gives as `x`."""
    return a_node("ask", "data.set", fields={"fields": {"x": source}, "keep": "none"})


async def answers(shop, nodes, edges, items=PEOPLE):
    finished = await shop.run(a_document([START, *nodes], edges), items)
    assert finished["error"] is None
    return [item["x"] for item in finished["outputs"]["ask"]["out"]]


async def test_through_a_step_that_keeps_the_order(shop):
    """
    Item i came from item i.
    """
    nodes = [a_node("double", "test.double"), ask("nodes.start.item.name + item.n")]
    assert ["Ada2", "Bob4", "Cyd6", "Dan8"] == await answers(shop, nodes, "start -> double -> ask")


async def test_through_a_branch(shop):
    """
    Items that took a branch still know what they were.
    """
    nodes = [a_node("part", "test.part"), a_node("double", "test.double"), ask("nodes.part.item.n")]
    assert [1, 3] == await answers(shop, nodes, "start -> part, part.odd -> double -> ask")


async def test_through_a_join(shop):
    """
    Where two branches come together, each item knows its own way.
    """
    nodes = [a_node("part", "test.part"), a_node("double", "test.double"), ask("nodes.start.item.name")]
    edges = "start -> part, part.odd -> double -> ask, part.even -> ask"
    assert ["Ada", "Cyd", "Bob", "Dan"] == await answers(shop, nodes, edges)


async def test_through_named_ports(shop):
    """
    A step with two in-ports says for each item which port it came by.
    """
    nodes = [a_node("part", "test.part"), a_node("join", "test.join"), ask("nodes.start.item.name")]
    edges = "start -> part, part.odd -> join.b, part.even -> join.a, join -> ask"
    assert ["Bob", "Dan", "Ada", "Cyd"] == await answers(shop, nodes, edges)


async def test_a_sum_of_many_is_not_one_item(shop):
    """
    Where the current item came from several, `item` is an error that names the way out.
    """
    document = a_document([START, a_node("total", "test.total"), ask("nodes.start.item.name")], "start -> total -> ask")
    error = (await shop.run(document, PEOPLE))["error"]
    assert "this came from several items of “start”, so nodes.start.item is not one item" == error["message"]
    assert "use nodes.start.items or first(nodes.start.items)" == error["hint"]


async def test_a_bare_list_came_from_the_whole_batch(shop):
    """
    A step that says nothing about lineage made its items from all that arrived; from one item, that is the one.
    """
    nodes = [START, a_node("make", "test.make"), ask("nodes.start.item.name")]
    document = a_document(nodes, "start -> make -> ask")
    assert "several items" in (await shop.run(document, PEOPLE))["error"]["message"]
    assert [{"x": "Ada"}] * 2 == (await shop.run(document, PEOPLE[:1]))["outputs"]["ask"]["out"]


async def test_all_items_of_a_node(shop):
    """
    `items` are all that left the node, whatever the current item is.
    """
    nodes = [a_node("total", "test.total"), ask("nodes.start.items.map(p => p.name).join(', ')")]
    assert ["Ada, Bob, Cyd, Dan"] == await answers(shop, nodes, "start -> total -> ask")


async def test_one_port_of_a_node(shop):
    """
    `ports.<port>` are the items that left by that port.
    """
    nodes = [a_node("part", "test.part"), ask("nodes.part.ports.even.map(p => p.name).join(', ')")]
    assert ["Bob, Dan", "Bob, Dan"] == await answers(shop, nodes, "start -> part, part.odd -> ask")


async def test_the_only_item_of_a_node_is_meant_from_anywhere(shop):
    """
    A node that gave exactly one item has no other that could be meant.
    """
    nodes = [a_node("total", "test.total"), a_node("join", "test.join"), ask("nodes.total.item.n")]
    assert [10] * 5 == await answers(shop, nodes, "start -> total -> join.a, start -> join.b, join -> ask")


async def test_through_a_merge_by_key(shop):
    """
    An item merged from two knows both.
    """
    merge = a_node("merge", "flow.merge", mode="by_key", left=["item.n"], right=["item.n"], keep="inner")
    nodes = [
        a_node("some", "data.filter", where="item.n > 2"),
        a_node("all"),
        merge,
        ask("nodes.some.item.name + nodes.all.item.name"),
    ]
    edges = "start -> some -> merge.a, start -> all -> merge.b, merge -> ask"
    assert ["CydCyd", "DanDan"] == await answers(shop, nodes, edges)


async def test_a_filter_and_a_summary(shop):
    """
    The steps of Treadle itself keep lineage, groups included.
    """
    nodes = [
        a_node("some", "data.filter", where="item.n > 1"),
        a_node("groups", "data.summarize", by={"odd": "item.n % 2"}, values={"first": "first(items.map(i => i.name))"}),
        ask("nodes.some.items.map(i => i.name).join('')"),
    ]
    assert ["BobCydDan"] * 2 == await answers(shop, nodes, "start -> some -> groups -> ask")


async def test_nodes_in_a_group_are_asked_over_the_group(shop):
    """
    In an aggregate, `nodes.x.item` is only one item where the whole group came from one.
    """
    values = {"names": "nodes.start.item.name"}
    nodes = [START, a_node("groups", "data.summarize", by=["item.n"], values=values)]
    finished = await shop.run(a_document(nodes, "start -> groups"), PEOPLE)
    assert ["Ada", "Bob", "Cyd", "Dan"] == [item["names"] for item in finished["outputs"]["groups"]["out"]]
    nodes = [START, a_node("groups", "data.summarize", by=["item.n % 2"], values=values)]
    finished = await shop.run(a_document(nodes, "start -> groups"), PEOPLE)
    assert "several items" in finished["error"]["message"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("nodes.strat.item", "there is no node “strat”", id="a slip of the pen"),
        pytest.param("nodes.after.items", "“after” does not stand before “ask”", id="a node that comes later"),
        pytest.param("nodes.start.name", "a node has no “name”", id="a field of its item"),
        pytest.param("nodes.never.item", "“never” gave no items in this run", id="a node that was skipped"),
    ],
)
async def test_what_cannot_be_asked(shop, source, message):
    """
    A question that makes no sense is answered with a sentence.
    """
    nodes = [START, a_node("part", "test.part"), a_node("never"), ask(source), a_node("after")]
    edges = "start -> part, part.even -> never -> ask, part.odd -> ask -> after"
    assert message == (await shop.run(a_document(nodes, edges), [{"n": 1}]))["error"]["message"]


async def test_the_way_back_from_a_stored_item(shop):
    """
    A trace leads from an item of a finished run to all its sources, through references too.
    """
    nodes = [START, a_node("part", "test.part"), a_node("same"), a_node("total", "test.total")]
    finished = await shop.run(a_document(nodes, "start -> part, part.odd -> same -> total"), PEOPLE)
    hops = await shop.store.read(lambda work: trace(work, finished["id"], shop.catalog, "total", "out", 0))
    assert [("total", 0), ("same", 0), ("same", 1), ("part", 0), ("part", 1), ("start", 0), ("start", 2)] == [
        (hop.node, hop.index) for hop in hops
    ]
    assert [(1, 2), (3,), (4,), (5,), (6,), (), ()] == [hop.came_from for hop in hops]
