"""What an evaluation may cost, and that limits cannot be talked round."""

import pytest

from engine.expressions import Budget, ExpressionError, compile_expression


def refused(source, scope=None, **limits):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).evaluate(scope or {}, Budget(**limits))
    return caught.value.message


def test_steps():
    """
    A loop is charged its length times the weight of its body, at its entry.
    """
    assert "the expression needs more than 1,000 steps" == refused("range(2000).map(x => x)", steps=1000)
    assert "the expression needs more than 1,000 steps" == refused("range(50).map(x => range(50).map(y => x * y))", steps=1000)
    assert 10 == len(compile_expression("range(10).map(x => x)").evaluate({}, Budget(steps=1000)))


def test_text():
    """
    A text may not get longer than the budget, however it is made.
    """
    for source in (
        "'a'.repeat(60) + 'b'.repeat(60)",
        "repeat('a', 101)",
        "pad_start('a', 101)",
        "['a'.repeat(60), 'b'.repeat(60)].join()",
    ):
        assert "the text gets longer than 100 characters" == refused(source, text=100)


def test_memory():
    """
    What is built on the way counts, even when it is thrown away.
    """
    assert "the expression builds more than 1 MB" == refused("range(100).map(x => 'a'.repeat(20000)).length", memory=1 << 20)
    assert "the expression builds more than 1 MB" == refused("range(100000).length", memory=1 << 20)


def test_results_that_are_small_here_and_huge_as_json():
    """
    A result is measured as JSON, where a list that is met twice counts twice.
    """
    assert "the result is bigger than 1 MB" == refused(
        "range(1000).map(x => item)", {"item": {"t": "a" * 2000}}, result=1 << 20
    )
    message = refused("range(40).reduce((a, x) => [a, a], ['x'])")
    assert "the result is bigger than 64 MB" == message


def test_depth():
    """
    Values that lie too deep in each other are refused.
    """
    assert "the value is nested deeper than 100 levels" == refused("range(200).reduce((a, x) => [a], [])")


def test_limits_cannot_be_caught():
    """
    try() gives no way round a limit.
    """
    assert "the expression needs more than 1,000 steps" == refused("try(range(2000).map(x => x), 'caught')", steps=1000)
    assert "the text gets longer than 100 characters" == refused("try(repeat('a', 200), 'caught')", text=100)


def test_long_texts_in_plain_expressions_are_counted_too():
    """
    An expression without loops runs without a meter until it meets data that is worth counting.
    """
    item = {"a": "x" * 50_000, "b": "y" * 50_000}
    assert 100_000 == len(compile_expression("item.a + item.b").evaluate({"item": item}))
    assert "the text gets longer than 60,000 characters" == refused("item.a + item.b", {"item": item}, text=60_000)


def test_big_batches_have_room():
    """
    An expression over all items of a big batch gets more steps and memory by itself.
    """
    items = [{"n": n} for n in range(300_000)]
    assert sum(range(300_000)) == compile_expression("items.map(i => i.n * 1).sum()").evaluate({"items": items})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("9223372036854775807 * 4", "the whole number has more than 64 bits"),
        ("pow(10, 400)", "the number is too big"),
        ("1e200 * 1e200", "the number is too big"),
        ("[1, 1e200 * 1e99 * 10]", None),
        ("1" * 41, "a number may have at most 40 digits"),
        ("decimal('1e290') * decimal('1e290')", "the decimal gets too big or too small to stay exact"),
    ],
)
def test_numbers_are_bounded(source, message):
    """
    Numbers stay in what JSON can hold and nobody needs more of.
    """
    if message is None:
        assert 2 == len(compile_expression(source).evaluate({}))
    else:
        with pytest.raises(ExpressionError, match=message):
            compile_expression(source).evaluate({})


@pytest.mark.parametrize(
    "source",
    ["(" * 41 + "1" + ")" * 41, "1" + "+1" * 300, "x" * 8001, "[" * 5000, "-" * 500 + "1"],
    ids=["nested", "chain", "long", "open", "signs"],
)
def test_sources_are_bounded(source):
    """
    Sources that are too long or too deep are refused before anything is built.
    """
    with pytest.raises(ExpressionError, match=r"nested deeper|chain of more|longer than"):
        compile_expression(source)
