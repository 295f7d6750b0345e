"""Which items go on and in what order."""

import functools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.expressions.errors import ExpressionError
from engine.model.items import SAME
from engine.steps.builtin.select import sort_keys
from engine.steps.contract import ItemFailures


def test_filter_parts_kept_from_rejected(bench):
    """
    Both ways know where their items came from.
    """
    ports = bench.ports("data.filter", {"where": "item.v >= 2"}, [{"v": 1}, {"v": 2}, {"v": 3}])
    assert [{"v": 2}, {"v": 3}] == ports["out"].items
    assert [{"v": 1}] == ports["rejected"].items
    assert [1, 2] == list(ports["out"].origins["in"])
    assert [0] == list(ports["rejected"].origins["in"])


def test_filter_lets_one_item_fail_alone(bench):
    """
    The failed item is neither kept nor rejected.
    """
    with pytest.raises(ItemFailures) as caught:
        bench.raw("data.filter", {"where": "item.v >= 2"}, [{"v": 1}, {}, {"v": 3}])
    assert [1] == list(caught.value.failed)
    assert [[{"v": 3}], [{"v": 1}]] == [caught.value.outputs[port].items for port in ("out", "rejected")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"by": ["item.n"]}, ["a", "b", "c", "d"], id="ascending"),
        pytest.param({"by": "item.n", "order": "desc"}, ["d", "c", "b", "a"], id="descending, one expression without a list"),
        pytest.param({"by": ["item.g", "item.n"]}, ["b", "d", "a", "c"], id="two keys"),
        pytest.param({"by": ["item.g", "item.n"], "order": ["asc", "desc"]}, ["d", "b", "c", "a"], id="two directions"),
        pytest.param({"by": ["item.g"]}, ["d", "b", "c", "a"], id="stable"),
        pytest.param({"by": ["item.g"], "order": "desc"}, ["c", "a", "d", "b"], id="stable when descending"),
    ],
)
def test_sort(bench, fields, expected):
    """
    Keys and directions decide; equal items keep their order.
    """
    items = [{"n": "d", "g": 1}, {"n": "b", "g": 1}, {"n": "c", "g": 2}, {"n": "a", "g": 2}]
    result = bench.ports("data.sort", fields, items)["out"]
    assert expected == [item["n"] for item in result.items]
    origins = result.origins["in"]
    assert result.items == (items if origins is SAME else [items[index] for index in origins])


@pytest.mark.parametrize(("order", "expected"), [("asc", [1, 3, None]), ("desc", [3, 1, None])])
def test_nothing_is_always_last(bench, order, expected):
    """
    A missing value is at the end, whichever way.
    """
    result = bench.out("data.sort", {"by": "item.v", "order": order}, [{"v": 3}, {}, {"v": 1}])
    assert expected == [item.get("v") for item in result]


def test_mixed_kinds_have_an_order():
    """
    False, true, numbers, dates, moments, durations, texts, lists and objects, null.
    """
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ordered = [False, True, -1, Decimal("0.5"), 2.5, date(2026, 1, 1), moment, timedelta(1), "a", [1], {"a": 1}, None]
    keys = sort_keys(list(reversed(ordered)))
    assert ordered == [value for _, value in sorted(zip(keys, reversed(ordered), strict=True), key=lambda pair: pair[0])]


def test_texts_are_ordered_as_people_do():
    """
    Case and accents do not part what belongs together.
    """
    words = ["zebra", "Äpfel", "apfel", "Zoo", "Apfel"]
    keys = dict(zip(words, sort_keys(words), strict=True))
    assert ["Apfel", "apfel", "Äpfel", "zebra", "Zoo"] == sorted(words, key=keys.get)


@pytest.mark.parametrize("order", ["up", ["asc"], ["asc", "desc", "asc"]])
def test_sort_refuses_orders_that_do_not_fit(bench, order):
    """
    One direction for all, or one for each.
    """
    with pytest.raises(BadInput, match="asc or desc"):
        bench.out("data.sort", {"by": ["item.a", "item.b"], "order": order}, [{}])


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(-5, 5), st.text("aAbÄ", max_size=2))


def rank(value):
    """The reference: how two values compare, written as a person would say it."""
    kinds = [bool, (int, float), str]
    return next(place for place, kind in enumerate(kinds) if isinstance(value, kind))


def compare(left, right, sign):
    if left is None or right is None:
        return (left is None) - (right is None)
    if rank(left) != rank(right):
        return sign * (rank(left) - rank(right))
    if isinstance(left, str):
        left, right = sort_keys([left])[0], sort_keys([right])[0]
    return sign * ((left > right) - (left < right))


@given(st.lists(VALUES, max_size=12), st.sampled_from(["asc", "desc"]))
def test_sort_agrees_with_a_plain_comparison(values, order):
    """
    For any mixture the result is what a stable sort by pairwise comparison gives.
    """
    sign = 1 if order == "asc" else -1
    tagged = list(enumerate(values))
    expected = sorted(tagged, key=functools.cmp_to_key(lambda a, b: compare(a[1], b[1], sign)))
    keys = sort_keys(values, nothing_last=order == "asc")
    indexes = sorted(range(len(values)), key=keys.__getitem__, reverse=order == "desc")
    assert [place for place, _ in expected] == indexes


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"count": 2}, [0, 1], id="from the start"),
        pytest.param({"count": 2, "from": "end"}, [3, 4], id="from the end, order kept"),
        pytest.param({"count": 2, "skip": 1}, [1, 2], id="skip"),
        pytest.param({"count": 2, "skip": 1, "from": "end"}, [2, 3], id="skip from the end"),
        pytest.param({"count": 9}, [0, 1, 2, 3, 4], id="more than there are"),
        pytest.param({"count": 9, "from": "end"}, [0, 1, 2, 3, 4], id="more than there are, from the end"),
        pytest.param({"count": 0}, [], id="none"),
        pytest.param({"count": 1, "skip": 9, "from": "end"}, [], id="skip past the beginning"),
    ],
)
def test_limit(bench, fields, expected):
    """
    So many and no more.
    """
    items = [{"v": value} for value in range(5)]
    assert expected == [item["v"] for item in bench.out("data.limit", fields, items)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"by": ["item.k"]}, [0, 1, 4], id="first of each"),
        pytest.param({"by": ["item.k"], "keep": "last"}, [2, 3, 4], id="last of each, where it stood"),
        pytest.param({"by": ["item.k", "item.j"]}, [0, 1, 2, 4], id="two keys"),
        pytest.param({}, [0, 1, 2, 3, 4], id="the whole item"),
    ],
)
def test_unique(bench, fields, expected):
    """
    1 and 1.0 are one key, 1 and "1" are not.
    """
    items = [{"k": 1, "j": 0, "n": 0}, {"k": "1", "n": 1}, {"k": 1.0, "j": 1, "n": 2}, {"k": "1", "n": 3}, {"k": True, "n": 4}]
    assert expected == [item["n"] for item in bench.out("data.unique", fields, items)]


def test_unique_compares_whole_items_by_content(bench):
    """
    The order of fields does not matter.
    """
    assert [{"a": 1, "b": [1.0]}] == bench.out("data.unique", {}, [{"a": 1, "b": [1.0]}, {"b": [1], "a": 1}])


def test_an_expression_that_fails_names_the_field(bench):
    """
    Steps that need all values stop at the first that has none.
    """
    with pytest.raises(ExpressionError) as caught:
        bench.out("data.sort", {"by": ["item.v + 1"]}, [{"v": 1}, {}])
    assert "by" == caught.value.where["field"]
