"""The calendars of the store, where expressions and schedules find them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from engine.errors import TreadleError
from engine.model.calendar import Calendars
from engine.protocols import Store, UnitOfWork

log = logging.getLogger(__name__)

KEPT: Final = "calendars"
"""The value under which the store keeps them, by name."""


def kept_calendars(work: UnitOfWork) -> Mapping[str, Any]:
    """Return the calendars of the store in JSON, by name."""
    found: Mapping[str, Any] = work.values.get(KEPT, {})
    return found


async def load_calendars(store: Store, calendars: Calendars) -> None:
    """Read the store's calendars into the ones at hand; what cannot be read is logged and left out."""
    kept = await store.read(kept_calendars)
    try:
        calendars.replace(kept)
    except TreadleError as error:
        log.error("the calendars cannot be read", extra={"error": error.message})
