"""What every field editor has: a label, help, and the problems of its field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from engine.model.changes import ABSENT

from ... import words
from ...components.parts import box, icon, prose, row, text
from .context import FormContext
from .preview import PreviewLine

if TYPE_CHECKING:
    from engine.steps.spec import FieldSpec

    from .expression_input import ExpressionInput, Mode


class FieldEditor:
    """
    The editor of one field; subclasses draw the control in `build` and call `commit` with what was typed.

    An empty field is taken out of the document altogether, so a default keeps being a default.
    """

    def __init__(self, context: FormContext, spec: FieldSpec) -> None:
        self.context, self.spec = context, spec
        self.previews: list[PreviewLine] = []
        self.root = box("tr-field").mark(f"field-{spec.name}")
        with self.root:
            with row("tr-field__head"):
                text(self.label, "tr-label tr-clip")
                if spec.required:
                    text("*", "tr-field__must").tooltip("required")
                box("tr-grow")
                self.extras = row("tr-field__extras")
            self.body = box("tr-field__body")
            if spec.help:
                prose(spec.help, "tr-hint", tag="div")
            self._problems = box("tr-field__problems")
        with self.body:
            self.build(self.value)
        self.show_problems()

    @property
    def label(self) -> str:
        """The field's own label, else its name in words."""
        return self.spec.label or self.spec.name.replace("_", " ").capitalize()

    @property
    def value(self) -> Any:
        """What stands in the document, None when nothing does."""
        return self.context.fields.get(self.spec.name)

    def build(self, value: Any) -> None:
        """Draw the control for a value; called inside the field's body."""
        raise NotImplementedError

    def rebuild(self) -> None:
        """Draw the control anew from the document."""
        self.body.clear()
        for preview in self.previews:
            preview.drop()
        self.previews.clear()
        with self.body:
            self.build(self.value)
        self.show_problems()

    async def commit(self, value: Any) -> None:
        """Write what was typed."""
        empty = value is None or value == "" or value == {} or value == []
        await self.context.write(self.spec.name, ABSENT if empty else value)

    def show_problems(self) -> None:
        """Show what the check says about this field now."""
        said = self.said_by_previews()
        problems = [
            problem
            for problem in self.context.problems(self.spec.name)
            if not any(error and error in problem.text for error in said)  # it stands at its place already, with a caret
        ]
        self._problems.clear()
        bad = bool(said) or any(problem.severity == "error" for problem in problems)
        self.root.classes(add="tr-field--bad") if bad else self.root.classes(remove="tr-field--bad")
        with self._problems:
            for problem in problems[:3]:
                with row("tr-field__problem").mark("field-problem"):
                    icon("error" if problem.severity == "error" else "warning")
                    with box("tr-grow"):
                        text(words.sentence(self.without_label(problem.text)), tag="div")
                        if problem.hint and problem.hint != self.spec.help:  # the help stands above already
                            text(words.sentence(problem.hint), "tr-field__problemhint", tag="div")

    def said_by_previews(self) -> list[str]:
        """Return the errors that previews of this field show right now."""
        return [preview.error for preview in self.previews if preview.error and not preview.element.is_deleted]

    def without_label(self, sentence: str) -> str:
        """Return a problem's first line without the name of the field it stands below."""
        return sentence.split("\n", 1)[0].removeprefix(f"“{self.label}”: ")

    def add_preview(self, source: ExpressionInput, mode: Mode) -> PreviewLine:
        """Draw a preview of an input; when what it says changes, the problems below are looked at again."""
        preview = PreviewLine(self.context, source, mode, on_shown=self.show_problems)
        self.previews.append(preview)
        return preview

    def icon_toggle(self, icon_name: str, tooltip: str, is_on: bool, on_click: Any) -> Element:
        """Return a small toggle for the head of the field."""
        made = box("tr-fx tr-fx--on" if is_on else "tr-fx", tag="button").props("type=button")
        made.props["aria-label"] = tooltip
        made.props["aria-pressed"] = "true" if is_on else "false"
        made.on("click", on_click)
        with made:
            if icon_name == "fx":
                text("fx")
            else:
                icon(icon_name)
            ui.tooltip(tooltip).props("delay=400")
        return made
