"""Two batches seen together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.steps.builtin.join import merge
from engine.steps.computed import bind_fields
from engine.steps.contract import BatchCall

PEOPLE = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}, {"id": None, "name": "Nobody"}]
CITIES = [{"id": 2, "city": "Graz"}, {"id": 2.0, "city": "Linz"}, {"id": 3, "city": "Wien"}, {"id": None, "city": "?"}]


def test_append_puts_one_after_the_other(bench):
    """
    Items stay what they are, and each knows which side it came from.
    """
    result = bench.ports("flow.merge", {}, a=[{"x": 1}], b=[{"x": 2}, {"x": 3}])["out"]
    assert [{"x": 1}, {"x": 2}, {"x": 3}] == result.items
    assert [0, -1, -1] == list(result.origins["a"])
    assert [-1, 0, 1] == list(result.origins["b"])


def test_append_to_nothing_copies_nothing(bench):
    """
    A side that is empty leaves the other as it is.
    """
    items = [{"x": 2}]
    assert items is bench.ports("flow.merge", {}, a=[], b=items)["out"].items


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("inner", [("Bob", "Graz"), ("Bob", "Linz")]),
        ("left", [("Ada", None), ("Bob", "Graz"), ("Bob", "Linz"), ("Nobody", None)]),
        ("outer", [("Ada", None), ("Bob", "Graz"), ("Bob", "Linz"), ("Nobody", None), (None, "Wien"), (None, "?")]),
    ],
)
def test_by_key(bench, keep, expected):
    """
    Equal keys meet, each with each; 2 and 2.0 are equal, null meets nothing.
    """
    made = bench.out("flow.merge", {"mode": "by_key", "left": "item.id", "keep": keep}, a=PEOPLE, b=CITIES)
    assert expected == [(item.get("name"), item.get("city")) for item in made]


def test_by_several_keys_with_other_names(bench):
    """
    Keys are compared one by one, whatever they are called on each side.
    """
    fields = {"mode": "by_key", "left": ["item.y", "item.m"], "right": ["item.year", "item.month"]}
    made = bench.out("flow.merge", fields, a=[{"y": 2026, "m": 1}, {"y": 2026, "m": None}], b=[{"year": 2026, "month": 1}])
    assert [{"y": 2026, "m": 1, "year": 2026, "month": 1}] == made


def test_by_key_wants_keys(bench):
    """
    What is missing is named; lists of keys of different lengths are told.
    """
    with pytest.raises(BadInput, match="Key in a"):
        bench.out("flow.merge", {"mode": "by_key"}, a=[{}], b=[{}])
    with pytest.raises(BadInput, match="2 keys in a and 1 in b"):
        bench.out("flow.merge", {"mode": "by_key", "left": ["item.a", "item.b"], "right": "item.a"}, a=[{}], b=[{}])


@pytest.mark.parametrize(
    ("clash", "expected"),
    [
        ("b", {"id": 1, "v": "b", "only_a": 1, "only_b": 2}),
        ("a", {"id": 1, "v": "a", "only_a": 1, "only_b": 2}),
        ("both", {"id": 1, "v": "a", "v_b": "b", "only_a": 1, "only_b": 2}),
    ],
)
def test_what_becomes_of_fields_that_both_have(bench, clash, expected):
    """
    One side wins, or both stay; equal values never clash.
    """
    fields = {"mode": "by_key", "left": "item.id", "clash": clash}
    made = bench.out("flow.merge", fields, a=[{"id": 1, "v": "a", "only_a": 1}], b=[{"id": 1, "v": "b", "only_b": 2}])
    assert [expected] == made


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("inner", [(1, 4)]), ("left", [(1, 4), (2, None), (3, None)]), ("outer", [(1, 4), (2, None), (3, None)])],
)
def test_by_position(bench, keep, expected):
    """
    First with first, second with second, as far as wanted.
    """
    made = bench.ports("flow.merge", {"mode": "by_position", "keep": keep}, a=[{"a": 1}, {"a": 2}, {"a": 3}], b=[{"b": 4}])[
        "out"
    ]
    assert expected == [(item.get("a"), item.get("b")) for item in made.items]
    assert len(expected) == len(made.origins["a"]) == len(made.origins["b"])


def test_outer_by_position_keeps_the_longer_side(bench):
    """
    Nothing of b is lost.
    """
    made = bench.out("flow.merge", {"mode": "by_position", "keep": "outer"}, a=[{"a": 1}], b=[{"b": 4}, {"b": 5}])
    assert [{"a": 1, "b": 4}, {"b": 5}] == made


KEYS = st.lists(st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["0", "x", 1.0, True])), max_size=8)


def same(left, right):
    """The reference: keys are equal when both are there, of one kind, and equal."""
    kinds = [bool if isinstance(one, bool) else str if isinstance(one, str) else float for one in (left, right)]
    return left is not None and right is not None and kinds[0] == kinds[1] and left == right


@given(KEYS, KEYS, st.sampled_from(["inner", "left", "outer"]))
def test_by_key_agrees_with_nested_loops(left, right, keep):
    """
    Whatever the keys, the join is what comparing each with each gives.
    """
    a, b = [{"k": key, "a": n} for n, key in enumerate(left)], [{"k": key, "b": n} for n, key in enumerate(right)]
    expected = []
    for one in a:
        partners = [other for other in b if same(one["k"], other["k"])]
        expected += [(one["a"], other["b"]) for other in partners]
        if not partners and keep != "inner":
            expected.append((one["a"], None))
    if keep == "outer":
        expected += [(None, other["b"]) for other in b if not any(same(one["k"], other["k"]) for one in a)]
    fields = bind_fields(merge, {"mode": "by_key", "left": "item.k", "keep": keep}, {})
    made = merge.call(BatchCall(ports={"a": a, "b": b}, ctx=None), **fields)
    assert expected == [(item.get("a"), item.get("b")) for item in made.items]
    for port, side in (("a", a), ("b", b)):
        found = [item.get(port) for item in made.items]
        assert found == [None if origin < 0 else side[origin][port] for origin in made.origins[port]]


OLD = [{"id": 1, "qty": 2, "seen": 1}, {"id": 2, "qty": 5}, {"id": 3, "qty": 1.0}, {"id": None}]
NEW = [{"id": 3, "qty": 1}, {"id": 1, "qty": 3, "seen": 2, "new": True}, {"id": 4}, {"id": None}]


def test_compare_tells_what_changed(bench):
    """
    Added, removed, changed with the names of the fields, and same; 1 and 1.0 do not differ.
    """
    ports = bench.ports("data.compare", {"key": "item.id", "ignore": ["seen"]}, a=OLD, b=NEW)
    assert [{"id": 4}, {"id": None}] == ports["added"].items
    assert [{"id": 2, "qty": 5}, {"id": None}] == ports["removed"].items
    assert [{"before": OLD[0], "after": NEW[1], "changes": ["qty", "new"]}] == ports["changed"].items
    assert [NEW[0]] == ports["same"].items
    assert ([0], [1]) == (list(ports["changed"].origins["a"]), list(ports["changed"].origins["b"]))
    assert [1, 3] == list(ports["removed"].origins["a"])


def test_compare_pairs_repeated_keys_in_order(bench):
    """
    The first with a key meets the first, the second the second, and one too many is added.
    """
    a, b = [{"k": 1, "v": "x"}, {"k": 1, "v": "y"}], [{"id": 1, "v": "x"}, {"id": 1, "v": "y"}, {"id": 1, "v": "z"}]
    ports = bench.ports("data.compare", {"key": "item.k", "right": "item.id", "ignore": ["k", "id"]}, a=a, b=b)
    assert {"added": 1, "removed": 0, "changed": 0, "same": 2} == {name: len(port.items) for name, port in ports.items()}


def test_compare_sees_a_field_that_went_away(bench):
    """
    A field that is gone is a change too.
    """
    ports = bench.ports("data.compare", {"key": "item.id"}, a=[{"id": 1, "old": 1}], b=[{"id": 1}])
    assert ["old"] == ports["changed"].items[0]["changes"]
