"""Whole batches column by column: exactly what item by item gives, for every kind of data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions import ExpressionError, compile_expression

BIGGEST = 2**63
NUMBERS = st.one_of(
    st.integers(-5, 5), st.sampled_from([0, 0.0, -0.0, 1.5, 1e300, -1e308, 2**53, BIGGEST - 1, -BIGGEST, 10**30, 9e18])
)
FIELDS = st.one_of(
    NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.none(), st.sampled_from(["", "open", "2026-11-23", [1], {"a": 1}])
)
LITERALS = st.sampled_from(["0", "1", "3", "0.5", "9000000000000000000", "99999999999999999999", '"open"', "true", "null"])


def grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["+", "-", "*", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||"])
    return st.one_of(
        st.tuples(parts, signs, parts).map(lambda part: f"({part[0]} {part[1]} {part[2]})"),
        parts.map(lambda part: f"!({part})"),
        st.tuples(parts, parts, parts).map(lambda part: f"({part[0]} ? {part[1]} : {part[2]})"),
    )


EXPRESSIONS = st.recursive(st.one_of(st.sampled_from(["item.a", "item.b", "item.c", "index"]), LITERALS), grown, max_leaves=6)


def one_by_one(source: str, items: list[object]) -> list[tuple[type, object]] | str:
    compiled, found = compile_expression(source), []
    for index, item in enumerate(items):
        try:
            value = compiled.evaluate({"item": item, "index": index})
        except ExpressionError as error:
            return error.message
        found.append((type(value), value))
    return found


def at_once(source: str, items: list[object]) -> list[tuple[type, object]] | str:
    try:
        return [(type(value), value) for value in compile_expression(source).evaluate_each(items)]
    except ExpressionError as error:
        return error.message


@given(
    EXPRESSIONS, st.lists(st.fixed_dictionaries({"a": NUMBERS, "b": FIELDS}, optional={"c": FIELDS}), min_size=8, max_size=12)
)
def test_a_batch_gives_what_its_items_give_one_by_one(source, items):
    """
    Values, their types, and the sentence of the first error are the same whichever way a batch goes.
    """
    assert repr(one_by_one(source, items)) == repr(at_once(source, items))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("item.price * item.qty", [0.0, 2.5, 20.0], id="two fields"),
        pytest.param("index % 2 + 0.5", [0.5, 1.5, 0.5], id="the number of the item"),
        pytest.param('item.name == "n1" || item.qty > 3', [False, True, True], id="conditions"),
        pytest.param('item.qty > 0 ? item.name : "none"', ["none", "n1", "n2"], id="a choice"),
        pytest.param("!(item.qty == 0)", [False, True, True], id="not"),
    ],
)
def test_simple_shapes_go_by_column(source, expected):
    """
    Arithmetic, comparison and choice over fields are computed column by column.
    """
    items = [{"price": n * 2.5, "qty": n * n, "name": f"n{n}"} for n in range(9)]
    column = compile_expression(source)._column
    assert column is not None
    assert expected == [round(v, 9) if type(v) is float else v for v in column.compute(items, 0)[:3]]


@pytest.mark.parametrize("sign", ["+", "-", "*", "%", "<", ">=", "&&", "||"])
@pytest.mark.parametrize("constant", ["true", '"open"', "null", "2"])
def test_a_constant_of_the_wrong_kind_is_refused_in_a_batch_too(sign, constant):
    """
    True is no number, whether it comes with the items or stands in the expression.
    """
    items = [{"a": 1, "flag": True}] * 9
    for field in ("a", "flag"):
        for source in (f"item.{field} {sign} {constant}", f"{constant} {sign} item.{field}"):
            assert repr(one_by_one(source, items)) == repr(at_once(source, items)), source


def test_a_number_beyond_64_bits_is_refused_in_a_batch_too():
    """
    A batch in which one product grows too big fails with that item's number.
    """
    items = [{"a": 2, "b": 3}] * 9 + [{"a": 2**62, "b": 4}]
    with pytest.raises(ExpressionError, match="64 bits") as caught:
        compile_expression("item.a * item.b").evaluate_each(items)
    assert 9 == caught.value.where["index"]


def test_things_that_are_no_objects_are_left_to_the_closures():
    """
    A batch with something else than plain objects in it is refused by the column and answered item by item.
    """
    source = "item.a == null"
    assert [True] * 9 == compile_expression(source).evaluate_each([None] * 9)
