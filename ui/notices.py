"""Errors become sentences on the screen, here and nowhere else."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from nicegui import ui

from engine.errors import TreadleError

from . import words

log = logging.getLogger(__name__)
P = ParamSpec("P")


def show_error(error: Exception) -> None:
    """Tell what went wrong and what to do next; something unforeseen is logged and said in general words."""
    if isinstance(error, TreadleError):
        _notify(
            words.sentence(error.message),
            caption=words.sentence(error.hint) if error.hint else None,
            icon="error_outline",
            kind="bad",
            seconds=9,
        )
        return
    log.error("a page could not do what was asked", exc_info=error)
    _notify(words.UNFORESEEN, caption=words.UNFORESEEN_HINT, icon="error_outline", kind="bad", seconds=9)


def show_done(text: str, *, caption: str | None = None) -> None:
    """Confirm that something happened which the page does not show by itself."""
    _notify(text, caption=caption, icon="check_circle_outline", kind="ok", seconds=3)


def guarded(action: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """Wrap an event handler so that whatever it raises becomes a notice instead of a silent log line."""

    @functools.wraps(action)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await action(*args, **kwargs)
        except Exception as error:
            show_error(error)

    return run


def _notify(text: str, *, caption: str | None, icon: str, kind: str, seconds: float) -> None:
    # Quasar shows message and caption as text (never as HTML) unless `html` is set, which nobody does here.
    options = {"caption": caption} if caption else {}
    ui.notify(text, icon=icon, position="bottom", timeout=seconds * 1000, classes=f"tr-note--{kind}", **options)
