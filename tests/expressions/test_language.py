"""What expressions say: values, operators, precedence, fields, functions written inside."""

import pytest

from engine.expressions import Budget, ExpressionError, Lazy, compile_expression, truth
from engine.model.items import File

ITEM = {
    "name": "Anna",
    "price": 2.5,
    "qty": 3,
    "tags": ["new", "red"],
    "größe": "XL",
    "customer": {"city": "Wien", "vip": True},
    "lines": [{"sku": "a", "qty": 1, "total": 10}, {"sku": "b", "qty": 2, "total": 5.5}],
    "none": None,
}


def value_of(source, **names):
    return compile_expression(source).evaluate({"item": ITEM, "index": 4, **names})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("1", 1, id="a whole number"),
        pytest.param("2.50", 2.5, id="a number with a fraction"),
        pytest.param("1e3", 1000.0, id="a number with an exponent"),
        pytest.param(".5", 0.5, id="a fraction alone"),
        pytest.param("1_000", 1000, id="digits in groups"),
        pytest.param("'it\\'s'", "it's", id="single quotes"),
        pytest.param('"a\\n\\u00e9\\u{1F600}"', "a\né😀", id="escapes"),
        pytest.param('"\\ud83d\\ude00"', "😀", id="two halves of a character"),
        pytest.param("[1, [2], ]", [1, [2]], id="a list, with a comma at its end"),
        pytest.param("{a: 1, 'b c': 2, [\"d\" + 1]: 3, 4: 5}", {"a": 1, "b c": 2, "d1": 3, "4": 5}, id="an object"),
        pytest.param("{...item.customer, city: 'Graz'}", {"city": "Graz", "vip": True}, id="an object spread"),
        pytest.param("[0, ...item.tags, ...item.none]", [0, "new", "red"], id="lists spread, null is nothing"),
        pytest.param("{index}", {"index": 4}, id="the short form of a field"),
        pytest.param("null", None, id="null"),
    ],
)
def test_values(source, expected):
    """
    Values are written the way JSON and JavaScript write them.
    """
    assert expected == value_of(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("item.price * item.qty", 7.5),
        ("item.qty * 2 + 1", 7),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3.5),
        ("6 / 2", 3),
        ("7 % 3", 1),
        ("-7 % 3", 2),
        ("2 - 3 - 4", -5),
        ("--2", 2),
        ("-item.qty", -3),
        ("+item.qty", 3),
        ("'a' + 1 + true", "a1true"),
        ("1 + 2 + 'a'", "3a"),
        ("item.name + ' ' + item.price", "Anna 2.5"),
        ("'n: ' + 3.0", "n: 3"),
        ("[1] + [2]", [1, 2]),
        ("1 < 2", True),
        ("2 <= 1.5", False),
        ("'a' < 'b'", True),
        ("1 == 1.0", True),
        ("1 == true", False),
        ("0 == false", False),
        ("'1' == 1", False),
        ("null == null", True),
        ("item.none == null", True),
        ("item.missing == null", True),
        ("[1, {a: 2}] == [1.0, {a: 2}]", True),
        ("[1, 2] == [2, 1]", False),
        ("{a: 1} != {a: 1, b: null}", True),
        ("'red' in item.tags", True),
        ("'blue' not in item.tags", True),
        ("'nn' in item.name", True),
        ("'city' in item.customer", True),
        ("item.name in ['Anna', 'Bert']", True),
        ("2 in [1, 2.0]", True),
        ("true && 1 < 2", True),
        ("true and not false", True),
        ("false || 'x'", "x"),
        ("0 or ''", ""),
        ("!item.none", True),
        ("not 1 == 2", True),
        ("item.qty > 2 ? 'many' : 'few'", "many"),
        ("false ? 1 : true ? 2 : 3", 2),
        ("item.none ?? 'unknown'", "unknown"),
        ("item.missing.deeper.still ?? 0", 0),
        ("item.price * item.missing ?? 2", 5.0),
        ("item.missing ?? 1 + 2", 3),
        ("-item.missing ?? 5", -5),
        ("item.missing ?? item.none ?? 'last'", "last"),
        ("item.missing ?? -1", -1),
        ("item.qty > 1 ? item.missing ?? 'a' : 'b'", "a"),
        ("false && item.name * 2", False),
        ("true || item.name * 2", True),
        ("1 ?? (item.name * 2)", 1),
    ],
)
def test_operators(source, expected):
    """
    Operators compute with the kinds that fit, tight ones first; `??` binds tighter than arithmetic.
    """
    value = value_of(source)
    assert expected == value
    assert type(expected) is type(value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("item.customer.city", "Wien"),
        ("item['größe']", "XL"),
        ("item?.customer?.city", "Wien"),
        ("item.tags?.[0]", "new"),
        ("item.lines[0].sku", "a"),
        ("item.lines[-1].sku", "b"),
        ("item.lines[9]", None),
        ("item.tags[1.0]", "red"),
        ("item.tags[:1]", ["new"]),
        ("item.tags[-1:]", ["red"]),
        ("item.name[1:3]", "nn"),
        ("item.name[-1]", "a"),
        ("item.tags.length", 2),
        ("item.name.length", 4),
        ("item[item.none ?? 'name']", "Anna"),
        ("item.missing.x[3].y", None),
    ],
)
def test_fields(source, expected):
    """
    Fields are read by key; what is missing is null, and so is everything inside it.
    """
    assert expected == value_of(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('item.lines.filter(l => l.qty > 1).map(l => l.sku).join(", ")', "b"),
        ("sum(item.lines.map(l => l.total))", 15.5),
        ("item.lines.sum(l => l.qty * l.total)", 21.0),
        ("item.lines.map((l, i) => i + ':' + l.sku)", ["0:a", "1:b"]),
        ("item.lines.map(item => item.sku)", ["a", "b"]),
        ("item.lines.map(l => item.tags.map(t => l.sku + t))", [["anew", "ared"], ["bnew", "bred"]]),
        ("item.lines.map(l => item.name)", ["Anna", "Anna"]),
        ("item.lines.map(() => 1)", [1, 1]),
        ("item.name.upper().left(2)", "AN"),
        ("upper(item.name)", "ANNA"),
        ("[3, 1, 2].sort().reverse()", [3, 2, 1]),
        ("[[2, 1], [3]].map(x => x.map(x => x * 2))", [[4, 2], [6]]),
        ("[1, 2].map(x => [10, 20].map(y => x * y).sum())", [30, 60]),
        ("if(item.qty > 2, 'a', item.name * 2)", "a"),
        ("try(item.name * 2, 'no')", "no"),
        ("range(3).reduce((a, x, i) => a + x * i, 0)", 5),
    ],
)
def test_functions(source, expected):
    """
    Functions stand alone or behind a value; those written with an arrow see their own names first, then all others.
    """
    assert expected == value_of(source)


def test_the_scope_is_left_alone():
    """
    Evaluating changes neither the scope nor the data, and what is picked is the very same object.
    """
    item = {"lines": [{"a": 2}, {"a": 1}], "x": {"y": 1}}
    before = repr(item)
    scope = {"item": item}
    sorted_lines = compile_expression("item.lines.sort_by(l => l.a)").evaluate(scope)
    compile_expression("set(item, 'x.y', 2)").evaluate(scope)
    assert before == repr(item)
    assert {"item"} == set(scope)
    assert sorted_lines[0] is item["lines"][1]
    assert compile_expression("item.x").evaluate(scope) is item["x"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(None, False), (False, False), (0, False), (0.0, False), ("", False), ([], False), ({}, False)],
        *[(True, True), (1, True), ("false", True), ([0], True), ({"a": None}, True)],
    ],
)
def test_truth(value, expected):
    """
    null, false, 0 and everything empty count as false.
    """
    assert expected is truth(value)
    assert expected is compile_expression("v ? true : false").evaluate({"v": value})


class Fetched(Lazy):
    """A node as the engine hands it in."""

    def lookup(self, name):
        if name == "item":
            return {"total": 7}
        raise ExpressionError("the item came from 3 items of “fetch”", hint="use nodes.fetch.items")


class Nodes:
    """The engine's resolver: asked by name, and for nothing else."""

    secret = "hidden"

    def get_node(self, name):
        if name != "fetch":
            raise ExpressionError(f"there is no node “{name}” before this one")
        return Fetched()


def test_nodes_are_asked_by_name():
    """
    `nodes.<id>` asks the engine's resolver, which may refuse; the error points at the place.
    """
    scope = {"nodes": Nodes(), "item": {}}
    assert 8 == compile_expression("nodes.fetch.item.total + 1").evaluate(scope)
    assert 7 == compile_expression('nodes["fetch"].item.total').evaluate(scope)
    with pytest.raises(ExpressionError, match="no node “secret”") as caught:
        compile_expression("nodes.secret").evaluate(scope)
    assert 6 == caught.value.position.offset
    with pytest.raises(ExpressionError, match="came from 3 items") as caught:
        compile_expression("1 + nodes.fetch.items").evaluate(scope)
    assert "1 + nodes.fetch.items\n                ^" == caught.value.caret()


def test_nodes_may_be_a_plain_object():
    """
    A plain object serves as nodes too, with a hint at the nearest name.
    """
    scope = {"nodes": {"fetch": {"item": {"a": 1}}}}
    assert 1 == compile_expression("nodes.fetch.item.a").evaluate(scope)
    with pytest.raises(ExpressionError, match="no node “fetsh”") as caught:
        compile_expression("nodes.fetsh.item").evaluate(scope)
    assert "did you mean “fetch”?" == caught.value.hint


def test_files_show_what_they_describe():
    """
    A file passes through untouched and shows its name, type, size and hash.
    """
    file = File(hash="ab", name="report.pdf", media_type="application/pdf", size=9)
    scope = {"item": {"file": file}}
    assert compile_expression("item.file").evaluate(scope) is file
    assert "report.pdf (9)" == compile_expression('item.file.name + " (" + item.file.size + ")"').evaluate(scope)
    assert None is compile_expression("item.file.media_type").evaluate(scope)
    assert {"name": "report.pdf", "new": 1} == compile_expression("{...item.file.pick('name'), new: 1}").evaluate(scope)


@pytest.mark.parametrize(
    ("source", "names", "node_refs", "functions"),
    [
        ("item.a + vars.x", {"item", "vars"}, set(), set()),
        ("nodes.fetch.item.a + nodes['b-2'].items[0]", {"nodes"}, {"fetch", "b-2"}, set()),
        ("item.lines.map(l => l.a + index)", {"item", "index"}, set(), {"map"}),
        ("[1].map(item => item)", set(), set(), {"map"}),
        ("upper('nodes.x')", set(), set(), {"upper"}),
    ],
)
def test_what_an_expression_uses(source, names, node_refs, functions):
    """
    An expression tells the names, nodes and functions it uses, without being run.
    """
    expression = compile_expression(source)
    assert (names, node_refs, functions) == (expression.names, expression.node_refs, expression.functions)


def test_what_depends_on_time_and_chance():
    """
    An expression tells whether its result may differ next time.
    """
    assert compile_expression("today() + days(1)").reads_clock
    assert compile_expression("[1].map(x => uuid())").is_random
    assert not compile_expression("item.a + days(1)").reads_clock
    assert not compile_expression("item.a").is_random


def test_each_item_of_a_batch():
    """
    A batch gives one value for each item, with the index counted from the start that is named.
    """
    items = [{"n": n} for n in range(5)]
    assert [0, 2, 4, 6, 8] == compile_expression("item.n * 2").evaluate_each(items)
    assert [10, 12, 14, 16, 18] == compile_expression("item.n + index").evaluate_each(items, start=10)
    assert [[0], [0, 1]] == compile_expression("range(item.n + 1)").evaluate_each(items[:2])
    assert [5, 6] == compile_expression("item.n + vars.five").evaluate_each(items[:2], {"vars": {"five": 5}})
    assert [] == compile_expression("item.n").evaluate_each([])


def test_a_batch_names_the_item_that_failed():
    """
    The first failure of a batch says which item it was.
    """
    items = [{"n": 1}, {"n": 2}, {"n": "x"}, {}]
    with pytest.raises(ExpressionError, match="cannot multiply") as caught:
        compile_expression("item.n * 2").evaluate_each(items)
    assert 2 == caught.value.where["index"]


def test_what_is_the_same_for_all_is_computed_once():
    """
    A share of the total over a whole batch takes linear time, and gives what evaluating one by one gives.
    """
    items = [{"n": n} for n in range(20_000)]
    share = compile_expression("item.n * 100 / items.sum(i => i.n)")
    shares = share.evaluate_each(items, {"items": items})
    assert shares[5] == share.evaluate({"item": items[5], "items": items})
    assert 100 == pytest.approx(sum(shares))
    own_names = compile_expression("items[:2].map(item => item.n + items[:3].sum(i => i.n * item.n))")
    assert [[0, 4], [0, 4]] == own_names.evaluate_each(items[:2], {"items": items})


def test_a_batch_as_a_whole_is_bounded():
    """
    An expression that is cheap for one item may be too much for a whole batch.
    """
    items = [{"n": n} for n in range(2_000)]
    search = compile_expression("items.find(i => i.n == item.n).n")
    assert [0, 1, 2] == search.evaluate_each(items[:3], {"items": items})
    with pytest.raises(ExpressionError, match="too many steps for a batch"):
        search.evaluate_each(items, {"items": items}, Budget(batch_steps=10_000))


def test_compiling_twice_gives_the_same_object():
    """
    Compiled expressions come from a cache.
    """
    assert compile_expression("item.a + 1") is compile_expression("item.a + 1")
