"""The search that opens at a plus sign on the canvas: choose a step and it is wired at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import words
from ..browser import put_cursor
from ..components.parts import box, empty, search
from .canvas import QuickAddEvent
from .palette import matching, step_button

if TYPE_CHECKING:
    from engine.steps.catalog import Catalog
    from engine.steps.spec import StepSpec

Add = Callable[[str, QuickAddEvent], Any]
WIDTH, HEIGHT = 300, 380


class QuickAdd:
    """One floating search per editor, shown where it is wanted."""

    def __init__(self, catalog: Catalog, add: Add) -> None:
        self._catalog, self._add = catalog, add
        self._event: QuickAddEvent | None = None
        self._found: list[StepSpec] = []
        self._veil = box("tr-veil tr-hidden")
        self._veil.on("mousedown", self.close)
        self._card = box("tr-quick tr-hidden").props(f'role=dialog aria-label="{words.SEARCH_STEPS}"')
        with self._card:
            self._search = search(words.SEARCH_STEPS, self._show, mark="quick-search", classes="tr-search-steps")
            self._search.on("keydown.enter", self._take_first)
            self._search.on("keydown.escape", self.close)
            self._list = box("tr-quick__list")

    def open(self, event: QuickAddEvent) -> None:
        """Show the search beside the place where the wish was made."""
        self._event = event
        self._search.value = ""
        self._show("")
        left, top = max(0, event.left), max(0, event.top)
        across = f"min({left + 12:.0f}px, calc(100vw - {WIDTH + 12}px))"
        down = f"min({max(12, top - 20):.0f}px, calc(100vh - {HEIGHT + 12}px))"
        self._card.style(f"left: {across}; top: {down}")
        self._veil.classes(remove="tr-hidden")
        self._card.classes(remove="tr-hidden")
        put_cursor(".tr-quick input")

    def close(self) -> None:
        """Hide it."""
        self._event = None
        self._veil.classes(add="tr-hidden")
        self._card.classes(add="tr-hidden")

    def _show(self, wanted: str) -> None:
        starts = self._event is not None and self._event.source is None and self._event.edge is None
        fitting = [spec for spec in self._catalog if starts or spec.ports_in]
        if starts and not wanted.strip():
            fitting.sort(key=lambda spec: not spec.is_trigger)
        self._found = matching(fitting, wanted)
        self._list.clear()
        with self._list:
            if not self._found:
                empty("search", words.NOTHING_FOUND, words.no_step(wanted), small=True)
            for spec in self._found[:40]:
                step_button(spec, self._choose, drag=False)

    async def _take_first(self) -> None:
        if self._found and (answer := self._choose(self._found[0].name)) is not None:
            await answer

    def _choose(self, use: str) -> Any:
        event = self._event
        self.close()
        return self._add(use, event) if event is not None else None


def focus_search() -> None:
    """Bring the keyboard to the palette's search."""
    put_cursor(".tr-palette input")
