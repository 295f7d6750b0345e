# ruff: noqa: E501 - the table of errors reads best with one error a line
"""What is said when an expression is wrong: the sentence, the way out, the place."""

import pytest

from engine.errors import TreadleError
from engine.expressions import ExpressionError, check_expression, check_template, compile_expression, compile_template


def failure(source, **scope):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).evaluate({"item": {"name": "Anna", "due": "soon"}, **scope})
    return caught.value


@pytest.mark.parametrize(
    ("source", "message", "hint", "column"),
    [
        pytest.param(
            "item.name * 2", "cannot multiply a text and a number",
            "use number(…) to read a number from text, repeat(…) to repeat a text", 11, id="text times number",
        ),
        pytest.param(
            "item.price * 2", "cannot multiply nothing (null) and a number", "use ?? to give a value for missing fields", 12,
            id="null times number",
        ),
        pytest.param("uper(item.name)", "there is no function “uper”", "did you mean “upper”?", 1, id="a misspelt function"),
        pytest.param("item.name.toUpperCase()", "there is no function “toUpperCase”", "did you mean “upper”?", 11, id="JavaScript's name"),
        pytest.param("itm.name", "there is no name “itm” here", "did you mean “item”?", 1, id="a misspelt name"),
        pytest.param("1 + name", "there is no name “name” here", "did you mean item.name?", 5, id="a field without item"),
        pytest.param("1 / 0", "cannot divide by zero", "test the divisor first: b == 0 ? null : a / b", 3, id="division by zero"),
        pytest.param("1 +", "the expression ends too early: expected a value", None, 4, id="a missing right side"),
        pytest.param("(1", "the expression ends too early: expected “)”", "the bracket is never closed", 3, id="an open bracket"),
        pytest.param("item.a = 1", "“=” cannot stand here", "write == to compare", 8, id="one equals sign"),
        pytest.param("item.a === 1", "“===” is not part of the language", "write == to compare", 8, id="three equals signs"),
        pytest.param("1 < 2 < 3", "comparisons cannot be chained", "write 1 < x && x < 5", 7, id="a chain of comparisons"),
        pytest.param("None", "there is no “None”", "did you mean “null”?", 1, id="Python's null"),
        pytest.param("“a”", "““” cannot stand here", 'write straight quotes: "', 1, id="curly quotes"),
        pytest.param('"\\d"', "“\\d” is not an escape", r"write \\ for a backslash", 2, id="a lone backslash"),
        pytest.param("größe", "“ö” cannot stand here", 'names are written with a-z, 0-9 and _; write item["größe"] for a field with other letters', 3, id="umlauts"),
        pytest.param("item.name()", "there is no function “name”", "did you mean “rename”?", 6, id="a field called"),
        pytest.param("upper()", "upper takes 1 value, here it gets 0", "write upper(text)", 1, id="too few values"),
        pytest.param("upper(1)", "upper(…) needs a text, not a number", "use text(…) to write a value as text", 7, id="a wrong kind"),
        pytest.param("left('a', null)", "the second value of left(…) needs a whole number, not nothing (null)", "use ?? to give a value for missing fields", 11, id="null for a number"),
        pytest.param("[1].map(1)", "map needs a function here", "write it with an arrow: map(…, x => x.total)", 9, id="a value for a function"),
        pytest.param("[{a: 1}].a", "a list has no field “a”", "write [0].a for the first, .map(x => x.a) for all of them", 10, id="a field of a list"),
        pytest.param("today().year", "a date has no field “year”", "write .year() to call the function", 9, id="a function without brackets"),
        pytest.param("item.due < today()", "cannot compare a date and the text “soon”: it is not a date", "dates are written 2026-11-23; read others with parse_date(text, “d.M.yyyy”)", 10, id="a text that is no date"),
        pytest.param("today() + 3", "cannot add a date and a number", "write + days(3) or + hours(2)", 9, id="a date and a number"),
        pytest.param("'a: ' + item.x", "cannot join nothing (null) and a text", 'use ?? to give a value for missing fields: (item.name ?? "")', 7, id="joining null"),
        pytest.param("'a: ' + [1]", "cannot join a list and a text", "use join(…) or json(…)", 7, id="joining a list"),
        pytest.param("nodes.x", "there is no “nodes” here", "this field sees no other nodes", 7, id="nodes where there are none"),
        pytest.param("sum(['1'])", "cannot add up a text (value 1 of 1)", "use map(x => number(x)) to read numbers from texts", 1, id="a sum of texts"),
        pytest.param("matches('a', '(?=a)')", "the pattern cannot be read: invalid perl operator: (?=", "look-around and backreferences are not part of RE2", 1, id="a pattern"),
    ],
)  # fmt: skip
def test_errors(source, message, hint, column):
    """
    An error says what is wrong, what to do, and where.
    """
    error = failure(source)
    assert (message, hint, column) == (error.message, error.hint, error.position.column)


def test_the_caret_stands_below_the_place():
    """
    The line of the source is shown with a caret below the place, wide letters and long lines included.
    """
    assert "  itm + 1]\n  ^" == failure("[1,\n  itm + 1]").caret()
    assert "'漢字' * 2\n       ^" == failure("'漢字' * 2").caret()
    shown = failure("1 + " * 50 + "itm" + " + 1" * 50).caret().split("\n")
    assert max(map(len, shown)) <= 125
    assert "itm" == shown[0][shown[1].index("^") :][:3]


def test_an_error_is_one_of_treadles_own():
    """
    It is a TreadleError with the code `expression`, and its dictionary tells the place.
    """
    error = failure("1 +\n itm")
    assert isinstance(error, TreadleError)
    shown = error.as_dict()
    assert "expression" == shown["code"]
    assert {"offset": 5, "line": 2, "column": 2} == shown["where"]


def test_places_in_a_template_count_in_the_whole_text():
    """
    The place of an error inside `{{ }}` counts in the text around it.
    """
    with pytest.raises(ExpressionError) as caught:
        compile_template("Dear {{ item.name }},\nyou owe {{ item.x * 2 }}").render({"item": {"name": "A"}})
    assert (2, 19) == (caught.value.position.line, caught.value.position.column)
    with pytest.raises(ExpressionError) as caught:
        compile_template("Dear {{ uper(1) }}")
    assert 8 == caught.value.position.offset


def test_a_check_lists_every_problem():
    """
    A check gives all problems at once, in the order of the text, each with its place and hint.
    """
    problems = check_expression("uper(itm) + lenght(item.a) + nodes")
    assert [
        ("there is no function “uper”", 1),
        ("there is no name “itm” here", 6),
        ("there is no function “lenght”", 13),
        ("“nodes” is not a value by itself", 30),
    ] == [(problem.message, problem.position.column) for problem in problems]
    assert ["did you mean “upper”?", "did you mean “item”?", "did you mean “length”?"] == [
        problem.hint for problem in problems[:3]
    ]
    assert [] == check_expression("item.a + index")
    assert ["the expression is empty"] == [problem.message for problem in check_expression("  ")]


def test_a_check_knows_the_names_it_is_told():
    """
    The names that exist where the expression stands can be handed in, or left open.
    """
    assert [] == check_expression("row.a", names={"row"})
    assert [] == check_expression("anything", names=None)
    assert 1 == len(check_expression("item.a", names={"row"}))


def test_a_check_of_a_template():
    """
    A template is checked in all its expressions; one that cannot be read ends the check.
    """
    assert [8, 22] == [problem.position.offset for problem in check_template("Dear {{ uper(1) }} {{ itm }} {{ item.a }}")]
    assert ["“{{” is never closed"] == [problem.message for problem in check_template("Dear {{ item.a")]
    assert [] == check_template("no expressions } { }}")


def test_errors_of_the_engine_pass_unchanged():
    """
    What the engine's own resolvers raise is not dressed up as an error of the expression.
    """

    class Gone(TreadleError):
        code = "gone"

    class Nodes:
        def get_node(self, name):
            raise Gone("the data of this node was deleted")

    with pytest.raises(Gone):
        compile_expression("nodes.a.item").evaluate({"nodes": Nodes()})
