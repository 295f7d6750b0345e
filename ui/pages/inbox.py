"""What waits for a person's decision, the longest waiting first; it follows what happens while it is open."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from engine.events.types import Event, RunFinished, StepWaiting, StepWoken
from engine.service.waits import WaitRow

from .. import moments, words
from ..components.parts import box, button, empty, link, row, text
from ..frame import frame
from ..live import Live
from ..notices import guarded
from ..session import current_studio
from ..theme import FAVICON

if TYPE_CHECKING:
    from engine.service import Studio


def install() -> None:
    """Register the page."""
    ui.page("/inbox", favicon=FAVICON, response_timeout=10)(inbox_page)


async def inbox_page() -> None:
    studio = current_studio()
    with frame(words.INBOX, here="/inbox"):
        with box("tr-pagehead"):
            text(words.INBOX, "tr-h1", tag="h1")
        inbox = Inbox(studio)
        await inbox.load()
    Live(studio, inbox.hear, StepWaiting, StepWoken, RunFinished)


class Inbox:
    """The approvals that are open; those with fields of their own are decided on their page."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._body = box("tr-stack").mark("inbox")

    async def load(self) -> None:
        """Read what waits and draw it."""
        rows = await self._studio.waits.list_rows("approval")
        self._body.clear()
        with self._body:
            if not rows:
                empty("how_to_reg", words.NOTHING_WAITS, words.NOTHING_WAITS_HINT)
            for one in rows:
                self._draw(one)

    async def hear(self, events: Sequence[Event]) -> None:
        """Draw anew when something began or ceased to wait."""
        await self.load()

    def _draw(self, one: WaitRow) -> None:
        with box("tr-card tr-card--padded").mark(f"approval-{one.node}"):
            text(str(one.details.get("title") or one.node), "tr-strong")
            text(
                words.asked_since(
                    one.workflow, moments.ago(one.since, self._studio.clock.now()), one.details.get("people") or ()
                ),
                "tr-soft",
            )
            if body := str(one.details.get("text") or ""):
                text(body, "tr-pre")
            with row("tr-actions"):
                if one.details.get("fields"):
                    with link(one.link).props('target="_blank" rel="noopener"'):
                        text(words.OPEN_FORM)
                else:
                    for name, label in one.details.get("buttons", {}).items():
                        button(str(label), guarded(partial(self._decide, one, name)), mark=f"decide-{name}")
                with link(f"/runs/{one.run_id}"):
                    text(words.OPEN_THE_RUN)

    async def _decide(self, one: WaitRow, decision: str) -> None:
        await self._studio.waits.decide(one.run_id, one.node, decision, scope=one.scope)
        await self.load()
