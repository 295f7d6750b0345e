"""Tell whoever listens, now, in this process; what must not be lost stands in the store instead."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from engine.events.types import Event

log = logging.getLogger(__name__)
Listener = Callable[[Event], None]


class EventBus:
    """
    Hands each event to its listeners, in the order they came, on the event loop's thread.

    A listener is a plain function and must be quick; one that raises is logged and does not disturb the others.
    """

    def __init__(self) -> None:
        self._listeners: list[tuple[tuple[type[Event], ...], Listener]] = []

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens at all, so that busy places can skip making events."""
        return bool(self._listeners)

    def subscribe(self, listener: Listener, *kinds: type[Event]) -> Callable[[], None]:
        """Call `listener` for events of these kinds (all when none is named); the returned function ends it."""
        entry = (kinds or (Event,), listener)
        self._listeners.append(entry)

        def unsubscribe() -> None:
            if entry in self._listeners:
                self._listeners.remove(entry)

        return unsubscribe

    def publish(self, events: Iterable[Event]) -> None:
        """Tell these events to their listeners."""
        for event in events:
            for kinds, listener in tuple(self._listeners):
                if isinstance(event, kinds):
                    try:
                        listener(event)
                    except Exception:
                        log.exception("event listener failed", extra={"event": type(event).__name__})
