"""The keys one can press, in one dialog."""

from __future__ import annotations

from . import words
from .components.dialogs import dialog
from .components.parts import box, button, row, text


def show_shortcuts() -> None:
    """Open the list of keyboard shortcuts."""
    with dialog(words.SHORTCUTS, wide=True) as (shown, foot):
        with box("tr-keys"):
            for group, keys in words.SHORTCUT_GROUPS:
                with box("tr-keys__group"):
                    text(group, "tr-label")
                    for pressed, meaning in keys:
                        with row("tr-keys__row"):
                            text(meaning, "tr-grow")
                            with row().style("gap: 4px"):
                                for key in pressed.split():
                                    text(key, "tr-kbd", tag="kbd")
        with foot:
            button(words.CLOSE, shown.close)
