"""Which node stands in whose body, and the lines that cross the rim of one."""

import pytest

from engine.model.frames import regions_of
from tests.run.workshop import a_document, a_node

USES = {"each": "flow.loop", "inner": "flow.loop", "guard": "flow.try", "saga": "flow.compensate"}


def regions(edges: str):
    names = dict.fromkeys(part.strip().partition(".")[0] for line in edges.split(",") for part in line.split("->"))
    return regions_of(a_document([a_node(name, USES.get(name, "test.pass")) for name in names], edges))


def test_bodies_nest():
    """
    A node belongs to the innermost frame around it.
    """
    found = regions(
        "a -> each, each.each -> b -> inner, inner.each -> c -> inner.next, inner.done -> each.next, each.done -> d"
    )
    assert {"b": "each", "inner": "each", "c": "inner"} == found.owner
    assert ["inner", "each"] == found.around("c")
    assert ((), {"b", "inner", "c"}) == (found.faults, found.inside("each"))


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        pytest.param("a -> each, each.each -> b -> each.next, a -> b", ("leads_into_body", "b"), id="into a body"),
        pytest.param("a -> each, each.each -> b -> d, each.done -> d", ("leads_out_of_body", "b"), id="out of a body"),
        pytest.param("a -> each, each.each -> d, each.done -> d -> e", ("leads_out_of_body", "each"), id="at once out of it"),
        pytest.param("a -> each, a -> each.next, each.each -> b", ("wrong_way_back", "a"), id="back from outside"),
        pytest.param(
            "a -> each, each.each -> inner, inner.each -> b -> each.next", ("wrong_way_back", "b"), id="back over two rims"
        ),
        pytest.param(
            "a -> each, a -> inner, each.each -> b -> each.next, inner.each -> b -> inner.next",
            ("frames_overlap", "b"),
            id="two",
        ),
        pytest.param("a -> saga -> b -> d, saga.undo -> c -> d", ("leads_out_of_body", "c"), id="out of undo steps"),
    ],
)
def test_lines_that_cross_a_rim(edges, expected):
    """
    Each is named with the node to mark.
    """
    fault = regions(edges).faults[0]
    assert expected == (fault.code, fault.node)
