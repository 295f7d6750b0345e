"""The text box for expressions and templates, and what may come next in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nicegui.elements.mixins.value_element import ValueElement
from nicegui.events import GenericEventArguments

from engine.errors import TreadleError

if TYPE_CHECKING:
    from engine.expressions import Suggestion

Mode = Literal["expression", "template"]
Suggest = Callable[[str, int], Awaitable[Sequence["Suggestion"]]]
LONGEST = 100_000
MOST_OFFERS = 40


class ExpressionInput(ValueElement[str], component="expression_input.js"):
    """
    One expression, or a text with `{{ … }}` in it.

    The value comes a moment after the last key. `suggest(source, cursor)` answers what may stand at the cursor of a bare
    expression; inside a template it is asked for the part between the braces.
    """

    VALUE_PROP = "value"
    LOOPBACK = False

    def __init__(
        self,
        value: str = "",
        *,
        mode: Mode = "expression",
        label: str = "",
        placeholder: str = "",
        multiline: bool = True,
        suggest: Suggest | None = None,
        on_change: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(value=value, on_value_change=on_change)
        self._mode, self._suggest = mode, suggest
        self._props.update(mode=mode, label=label, placeholder=placeholder, multiline=multiline, bad=False)
        self.on("ask", self._ask)

    def mark_bad(self, is_bad: bool) -> None:
        """Draw the box as wrong, or as right again."""
        if self._props["bad"] != is_bad:
            self._props["bad"] = is_bad
            self.update()

    async def _ask(self, event: GenericEventArguments) -> None:
        message = event.args
        if self._suggest is None or not isinstance(message, dict):
            return
        text, cursor = message.get("text"), message.get("cursor")
        if not isinstance(text, str) or not isinstance(cursor, int) or len(text) > LONGEST:
            return
        source, shift = (text, 0) if self._mode == "expression" else inside_braces(text, cursor)
        if source is None:
            return
        try:
            found = await self._suggest(source, cursor - shift)
        except TreadleError:
            return  # nothing to offer: the text cannot be read, or the step is gone
        offers = [
            {
                "label": one.label,
                "kind": str(one.kind),
                "insert": one.insert,
                "detail": one.detail,
                "start": one.start + shift,
                "end": one.end + shift,
                "cursor": one.cursor,
            }
            for one in found[:MOST_OFFERS]
        ]
        self.run_method("offer", message.get("asked"), offers)


def inside_braces(text: str, cursor: int) -> tuple[str | None, int]:
    """Return the expression around the cursor of a template and where it begins, None when the cursor stands in plain text."""
    open_at = text.rfind("{{", 0, cursor)
    if open_at < 0 or text.find("}}", open_at, cursor) >= 0:
        return None, 0
    close_at = text.find("}}", cursor)
    return text[open_at + 2 : close_at if close_at >= 0 else len(text)], open_at + 2
