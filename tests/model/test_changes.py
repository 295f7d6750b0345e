"""Edits as data: each knows its inverse, and refuses what makes no sense."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest, Conflict
from engine.ids import NodeId
from engine.model.changes import (
    ABSENT,
    AddEdges,
    AddNodes,
    Batch,
    Change,
    Describe,
    Move,
    RemoveEdges,
    RemoveNodes,
    Rename,
    SetField,
    SetNode,
    SetSettings,
    apply,
    fresh_node_id,
)
from engine.model.clipboard import paste
from engine.model.codec import read_document, read_fragment, write_document
from engine.model.workflow import Document, Edge, Node, RetryPolicy, Settings

IDS = [NodeId(name) for name in "abcde"]


def a_node(name: str, **fields: object) -> Node:
    return Node(id=NodeId(name), use="data.set", fields=fields)


def a_document() -> Document:
    """Return a -> b -> c with a side way a -> c."""
    return Document(
        name="Demo",
        nodes={node.id: node for node in (a_node("a", x=1, y="two"), a_node("b"), a_node("c"))},
        edges=(an_edge("a", "b"), an_edge("a", "c"), an_edge("b", "c")),
        layout={NodeId("a"): (0, 0), NodeId("b"): (200, 0)},
    )


def an_edge(source: str, target: str, port: str = "out") -> Edge:
    return Edge(NodeId(source), NodeId(target), port)


def test_removing_a_node_takes_its_edges_and_undo_brings_everything_back():
    """Node order, edge order, place and fields are as they were."""
    before = a_document()
    after, inverse = apply(before, RemoveNodes((NodeId("b"),)))

    assert (["a", "c"], (an_edge("a", "c"),), {"a": (0, 0)}) == (list(after.nodes), after.edges, after.layout)
    assert write_document(before) == write_document(apply(after, inverse)[0])


def test_fields_keep_their_order_when_one_is_taken_out_and_put_back():
    """Undo of a removed field puts it where it was."""
    after, inverse = apply(a_document(), SetField(NodeId("a"), "x", ABSENT))
    assert {"y": "two"} == after.nodes[NodeId("a")].fields
    assert ["x", "y"] == list(apply(after, inverse)[0].nodes[NodeId("a")].fields)


def test_a_batch_happens_whole_or_not_at_all():
    """The second change does not fit, so the first does not happen either."""
    document = a_document()
    with pytest.raises(Conflict):
        apply(document, Batch((Rename("Other"), RemoveNodes((NodeId("nobody"),)))))
    assert a_document() == document


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(AddNodes((a_node("a"),)), Conflict, id="an id that is taken"),
        pytest.param(AddNodes((a_node("no-id"),)), BadRequest, id="an id that cannot be"),
        pytest.param(AddNodes((a_node("d"), a_node("d"))), BadRequest, id="the same id twice"),
        pytest.param(AddNodes((a_node("d"),), (an_edge("d", "z"),)), Conflict, id="an edge to nowhere"),
        pytest.param(AddNodes((a_node("d"),), layout={NodeId("z"): (0, 0)}), BadRequest, id="a place for nobody"),
        pytest.param(AddEdges((an_edge("a", "b"),)), Conflict, id="an edge that is there"),
        pytest.param(AddEdges((an_edge("c", "a", "no port"),)), BadRequest, id="a port that cannot be"),
        pytest.param(RemoveEdges((an_edge("c", "a"),)), Conflict, id="an edge that is gone"),
        pytest.param(Move({NodeId("z"): (0, 0)}), Conflict, id="moving nobody"),
        pytest.param(SetField(NodeId("z"), "x", 1), Conflict, id="a field of nobody"),
        pytest.param(SetField(NodeId("a"), "x", float("nan")), BadRequest, id="a value no text can say"),
        pytest.param(SetField(NodeId("a"), "x", "\ud800"), BadRequest, id="half a character"),
        pytest.param(SetNode(NodeId("a"), {"id": "b"}), BadRequest, id="an id is for life"),
        pytest.param(SetNode(NodeId("a"), {"colour": "red"}), BadRequest, id="an unknown attribute"),
        pytest.param(SetNode(NodeId("a"), {"title": 3}), BadRequest, id="a title that is no text"),
        pytest.param(SetNode(NodeId("a"), {"on_error": "explode"}), BadRequest, id="an unknown way to fail"),
        pytest.param(SetNode(NodeId("a"), {"fields": {"x": object()}}), BadRequest, id="fields no text can say"),
        pytest.param(Rename("  "), BadRequest, id="no name"),
    ],
)
def test_what_does_not_fit_is_refused(change, error):
    """A clear error, and the document as it was."""
    document = a_document()
    with pytest.raises(error):
        apply(document, change)
    assert a_document() == document


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("Fetch orders", "fetch_orders"),
        ("Überfällige!", "ueberfaellige"),
        ("a", "a_2"),
        ("in", "in_step"),
        ("2nd", "step_2nd"),
        ("日本", "step"),
        ("", "step"),
        ("x" * 99, "x" * 48),
    ],
)
def test_fresh_ids_are_readable(wish, expected):
    """Words become a slug; what is taken gets a number."""
    assert expected == fresh_node_id(a_document(), wish)


def test_pasted_nodes_speak_of_each_other_by_their_new_ids():
    """Ids that are taken change, in edges, places and expressions alike; ids that are free stay."""
    document = read_document("treadle: 1\nname: Demo\nnodes: {fetch: {use: x.y}, fetch_2: {use: x.y}}")
    fragment = read_fragment("""
        treadle: 1
        nodes:
          fetch: {use: http.request}
          mail:
            use: mail.send
            with: {text: "{{ nodes.fetch.item.id }} {{ nodes['fetch'].item }} nodes.fetched", to: [nodes.fetch]}
        edges: [fetch -> mail]
        layout: {fetch: [100, 100], mail: [300, 150]}
    """)
    pasted, _ = apply(document, paste(document, fragment, at=(0, 0)))

    assert ["fetch", "fetch_2", "fetch_3", "mail"] == list(pasted.nodes)
    assert (an_edge("fetch_3", "mail"),) == pasted.edges
    assert {"fetch_3": (0, 0), "mail": (200, 50)} == pasted.layout
    assert {
        "text": "{{ nodes.fetch_3.item.id }} {{ nodes['fetch_3'].item }} nodes.fetched",
        "to": ["nodes.fetch_3"],
    } == pasted.nodes[NodeId("mail")].fields


ids = st.sampled_from(IDS)
edges = st.builds(Edge, ids, ids, st.sampled_from(["out", "error"]))
values = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.lists(st.integers(), max_size=2))
nodes = st.builds(
    Node,
    id=ids,
    use=st.just("x.y"),
    title=st.none() | st.text(max_size=4),
    fields=st.dictionaries(st.sampled_from("xyz"), values),
)
simple = st.one_of(
    st.builds(AddNodes, st.lists(nodes, max_size=3).map(tuple), st.lists(edges, max_size=3).map(tuple)),
    st.builds(RemoveNodes, st.lists(ids, max_size=3).map(tuple), st.lists(edges, max_size=2).map(tuple)),
    st.builds(AddEdges, st.lists(edges, max_size=3).map(tuple)),
    st.builds(RemoveEdges, st.lists(edges, max_size=3).map(tuple)),
    st.builds(Move, st.dictionaries(ids, st.none() | st.tuples(st.integers(-9, 9), st.integers(-9, 9)))),
    st.builds(SetField, ids, st.sampled_from("xyz"), st.just(ABSENT) | values),
    st.builds(
        SetNode,
        ids,
        st.fixed_dictionaries(
            {},
            optional={
                "title": st.none() | st.text(max_size=3),
                "disabled": st.booleans(),
                "on_error": st.sampled_from(["stop", "route", "ignore"]),
                "retry": st.none() | st.builds(RetryPolicy, attempts=st.integers(1, 9)),
                "timeout": st.none() | st.timedeltas(timedelta(seconds=1), timedelta(hours=1)),
                "fields": st.dictionaries(st.sampled_from("xyz"), values),
            },
        ),
    ),
    st.builds(Rename, st.text(min_size=1, max_size=5)),
    st.builds(Describe, st.none() | st.text(max_size=5)),
    st.builds(SetSettings, st.builds(Settings, concurrency=st.none() | st.integers(1, 9))),
)
changes = st.one_of(simple, st.lists(simple, max_size=4).map(lambda several: Batch(tuple(several))))


@given(st.lists(changes, max_size=12))
def test_a_change_and_its_inverse_leave_no_trace(several: list[Change]):
    """
    Every change that applies is undone by its inverse, byte for byte; redo leads forth again, the whole way back too.
    """
    document = a_document()
    way_back: list[tuple[str, Change]] = []
    for change in several:
        before = write_document(document)
        try:
            changed, inverse = apply(document, change)
        except (Conflict, BadRequest):
            assert before == write_document(document)
            continue
        undone, redo = apply(changed, inverse)
        assert before == write_document(undone)
        assert write_document(changed) == write_document(apply(undone, redo)[0])
        way_back.append((before, inverse))
        document = changed
    for before, inverse in reversed(way_back):
        document, _ = apply(document, inverse)
        assert before == write_document(document)
    assert replace(document) == a_document()
