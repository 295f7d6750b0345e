"""Start long-lived things in order, stop them in reverse."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

log = logging.getLogger(__name__)


class Service(Protocol):
    """Something that lives as long as the program; starting and stopping twice are harmless."""

    async def start(self) -> None:
        """Begin; returns when it is at work."""

    async def stop(self) -> None:
        """End; returns when it is really over."""


class Lifecycle:
    """
    A row of services, each leaning on those before it.

    When one does not start, those before it are stopped again and its error goes on. When one does not stop, that is logged
    and the others are stopped all the same.
    """

    def __init__(self) -> None:
        self._running: list[Service] = []

    async def start(self, services: Sequence[Service]) -> None:
        """Start these, one after the other."""
        for service in services:
            try:
                await service.start()
            except BaseException:
                await self.stop()
                raise
            self._running.append(service)

    async def stop(self) -> None:
        """Stop what was started, the last one first; a cancellation is passed on when all of them have been stopped."""
        cancelled: BaseException | None = None
        while self._running:
            service = self._running.pop()
            try:
                await service.stop()
            except Exception:
                log.exception("a service did not stop", extra={"service": type(service).__name__})
            except BaseException as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
