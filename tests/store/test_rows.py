"""What a line of the journal says about a step, whatever the step had to say."""

import json

import pytest

from engine.store.rows import json_text


def a_ring():
    """A list that holds itself twice, so that walking it without a memory would never end."""
    ring = []
    ring += [ring, ring]
    return ring


def nested(depth):
    value = "the bottom"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"a": [1, 0.5, None, True]}, {"a": [1, 0.5, None, True]}, id="what JSON knows"),
        pytest.param({"a": {1}, 2: "x"}, {"a": "{1}", "2": "x"}, id="a set and a number for a key"),
        pytest.param({"a": "\ud800", "b": 2**70, 3: (1,)}, {"a": "?", "b": str(2**70), "3": [1]}, id="half a character"),
        pytest.param({"a": -(2**70), "b": {1}, "c": True}, {"a": str(-(2**70)), "b": "{1}", "c": True}, id="a big number"),
        pytest.param({"a": a_ring()}, {"a": ["…", "…"]}, id="a list that holds itself"),
    ],
)
def test_a_line_of_the_journal_never_fails(value, expected):
    """
    A value that JSON does not know becomes its text; what has no end is cut off.
    """
    assert expected == json.loads(json_text(value))


def test_what_is_nested_too_deep_is_cut_off():
    """
    Two hundred levels are kept as they are, thousands lose their bottom.
    """
    assert nested(200) == json.loads(json_text(nested(200)))
    assert json_text(nested(5000)).endswith("…" + '"' + "]" * 100)
