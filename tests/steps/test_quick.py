"""The quick forms of steps do what the steps do, or nothing at all."""

import copy
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TreadleError
from engine.steps.builtin.quick import quick_set
from engine.steps.builtin.shape import set_fields
from engine.steps.computed import bind_fields
from engine.steps.contract import BatchCall

EXPRESSIONS = [
    "item.a * item.b",
    "item.a + item.b",
    "item.a - 3",
    "item.a % item.b",
    "item.b % 7",
    "item.a * 9000000000000000000",
    "item.a",
    "item.a > item.b ? 'more' : item.c",
    "item.c + '!'",
    "[item.a, index]",
    "date('2026-01-0' + item.b)",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=1),
)
ITEMS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=4)


@given(items=ITEMS, expressions=st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=3))
def test_quick_set_is_set(items, expressions):
    """
    Whatever the items hold: the same items come out, or the quick form leaves it to the step.
    """
    fields = {"fields": {f"{'abc'[number]}": text for number, text in enumerate(expressions)}, "keep": "all"}
    bound = bind_fields(set_fields, fields, {"$timezone": "UTC"})
    before = copy.deepcopy(items)
    try:
        made = quick_set(bound)(items)
    except (TreadleError, ArithmeticError, TypeError):
        made = None
    if made is not None:
        expected = set_fields.call(BatchCall(ports={"in": items}, ctx=Mock()), **bound)
        assert repr(expected.items) == repr(made)
    assert repr(before) == repr(items)


@pytest.mark.parametrize("price", [2, 2.5, -1, 0, 10**12])
def test_simple_arithmetic_is_quick(price):
    """
    Numbers are what it is for.
    """
    bound = bind_fields(set_fields, {"fields": {"total": "item.price * item.qty"}}, {})
    assert [{"price": price, "qty": 4, "total": price * 4}] == quick_set(bound)([{"price": price, "qty": 4}])


@pytest.mark.parametrize(
    "fields",
    [
        {"fields": {"a.b": "item.x"}},
        {"fields": {"a": "item.x"}, "keep": "none"},
        {"fields": {"a": "item.x"}, "remove": ["b"]},
        {"fields": {"a": "now()"}},
        {"fields": {"a": "random()"}},
        {"fields": {"a": 1}},
    ],
    ids=str,
)
def test_what_it_leaves_alone(fields):
    """
    Paths, removals, and what differs from moment to moment are the step's own business.
    """
    assert quick_set(bind_fields(set_fields, fields, {})) is None
