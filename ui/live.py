"""Events reach a page a few times a second, gathered, and only while somebody looks at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from nicegui import Client, background_tasks, ui

from engine.events.types import Event

from .notices import show_error

if TYPE_CHECKING:
    from engine.service import Studio

log = logging.getLogger(__name__)
FLUSH_AFTER = 0.15  # seconds: about seven times a second, however chatty the engine is
LONGEST = 5_000

Handler = Callable[[Sequence[Event]], Awaitable[None] | None]


class Live:
    """
    The events of these kinds that pass `concerns`, handed to `handler` in lots.

    It listens from the moment the browser's socket is there until the client is gone: a GET that never connects costs nothing.
    The handler runs in the page's context, so it may touch its elements; it is never running twice at the same time.
    """

    def __init__(
        self, studio: Studio, handler: Handler, *kinds: type[Event], concerns: Callable[[Event], bool] = lambda event: True
    ) -> None:
        self._studio, self._handler, self._kinds, self._concerns = studio, handler, kinds, concerns
        self._client: Client = ui.context.client
        self._waiting: list[Event] = []
        self._is_due = False
        self._leave: Callable[[], None] | None = None
        self._client.on_connect(self._join)
        self._client.on_delete(self._part)

    def _join(self) -> None:
        if self._leave is None:
            self._leave = self._studio.bus.subscribe(self._hear, *self._kinds)

    def _part(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None
        self._waiting.clear()

    def _hear(self, event: Event) -> None:
        if not self._concerns(event):
            return
        self._waiting.append(event)
        del self._waiting[:-LONGEST]
        if not self._is_due:
            self._is_due = True
            background_tasks.create(self._flush(), name="live page")

    async def _flush(self) -> None:
        while self._waiting and self._leave is not None:
            await asyncio.sleep(FLUSH_AFTER)
            events, self._waiting = self._waiting, []
            if self._leave is None or not events:
                break
            with self._client:
                try:
                    if (answer := self._handler(events)) is not None:
                        await answer
                except Exception as error:
                    log.exception("a live page could not show its events")
                    show_error(error)
        self._is_due = False
