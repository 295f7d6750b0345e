"""Texts with {{ … }} in them."""

from datetime import date
from decimal import Decimal

import pytest

from engine.expressions import Budget, ExpressionError, compile_template, has_expressions

SCOPE = {
    "item": {"name": "Anna", "total": 3.0, "lines": [1, 2], "due": date(2026, 11, 23), "none": None, "price": Decimal("1.50")}
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("Dear {{ item.name }}!", "Dear Anna!", id="text around"),
        pytest.param("{{ item.name }}", "Anna", id="alone"),
        pytest.param("{{ item.lines }}", [1, 2], id="alone it keeps its type"),
        pytest.param("{{ item.none }}", None, id="alone null stays null"),
        pytest.param(" {{ item.total }}\n", 3.0, id="blanks around do not count"),
        pytest.param("{{ item.lines }}{{ item.lines }}", "[1,2][1,2]", id="two of them make a text"),
        pytest.param("a{{ item.none }}b", "ab", id="null is empty in a text"),
        pytest.param("{{ item.total }} EUR", "3 EUR", id="no needless fraction"),
        pytest.param("until {{ item.due }}", "until 2026-11-23", id="dates in ISO"),
        pytest.param("{{ item.price }} EUR", "1.50 EUR", id="decimals keep their digits"),
        pytest.param("{{ true }}/{{ false }}", "true/false", id="true and false"),
        pytest.param("plain text", "plain text", id="nothing in it"),
        pytest.param("", "", id="empty"),
        pytest.param("a { b } c }} d", "a { b } c }} d", id="lone brackets stay"),
        pytest.param("{{{{ item.name }}", "{{ item.name }}", id="four brackets write two"),
        pytest.param("{{{{{{{{", "{{{{", id="and again"),
        pytest.param("C:\\data\\{{ item.name }}.txt", "C:\\data\\Anna.txt", id="a backslash is a backslash"),
        pytest.param("{{ {a: {b: 1}} }}", {"a": {"b": 1}}, id="objects inside"),
        pytest.param("{{{a: {b: 1}}}}", {"a": {"b": 1}}, id="objects inside without blanks"),
        pytest.param("{{ '}}' + \"{{\" }}", "}}{{", id="brackets in texts"),
        pytest.param("{{ item.lines.map(l => {n: l}).length }}x", "2x", id="functions inside"),
    ],
)
def test_rendering(source, expected):
    """
    A template fills in its values; one that is a single expression gives the value itself.
    """
    value = compile_template(source).render(SCOPE)
    assert expected == value
    assert type(expected) is type(value)


def test_what_a_template_uses():
    """
    A template tells the names, nodes and functions of all its expressions.
    """
    template = compile_template("{{ item.a }} {{ nodes.fetch.item.b + vars.x }} {{ upper(nodes.b.item.c) }}")
    assert {"item", "nodes", "vars"} == template.names
    assert {"fetch", "b"} == template.node_refs
    assert {"upper"} == template.functions
    assert not template.is_constant
    assert compile_template("plain").is_constant
    assert compile_template("{{ today() }}").reads_clock
    assert frozenset() == compile_template("plain").names


def test_plain_texts_are_known_at_once():
    """
    Whether there is anything to compile can be asked cheaply.
    """
    assert has_expressions("a {{ b }}")
    assert not has_expressions("a { b }")


@pytest.mark.parametrize("source", ["{{", "a {{ item.a", "{{ 'a }}", "{{ }}", "{{ item.a }", "{{ (1 }}", "{{ 1 2 }}"])
def test_what_cannot_be_read(source):
    """
    A template that cannot be read says so when it is compiled.
    """
    with pytest.raises(ExpressionError):
        compile_template(source)


def test_the_text_is_bounded():
    """
    The text as a whole stays within the budget, not only its parts.
    """
    with pytest.raises(ExpressionError, match="longer than 100 characters"):
        compile_template("{{ 'a'.repeat(60) }} {{ 'b'.repeat(60) }}").render({}, Budget(text=100))
