"""Editors for values of any shape: written as JSON, kept as what they are."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

from ... import words
from ...components.parts import text
from ...theme import is_dark
from .base import FieldEditor
from .simple import TextEditor, format_plain


class AnyEditor(TextEditor):
    """A text, a template, or JSON: what begins like an object or a list and can be read as one is kept as one."""

    def build(self, value: Any) -> None:
        super().build(value)
        if isinstance(value, dict | list):
            self.input.set_value(json.dumps(value, ensure_ascii=False, indent=2))
        self.input._props["multiline"] = True

    def read(self, typed: str) -> Any:
        stripped = typed.strip()
        if stripped in ("true", "false", "null") or (stripped[:1] in ("{", "[") and not stripped.startswith("{{")):
            try:
                return json.loads(stripped)
            except ValueError:
                return typed
        if stripped.lstrip("-").isdigit() and len(stripped) < 16:
            return int(stripped)
        return typed


class ItemsEditor(FieldEditor):
    """A list of objects as JSON; what cannot be read is said and not written."""

    def build(self, value: Any) -> None:
        shown = "" if not value else json.dumps(value, ensure_ascii=False, indent=2)
        self.input = ui.textarea(
            value=shown, placeholder=self.spec.placeholder or words.ITEMS_PLACEHOLDER, on_change=self._typed
        )
        self.input.props("outlined dense autogrow debounce=400").classes("tr-input tr-input--mono").mark(
            f"input-{self.spec.name}"
        )
        self.input.props["aria-label"] = self.label
        self._wrong = text("", "tr-field__wrong", tag="div")
        self._wrong.set_visibility(False)

    async def _typed(self, event: Any) -> None:
        typed = (event.value or "").strip()
        try:
            value = json.loads(typed) if typed else None
        except ValueError as error:
            self._say(words.not_json(str(error)))
            return
        if isinstance(value, dict):
            value = [value]
        if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
            self._say(words.NOT_ITEMS)
            return
        self._say("")
        await self.commit(value)

    def _say(self, sentence: str) -> None:
        self._wrong.text = sentence
        self._wrong.set_visibility(bool(sentence))


class CodeEditor(FieldEditor):
    """Program text, with the colours of its language."""

    def build(self, value: Any) -> None:
        self.input = ui.codemirror(
            value=value if isinstance(value, str) else format_plain(value or ""),
            language="Python",
            theme="vscodeDark" if is_dark() else "basicLight",
            indent="    ",
            on_change=self._typed,
        ).classes("tr-code")
        self.input.mark(f"input-{self.spec.name}")

    async def _typed(self, event: Any) -> None:
        await self.commit(event.value or "")
