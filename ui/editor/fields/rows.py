"""Editors for several values: lists, names with values, conditions with ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui
from nicegui.element import Element

from ... import words
from ...components.parts import box, button, icon_button
from .base import FieldEditor
from .expression_input import ExpressionInput, Mode
from .simple import format_plain


class RowsEditor(FieldEditor):
    """Rows of a value, or of a name and a value; a row that is half filled waits until it is whole."""

    keyed = True
    mode: Mode = "expression"
    key_label = words.NAME
    add_label = words.ADD

    def build(self, value: Any) -> None:
        self._rows: list[_Row] = []
        self._list = box("tr-rows")
        for key, inner in self.pairs(value):
            self._add(key, inner)
        with box("tr-rows__foot"):
            button(self.add_label, self._add_empty, icon="add", kind="quiet", small=True, mark=f"add-{self.spec.name}")

    def pairs(self, value: Any) -> list[tuple[str, Any]]:
        """Return the rows a value has."""
        if isinstance(value, Mapping):
            return [(str(key), inner) for key, inner in value.items()]
        if isinstance(value, list | tuple):
            return [("", inner) for inner in value]
        return [] if value is None or value == "" else [("", value)]

    def collect(self) -> Any:
        """Return the value the rows stand for."""
        rows = [(row.key.strip(), row.value) for row in self._rows]
        if self.keyed and any(key for key, _ in rows):
            return {key: self.read(value) for key, value in rows if key and value != ""}
        return [self.read(value) for _, value in rows if value != ""]

    def read(self, typed: Any) -> Any:
        """Return the value a typed text stands for."""
        return typed

    async def changed(self) -> None:
        """Something was typed, added or removed."""
        value = self.collect()
        if self.keyed and isinstance(value, list) and value and not self.may_be_list:
            return  # values without names yet
        await self.commit(value)

    may_be_list = False

    def _add(self, key: str, value: Any) -> _Row:
        with self._list:
            row = _Row(self, key, value)
        self._rows.append(row)
        return row

    def _add_empty(self) -> None:
        self._add(self.suggest_key(), "")

    def suggest_key(self) -> str:
        """Return the name a new row begins with."""
        return ""

    async def remove(self, row: _Row) -> None:
        """Take a row away."""
        self._rows.remove(row)
        row.drop()
        await self.changed()


class _Row:
    """One row of a `RowsEditor`."""

    def __init__(self, editor: RowsEditor, key: str, value: Any) -> None:
        self._editor = editor
        self._original = value
        spec = editor.spec
        self.root: Element = box("tr-rows__row" if editor.keyed else "tr-rows__row tr-rows__row--bare")
        shown = value if isinstance(value, str) else format_plain(value)
        self._shown = shown
        with self.root:
            self._key = None
            if editor.keyed:
                self._key = ui.input(value=key, placeholder=editor.key_label, on_change=editor.changed)
                self._key.props("outlined dense debounce=250").classes("tr-input tr-rows__key").mark(f"key-{spec.name}")
                self._key.props["aria-label"] = f"{editor.label}: {editor.key_label}"
            self._value = ExpressionInput(
                shown,
                mode=editor.mode,
                label=f"{editor.label} {key}".strip(),
                placeholder=words.EXPRESSION if editor.mode == "expression" else words.VALUE,
                suggest=editor.context.suggest if spec.allows_expressions else None,
                on_change=self._typed,
            )
            self._value.mark(f"value-{spec.name}")
            icon_button("close", words.REMOVE, self._remove, small=True, mark=f"remove-{spec.name}")
        self._preview = editor.add_preview(self._value, editor.mode) if spec.allows_expressions else None
        if self._preview is not None:
            self._preview.element.move(self.root)

    @property
    def key(self) -> str:
        return (self._key.value or "") if self._key is not None else ""

    @property
    def value(self) -> Any:
        # A constant that was not touched keeps its type: 5 stays the number five.
        typed = self._value.value or ""
        return self._original if typed == self._shown else typed

    def drop(self) -> None:
        if self._preview is not None:
            self._preview.drop()
            self._editor.previews.remove(self._preview)
        self.root.delete()

    async def _typed(self, _: Any) -> None:
        await self._editor.changed()
        if self._preview is not None:
            await self._preview.refresh()

    async def _remove(self) -> None:
        await self._editor.remove(self)


class ExpressionsEditor(RowsEditor):
    """Names with expressions: fields to set, groups, aggregates."""

    key_label = words.FIELD_NAME
    add_label = words.ADD_FIELD
    may_be_list = True


class ExpressionListEditor(RowsEditor):
    """Expressions one after the other."""

    keyed = False
    add_label = words.ADD_EXPRESSION

    def build(self, value: Any) -> None:
        super().build(value)
        if not self._rows:
            self._add_empty()


class CasesEditor(RowsEditor):
    """Conditions in order, each with the port its items leave by."""

    key_label = words.PORT
    add_label = words.ADD_CASE

    def suggest_key(self) -> str:
        taken = {row.key for row in self._rows}
        return next(name for number in range(1, 1000) if (name := f"case_{number}") not in taken)


class ObjectEditor(RowsEditor):
    """Names with texts that may hold expressions."""

    mode = "template"
    add_label = words.ADD_FIELD

    def read(self, typed: Any) -> Any:
        return typed


class ListEditor(RowsEditor):
    """Texts one after the other."""

    mode = "template"
    keyed = False

    def build(self, value: Any) -> None:
        super().build(value)
        if not self._rows:
            self._add_empty()
