"""From the document to the drawing and back: functions of data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.changes import AddEdges, Batch, Move, RemoveEdges, RemoveNodes, apply
from engine.model.codec import parse_document
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from ui.editor.canvas import CanvasEdge, CanvasNode
from ui.editor.places import COLUMN, ROW, places
from ui.editor.views import Shown, change_of, closes_circle, difference, follow, look

CATALOG = Catalog(builtin_steps())


def a_document(nodes="a: {use: trigger.manual}\n  b: {use: data.filter, with: {where: 'true'}}", edges="[a -> b]", more=""):
    parsed = parse_document(f"treadle: 1\nname: T\nnodes:\n  {nodes}\nedges: {edges}\n{more}")
    assert parsed.document is not None
    return parsed.document


def test_ports_follow_the_fields():
    """
    A switch has the ports its cases name; `error` is there when failed items leave by it.
    """
    document = a_document(
        "s: {use: flow.switch, with: {cases: {big: 'item.n > 9', small: 'true'}, otherwise: rest}}\n"
        "  f: {use: data.set, with: {fields: {a: '1'}}, on_error: route}",
        "[s.big -> f]",
    )
    shown = look(document, CATALOG)
    assert ["big", "small", "rest"] == [port.name for port in shown.nodes["s"].ports_out]
    assert [("out", "items"), ("error", "error")] == [(port.name, port.kind) for port in shown.nodes["f"].ports_out]


def test_what_nobody_knows_is_drawn_too():
    """
    An unknown step keeps its lines: nothing disappears from the canvas because a connector is missing.
    """
    document = a_document("a: {use: trigger.manual}\n  x: {use: acme.frobnicate}", "[a -> x, x.blue -> a]")
    card = look(document, CATALOG).nodes["x"]
    assert ("unknown step acme.frobnicate", ("in",), ("blue",)) == (
        card.sub,
        tuple(port.name for port in card.ports_in),
        tuple(port.name for port in card.ports_out),
    )


def test_half_typed_fields_do_not_break_the_drawing():
    """
    Whatever stands in a field while somebody types, there is a card.
    """
    for cases in ("'item.'", "[1, 2]", "{big: null}", "7"):
        look(a_document(f"s: {{use: flow.switch, with: {{cases: {cases}}}}}", "[]"), CATALOG)


NAMES = st.sampled_from(["a", "b", "c", "d"])
CARDS = st.dictionaries(
    NAMES,
    st.tuples(st.integers(0, 3), st.sampled_from(["x", "y"])),
).map(lambda raw: {name: CanvasNode(id=name, use="data.set", title=title, x=x, y=0) for name, (x, title) in raw.items()})


@st.composite
def drawings(draw):
    nodes = draw(CARDS)
    lines = []
    if nodes:
        ends = st.sampled_from(sorted(nodes))
        lines = draw(st.lists(st.builds(CanvasEdge, ends, ends), max_size=4))
    return Shown(nodes, {line.id: line for line in lines})


@given(drawings(), drawings())
def test_a_difference_leads_from_one_look_to_the_other(old, new):
    """
    Drawing the ops gives exactly the new look; between equal looks there is nothing to say.
    """
    nodes, edges = dict(old.nodes), dict(old.edges)
    for op in difference(old, new):
        match op["op"]:
            case "del":
                for name in op["nodes"]:
                    del nodes[name]
                for name in op["edges"]:
                    del edges[name]
            case "add":
                nodes |= {raw["id"]: new.nodes[raw["id"]] for raw in op["nodes"]}
                edges |= {raw["id"]: new.edges[raw["id"]] for raw in op["edges"]}
            case "move":
                for name, x, y in op["to"]:
                    nodes[name] = CanvasNode(**{**_data(nodes[name]), "x": x, "y": y})
            case "set":
                nodes[op["id"]] = CanvasNode(**{**_data(nodes[op["id"]]), **op["data"]})
    assert (new.nodes, new.edges) == (nodes, edges)
    assert [] == difference(new, new)


def _data(card):
    return {
        name: getattr(card, name) for name in ("id", "use", "title", "sub", "icon", "hue", "x", "y", "ports_in", "ports_out")
    }


LINE = {"source": "a", "target": "b", "source_port": "out", "target_port": "in"}


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        pytest.param([{"op": "move", "to": [["a", 1.6, -2.4]]}], Move(to={"a": (2, -2)}), id="a move, on whole numbers"),
        pytest.param([{"op": "del", "nodes": ["b"], "edges": ["a.out->b.in"]}], RemoveNodes, id="a step with its lines"),
        pytest.param([{"op": "del", "nodes": [], "edges": ["a.out->b.in"]}], RemoveEdges, id="a line alone"),
        pytest.param([{"op": "del", "nodes": [], "edges": ["gone"]}], None, id="what is gone already"),
        pytest.param([{"op": "add", "nodes": [], "edges": [{**LINE, "source_port": "x"}]}], AddEdges, id="a line"),
        pytest.param(
            [
                {"op": "del", "nodes": [], "edges": ["a.out->b.in"]},
                {"op": "add", "nodes": [], "edges": [{**LINE, "target_port": "y"}]},
            ],
            Batch,
            id="the end of a line moved",
        ),
    ],
)
def test_gestures_are_changes(ops, expected):
    """
    A gesture is one change of the document, so one step of undo.
    """
    change = change_of(a_document(), ops)
    if isinstance(expected, type):
        assert isinstance(change, expected)
        apply(a_document(), change)
    else:
        assert expected == change


def test_lines_that_close_a_circle_are_seen():
    """
    Directly, over others, and over a line that the same gesture takes away.
    """
    document = a_document("a: {use: data.sort, with: {by: []}}\n  b: {use: data.sort, with: {by: []}}", "[a -> b]")
    back = {"op": "add", "nodes": [], "edges": [{**LINE, "source": "b", "target": "a"}]}
    itself = {"op": "add", "nodes": [], "edges": [{**LINE, "target": "a"}]}
    assert closes_circle(document, [back])
    assert closes_circle(document, [itself])
    assert not closes_circle(document, [{"op": "del", "nodes": [], "edges": ["a.out->b.in"]}, back])
    assert not closes_circle(document, [{"op": "move", "to": []}])


def test_a_tab_follows_its_own_gestures():
    """
    After a gesture the tab shows it, so nothing is sent back for it.
    """
    document = a_document(more="layout: {a: [0, 0], b: [300, 0]}")
    shown = look(document, CATALOG)
    ops = [{"op": "move", "to": [["b", 310, 20]]}, {"op": "del", "nodes": [], "edges": ["a.out->b.in"]}]
    changed, _ = apply(document, change_of(document, ops))
    assert [] == difference(follow(shown, ops), look(changed, CATALOG))


def test_boxes_without_a_place_get_one_of_their_own():
    """
    Column by distance from a start; nobody stands on anybody; stored places are kept; circles do not hang it.
    """
    document = a_document(
        "a: {use: trigger.manual}\n  b: {use: data.sort}\n  c: {use: data.sort}\n  d: {use: data.sort}",
        "[a -> b, a -> c, b -> d, c -> d, d -> b]",
        "layout: {c: [7, 9]}",
    )
    at = places(document)
    assert (7, 9) == at["c"]
    assert 4 == len(set(at.values()))
    assert all(x % COLUMN == 0 and y % ROW == 0 for name, (x, y) in at.items() if name != "c")
