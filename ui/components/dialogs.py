"""Dialogs: a question before something is lost, a short text to give, a frame for larger ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui
from nicegui.element import Element

from .. import words
from ..notices import guarded
from .parts import box, button, icon_button, row, text


@contextmanager
def dialog(title: str, *, wide: bool = False) -> Iterator[tuple[ui.dialog, Element]]:
    """Open a dialog with a title; yields it and its foot for buttons. It removes itself once it is closed."""
    shown = ui.dialog().props("transition-duration=120")
    shown.on("hide", shown.delete)
    with shown, ui.card().classes("tr-dialog tr-dialog--wide" if wide else "tr-dialog").props("flat"):
        with row():
            text(title, "tr-dialog__title tr-grow tr-clip", tag="h2")
            icon_button("close", words.CLOSE, shown.close, small=True)
        body = box("tr-col").style("gap: 16px")
        foot = box("tr-dialog__foot")
    with body:
        yield shown, foot
    shown.open()


def confirm(title: str, sentence: str, *, do: str, action: Callable[[], Awaitable[None]]) -> None:
    """Ask before something that cannot be taken back."""
    with dialog(title) as (shown, foot):
        text(sentence, "tr-muted", tag="p")

        async def go() -> None:
            shown.close()
            await guarded(action)()

        with foot:
            button(words.CANCEL, shown.close)
            button(do, go, kind="danger", mark="confirm")


def ask_text(
    title: str,
    *,
    label: str,
    value: str = "",
    do: str,
    action: Callable[[str], Awaitable[None]],
    sentence: str = "",
    may_be_empty: bool = False,
) -> None:
    """Ask for one line of text; Enter is the button."""
    with dialog(title) as (shown, foot):
        if sentence:
            text(sentence, "tr-muted", tag="p")
        with box("tr-col").style("gap: 4px"):
            text(label, "tr-label")
            field = ui.input(value=value).props("outlined dense autofocus").classes("tr-input").mark("ask")
            field.props["aria-label"] = label

        async def go() -> None:
            answer = (field.value or "").strip()
            if answer or may_be_empty:
                shown.close()
                await guarded(action)(answer)

        field.on("keydown.enter", go)
        with foot:
            button(words.CANCEL, shown.close)
            button(do, go, kind="primary", mark="confirm")
