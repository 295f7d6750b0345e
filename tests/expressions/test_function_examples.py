"""Every example of the function table is run: what the reference shows is what happens."""

import pytest

from engine.expressions import FUNCTIONS, GROUPS, compile_expression

EXAMPLES = [
    pytest.param(source, expected, id=source) for function in FUNCTIONS.values() for source, expected in function.examples
]


@pytest.mark.parametrize(("source", "expected"), EXAMPLES)
def test_example(source, expected):
    """
    The example gives the result that stands beside it, of the same kind.
    """
    value = compile_expression(source).evaluate({})
    assert expected == value
    assert type(expected) is type(value) or {type(expected), type(value)} <= {int, float}


def test_the_table_is_complete():
    """
    Each function has a help sentence, an example and a group; there are about eighty or more.
    """
    assert len(FUNCTIONS) >= 80
    for function in FUNCTIONS.values():
        assert function.group in GROUPS
        assert function.help.endswith((".", "1."))
        assert function.examples
