"""How a page gets the Studio it asks: the program hands in a factory once, at start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.service import Studio

_open_studio: Callable[[], Studio] | None = None


def open_with(open_studio: Callable[[], Studio]) -> None:
    """From now on `open_studio` answers who asks; it is called once per page, inside the request."""
    global _open_studio
    _open_studio = open_studio


def current_studio() -> Studio:
    """Return the Studio of whoever looks at this page; raises `RuntimeError` before `ui.install` was called."""
    if _open_studio is None:
        raise RuntimeError("The studio's pages are not installed: call ui.install(open_studio) first.")
    return _open_studio()
