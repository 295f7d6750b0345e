"""Settings: colours, API tokens, where the data lies."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui

from .. import moments, words
from ..browser import copy_text
from ..components.dialogs import confirm, dialog
from ..components.parts import Tabs, banner, box, button, empty, icon, icon_button, row, text
from ..frame import choose_theme, frame
from ..notices import guarded, show_done, show_error
from ..session import current_studio
from ..theme import FAVICON, chosen_theme

if TYPE_CHECKING:
    from engine.protocols import Token
    from engine.service import Studio

LIVES = {"30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365), "": None}


def install(data: Path | None = None) -> None:
    """Register the page; `data` is the folder it shows."""
    ui.page("/settings", favicon=FAVICON, response_timeout=10)(partial(settings_page, data))


async def settings_page(data: Path | None) -> None:
    studio = current_studio()
    with frame(words.SETTINGS, here="/settings") as content:
        dark = next(element for element in ui.context.client.elements.values() if isinstance(element, ui.dark_mode))
        with box("tr-pagehead"):
            text(words.SETTINGS, "tr-h1", tag="h1")
        with box("tr-card tr-section"):
            text(words.LOOK, "tr-h2", tag="h2")
            with row():
                Tabs(words.THEMES, chosen_theme(), lambda theme: choose_theme(dark, theme), segmented=True, label=words.LOOK)
        page = Tokens(studio)
        await page.load()
        await code_walls(studio)
        await show_disk(studio)
        if data is not None:
            with box("tr-card tr-section"):
                text(words.DATA_FOLDER, "tr-h2", tag="h2")
                text(words.DATA_FOLDER_TEXT, "tr-muted", tag="p")
                with row():
                    text(str(data), "tr-mono tr-path tr-grow tr-clip").mark("data-folder")
                    button(words.COPY, lambda: _copy(str(data)), icon="content_copy", small=True)
    content.classes("tr-page--narrow")


async def code_walls(studio: Studio) -> None:
    """Show what code steps may do here, and which walls stand around them."""
    report = await studio.code.report()
    with box("tr-card tr-section").mark("code-walls"):
        text(words.CODE_STEPS, "tr-h2", tag="h2")
        if not report.is_allowed:
            text(words.CODE_OFF, "tr-muted", tag="p")
            return
        text(words.CODE_STEPS_TEXT, "tr-muted", tag="p")
        for wall in report.walls:
            with row("tr-wall"):
                name, look = ("check_circle", "tr-wall__ok") if wall.is_up else ("warning", "tr-wall__warn")
                icon(name, look).mark(f"wall-{wall.name}")
                text(wall.text)
        text(words.PACKAGES_ON if report.allows_packages else words.PACKAGES_OFF, "tr-muted", tag="p")


async def show_disk(studio: Studio) -> None:
    """Show what fills the disk."""
    usage = await studio.disk.usage()
    with box("tr-card tr-section").mark("disk"):
        text(words.DISK, "tr-h2", tag="h2")
        if usage.trouble:
            banner(usage.trouble, kind="bad", icon_name="error")
        with box("tr-disk"):
            for name, size in sorted(usage.parts.items(), key=lambda one: one[1], reverse=True):
                if size:
                    text(words.DISK_PARTS.get(name, name))
                    text(size_of(size), "tr-num tr-muted")
        if usage.workflows:
            text(words.DISK_BY_WORKFLOW, "tr-label")
            with box("tr-disk"):
                for share in usage.workflows[:8]:
                    text(share.name, "tr-clip")
                    text(size_of(share.total), "tr-num tr-muted")
        quota, room = (size_of(size) if size else "" for size in (usage.quota, usage.room))
        text(words.disk_total(size_of(usage.total), size_of(usage.used), quota, room), "tr-muted", tag="p")


def size_of(count: int) -> str:
    """Return bytes for people."""
    amount, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


class Tokens:
    """API tokens: made once, shown once, ended here."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        with box("tr-card tr-section"):
            with row():
                text(words.TOKENS, "tr-h2 tr-grow", tag="h2")
                button(words.NEW_TOKEN, self._ask, icon="add", small=True, mark="new-token")
            text(words.TOKENS_TEXT, "tr-muted", tag="p")
            self._body = box("tr-list tr-list--tokens").mark("tokens")

    async def load(self) -> None:
        """Read and show the tokens that still live."""
        now = self._studio.clock.now()
        tokens = [token for token in await self._studio.tokens.list_all() if token.revoked_at is None]
        self._body.clear()
        with self._body:
            if not tokens:
                empty("key", words.NO_TOKENS, words.NO_TOKENS_TEXT, small=True)
                return
            with box("tr-list__head"):
                for label in (words.COLUMN_NAME, words.SCOPES, words.LAST_USED, words.EXPIRES):
                    text(label)
                box()
            for token in tokens:
                with box("tr-list__row"):
                    text(token.name, "tr-strong tr-clip")
                    text(", ".join(token.scopes), "tr-muted tr-clip")
                    text(moments.ago(token.last_used_at, now), "tr-muted")
                    text(moments.full(token.expires_at)[:10] or words.NEVER, "tr-muted tr-num")
                    with row():
                        icon_button(
                            "delete",
                            words.REVOKE,
                            lambda _, token=token: self._ask_revoke(token),
                            small=True,
                            mark=f"revoke-{token.name}",
                        )

    def _ask(self) -> None:
        with dialog(words.NEW_TOKEN) as (shown, foot):
            with box("tr-field"):
                text(words.TOKEN_NAME, "tr-label")
                name = (
                    ui.input(placeholder=words.TOKEN_NAME_HINT)
                    .props("outlined dense autofocus")
                    .classes("tr-input")
                    .mark("token-name")
                )
                name.props["aria-label"] = words.TOKEN_NAME
            with box("tr-field"):
                text(words.SCOPES, "tr-label")
                scopes = {}
                for scope, meaning in words.SCOPE_MEANINGS.items():
                    scopes[scope] = (
                        ui.switch(meaning, value=scope in ("read", "run")).classes("tr-switch").mark(f"scope-{scope}")
                    )
            with box("tr-field"):
                text(words.EXPIRES, "tr-label")
                life = (
                    ui.select(words.LIVES, value="90")
                    .props("outlined dense options-dense dropdown-icon=o_expand_more")
                    .classes("tr-input")
                )
                life.props["aria-label"] = words.EXPIRES

            @guarded
            async def create() -> None:
                chosen = [scope for scope, switch in scopes.items() if switch.value]
                _, secret = await self._studio.tokens.create(name.value or "", chosen, expires_in=LIVES[life.value or ""])
                shown.close()
                await self.load()
                _show_secret(secret)

            with foot:
                button(words.CANCEL, shown.close)
                button(words.CREATE, create, kind="primary", mark="create-token")

    def _ask_revoke(self, token: Token) -> None:
        async def revoke() -> None:
            await self._studio.tokens.revoke(token.id)
            await self.load()

        confirm(words.REVOKE_TITLE, words.revoke_text(token.name), do=words.REVOKE, action=revoke)


def _show_secret(secret: str) -> None:
    with dialog(words.TOKEN_MADE) as (shown, foot):
        text(words.TOKEN_ONCE, "tr-muted", tag="p")
        text(secret, "tr-mono tr-path").mark("token-secret")
        with foot:
            button(words.COPY, lambda: _copy(secret), icon="content_copy")
            button(words.CLOSE, shown.close, kind="primary")


def _copy(value: str) -> None:
    try:
        copy_text(value)
        show_done(words.COPIED)
    except Exception as error:
        show_error(error)
