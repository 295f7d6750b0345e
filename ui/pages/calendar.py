"""The calendar: what schedules were due, what became of it, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from nicegui import ui

from .. import words
from ..components.parts import Tabs, box, empty, icon_button, link, row, text
from ..frame import frame
from ..notices import guarded
from ..session import current_studio
from ..theme import FAVICON

if TYPE_CHECKING:
    from engine.service import Studio
    from engine.service.schedules import Slot

SHOWN_OF_A_DAY = 6


def install() -> None:
    """Register the page."""
    ui.page("/calendar", favicon=FAVICON, response_timeout=10)(calendar_page)


async def calendar_page(day: str = "", span: str = "week") -> None:
    studio = current_studio()
    with frame(words.CALENDAR, here="/calendar"):
        view = CalendarPage(studio, day, span)
        await view.load()


class CalendarPage:
    """A week or a month of slots, day by day."""

    def __init__(self, studio: Studio, day: str, span: str) -> None:
        self._studio = studio
        self._span = span if span in words.CALENDAR_SPANS else "week"
        try:
            self._day = date.fromisoformat(day)
        except ValueError:
            self._day = studio.clock.now().astimezone().date()
        with box("tr-pagehead"):
            text(words.CALENDAR, "tr-h1", tag="h1")
            box("tr-grow")
            Tabs(words.CALENDAR_SPANS, self._span, self._choose_span, segmented=True, label=words.CALENDAR)
            icon_button("chevron_left", words.EARLIER, lambda: self._move(-1), mark="earlier")
            icon_button("today", words.TODAY, self._go_today, mark="today")
            icon_button("chevron_right", words.LATER, lambda: self._move(1), mark="later")
        self._title = text("", "tr-h2", tag="h2").mark("calendar-title")
        self._body = box("tr-calendar").mark("calendar")

    async def load(self) -> None:
        """Read the slots and draw the days."""
        first, days = self._window()
        since, until = (_midnight(first + timedelta(days=number)) for number in (0, days))
        view = await self._studio.schedules.view(since, until)
        self._title.set_text(words.calendar_title(first, first + timedelta(days=days - 1)))
        self._body.clear()
        self._body.classes(replace=f"tr-calendar tr-calendar--{self._span}")
        by_day: dict[date, list[Slot]] = {}
        for slot in view.slots:
            by_day.setdefault(slot.due.astimezone().date(), []).append(slot)
        with self._body:
            if not view.slots:
                empty("calendar_month", words.NO_SLOTS, words.NO_SLOTS_TEXT)
                return
            for number in range(days):
                day = first + timedelta(days=number)
                self._show_day(day, by_day.get(day, []))
            if view.is_cut:
                text(words.MORE_SLOTS, "tr-muted")

    def _window(self) -> tuple[date, int]:
        """Return the first day and how many are shown: whole weeks from a Monday on."""
        if self._span == "week":
            return self._day - timedelta(days=self._day.weekday()), 7
        first = self._day.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        start = first - timedelta(days=first.weekday())
        return start, -(-(following - start).days // 7) * 7

    def _show_day(self, day: date, slots: Sequence[Slot]) -> None:
        today = self._studio.clock.now().astimezone().date()
        with box("tr-day tr-day--today" if day == today else "tr-day").mark(f"day-{day}"):
            with row("tr-day__head"):
                text(words.weekday(day.weekday()), "tr-muted")
                text(str(day.day), "tr-strong")
            for slot in slots[:SHOWN_OF_A_DAY]:
                _show_slot(slot)
            if len(slots) > SHOWN_OF_A_DAY:
                text(words.more_slots(len(slots) - SHOWN_OF_A_DAY), "tr-muted")

    async def _choose_span(self, span: str) -> None:
        self._span = span
        await self._anew()

    async def _move(self, way: int) -> None:
        if self._span == "week":
            self._day += timedelta(days=7 * way)
        else:
            first = self._day.replace(day=1)
            self._day = (first - timedelta(days=1)).replace(day=1) if way < 0 else (first + timedelta(days=32)).replace(day=1)
        await self._anew()

    async def _go_today(self) -> None:
        self._day = self._studio.clock.now().astimezone().date()
        await self._anew()

    @guarded
    async def _anew(self) -> None:
        await self.load()


def _show_slot(slot: Slot) -> None:
    where = f"/runs/{slot.run_id}" if slot.run_id else f"/workflows/{slot.workflow_id}"
    with link(where, f"tr-slot tr-slot--{slot.state}") as made:
        text(f"{slot.due.astimezone():%H:%M}", "tr-num")
        text(slot.workflow_name, "tr-clip tr-grow")
    made.tooltip(f"{words.SLOT_STATES[slot.state]} · {slot.workflow_name}")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time()).astimezone()
