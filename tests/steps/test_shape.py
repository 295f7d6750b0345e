"""Making items and changing their shape."""

import copy

import pytest

from engine.errors import BadInput
from engine.model.items import SAME
from engine.steps.contract import ItemFailures


def test_generate_counts_from_zero(bench):
    """
    `index` tells the items apart, and each comes from the one item that came in.
    """
    made = bench.ports("data.generate", {"count": 3, "item": {"number": "index + 1", "sku": "'A' + index"}}, [{"x": 1}])["out"]
    assert [{"number": 1, "sku": "A0"}, {"number": 2, "sku": "A1"}, {"number": 3, "sku": "A2"}] == made.items
    assert [0, 0, 0] == list(made.origins["in"])


def test_generate_sees_the_first_item(bench):
    """
    What came in can be used in what is made, and paths make objects.
    """
    assert [{"a": {"b": 7}}] == bench.out("data.generate", {"count": 1, "item": {"a.b": "item.x"}}, [{"x": 7}, {"x": 8}])


def test_generate_without_fields_gives_numbers(bench):
    """
    Told nothing but how many, it numbers them.
    """
    assert [{"index": 0}, {"index": 1}] == bench.out("data.generate", {"count": 2})


def test_generate_refuses_a_negative_count(bench):
    """
    The error names the field and the bound.
    """
    with pytest.raises(BadInput, match="at least 0") as caught:
        bench.out("data.generate", {"count": -1})
    assert "count" == caught.value.field


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"fields": {"b": "item.a * 2"}}, {"a": 2, "c": {"d": 1}, "b": 4}, id="one field"),
        pytest.param({"fields": {"a": "1", "b": "'x'"}}, {"a": 1, "c": {"d": 1}, "b": "x"}, id="several, one replaced"),
        pytest.param({"fields": {"c.e": "item.a"}}, {"a": 2, "c": {"d": 1, "e": 2}}, id="into an object"),
        pytest.param(
            {"fields": {"n.m.o": "true"}}, {"a": 2, "c": {"d": 1}, "n": {"m": {"o": True}}}, id="objects made on the way"
        ),
        pytest.param({"fields": {"a.b": "1"}}, {"a": {"b": 1}, "c": {"d": 1}}, id="a number gives way to an object"),
        pytest.param({"fields": {"x": "item.a"}, "keep": "none"}, {"x": 2}, id="keep none"),
        pytest.param(
            {"fields": {"x": 5, "y": None, "z": [1, 2]}, "keep": "none"}, {"x": 5, "y": None, "z": [1, 2]}, id="constants"
        ),
        pytest.param({"fields": {"x": "{{ item.a }}"}, "keep": "none"}, {"x": 2}, id="braces out of habit"),
        pytest.param({"fields": {"x": "item.a"}, "remove": ["a", "c.d"]}, {"c": {}, "x": 2}, id="remove"),
        pytest.param(
            {"fields": {"due": "date('2026-11-23')"}, "keep": "none"}, {"due": "2026-11-23"}, id="dates are stored as text"
        ),
        pytest.param({"fields": {"d": "decimal('0.10')"}, "keep": "none"}, {"d": "0.10"}, id="decimals are stored as text"),
        pytest.param({"fields": {}}, {"a": 2, "c": {"d": 1}}, id="nothing set"),
    ],
)
def test_set(bench, fields, expected):
    """
    Fields are added or replaced in new items; the old ones stay as they were.
    """
    item = {"a": 2, "c": {"d": 1}}
    before = copy.deepcopy(item)
    result = bench.ports("data.set", fields, [item])["out"]
    assert [expected] == result.items
    assert before == item
    assert SAME is result.origins["in"]


@pytest.mark.parametrize("width", range(7))
@pytest.mark.parametrize("keep", ["all", "none"])
def test_set_any_number_of_fields(bench, width, keep):
    """
    One field or many: each has its value, in the order written.
    """
    names = [f"f{number}" for number in range(width)]
    made = bench.out(
        "data.set", {"fields": {name: f"item.v + {place}" for place, name in enumerate(names)}, "keep": keep}, [{"v": 1}]
    )
    expected = {**({"v": 1} if keep == "all" else {}), **{name: 1 + place for place, name in enumerate(names)}}
    assert [expected] == made
    assert list(expected) == list(made[0])


def test_set_knows_every_item_and_its_index(bench):
    """
    `index` and `items` mean the batch.
    """
    items = [{"v": 1}, {"v": 2}]
    assert [{"v": 1, "of": "0/2"}, {"v": 2, "of": "1/2"}] == bench.out(
        "data.set", {"fields": {"of": "index + '/' + items.length"}}, items
    )


def test_set_lets_one_item_fail_alone(bench):
    """
    An expression that fails for one item leaves the others done, and says which it was.
    """
    items = [{"v": 1}, {"v": "x"}, {"v": 3}]
    with pytest.raises(ItemFailures) as caught:
        bench.raw("data.set", {"fields": {"double": "item.v * 2"}}, items)
    assert [1] == list(caught.value.failed)
    assert [{"v": 1, "double": 2}, {"v": 3, "double": 6}] == caught.value.outputs.items
    assert [0, 2] == list(caught.value.outputs.origins["in"])
    assert "fields" == caught.value.failed[1].where["field"]


@pytest.mark.parametrize(
    ("names", "item", "expected"),
    [
        pytest.param({"a": "x"}, {"a": 1, "b": 2}, {"x": 1, "b": 2}, id="keeps the place"),
        pytest.param({"a": "b", "b": "a"}, {"a": 1, "b": 2}, {"b": 1, "a": 2}, id="swap"),
        pytest.param({"a": "b"}, {"a": 1, "b": 2}, {"b": 1}, id="replaces what has the name"),
        pytest.param({"zz": "x"}, {"a": 1}, {"a": 1}, id="a missing field is passed over"),
        pytest.param({"zz": "a"}, {"a": 1}, {"a": 1}, id="a missing field replaces nothing"),
        pytest.param(
            {"c.city": "city"}, {"c": {"city": "Wien", "zip": 1}}, {"c": {"zip": 1}, "city": "Wien"}, id="out of an object"
        ),
        pytest.param({"city": "c.city"}, {"city": "Wien"}, {"c": {"city": "Wien"}}, id="into an object"),
        pytest.param({"a": "a"}, {"a": 1}, {"a": 1}, id="nothing to do"),
    ],
)
def test_rename(bench, names, item, expected):
    """
    Fields get other names, the values stay.
    """
    before = copy.deepcopy(item)
    made = bench.out("data.rename", {"names": names}, [item])
    assert [expected] == made
    assert list(expected) == list(made[0])
    assert before == item


def test_rename_refuses_broken_paths(bench):
    """
    A path with nothing between its dots is told, not guessed.
    """
    with pytest.raises(BadInput, match="a word is missing"):
        bench.out("data.rename", {"names": {"a..b": "c"}}, [{}])


ORDER = {"id": 7, "sku": "order", "lines": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"list": "item.lines"}, [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}], id="entries alone"),
        pytest.param(
            {"list": "item.lines", "keep": "all"},
            [{"id": 7, "sku": "A", "qty": 1}, {"id": 7, "sku": "B", "qty": 2}],
            id="entries win, the list is gone",
        ),
        pytest.param(
            {"list": "item.lines.map(l => l.qty)", "keep": "none"},
            [{"value": 1}, {"value": 2}],
            id="plain entries are named value",
        ),
        pytest.param(
            {"list": "item.lines", "as": "line", "keep": "none"},
            [{"line": {"sku": "A", "qty": 1}}, {"line": {"sku": "B", "qty": 2}}],
            id="under a name",
        ),
        pytest.param({"list": "item.nothing"}, [], id="null gives nothing"),
    ],
)
def test_split(bench, fields, expected):
    """
    Each entry of the list becomes an item that knows where it came from.
    """
    before = copy.deepcopy(ORDER)
    result = bench.ports("data.split", fields, [ORDER])["out"]
    assert expected == result.items
    assert [0] * len(expected) == list(result.origins["in"])
    assert before == ORDER


def test_split_remembers_the_origin_of_each_entry(bench):
    """
    Entries of the third item come from index 2.
    """
    items = [{"l": [1, 2]}, {"l": []}, {"l": [3]}]
    assert [0, 0, 2] == list(bench.ports("data.split", {"list": "item.l"}, items)["out"].origins["in"])


def test_split_fails_for_the_item_without_a_list(bench):
    """
    One item with a text in the place of a list does not spoil the others.
    """
    with pytest.raises(ItemFailures) as caught:
        bench.raw("data.split", {"list": "item.l"}, [{"l": [1]}, {"l": "no"}])
    assert [1] == list(caught.value.failed)
    assert "a text, not a list" in caught.value.failed[1].message
    assert [{"value": 1}] == caught.value.outputs.items
