"""A hundred thousand random expressions: nothing but values and clean errors, and none that takes long."""

import random
import time

import pytest

from engine.expressions import FUNCTIONS, ExpressionError, check_expression, compile_expression, to_json_value

SIGNS = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "<",
    "<=",
    ">",
    ">=",
    "==",
    "!=",
    "&&",
    "||",
    "!",
    "??",
    "?",
    ":",
    ".",
    "?.",
    ",",
    "=>",
    "...",
]
LITERALS = ["0", "1", "-1", "2.5", "1e300", "99999999999999999999", '"a"', "'b'", '""', '"2026-11-23"', '"[0-9]+"']
NAMES = [
    "item",
    "items",
    "index",
    "nodes",
    "run",
    "x",
    "y",
    "true",
    "false",
    "null",
    "and",
    "or",
    "not",
    "in",
    "a",
    "b",
    "lines",
    "nodes.fetch",
]
FIELDS = ["item.a", "item.b", "item.text", "item.when", "item.lines", "item.none", "item.yes"]
VALUES = ["[]", "[1, null, 2]", "{a: 1}", "today()", "now()", "days(2)", 'decimal("1.5")', "null", "true"]
WORDS = [*NAMES, *SIGNS * 2, *"()[]{}" * 4, *LITERALS, *FIELDS, *VALUES, "x => x", "(x, y) => x + y"]
WORDS += [*FUNCTIONS, *(f"{name}(" for name in FUNCTIONS)]
SCOPE = {
    "item": {
        "a": 1,
        "b": 2.5,
        "text": "Anna 12",
        "when": "2026-11-23",
        "lines": [{"qty": 1}, {"qty": 2}],
        "none": None,
        "yes": True,
    },
    "items": [{"a": 1}, {"a": 2}],
    "index": 3,
    "nodes": {"fetch": {"item": {"a": 1}}},
    "run": {"id": "r1"},
    "x": [3, 1, 2],
    "y": "text",
}
EXPECTED_PROBLEMS = "cannot be computed"


def a_call(chance, depth):
    """Write a call that has about the right number of values, so that more than the parser is reached."""
    function = chance.choice(list(FUNCTIONS.values()))
    count = chance.randint(function.least, function.most if function.most is not None else function.least + 2)
    values = []
    for place in range(count):
        if function.parameter(place).kind == "function":
            values.append(chance.choice(["x => x", "x => x.qty", "(x, i) => x", "x => x > 1", "x => null"]))
        else:
            values.append(a_value(chance, depth - 1))
    return f"{function.name}({', '.join(values)})"


def a_value(chance, depth):
    """Write a random value that can be read."""
    if depth <= 0 or chance.random() < 0.3:
        return chance.choice([*FIELDS, *LITERALS, *VALUES, "item", "items", "x", "y"])
    way = chance.random()
    if way < 0.5:
        return a_call(chance, depth)
    if way < 0.8:
        sign = chance.choice(["+", "-", "*", "/", "%", "<", ">=", "==", "!=", "&&", "||", "??", "in"])
        return f"({a_value(chance, depth - 1)} {sign} {a_value(chance, depth - 1)})"
    if way < 0.9:
        return f"({a_value(chance, depth - 1)} ? {a_value(chance, depth - 1)} : {a_value(chance, depth - 1)})"
    return f"{a_value(chance, depth - 1)}[{a_value(chance, depth - 1)}]"


def outcome(source):
    """Run one text; return how long it took. What is no ExpressionError passes through, and so does one nobody foresaw."""
    began = time.process_time()
    try:
        to_json_value(compile_expression.__wrapped__(source).evaluate(SCOPE))
    except ExpressionError as error:
        if EXPECTED_PROBLEMS in error.message:
            raise AssertionError(source) from error
        error.caret()
    return time.process_time() - began


@pytest.mark.usefixtures("unmeasured")
def test_random_token_strings():
    """
    70,000 random strings of tokens give values or clean errors, none slower than a second.
    """
    chance = random.Random(20261123)
    slowest = max(outcome(" ".join(chance.choices(WORDS, k=chance.randint(1, 14)))) for _ in range(70_000))
    assert slowest < 1.0


@pytest.mark.usefixtures("unmeasured")
def test_random_well_formed_expressions():
    """
    30,000 random expressions that can be read, calling every function with values of every kind, do so too.
    """
    chance = random.Random(7)
    slowest = max(outcome(a_value(chance, 4)) for _ in range(30_000))
    assert slowest < 1.0


def test_checking_random_texts_never_fails():
    """
    A check of any text gives a list of problems, each with a place inside the text.
    """
    chance = random.Random(3)
    letters = "item.x+-*/()[]{}?:\"'\\\n\t =><&|!,0123456789eE_aé€\u200b{{}}"
    for _ in range(5_000):
        source = "".join(chance.choices(letters, k=chance.randint(0, 30)))
        for problem in check_expression(source):
            assert 0 <= problem.position.offset <= len(source)
            assert problem.message
