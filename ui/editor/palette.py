"""The steps one can use: searched, grouped, dragged onto the canvas or added with a click or Enter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from .. import words
from ..components.parts import box, empty, search, text, tile
from .canvas import palette_drag
from .views import hue_of

if TYPE_CHECKING:
    from engine.steps.catalog import Catalog
    from engine.steps.spec import StepSpec

Choose = Callable[[str], Any]
ORDER = ("triggers", "data", "flow", "network", "files", "messages", "code", "ai")


def groups_of(specs: Iterable[StepSpec]) -> dict[str, list[StepSpec]]:
    """Return the steps by colour family, families in a fixed order, steps by title."""
    found: dict[str, list[StepSpec]] = {}
    for spec in specs:
        found.setdefault(hue_of(spec), []).append(spec)
    known = [name for name in ORDER if name in found]
    return {name: sorted(found[name], key=lambda spec: spec.title) for name in [*known, *sorted(set(found) - set(known))]}


def matching(specs: Iterable[StepSpec], wanted: str) -> list[StepSpec]:
    """Return the steps that a search finds, best first: title begins, title holds, keyword begins, name or help holds."""
    sought = wanted.strip().lower()
    if not sought:
        return list(specs)
    ranked: list[tuple[int, str, StepSpec]] = []
    for spec in specs:
        title = spec.title.lower()
        if title.startswith(sought):
            rank = 0
        elif any(word.startswith(sought) for word in title.split()):
            rank = 1
        elif any(word.lower().startswith(sought) for word in spec.keywords):
            rank = 2
        elif sought in title or sought in spec.name:
            rank = 3
        elif sought in spec.help.lower():
            rank = 4
        else:
            continue
        ranked.append((rank, title, spec))
    return [spec for _, _, spec in sorted(ranked, key=lambda entry: entry[:2])]


class Palette:
    """The column at the left."""

    def __init__(self, catalog: Catalog, choose: Choose) -> None:
        self._catalog, self._choose = catalog, choose
        with box("tr-palette", tag="aside").props(f'aria-label="{words.STEPS}"'):
            with box("tr-palette__head"):
                self.search = search(words.SEARCH_STEPS, self._show, mark="search-steps", classes="tr-search-steps")
                self.search.on("keydown.enter", self._take_first)
            self._list = box("tr-palette__list")
        self._found: list[StepSpec] = []
        self._show("")

    def _show(self, wanted: str) -> None:
        self._found = matching(self._catalog, wanted)
        self._list.clear()
        with self._list:
            if not self._found:
                empty("search", words.NOTHING_FOUND, words.no_step(wanted), small=True)
            elif wanted.strip():
                for spec in self._found:
                    step_button(spec, self._choose)
            else:
                for hue, specs in groups_of(self._found).items():
                    text(words.step_group(hue), "tr-palette__group", tag="div")
                    for spec in specs:
                        step_button(spec, self._choose)

    async def _take_first(self) -> None:
        if self._found and (self.search.value or "").strip():
            answer = self._choose(self._found[0].name)
            self.search.value = ""
            if answer is not None:
                await answer


def step_button(spec: StepSpec, choose: Choose, *, drag: bool = True) -> Element:
    """Return the button that stands for a step."""
    made = box("tr-step", tag="button").props("type=button").mark(f"step-{spec.name}")
    made.on("click", lambda: choose(spec.name))
    made.props["data-type"] = spec.name
    if drag:
        palette_drag(made, spec.name)
    with made:
        tile(spec.icon, hue_of(spec), small=True)
        with box("tr-step__text"):
            text(spec.title, "tr-step__title tr-clip", tag="div")
            text(first_sentence(spec.help), "tr-step__help tr-clip", tag="div")
        if spec.help:
            ui.tooltip(spec.help.split("\n\n")[0]).props(
                "delay=700 anchor='center right' self='center left' :offset=\"[10, 0]\""
            )
    return made


def first_sentence(help_text: str) -> str:
    """Return the help up to its first full stop."""
    line = " ".join(help_text.replace("`", "").split())
    end = line.find(". ")
    return (line[:end] if end > 0 else line.removesuffix(".")).removesuffix(";")
