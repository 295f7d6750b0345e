"""From what is written to what an action receives."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pytest

from engine.errors import BadInput, StepError
from engine.expressions.errors import ExpressionError
from engine.expressions.values import Lazy
from engine.steps.computed import OVER_ALL, Constant, bind_expression, bind_fields, name_for, plan_fields
from engine.steps.contract import Context
from engine.steps.convert import convert
from engine.steps.define import PLAIN, Between, Cases, ExpressionList, Expressions, Items, Label, Timezone, Written, step
from engine.steps.spec import FieldSpec


@step("demo.step", "Demo")
async def demo(
    ctx: Context,
    url: str,
    count: Annotated[int, Between(1, 10)] = 3,
    headers: dict[str, Any] | None = None,
    names: list[str] | None = None,
    body: Any = None,
    mode: Literal["fast", "slow"] = "fast",
    sample: Items | None = None,
    raw: Annotated[str, PLAIN] = "",
    content: Annotated[Any, Written("{{ item.file ?? item.text }}")] = None,
    values: Expressions | None = None,
    keys: ExpressionList | None = None,
    cases: Cases | None = None,
) -> None:
    """Shows what binding does."""


ITEM = {"id": 7, "name": "Ada", "text": "hello", "tags": ["a"]}


def bound(**written):
    return bind_fields(demo, {"url": "x", **written}, {"item": ITEM, "items": [ITEM], "index": 0, "$timezone": "Europe/Vienna"})


def test_templates_are_rendered_deep_inside():
    """
    Each text in lists and objects is rendered; one single expression keeps its type.
    """
    fields = bound(
        url="https://x/{{ item.id }}",
        headers={"a": "{{ item.name }}", "n": 1},
        body={"l": ["{{ item.tags }}", {"i": "{{ item.id }}"}]},
    )
    assert "https://x/7" == fields["url"]
    assert {"a": "Ada", "n": 1} == fields["headers"]
    assert {"l": [["a"], {"i": 7}]} == fields["body"]


def test_defaults_fill_in_and_are_rendered_too():
    """
    What is not written comes from the signature; a default written in the workflow's language is computed.
    """
    fields = bound()
    assert (3, "fast", None, "hello") == (fields["count"], fields["mode"], fields["headers"], fields["content"])


def test_a_template_that_gives_null_falls_back_to_the_default():
    """
    Null is as good as not written.
    """
    assert 3 == bound(count="{{ item.nothing }}")["count"]


def test_plain_fields_and_samples_stay_as_written():
    """
    Where no expression may stand, none is looked for.
    """
    fields = bound(raw="{{ item.id }}", sample=[{"a": "{{ x }}"}])
    assert ("{{ item.id }}", [{"a": "{{ x }}"}]) == (fields["raw"], fields["sample"])


def test_expression_fields_arrive_bound():
    """
    Texts are expressions, other values constants; a list in the place of an object is named by its words.
    """
    fields = bound(values={"a": "item.id + 1", "b": 5}, keys="item.id", cases={"x": "item.id > 3"})
    assert {"a": [8], "b": [5]} == {name: one.values([ITEM]) for name, one in fields["values"].items()}
    assert [[7]] == [one.values([ITEM]) for one in fields["keys"]]
    assert fields["cases"]["x"].value(ITEM)
    assert ["id", "name"] == list(bound(values=["item.id", "item.name"])["values"])
    assert ["id"] == list(bound(values="item.id")["values"])


def test_everything_unknown_missing_or_wrong_names_its_field():
    """
    Errors lead to the field they are about.
    """
    with pytest.raises(BadInput, match="no field “ur”") as unknown:
        bound(ur="x")
    assert "Did you mean “url”?" == unknown.value.hint
    with pytest.raises(BadInput, match="“Url” is missing") as missing:
        bind_fields(demo, {}, {"item": None})
    assert "url" == missing.value.where["field"]
    with pytest.raises(BadInput, match="names with expressions"):
        bound(values=5)
    for broken in ({"url": "{{ item. }}"}, {"url": "{{ 1 / 0 }}"}, {"keys": ["item."]}):
        with pytest.raises(ExpressionError) as caught:
            bound(**broken)
        assert next(iter(broken)) == caught.value.where["field"]


def test_a_plan_is_made_once_and_rendered_often():
    """
    The same plan serves every item.
    """
    plan = plan_fields(demo, {"url": "https://x/{{ item.id }}"})
    assert plan.varies
    assert ["https://x/1", "https://x/2"] == [plan.render({"item": {"id": n}})["url"] for n in (1, 2)]
    assert not plan_fields(NOTHING, {}).varies


@step("demo.nothing", "Nothing")
async def nothing(ctx: Context, count: int = 1) -> None:
    """Has one constant."""


NOTHING = nothing


class Origins(Lazy):
    """What `nodes` is while an item is looked at."""

    def __init__(self, index):
        self.index = index

    def lookup(self, name):
        return {"item": {"from": f"{name} {self.index}"}}


def test_names_that_differ_per_item_are_asked_for_by_index():
    """
    `nodes` means another thing for each item; expressions that do not mention it never ask.
    """
    asked = []

    def at(items, index):
        asked.append(index)
        return {"nodes": Origins(index)}

    items = [{"v": 1}, {"v": 2}]
    computed = bind_expression("nodes.fetch.item.from", {}, at=at)
    assert ["fetch 0", "fetch 1"] == computed.values(items)
    assert ["fetch 5", "fetch 9"] == computed.values(items, [5, 9])
    assert "fetch 4" == computed.value(items[0], 4)
    assert f"fetch {OVER_ALL}" == computed.value_over(items)
    asked.clear()
    assert [2, 3] == bind_expression("item.v + 1", {}, at=at).values(items)
    assert [] == asked


def test_positions_are_the_index_of_a_selection():
    """
    `index` counts in the batch that arrived, also for a part of it.
    """
    assert [10, 12] == bind_expression("index", {}).values([{}, {}], [10, 12])


def test_local_names_and_items_can_be_handed_in():
    """
    Aggregates see the items they are asked about.
    """
    computed = bind_expression("sum(items.map(i => i.v)) + extra", {"items": []})
    assert 6 == computed.value_over([{"v": 1}, {"v": 2}], extra=3)
    assert 1 == bind_expression("x", {}).value({}, x=1)


def test_constants_behave_like_expressions():
    """
    A number in the place of an expression is that number, always.
    """
    constant = Constant(5)
    assert (5, [5, 5], 5, "5") == (constant.value({}), constant.values([{}, {}]), constant.value_over([]), constant.source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("item.customer.city", "city"),
        ("item.a", "a"),
        ("{{ item.a }}", "a"),
        ("total", "total"),
        ("item.a + 1", "item.a + 1"),
        (5, "5"),
    ],
)
def test_names_of_unnamed_expressions(source, expected):
    """
    A path goes by its last word, anything else by its text.
    """
    assert expected == name_for(source)


def field(kind, **more):
    return FieldSpec(name="f", label="F", type=kind, **more)


CHOICE = {"choices": (("fast", "Fast"), ("slow", "Slow"))}
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (field("text"), 7, "7"),
        (field("text"), 7.0, "7"),
        (field("text"), True, "true"),
        (field("long_text"), "a", "a"),
        (field("integer"), "7", 7),
        (field("integer"), 7.0, 7),
        (field("number"), "7.5", 7.5),
        (field("number"), 2, 2),
        (field("boolean"), "yes", True),
        (field("boolean"), 0, False),
        (field("boolean"), False, False),
        (field("choice", **CHOICE), "slow", "slow"),
        (field("duration"), "1h30m", timedelta(minutes=90)),
        (field("duration"), 2.5, timedelta(seconds=2.5)),
        (field("duration"), timedelta(1), timedelta(1)),
        (field("datetime"), "2026-11-23T12:00:00+01:00", NOON),
        (field("datetime"), "2026-11-23T12:00:00", NOON),
        (field("datetime"), "2026-11-23", NOON.replace(day=22, hour=23)),
        (field("timezone"), "Europe/Vienna", "Europe/Vienna"),
        (field("list"), "a", ["a"]),
        (field("list"), '["a", 1]', ["a", 1]),
        (field("list"), ("a",), ["a"]),
        (field("object"), '{"a": 1}', {"a": 1}),
        (field("items"), {"a": 1}, [{"a": 1}]),
        (field("items"), '[{"a": 1}]', [{"a": 1}]),
        (field("any"), NOON.date(), "2026-11-23"),
        (field("cron"), "0 7 * * *", "0 7 * * *"),
        (field("text"), None, None),
        (field("expression"), "as it is", "as it is"),
    ],
)
def test_convert(spec, value, expected):
    """
    What can be read as the type, is.
    """
    assert expected == convert(spec, value, timezone="Europe/Vienna")
    assert type(expected) is type(convert(spec, value, timezone="Europe/Vienna"))


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (field("text"), {"a": 1}, "wants a text, but got an object"),
        (field("integer"), "7.5", "wants a whole number"),
        (field("integer"), "x", "wants a whole number, but got a text “x”"),
        (field("integer"), True, "wants a whole number"),
        (field("number"), "nan", "wants a number"),
        (field("number"), [], "wants a number"),
        (field("integer", minimum=1), 0, "is 0; it must be at least 1"),
        (field("integer", maximum=5), 6, "is 6; it may be at most 5"),
        (field("boolean"), "maybe", "wants true or false"),
        (field("choice", **CHOICE), "fsat", "wants fast or slow"),
        (field("duration"), "soon", "wants a duration"),
        (field("duration"), [], "wants a duration"),
        (field("datetime"), "tomorrow", "wants a date or a moment"),
        (field("datetime"), 5, "wants a date or a moment"),
        (field("timezone"), "Europe/Wien", "wants a time zone"),
        (field("list"), "[1", "not JSON"),
        (field("object"), "[1]", "wants an object"),
        (field("object"), "{", "not JSON"),
        (field("items"), [1], "wants a list of objects"),
    ],
)
def test_convert_refuses(spec, value, expected):
    """
    What cannot, is refused by name, with what was wanted and what came.
    """
    with pytest.raises(BadInput, match=expected) as caught:
        convert(spec, value)
    assert isinstance(caught.value, StepError)
    assert "f" == caught.value.field


def test_labels_and_zones_can_be_declared():
    """
    Aliases carry their kind through `Annotated`.
    """

    @step("demo.zone", "Zone")
    async def zone(ctx: Context, zone: Annotated[Timezone, Label("Zone")]) -> None:
        """Takes a zone."""

    assert ("timezone", "Zone") == (zone.fields[0].type, zone.fields[0].label)
