"""The data at one port of one step of one run: a page at a time, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import words
from ..notices import show_error
from .data_view import MAX_LINES, DataTable, JsonView, OnTrace, table_of
from .parts import Tabs, box, empty, icon_button, row, text

if TYPE_CHECKING:
    from engine.service.views import DataPage

PAGE = 50

Read = Callable[[int, int], Awaitable["DataPage"]]
"""`(offset, limit)` → the items there and how many there are in all."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read, and what to say when there is nothing."""

    read: Read
    nothing: str = words.NO_ITEMS
    nothing_hint: str = ""
    marked: int | None = None
    """The item to lead to and to mark, counted from 0."""
    trace: OnTrace | None = None
    """Hears which value somebody asks about: the number of the item in all there are, and the path in it."""


class PortData:
    """A pager, a switch between table and JSON, and the items."""

    def __init__(self, *, on_choose: Callable[[int], Any] | None = None, on_pick: Callable[[str], Any] | None = None) -> None:
        self._source: Source | None = None
        self._offset = 0
        self._total = 0
        self._asked = 0
        self._on_choose, self._on_pick = on_choose, on_pick
        self._how = "table"
        with box("tr-data"):
            self._body = box("tr-data__body")
        self._bar: Any = None

    def build_bar(self) -> None:
        """Put pager and switch where the caller wants them (usually the row of tabs above)."""
        with row("tr-data__bar"):
            self._count = text("", "tr-muted tr-small tr-num").mark("item-count")
            self._back = icon_button("chevron_left", words.PAGE_BEFORE, lambda: self._turn(-1), small=True, mark="page-before")
            self._next = icon_button("chevron_right", words.PAGE_AFTER, lambda: self._turn(+1), small=True, mark="page-after")
            self._switch = Tabs(
                {"table": words.TABLE, "json": words.JSON}, "table", self._change_how, segmented=True, label=words.DATA_VIEW
            )
        self._bar = self._count.parent_slot.parent if self._count.parent_slot else None
        self._paint_bar()

    async def show(self, source: Source | None) -> None:
        """Show the first page of a source; None clears."""
        marked = source.marked if source else None
        self._source, self._total = source, 0
        self._offset = 0 if marked is None else marked // self._limit * self._limit
        await self._load()

    @property
    def _limit(self) -> int:
        return PAGE if self._how == "table" else MAX_LINES

    async def _load(self) -> None:
        self._asked += 1
        asked = self._asked
        if self._source is None:
            self._body.clear()
            self._paint_bar()
            return
        limit = self._limit
        try:
            page = await self._source.read(self._offset, limit)
        except Exception as error:
            show_error(error)
            return
        if asked != self._asked:
            return  # something else was chosen while we read
        self._total = page.total
        self._body.clear()
        with self._body:
            if not page.items:
                empty("inbox", self._source.nothing, self._source.nothing_hint, small=True)
            elif self._how == "json" or not table_of(page.items)[0]:  # of items without fields a table would be empty
                JsonView(on_trace=self._trace_from(page.offset)).mark("json").show(page.items)
            else:
                DataTable(on_choose=self._on_choose, on_pick=self._on_pick, on_trace=self._source.trace).mark("table").show(
                    page.items, self._offset, -1 if self._source.marked is None else self._source.marked
                )
        self._paint_bar()

    def _trace_from(self, offset: int) -> OnTrace | None:
        trace = self._source.trace if self._source else None
        return None if trace is None else lambda index, path: trace(offset + index, path)

    def _paint_bar(self) -> None:
        if self._bar is None:
            return
        limit = self._limit
        last = min(self._offset + limit, self._total)
        many = self._total > limit
        self._count.text = words.items_shown(self._offset + 1, last, self._total) if many else words.plural(self._total, "item")
        self._count.set_visibility(self._source is not None)
        for button in (self._back, self._next):
            button.set_visibility(many)
        self._back.set_enabled(self._offset > 0)
        self._next.set_enabled(last < self._total)

    async def _turn(self, by: int) -> None:
        limit = self._limit
        self._offset = max(0, min(self._offset + by * limit, max(0, self._total - 1) // limit * limit))
        await self._load()

    async def _change_how(self, how: str) -> None:
        self._how = how
        self._offset = 0
        await self._load()
