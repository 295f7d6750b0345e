"""What the browser may send, and what it gets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.editor.canvas import (
    CanvasEdge,
    CanvasNode,
    CanvasPort,
    DropEvent,
    OpsEvent,
    PasteEvent,
    QuickAddEvent,
    SelectEvent,
    add_op,
    card_height,
    del_op,
    move_op,
    set_op,
)
from ui.editor.canvas.protocol import (
    MAX_ENTRIES,
    MAX_PASTE,
    BadMessage,
    read_command,
    read_drop,
    read_id,
    read_ops,
    read_paste,
    read_quick_add,
    read_select,
    read_zoom,
)

READERS = [read_command, read_drop, read_id, read_ops, read_paste, read_quick_add, read_select, read_zoom]
AN_EDGE = {"source": "a", "target": "b", "source_port": "out", "target_port": "in", "mark": ""}


def a_node(**changes: Any) -> CanvasNode:
    return CanvasNode(**{"id": "fetch", "use": "http.request", "title": "Fetch", **changes})


def test_an_edge_is_named_by_its_ends() -> None:
    """
    Two lines between the same ports are the same line.
    """
    assert "a.rejected->b.in" == CanvasEdge("a", "b", "rejected").id
    assert {**AN_EDGE, "id": "a.out->b.in"} == CanvasEdge("a", "b").as_json()


@pytest.mark.parametrize(
    ("ports_in", "ports_out", "expected"),
    [
        pytest.param(0, 1, 60, id="a trigger"),
        pytest.param(1, 1, 60, id="one in, one out"),
        pytest.param(1, 2, 96, id="two outputs"),
        pytest.param(3, 1, 116, id="three inputs"),
    ],
)
def test_card_height(ports_in: int, ports_out: int, expected: int) -> None:
    """
    The longer side decides.
    """
    ports = [CanvasPort(f"p{n}") for n in range(3)]

    assert expected == card_height(a_node(ports_in=ports[:ports_in], ports_out=ports[:ports_out]))


def test_ops_are_plain_data() -> None:
    """
    They can be kept, inverted and sent.
    """
    port = CanvasPort("in", loop=True)
    node = add_op([a_node(ports_in=[port])], [CanvasEdge("a", "fetch")])

    assert {"name": "in", "kind": "items", "label": None, "loop": True} == node["nodes"][0]["ports_in"][0]
    assert "a.out->fetch.in" == node["edges"][0]["id"]
    assert {"op": "del", "nodes": ["a"], "edges": []} == del_op(["a"])
    assert {"op": "move", "to": [["a", 1, 2]]} == move_op([("a", 1, 2)])
    assert {"op": "set", "id": "a", "data": {"title": "B"}} == set_op("a", title="B")
    assert [{"name": "in", "kind": "items", "label": None, "loop": True}] == set_op("a", ports_in=[port])["data"]["ports_in"]


def test_the_browsers_gestures_are_read() -> None:
    """
    Moving, deleting and drawing lines; an edge's id is made here, not believed.
    """
    raw = {
        "seq": 3,
        "ops": [
            {"op": "move", "to": [["a", 10, -20.5]]},
            {"op": "del", "nodes": ["b"], "edges": ["a.out->b.in"]},
            {"op": "add", "nodes": [], "edges": [{**AN_EDGE, "id": "something else"}]},
        ],
    }

    expected = OpsEvent(
        3,
        (
            {"op": "move", "to": [["a", 10, -20.5]]},
            {"op": "del", "nodes": ["b"], "edges": ["a.out->b.in"]},
            {"op": "add", "nodes": [], "edges": [{**AN_EDGE, "id": "a.out->b.in"}]},
        ),
    )
    assert expected == read_ops(raw)


def test_the_browsers_wishes_are_read() -> None:
    """
    Each becomes a frozen value.
    """
    assert DropEvent(use="data.filter", x=1, y=2) == read_drop({"use": "data.filter", "x": 1, "y": 2, "edge": None})
    assert SelectEvent(("a",), ()) == read_select({"nodes": ["a"], "edges": []})
    assert PasteEvent(text="nodes: {}") == read_paste({"text": "nodes: {}", "x": None, "y": None})
    assert QuickAddEvent(x=1, y=2, left=3, top=4, source="a", port="out") == read_quick_add(
        {"x": 1, "y": 2, "left": 3, "top": 4, "source": "a", "port": "out", "edge": None}
    )
    assert "a" == read_id({"id": "a"})
    assert 0.5 == read_zoom({"zoom": 0.5})
    assert ("a", "b") == read_command({"name": "disable", "nodes": ["a", "b"]}).nodes


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        pytest.param(read_ops, None, id="nothing"),
        pytest.param(read_ops, {"seq": "1", "ops": []}, id="a sequence number as text"),
        pytest.param(read_ops, {"seq": True, "ops": []}, id="a sequence number as truth"),
        pytest.param(read_ops, {"seq": 1, "ops": [{"op": "set", "id": "a", "data": {}}]}, id="set is Python's"),
        pytest.param(read_ops, {"seq": 1, "ops": [{"op": "add", "nodes": [{}], "edges": []}]}, id="nodes are Python's"),
        pytest.param(read_ops, {"seq": 1, "ops": [{"op": "move", "to": [["a", float("nan"), 0]]}]}, id="nowhere"),
        pytest.param(read_ops, {"seq": 1, "ops": [{"op": "move", "to": [["a", 1e300, 0]]}]}, id="too far away"),
        pytest.param(read_ops, {"seq": 1, "ops": [{"op": "move", "to": [["a", 1]]}]}, id="half a place"),
        pytest.param(read_ops, {"seq": 1, "ops": [{}] * (MAX_ENTRIES + 1)}, id="too many"),
        pytest.param(read_select, {"nodes": [""], "edges": []}, id="an empty id"),
        pytest.param(read_select, {"nodes": "abc", "edges": []}, id="a text instead of a list"),
        pytest.param(read_id, {"id": "x" * 1000}, id="an endless id"),
        pytest.param(read_paste, {"text": "x" * (MAX_PASTE + 1)}, id="too much text"),
        pytest.param(read_paste, {"text": 5}, id="no text"),
        pytest.param(read_command, {"name": "rm -rf", "nodes": []}, id="an unknown command"),
        pytest.param(read_zoom, {"zoom": "1"}, id="a number as text"),
    ],
)
def test_what_the_protocol_does_not_know_is_refused(read: Any, raw: object) -> None:
    """
    A browser can send anything.
    """
    with pytest.raises(BadMessage):
        read(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ["seq", "ops", "op", "nodes", "edges", "to", "id", "use", "x", "y", "edge", "text", "zoom", "name", "left", "top"]


@given(raw=JSON | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_message_is_read_or_refused(raw: object) -> None:
    """
    Never a crash of another kind.
    """
    for read in READERS:
        try:
            read(raw)
        except BadMessage:
            continue
