"""The studio's look: its stylesheets, its colours for NiceGUI's own parts, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nicegui import app as nicegui_app
from nicegui import ui

import assets

from .browser import THEME_COOKIE
from .editor.canvas import add_stylesheet

ASSETS = Path(assets.__file__).parent
CSS = ASSETS / "css"
ICONS = ASSETS / "icons"
FAVICON = ICONS / "favicon.svg"
SHEETS = (
    "tokens.css",
    "base.css",
    "lists.css",
    "editor.css",
    "fields.css",
    "data.css",
    "run.css",
    "versions.css",
    "calendar.css",
)
YEAR = 31_536_000

Theme = Literal["light", "dark", "auto"]


def serve_assets() -> None:
    """Serve stylesheets and icons; the address changes with their content, so browsers may keep them for a year."""
    nicegui_app.add_static_files(_folder(), CSS, max_cache_age=YEAR)
    nicegui_app.add_static_files("/_treadle/icons", ICONS, max_cache_age=86_400)


def apply_theme() -> ui.dark_mode:
    """Dress the page that is being built; returns the switch between light (False), dark (True) and the system's (None)."""
    add_stylesheet()  # it brings the Inter typeface, which every page is set in
    ui.add_head_html("".join(f'<link rel="stylesheet" href="{_folder()}/{name}">' for name in SHEETS))
    ui.colors(
        primary="#4f46e5",
        secondary="#5d6675",
        accent="#4f46e5",
        positive="#0f7a48",
        negative="#c8281c",
        info="#2563eb",
        warning="#96590a",
        dark="#1a1d23",
        dark_page="#101216",
    )
    return ui.dark_mode({"light": False, "dark": True}.get(chosen_theme()))


def chosen_theme() -> Theme:
    """Return what this browser chose on an earlier visit, `auto` when it never did."""
    request = ui.context.client.request
    value = request.cookies.get(THEME_COOKIE) if request else None
    return value if value in ("light", "dark") else "auto"  # type: ignore[return-value]


def _folder() -> str:
    newest = max(int(sheet.stat().st_mtime) for sheet in CSS.glob("*.css"))
    return f"/_treadle/css-{newest}"


def is_dark() -> bool:
    """Whether this browser chose the dark colours (what the system says is known to the browser alone)."""
    return chosen_theme() == "dark"
