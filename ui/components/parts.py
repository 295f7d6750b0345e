"""The small parts pages are made of: boxes, texts, buttons, pills, tiles, banners, empty states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from nicegui import ui
from nicegui.element import Element

from .. import words

Kind = Literal["plain", "primary", "quiet", "danger"]


def box(classes: str = "", *, tag: str = "div") -> Element:
    """Return a bare element with the given classes."""
    return ui.element(tag).classes(classes)


def row(classes: str = "") -> Element:
    return box(f"tr-row {classes}")


def text(content: str, classes: str = "", *, tag: str = "span") -> ui.label:
    """Return a text element; the content is shown as it is, never read as HTML."""
    label = ui.label(content).classes(classes)
    label.tag = tag
    return label


def prose(content: str, classes: str = "", *, tag: str = "p") -> Element:
    """Return a sentence in which what stands between backticks is set as code."""
    with box(classes, tag=tag) as made:
        for number, part in enumerate(content.split("`")):
            if part:
                text(part, "tr-inline" if number % 2 else "")
    return made


def icon(name: str, classes: str = "") -> ui.icon:
    """Return a Material icon in its outlined drawing."""
    return ui.icon(outlined(name)).classes(classes).props("aria-hidden=true")


def outlined(name: str) -> str:
    """Return the name by which Quasar finds the outlined drawing."""
    return name if name.startswith(("o_", "img:")) else f"o_{name}"


def button(
    label: str,
    on_click: Callable[..., Any] | None = None,
    *,
    icon: str | None = None,
    kind: Kind = "plain",
    mark: str | None = None,
    small: bool = False,
) -> ui.button:
    """Return a button with a label; one `primary` per screen."""
    made = ui.button(label, on_click=on_click, icon=outlined(icon) if icon else None, color=None)
    made.props("unelevated no-caps :ripple=false").classes(f"tr-btn tr-btn--{kind}")
    if small:
        made.classes("tr-btn--small")
    return made.mark(mark) if mark else made


def icon_button(
    icon: str,
    tooltip: str,
    on_click: Callable[..., Any] | None = None,
    *,
    kind: Kind = "quiet",
    mark: str | None = None,
    small: bool = False,
    keys: str = "",
) -> ui.button:
    """Return a button that is an icon; its tooltip is also its name for screen readers."""
    made = ui.button(on_click=on_click, icon=outlined(icon), color=None)
    made.props("unelevated no-caps :ripple=false").classes(f"tr-btn tr-btn--icon tr-btn--{kind}")
    made.props["aria-label"] = tooltip
    if small:
        made.classes("tr-btn--small")
    with made:
        ui.tooltip(f"{tooltip}  {keys}".rstrip()).props('delay=400 :offset="[0, 6]"')
    return made.mark(mark) if mark else made


def menu() -> ui.menu:
    """Return a menu that hangs from the button it stands in."""
    return ui.menu().props("auto-close anchor='bottom right' self='top right' transition-duration=80")


def menu_item(icon_name: str, label: str, action: Callable[[], Any], classes: str = "") -> None:
    """Put an entry into a menu."""
    with ui.menu_item(on_click=action).classes(classes).mark(f"menu-{label}"):
        ui.icon(outlined(icon_name))
        text(label)


def link(target: str, classes: str = "") -> Element:
    """Return an anchor to a page of the studio."""
    made = ui.element("a").classes(classes)
    made.props["href"] = target
    return made


def tile(icon_name: str, hue: str, *, small: bool = False) -> Element:
    """Return the coloured square that stands for a step."""
    made = box("tr-tile tr-tile--small" if small else "tr-tile")
    made.props["data-hue"] = hue
    with made:
        icon(icon_name)
    return made


class Pill(Element):
    """A state in a word and a colour; never the colour alone."""

    def __init__(self, state: str, label: str | None = None) -> None:
        super().__init__("span")
        self.classes("tr-pill")
        with self:
            self._label = text("")
        self.show(state, label)

    def show(self, state: str, label: str | None = None) -> None:
        """Change to another state."""
        self.props["data-state"] = state
        self._label.text = label or words.state(state)


def banner(
    message: str,
    hint: str | None = None,
    *,
    kind: Literal["bad", "warn", "info"] = "bad",
    icon_name: str = "error",
    detail: str = "",
) -> Element:
    """Return a box that says what is wrong and what to do next."""
    made = box("tr-banner")
    made.props["data-kind"] = kind
    made.props["role"] = "alert" if kind == "bad" else "status"
    with made:
        icon(icon_name)
        with box("tr-grow"):
            text(words.sentence(message), "tr-banner__text", tag="div")
            if hint:
                text(words.sentence(hint), "tr-banner__hint", tag="div")
            if detail:
                text(detail, "tr-banner__detail", tag="div")
    return made


def empty(icon_name: str, title: str, sentence: str, *, small: bool = False) -> Element:
    """Return an empty state that teaches; put buttons into the returned foot."""
    with box("tr-empty tr-empty--small" if small else "tr-empty"):
        with box("tr-empty__tile"):
            icon(icon_name)
        text(title, "tr-empty__title", tag="div")
        text(sentence, "tr-empty__text", tag="div")
        return box("tr-empty__foot")


def search(placeholder: str, on_change: Callable[[str], Any], *, mark: str = "search", classes: str = "tr-search") -> ui.input:
    """Return a search field that tells each change a moment after the last key."""
    field = ui.input(placeholder=placeholder, on_change=lambda event: on_change(event.value or ""))
    field.props("outlined dense clearable debounce=180 clear-icon=o_close").classes(f"tr-input {classes}").mark(mark)
    field.props["aria-label"] = placeholder
    with field.add_slot("prepend"):
        icon("search")
    return field


def choice(label: str, options: dict[str, str], value: str, on_change: Callable[[str], Any], mark: str) -> ui.select:
    """Return a field that chooses one of several, as filters of a list do."""
    made = ui.select(options, value=value, on_change=lambda event: on_change(event.value or ""))
    made.props("outlined dense options-dense dropdown-icon=o_expand_more").classes("tr-input").mark(mark)
    made.props["aria-label"] = label
    return made


class Tabs:
    """A row of small tabs, or with `segmented` a switch between a few views."""

    def __init__(
        self, choices: dict[str, str], value: str, on_change: Callable[[str], Any], *, segmented: bool = False, label: str = ""
    ) -> None:
        self.value = value
        self._on_change = on_change
        self._root = box("tr-seg" if segmented else "tr-tabs").props("role=tablist")
        if label:
            self._root.props["aria-label"] = label
        self._tabs: dict[str, Element] = {}
        self._counts: dict[str, ui.label] = {}
        self.offer(choices)

    def offer(self, choices: dict[str, str], counts: dict[str, str] | None = None) -> None:
        """Show these tabs; the chosen one stays if it is still there."""
        if self.value not in choices and choices:
            self.value = next(iter(choices))
        self._root.clear()
        self._tabs.clear()
        with self._root:
            for name, label in choices.items():
                tab = box("tr-tab", tag="button").props("role=tab type=button").mark(f"tab-{name}")
                tab.on("click", lambda _, name=name: self.choose(name))
                with tab:
                    text(label)
                    if counts and counts.get(name):
                        text(counts[name], "tr-tab__count")
                self._tabs[name] = tab
        self._paint()

    def choose(self, name: str) -> Any:
        """Go to that tab and tell so; returns what the listener returned, so that a coroutine is awaited."""
        if name == self.value or name not in self._tabs:
            return None
        self.value = name
        self._paint()
        return self._on_change(name)

    def _paint(self) -> None:
        for name, tab in self._tabs.items():
            tab.classes(add="tr-tab--on") if name == self.value else tab.classes(remove="tr-tab--on")
            tab.props["aria-selected"] = "true" if name == self.value else "false"
