"""
How long a client may take to say what it wants, and how much of it.

uvicorn waits for ever for the end of a request's head, and gathers it however long it gets: a handful of silent clients would
use up the connections of everybody else, and a single one the memory.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)

HEAD_S = 20.0
"""Seconds from the first byte of a request, or from the connection, to the end of its head."""

MOST_HEAD: Final = 256 * 1024
"""Bytes that a head may have: its address and all its headers."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an end to its patience."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_waiting = True
        self._came = 0
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._alarm = self.loop.call_later(HEAD_S, self._let_go)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_waiting = True
        self._came = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is here."""
        self._is_waiting = False
        self._end_alarm()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what came; the head of a request may be neither too long nor too slow."""
        super().data_received(data)
        if self._is_waiting:
            self._came += len(data)
            if self._came > MOST_HEAD:
                self._let_go()
            elif self._alarm is None:
                self._alarm = self.loop.call_later(HEAD_S, self._let_go)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_alarm()
        super().connection_lost(exc)

    def _end_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _let_go(self) -> None:
        self._end_alarm()
        if not self.transport.is_closing():
            # Not worth a warning: browsers open connections that they may never need.
            log.debug("a client that does not come to the point was let go", extra={"bytes": self._came})
            self.transport.abort()
