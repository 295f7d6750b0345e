"""Many items become few."""

from collections import defaultdict
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions.errors import ExpressionError
from engine.steps.builtin.summarize import summarize
from engine.steps.computed import bind_fields
from engine.steps.contract import BatchCall

SALES = [
    {"customer": {"country": "AT"}, "total": 10},
    {"customer": {"country": "DE"}, "total": 20},
    {"customer": {"country": "AT"}, "total": 5},
]


def test_groups_and_what_is_computed_over_them(bench):
    """
    A list of expressions names its fields by their last words; groups come in the order they first appear.
    """
    fields = {"by": ["item.customer.country"], "values": {"total": "sum(items.map(i => i.total))", "n": "count(items)"}}
    result = bench.ports("data.summarize", fields, SALES)["out"]
    assert [{"country": "AT", "total": 15, "n": 2}, {"country": "DE", "total": 20, "n": 1}] == result.items
    assert [[0, 2], [1]] == [list(indexes) for indexes in result.origins["in"]]


def test_every_aggregate_is_an_expression(bench):
    """
    Count, sum, average, least, most, first, last, list and distinct values of a group.
    """
    values = {
        "count": "count(items)",
        "sum": "sum(items.map(i => i.v))",
        "avg": "average(items.map(i => i.v))",
        "min": "min(items.map(i => i.v))",
        "max": "max(items.map(i => i.v))",
        "first": "items[0].v",
        "last": "items[-1].v",
        "list": "items.map(i => i.v)",
        "distinct": "items.map(i => i.v).unique()",
    }
    items = [{"v": value} for value in (3, 1, 3, 5)]
    expected = {
        "count": 4,
        "sum": 12,
        "avg": 3,
        "min": 1,
        "max": 5,
        "first": 3,
        "last": 5,
        "list": [3, 1, 3, 5],
        "distinct": [3, 1, 5],
    }
    assert [expected] == bench.out("data.summarize", {"values": values}, items)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param({"big": "item.total > 8"}, [{"big": True, "n": 2}, {"big": False, "n": 1}], id="named"),
        pytest.param("item.total", [{"total": 10, "n": 1}, {"total": 20, "n": 1}, {"total": 5, "n": 1}], id="a single one"),
        pytest.param(
            ["item.total > 8"], [{"item.total > 8": True, "n": 2}, {"item.total > 8": False, "n": 1}], id="by its text"
        ),
        pytest.param(["item.nothing"], [{"nothing": None, "n": 3}], id="null is a group"),
        pytest.param(
            ["item.customer"], [{"customer": {"country": "AT"}, "n": 2}, {"customer": {"country": "DE"}, "n": 1}], id="object"
        ),
    ],
)
def test_what_to_group_by(bench, by, expected):
    """
    Expressions with names or without, one or many, over any value.
    """
    assert expected == bench.out("data.summarize", {"by": by, "values": {"n": "count(items)"}}, SALES)


def test_without_groups_there_is_one_result_even_for_nothing(bench):
    """
    The sum over nothing is a row, as in a database; with groups there are none.
    """
    assert [{"n": 0}] == bench.out("data.summarize", {"values": {"n": "count(items)"}}, [])
    assert [] == bench.out("data.summarize", {"by": ["item.a"], "values": {"n": "count(items)"}}, [])


def test_an_aggregate_that_fails_names_its_field(bench):
    """
    The error points into the expression.
    """
    with pytest.raises(ExpressionError) as caught:
        bench.out("data.summarize", {"values": {"total": "sum(items.map(i => i.total * 'x'))"}}, SALES)
    assert "values" == caught.value.where["field"]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None, 1]), st.integers(-1000, 1000)), max_size=20))
def test_summarize_agrees_with_a_plain_dictionary(rows):
    """
    Sums and averages per group are what plain Python computes.
    """
    groups = defaultdict(list)
    for key, value in rows:
        groups[key].append(value)
    expected = [{"k": key, "sum": sum(values), "avg": fmean(values)} for key, values in groups.items()]
    values = {"sum": "sum(items.map(i => i.v))", "avg": "average(items.map(i => i.v))"}
    fields = bind_fields(summarize, {"by": ["item.k"], "values": values}, {})
    made = summarize.call(BatchCall(ports={"in": [{"k": key, "v": value} for key, value in rows]}, ctx=None), **fields)
    assert [{**one, "avg": pytest.approx(one["avg"])} for one in expected] == made.items
