"""The next due times of a schedule, below its form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import TreadleError
from engine.model.workflow import Node

from .. import words
from ..components.parts import box, text

if TYPE_CHECKING:
    from .desk import Desk

SCHEDULE = "trigger.schedule"


class DueTimes:
    """Five times, drawn anew with every change; what is wrong with the fields stands at the fields."""

    def __init__(self, desk: Desk, node: Node) -> None:
        self._desk = desk
        self._root = box("tr-field")
        with self._root:
            text(words.NEXT_DUE, "tr-label")
            self._body = box("tr-dues").mark("due-times")
        self.show(node)

    def show(self, node: Node) -> None:
        """Draw the times for the node as it is now."""
        self._body.clear()
        with self._body:
            try:
                found = self._desk.studio.schedules.preview(node.fields, timezone=self._desk.draft.document.settings.timezone)
            except TreadleError as error:
                text(words.sentence(error.message), "tr-muted")
                return
            for due in found:
                text(f"{words.weekday(due.weekday())} {due:%Y-%m-%d %H:%M} {due:%Z}", "tr-num")
            if not found:
                text(words.NEVER_DUE, "tr-muted")
