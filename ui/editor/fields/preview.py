"""The line below an expression: what it gives on the data at hand, or what is wrong with it and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.element import Element

from ... import words
from ...components.data_view import cell_of, kind_of, plain
from ...components.parts import box, text
from ...notices import guarded
from .context import FormContext

if TYPE_CHECKING:
    from engine.service.preview import Preview

    from .expression_input import ExpressionInput, Mode


class PreviewLine:
    """One computed value, following its input, the chosen item, and the newest run."""

    def __init__(
        self, context: FormContext, source: ExpressionInput, mode: Mode, *, on_shown: Callable[[], None] = lambda: None
    ) -> None:
        self._context, self._source, self._mode, self._on_shown = context, source, mode, on_shown
        self.error: str | None = None
        self._client = ui.context.client
        self._asked = 0
        self._root = box("tr-preview").mark("preview")
        context.add_preview(self.refresh)

    @property
    def element(self) -> Element:
        return self._root

    def drop(self) -> None:
        """Stop following."""
        self._context.drop_preview(self.refresh)

    @guarded
    async def refresh(self) -> None:
        """Compute anew; an answer that comes too late is thrown away."""
        if self._root.is_deleted:
            self.drop()
            return
        self._asked += 1
        asked = self._asked
        typed = self._source.value or ""
        if not typed.strip() or (self._mode == "template" and "{{" not in typed):
            self._root.clear()
            self._source.mark_bad(False)
            self._say(None)
            return
        answer = await self._context.preview(typed, self._mode)
        if asked != self._asked or self._root.is_deleted:
            return
        with self._client:
            self._show(answer)
            self._say(answer.error)

    def _say(self, error: str | None) -> None:
        if error != self.error:
            self.error = error
            self._on_shown()

    def _show(self, answer: Preview) -> None:
        self._root.clear()
        self._source.mark_bad(answer.error is not None)
        with self._root:
            if answer.error is not None:
                with box("tr-preview__bad").props("role=alert"):
                    if answer.caret:
                        text(answer.caret, "tr-caret", tag="pre")
                    text(words.sentence(answer.error), "tr-preview__error", tag="div").mark("preview-error")
                    if answer.hint:
                        text(words.sentence(answer.hint), "tr-preview__hint", tag="div")
                return
            if answer.total == 0 and answer.value is None:
                text(words.PREVIEW_NEEDS_DATA, "tr-preview__none", tag="div")
                return
            with box("tr-preview__good"):
                text("=", "tr-preview__sign")
                shown, kind, _, full = cell_of(answer.value)
                value = text(
                    shown if kind != "string" or shown.strip() else json.dumps(shown), f"tr-preview__value tr-v--{kind}"
                )
                value.mark("preview-value")
                if full or kind == "object":
                    value.tooltip(full or json.dumps(plain(answer.value), ensure_ascii=False, indent=1)[:2000])
                text(kind_of(answer.value), "tr-preview__kind")
