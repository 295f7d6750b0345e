"""Editors for single values: texts and templates, numbers, durations, choices, switches."""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

from nicegui import ui

from ... import words
from ...components.parts import row
from .base import FieldEditor
from .expression_input import ExpressionInput

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


class TextEditor(FieldEditor):
    """A text that may have `{{ … }}` in it; numbers are written as numbers."""

    def build(self, value: Any) -> None:
        templated = self.spec.allows_expressions
        shown = "" if value is None else value if isinstance(value, str) else format_plain(value)
        self.input = ExpressionInput(
            shown,
            mode="template",
            label=self.label,
            placeholder=self.spec.placeholder or default_hint(self.spec.default),
            multiline=self.spec.type == "long_text",
            suggest=self.context.suggest if templated else None,
            on_change=self._typed,
        )
        self.input.mark(f"input-{self.spec.name}")
        if self.spec.type == "long_text":
            self.input.classes("tr-expr--tall")
        self.preview = self.add_preview(self.input, "template") if templated else None

    async def _typed(self, event: Any) -> None:
        await self.commit(self.read(event.value or ""))
        if self.preview:
            await self.preview.refresh()

    def read(self, typed: str) -> Any:
        """Return the value a typed text stands for."""
        if self.spec.type == "integer" and re.fullmatch(r"[+-]?\d{1,18}", typed.strip()):
            return int(typed)
        if self.spec.type == "number" and NUMBER.fullmatch(typed.strip()):
            number = float(typed)
            return int(number) if number.is_integer() and "." not in typed and abs(number) < 2**53 else number
        return typed


class BareEditor(FieldEditor):
    """One bare expression with its preview."""

    def build(self, value: Any) -> None:
        self.input = ExpressionInput(
            "" if value is None else value if isinstance(value, str) else format_plain(value),
            mode="expression",
            label=self.label,
            placeholder=self.spec.placeholder,
            suggest=self.context.suggest,
            on_change=self._typed,
        )
        self.input.mark(f"input-{self.spec.name}")
        self.preview = self.add_preview(self.input, "expression")

    async def _typed(self, event: Any) -> None:
        await self.commit(event.value or "")
        await self.preview.refresh()


class SwitchEditor(FieldEditor):
    """Yes or no, or an expression that says so."""

    def build(self, value: Any) -> None:
        add_mode_toggle(self, value)
        if is_computed(value):
            TextEditor.build(self, value)  # type: ignore[arg-type]
            return
        with row():
            current = self.spec.default if value is None else value
            made = ui.switch(value=bool(current), on_change=lambda event: self.commit(bool(event.value)))
            made.classes("tr-switch").mark(f"input-{self.spec.name}")
            made.props["aria-label"] = self.label

    _typed = TextEditor._typed

    def read(self, typed: str) -> Any:
        return typed

    async def commit(self, value: Any) -> None:
        await super().commit(None if value == self.spec.default else value)


class ChoiceEditor(FieldEditor):
    """One of a few, or an expression that gives one."""

    def build(self, value: Any) -> None:
        add_mode_toggle(self, value)
        if is_computed(value):
            TextEditor.build(self, value)  # type: ignore[arg-type]
            return
        options = self.options()
        current = self.spec.default if value is None else value
        if isinstance(current, list) or (current is not None and current not in options):
            options = {**options, _key(current): format_plain(current)}
            current = _key(current)
        made = ui.select(options, value=current, on_change=lambda event: self.commit(event.value), with_input=len(options) > 12)
        made.props("outlined dense options-dense dropdown-icon=o_expand_more popup-content-class=tr-options").classes(
            "tr-input"
        )
        made.mark(f"input-{self.spec.name}")
        made.props["aria-label"] = self.label
        if len(options) > 12:
            made.props("input-debounce=100 fill-input hide-selected clearable clear-icon=o_close")

    _typed = TextEditor._typed

    def read(self, typed: str) -> Any:
        return typed

    def options(self) -> dict[Any, str]:
        """Return the values with their labels."""
        return dict(self.spec.choices)

    async def commit(self, value: Any) -> None:
        await super().commit(None if value == self.spec.default and not self.spec.required else value)


class TimezoneEditor(ChoiceEditor):
    """A time zone by name."""

    def options(self) -> dict[Any, str]:
        return {name: name for name in sorted(zoneinfo.available_timezones()) if "/" in name or name == "UTC"}


def add_mode_toggle(editor: FieldEditor, value: Any) -> None:
    """Offer the change between a plain control and an expression."""
    if not editor.spec.allows_expressions:
        return
    editor.extras.clear()
    computed = is_computed(value)

    async def turn() -> None:
        await FieldEditor.commit(editor, None if computed else "{{  }}")
        editor.rebuild()

    with editor.extras:
        editor.icon_toggle("fx", words.FX_OFF if computed else words.FX_ON, computed, turn)


def is_computed(value: Any) -> bool:
    """Whether a value is a text with an expression in it."""
    return isinstance(value, str) and "{{" in value


def format_plain(value: Any) -> str:
    """Return a value that is not text as it is written."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def default_hint(default: Any) -> str:
    """Return what an empty field shows of its default."""
    return "" if default is None or default == "" or isinstance(default, dict | list) else format_plain(default)


def _key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
