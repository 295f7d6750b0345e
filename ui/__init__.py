"""
Pages and components of the studio.

`install(open_studio)` registers every page with NiceGUI; `open_studio` returns the `Studio` of whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.service import Studio


def install(open_studio: Callable[[], Studio], *, data: Path | None = None) -> None:
    """
    Register the studio's pages, its stylesheets and its download route; call it once, before NiceGUI starts.

    `data` is the data folder, shown on the settings page.
    """
    from . import downloads, session, theme
    from .editor import page as editor
    from .pages import calendar, failure_group, failures, inbox, run, runs, settings, versions, workflows

    session.open_with(open_studio)
    theme.serve_assets()
    downloads.install()
    for page in (workflows, editor, runs, run, failures, failure_group, inbox, calendar, versions):
        page.install()
    settings.install(data)
