"""Which editor a field gets, by its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .base import FieldEditor
from .rows import CasesEditor, ExpressionListEditor, ExpressionsEditor, ListEditor, ObjectEditor
from .simple import BareEditor, ChoiceEditor, SwitchEditor, TextEditor, TimezoneEditor
from .structured import AnyEditor, CodeEditor, ItemsEditor

if TYPE_CHECKING:
    from engine.steps.spec import FieldSpec

    from .context import FormContext

EDITORS: Mapping[str, type[FieldEditor]] = {
    "text": TextEditor,
    "long_text": TextEditor,
    "integer": TextEditor,
    "number": TextEditor,
    "duration": TextEditor,
    "datetime": TextEditor,
    "cron": TextEditor,
    "boolean": SwitchEditor,
    "choice": ChoiceEditor,
    "timezone": TimezoneEditor,
    "list": ListEditor,
    "object": ObjectEditor,
    "any": AnyEditor,
    "expression": BareEditor,
    "expressions": ExpressionsEditor,
    "expression_list": ExpressionListEditor,
    "cases": CasesEditor,
    "items": ItemsEditor,
    "code": CodeEditor,
}


def editor_for(context: FormContext, spec: FieldSpec) -> FieldEditor:
    """Draw the editor of a field."""
    value = context.fields.get(spec.name)
    kind = EDITORS.get(spec.type, AnyEditor)
    if spec.type == "any" and spec.choices and not isinstance(value, list | dict):
        kind = ChoiceEditor
    if spec.type == "object" and isinstance(value, str):
        kind = TextEditor
    return kind(context, spec)


def is_shown(spec: FieldSpec, fields: Mapping[str, Any], specs: Mapping[str, FieldSpec]) -> bool:
    """Whether a field matters, given what the others are set to."""
    for name, wanted in spec.show_when.items():
        other = specs.get(name)
        value = fields.get(name, other.default if other else None)
        if value not in wanted:
            return False
    return True
