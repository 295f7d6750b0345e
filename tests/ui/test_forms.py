"""Every kind of field: what is typed, what is written, and what is said when it makes no sense."""

import pytest
from nicegui import ElementFilter, ui

from engine.ids import NodeId
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import FieldSpec, StepSpec
from ui.editor.desk import Desk
from ui.editor.fields.context import FormContext
from ui.editor.fields.expression_input import ExpressionInput
from ui.editor.fields.registry import EDITORS, editor_for, is_shown

pytestmark = pytest.mark.anyio

DOCUMENT = """
treadle: 1
name: Fields
nodes:
  start: {use: trigger.manual, with: {sample: [{n: 2, name: Ada}]}}
  s: {use: data.set, with: {fields: {a: item.n + 1, five: 5}}}
  w: {use: data.switch_to_nothing, with: {a: 1}}
edges: [start -> s]
"""


class Form:
    """One field of one node, and ways to do what a browser would."""

    def __init__(self, stage, draft, editor, name):
        self.stage, self.draft, self.editor, self.name = stage, draft, editor, name

    def inputs(self, kind=ExpressionInput):
        with self.stage.user:
            return [one for one in ElementFilter(kind=kind) if self.editor.root in one.ancestors()]

    def type(self, text, which=0):
        self.stage.fire(self.inputs()[which], "update:value", text)

    @property
    def written(self):
        return self.draft.document.nodes["s"].fields.get(self.name, "nothing")

    async def writes(self, expected):
        await self.stage.until(
            lambda: self.written == expected and type(self.written) is type(expected), f"{expected!r}, not {self.written!r}"
        )


@pytest.fixture
async def a_form(stage):
    """Draw the editor of one field on a page; `value` is what stands in the document before."""

    async def make(spec: FieldSpec, value=None) -> Form:
        workflow = await stage.a_workflow(DOCUMENT)
        draft = await stage.studio.drafts.open(workflow)
        made = {}

        @ui.page("/form")
        def page() -> None:
            made["editor"] = editor_for(FormContext(Desk(stage.studio, draft), "s"), spec)

        if value is not None:
            from engine.model.changes import SetField

            await draft.apply(SetField(node=NodeId("s"), field=spec.name, value=value), "test")
        await stage.user.open("/form")
        form = Form(stage, draft, made["editor"], spec.name)
        draft.subscribe(lambda _: made["editor"].show_problems())
        return form

    return make


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [
        ("text", "hello", "hello"),
        ("text", "{{ item.n }}", "{{ item.n }}"),
        ("integer", "12", 12),
        ("integer", "{{ item.n }}", "{{ item.n }}"),
        ("integer", "twelve", "twelve"),
        ("number", "12", 12),
        ("number", "-0.5", -0.5),
        ("number", "1e3", 1000),
        ("duration", "15m", "15m"),
        ("cron", "0 7 * * MON", "0 7 * * MON"),
        ("any", '{"a": [1, 2]}', {"a": [1, 2]}),
        ("any", "{{ item }}", "{{ item }}"),
        ("any", "{half", "{half"),
        ("any", "true", True),
        ("any", "7", 7),
        ("expression", "item.n > 1", "item.n > 1"),
    ],
)
async def test_what_is_typed_is_written(a_form, kind, typed, expected):
    """
    Numbers become numbers, templates stay texts, half-typed things wait as text and are named by the check.
    """
    form = await a_form(FieldSpec(name="f", type=kind))
    form.type(typed)
    await form.writes(expected)


async def test_an_emptied_field_leaves_the_document(a_form):
    """
    A default keeps being a default: nothing is written for an empty field.
    """
    form = await a_form(FieldSpec(name="f", type="text"), "old")
    form.type("")
    await form.writes("nothing")


async def test_a_choice_can_be_computed_and_chosen_again(a_form):
    """
    The fx toggle turns the list into an expression and back.
    """
    form = await a_form(FieldSpec(name="f", type="choice", choices=(("a", "First"), ("b", "Second")), default="a"))
    (select,) = form.inputs(ui.select)
    assert {"a": "First", "b": "Second"} == select.options
    select.value = "b"
    await form.writes("b")
    select.value = "a"
    await form.writes("nothing")

    toggle = next(one for one in form.editor.extras.descendants() if one.props.get("aria-pressed"))
    form.stage.fire(toggle, "click")
    await form.stage.until(lambda: form.inputs())
    form.type("{{ item.name }}")
    await form.writes("{{ item.name }}")
    toggle = next(one for one in form.editor.extras.descendants() if one.props.get("aria-pressed") == "true")
    form.stage.fire(toggle, "click")
    await form.writes("nothing")
    assert form.inputs(ui.select)


async def test_a_value_that_is_no_choice_is_shown_as_it_is(a_form):
    """
    An old document's value is never silently replaced.
    """
    form = await a_form(FieldSpec(name="f", type="choice", choices=(("a", "First"),)), "gone")
    (select,) = form.inputs(ui.select)
    assert ("gone", {"a": "First", "gone": "gone"}) == (select.value, select.options)
    assert "gone" == form.written


async def test_a_switch_writes_only_what_differs_from_the_default(a_form):
    """
    On, off, and the default is nothing.
    """
    form = await a_form(FieldSpec(name="f", type="boolean", default=True))
    (switch,) = form.inputs(ui.switch)
    assert switch.value is True
    switch.value = False
    await form.writes(False)
    switch.value = True
    await form.writes("nothing")


async def test_names_with_expressions(a_form):
    """
    Rows are changed, added and removed; a constant that is not touched keeps its type.
    """
    form = await a_form(FieldSpec(name="fields", type="expressions"), {"a": "item.n + 1", "five": 5})
    form.type("item.n * 2", which=0)
    await form.writes({"a": "item.n * 2", "five": 5})

    form.stage.user.find(marker="add-fields").click()
    await form.stage.until(lambda: len(form.inputs()) == 3)
    form.type("item.name", which=2)
    form.inputs(ui.input)[2].value = "who"
    await form.writes({"a": "item.n * 2", "five": 5, "who": "item.name"})

    form.stage.user.find(marker="remove-fields").click()
    await form.writes({"five": 5, "who": "item.name"})


async def test_each_row_shows_what_it_gives(a_form):
    """
    Previews stand in their rows; one that cannot be computed says so there, and not twice.
    """
    form = await a_form(FieldSpec(name="fields", type="expressions"), {"a": "item.n + 1", "b": "item.nam.x + 1"})
    await form.editor.context.refresh_previews()
    assert ["3"] == form.stage.texts("preview-value")
    assert 1 == len(form.stage.texts("preview-error"))

    form.type("item.n +", which=1)
    await form.stage.until(lambda: form.draft.document.nodes["s"].fields["fields"]["b"] == "item.n +")
    await form.stage.until(lambda: any("expected" in text.lower() for text in form.stage.texts("preview-error")))
    assert [] == form.stage.texts("field-problem")


async def test_cases_get_names_of_their_own(a_form):
    """
    A new case has a free port name to begin with.
    """
    form = await a_form(FieldSpec(name="f", type="cases"), {"case_1": "item.n > 1"})
    form.stage.user.find(marker="add-f").click()
    await form.stage.until(lambda: len(form.inputs()) == 2)
    form.type("true", which=1)
    await form.writes({"case_1": "item.n > 1", "case_2": "true"})


async def test_lists_have_a_row_to_begin_with(a_form):
    """
    One after the other; an empty row is nothing.
    """
    form = await a_form(FieldSpec(name="f", type="expression_list"))
    form.type("item.n")
    await form.writes(["item.n"])
    form.type("")
    await form.writes("nothing")


async def test_items_are_json_or_not_written(a_form):
    """
    What cannot be read is said; the document keeps what it had.
    """
    form = await a_form(FieldSpec(name="f", type="items"), [{"a": 1}])
    (box,) = form.inputs(ui.textarea)
    box.value = '[{"a": 1,'
    await form.stage.user.should_see("This is no JSON yet")
    assert [{"a": 1}] == form.written
    box.value = "[1, 2]"
    await form.stage.user.should_see("Items are a list of objects")
    box.value = '{"b": 2}'
    await form.writes([{"b": 2}])


async def test_the_fields_of_every_step_can_be_drawn(stage):
    """
    There is an editor for each type of field that a step may have, and each step's form can be opened.
    """
    assert set(EDITORS) == set(__import__("typing").get_args(__import__("engine.steps.spec", fromlist=["FieldType"]).FieldType))
    steps = list(Catalog(builtin_steps()))
    text = "treadle: 1\nname: All\nnodes:\n" + "".join(
        f"  n{number}: {{use: {spec.name}}}\n" for number, spec in enumerate(steps)
    )
    workflow = await stage.a_workflow(text)
    canvas = await stage.open_editor(workflow)
    for number, spec in enumerate(steps):
        stage.fire(canvas, "select", {"nodes": [f"n{number}"], "edges": []})
        wanted = {f"field-{one.name}" for one in spec.fields}
        assert wanted <= {mark for mark in wanted if stage.marked(mark)}, spec.name
    assert [] == stage.user.notify.messages


async def test_a_step_that_nobody_knows_keeps_its_settings(stage):
    """
    The form says so and changes nothing.
    """
    workflow = await stage.a_workflow(DOCUMENT)
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["w"], "edges": []})
    await stage.user.should_see("unknown step data.switch_to_nothing".capitalize())


def test_fields_appear_when_they_matter():
    """
    A field hangs on the value of another, or on its default.
    """
    mode = FieldSpec(name="mode", type="choice", default="append")
    left = FieldSpec(name="left", show_when={"mode": ("by_key",)})
    spec = StepSpec(name="x", title="x", fields=(mode, left))
    specs = {one.name: one for one in spec.fields}
    assert [False, True, False] == [is_shown(left, fields, specs) for fields in ({}, {"mode": "by_key"}, {"mode": "append"})]


async def test_the_workflow_has_settings_of_its_own(stage):
    """
    With nothing selected: what it is for, time zone, how many at a time.
    """
    workflow = await stage.a_workflow()
    await stage.open_editor(workflow)
    draft = await stage.studio.drafts.open(workflow)
    (box,) = stage.marked("description")
    box.value = "Greets the grown-ups."
    await stage.until(lambda: draft.document.description == "Greets the grown-ups.")
    (zone,) = stage.marked("timezone")
    zone.value = "Europe/Vienna"
    (most,) = stage.marked("concurrency")
    most.value = 3
    await stage.until(lambda: (draft.document.settings.timezone, draft.document.settings.concurrency) == ("Europe/Vienna", 3))


async def test_several_steps_at_once(stage):
    """
    They are counted, duplicated and removed together.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await stage.studio.drafts.open(workflow)
    stage.fire(canvas, "select", {"nodes": ["grown_up", "greet"], "edges": []})
    await stage.user.should_see("2 steps selected")
    stage.user.find(marker="duplicate-many").click()
    await stage.until(lambda: "greet_2" in draft.document.nodes)
    stage.fire(canvas, "select", {"nodes": ["grown_up_2", "greet_2"], "edges": []})
    await stage.user.should_see("2 steps selected")
    stage.user.find(marker="remove-many").click()
    await stage.until(lambda: list(draft.document.nodes) == ["start", "grown_up", "greet"])
    await stage.user.should_see("What it is for")


async def test_keys_on_the_canvas(stage):
    """
    D switches a step off and on; Ctrl+Enter tests.
    """
    workflow = await stage.a_workflow()
    canvas = await stage.open_editor(workflow)
    draft = await stage.studio.drafts.open(workflow)
    stage.fire(canvas, "command", {"name": "disable", "nodes": ["greet"]})
    await stage.until(lambda: draft.document.nodes["greet"].disabled)
    stage.fire(canvas, "command", {"name": "test", "nodes": []})
    await stage.until(lambda: stage.texts("run-status") == ["Succeeded"])
