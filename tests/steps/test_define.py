"""The signature is the form."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import pytest

from engine.steps.builtin import builtin_steps
from engine.steps.contract import BatchCall, Computed, Context
from engine.steps.define import (
    ADVANCED,
    PLAIN,
    Between,
    Cases,
    Choices,
    Code,
    ExpressionList,
    Expressions,
    Items,
    Label,
    LongText,
    Options,
    ShowWhen,
    Written,
    step,
)


async def rooms(ctx):
    yield ("1", "General")


@step("demo.all", "All kinds", ports_out=("out", "rest"))
def everything(
    batch: BatchCall,
    text: str,
    long: LongText,
    code: Code,
    count: Annotated[int, Label("How many", "A help.", "10"), Between(1, 5)],
    ratio: float,
    flag: bool,
    mode: Literal["by_key", "append"],
    pause: timedelta,
    at: datetime,
    names: list[str],
    data: dict[str, Any],
    whatever: str | dict | None,
    where: Computed,
    values: Expressions,
    keys: ExpressionList,
    cases: Cases,
    rows: Items,
    room: Annotated[str, Choices(rooms)],
    from_: Annotated[str, ShowWhen(mode="by_key"), ADVANCED, PLAIN] = "x",
    kind: Annotated[Literal["a", "b"], Options.of(a="Alpha", b="Beta")] = "a",
    content: Annotated[Any, Written("{{ item }}")] = None,
    maybe: Annotated[int | None, Between(0)] = None,
) -> Any:
    """Shows what a signature can say."""
    return from_


FIELDS = {field.name: field for field in everything.fields}


def test_types_become_field_types():
    """
    Every Python type has its kind of field.
    """
    expected = {
        "text": "text", "long": "long_text", "code": "code", "count": "integer", "ratio": "number", "flag": "boolean",
        "mode": "choice", "pause": "duration", "at": "datetime", "names": "list", "data": "object", "whatever": "any",
        "where": "expression", "values": "expressions", "keys": "expression_list", "cases": "cases", "rows": "items",
        "room": "text", "from": "text", "kind": "choice", "content": "any", "maybe": "integer",
    }  # fmt: skip
    assert expected == {name: field.type for name, field in FIELDS.items()}


def test_words_bounds_and_choices_come_along():
    """
    Labels, help, bounds, choices and conditions are read from the annotations.
    """
    count, mode, from_, kind = FIELDS["count"], FIELDS["mode"], FIELDS["from"], FIELDS["kind"]
    assert ("How many", "A help.", "10", 1, 5) == (count.label, count.help, count.placeholder, count.minimum, count.maximum)
    assert (("by_key", "By key"), ("append", "Append")) == mode.choices
    assert (("a", "Alpha"), ("b", "Beta")) == kind.choices
    assert ("From", True, False, {"mode": ("by_key",)}) == (
        from_.label,
        from_.is_advanced,
        from_.allows_expressions,
        from_.show_when,
    )
    assert rooms is FIELDS["room"].choices_from


def test_what_has_no_default_is_required():
    """
    A default, an optional type, or one written in the workflow's language makes a field optional.
    """
    assert {"whatever", "from", "kind", "content", "maybe"} == {name for name, field in FIELDS.items() if not field.required}
    assert ("x", "a", "{{ item }}") == tuple(FIELDS[name].default for name in ("from", "kind", "content"))


def test_keywords_of_python_can_be_fields():
    """
    `from_` in the function is `from` in the form and in the call.
    """
    filled = dict.fromkeys(FIELDS)
    assert "here" == everything.call(None, **{**filled, "from": "here"})


def test_the_first_parameter_decides_the_mode():
    """
    Who takes a `BatchCall` sees batches, all others one item at a time.
    """

    @step("demo.each", "Each")
    async def each(ctx: Context) -> None:
        """Does nothing."""

    assert ("batch", "each") == (everything.mode, each.mode)
    assert ("Shows what a signature can say.", ["out", "rest"]) == (
        everything.help,
        [port.name for port in everything.ports_out],
    )


def test_a_type_that_no_field_can_hold_is_refused():
    """
    The mistake is found when the module is read, not when a run meets it.
    """
    with pytest.raises(TypeError, match="'odd' has the type"):

        @step("demo.odd", "Odd")
        def odd(batch: BatchCall, odd: set[int]) -> None:
            """Cannot be."""


@pytest.mark.parametrize("spec", builtin_steps(), ids=lambda spec: spec.name)
def test_every_core_step_can_be_explained(spec):
    """
    Title, help, icon and a label for each field; choices have their default among them; what shows when, exists.
    """
    assert spec.title
    assert spec.help.endswith((".", ")"))
    assert spec.icon != "extension"
    names = {field.name for field in spec.fields}
    for field in spec.fields:
        assert field.label
        assert not field.choices or field.default is None or field.default in [value for value, _ in field.choices]
        assert names >= set(field.show_when)
        assert isinstance(field.show_when, Mapping)
    assert (spec.call is None) == spec.is_trigger
    assert spec.outs({}) or spec.name == "flow.stop"


def test_effects_can_depend_on_the_fields():
    """
    Overwriting twice is harmless, appending twice is not.
    """
    write = next(spec for spec in builtin_steps() if spec.name == "file.write")
    assert ("write", True, False) == (write.effect_of({}), write.may_repeat({}), write.may_repeat({"mode": "append"}))
    assert not write.is_pure
