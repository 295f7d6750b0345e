"""The shape of a workflow: order, cycles and what leads where."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ids import NodeId
from engine.model.graph import Graph
from engine.model.workflow import Document, Edge, Node


def a_graph(*edges: str, nodes: str = "", use: str = "data.set") -> Graph:
    """Return the graph of edges like `a>b`; nodes come in the order in which they are named."""
    pairs = [edge.split(">") for edge in edges]
    names = dict.fromkeys([*nodes, *(name for pair in pairs for name in pair)])
    return Graph.of(
        Document(
            name="Demo",
            nodes={NodeId(name): Node(id=NodeId(name), use="trigger.manual" if name == "t" else use) for name in names},
            edges=tuple(Edge(NodeId(source), NodeId(target)) for source, target in pairs),
        )
    )


def test_neighbours_come_in_edge_order():
    """Several edges into one port are joined in the order of the document."""
    graph = a_graph("b>d", "a>d", "d>e")
    assert ["b", "a"] == [edge.source for edge in graph.into(NodeId("d"))]
    assert ["e"] == [edge.target for edge in graph.out_of(NodeId("d"))]
    assert () == graph.into(NodeId("a"))
    with pytest.raises(KeyError):
        graph.into(NodeId("nobody"))


@pytest.mark.parametrize(
    ("graph", "order", "cycles"),
    [
        pytest.param(a_graph(), "", [], id="nothing"),
        pytest.param(a_graph("a>b", "b>c"), "abc", [], id="a line"),
        pytest.param(a_graph("c>a", "b>a", nodes="abc"), "bca", [], id="document order where there is a choice"),
        pytest.param(a_graph("a>b", "a>b"), "ab", [], id="two edges between two nodes"),
        pytest.param(a_graph("a>a"), "a", ["a"], id="a node into itself"),
        pytest.param(a_graph("a>b", "b>c", "c>b", "c>d"), "abcd", ["bc"], id="a cycle and what hangs on it"),
        pytest.param(a_graph("a>b", "b>a", "c>d", "d>c", "b>c"), "abcd", ["ab", "cd"], id="two cycles"),
    ],
)
def test_order_and_cycles(graph, order, cycles):
    """Sources stand before targets; what cannot be ordered comes last and is named."""
    assert (tuple(order), tuple(tuple(group) for group in cycles)) == (graph.order, graph.cycles)


def test_edges_to_nowhere_stand_apart():
    """A document with problems still has a graph."""
    graph = Graph.build({NodeId("a"): Node(id=NodeId("a"), use="x")}, [Edge(NodeId("a"), NodeId("b"))])
    assert ((), 1) == (graph.edges, len(graph.dangling))


def test_what_leads_where():
    """Reachable includes the start, upstream does not."""
    graph = a_graph("t>a", "a>b", "c>b", "b>d")
    assert set("abd") == graph.reachable_from(NodeId("a"))
    assert set("tac") == graph.upstream_of(NodeId("b"))
    assert graph.is_upstream(NodeId("t"), NodeId("d"))
    assert not graph.is_upstream(NodeId("d"), NodeId("t"))
    assert (("t",), ("d",)) == (graph.triggers(), graph.ends)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_answers_agree_with_each_other(pairs):
    """Three ways to ask what leads where give one answer, with and without cycles; order holds every node once."""
    graph = a_graph(*(f"{source}>{target}" for source, target in pairs))
    place = {node_id: index for index, node_id in enumerate(graph.order)}
    on_cycle = {node_id for group in graph.cycles for node_id in group}
    assert set(graph.nodes) == set(place)
    for node_id in graph.nodes:
        before = graph.upstream_of(node_id)
        assert before == {source for source in graph.nodes if graph.is_upstream(source, node_id)}
        assert (node_id in before) == (node_id in on_cycle)
        assert all(node_id in graph.reachable_from(source) for source in before)
    if not graph.cycles:
        assert all(place[edge.source] < place[edge.target] for edge in graph.edges)


@pytest.mark.alone
def test_five_thousand_nodes_are_cheap():
    """Building the graph of the largest workflow and asking for all ancestors stays far below a second."""
    nodes = {NodeId(f"n{i}"): Node(id=NodeId(f"n{i}"), use="x") for i in range(5000)}
    edges = [Edge(NodeId(f"n{i}"), NodeId(f"n{j}")) for i in range(5000) for j in (i + 1, i + 7) if j < 5000]
    started = time.process_time()
    graph = Graph.build(nodes, edges)
    assert graph.is_upstream(NodeId("n0"), NodeId("n4999"))
    assert time.process_time() - started < 1
