"""What stands around every page but the editor: brand, places to go, light and dark, help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nicegui import ui
from nicegui.element import Element

from engine.errors import TreadleError
from engine.events.types import Event, RunFinished
from engine.model.failures import FailureFilter

from . import words
from .browser import KEY, listen_for_keys, remember_theme
from .components.parts import box, icon, icon_button, link, row, text
from .help import show_shortcuts
from .live import Live
from .session import current_studio
from .theme import apply_theme, chosen_theme

PLACES = (
    ("/", "account_tree", words.WORKFLOWS),
    ("/runs", "history", words.RUNS),
    ("/failures", "report", words.FAILURES),
    ("/inbox", "how_to_reg", words.INBOX),
    ("/calendar", "calendar_month", words.CALENDAR),
    ("/settings", "tune", words.SETTINGS),
)


@contextmanager
def frame(title: str, *, here: str, wide: bool = False) -> Iterator[Element]:
    """Lay out a page beside the places to go; yields the column that holds its content."""
    ui.page_title(words.page_title(title))
    dark = apply_theme()
    listen_for_keys()
    ui.on(KEY, lambda event: show_shortcuts() if event.args == "help" else None)
    with box("tr-frame"):
        with box("tr-side", tag="nav").props(f'aria-label="{words.PLACES}"'):
            with link("/", "tr-brand"):
                brand_mark()
                text(words.TREADLE)
            for target, icon_name, label in PLACES:
                with link(target, "tr-nav tr-nav--here" if target == here else "tr-nav"):
                    icon(icon_name)
                    text(label)
                    if target == "/failures":
                        count_failures()
            box("tr-grow")
            with row("tr-side__foot"):
                theme_button(dark)
                icon_button("keyboard", words.SHORTCUTS, show_shortcuts, keys="?")
        with box("tr-main", tag="main"):
            content = box("tr-page tr-page--wide" if wide else "tr-page")
    with content:
        yield content


def count_failures() -> None:
    """Show beside the place how many failures wait for somebody; it follows while the page is open."""
    studio, shown = current_studio(), text("", "tr-nav__count").mark("failures-count")
    shown.set_visibility(False)

    async def count(events: Sequence[Event] = ()) -> None:
        try:
            waiting = await studio.failures.count(FailureFilter(states=("open",)))
        except TreadleError:
            waiting = 0  # who may not see failures sees no count of them either
        shown.text = f"{waiting:,}" if waiting < 1000 else "999+"
        shown.props["aria-label"] = words.failures_waiting(waiting)
        shown.set_visibility(waiting > 0)

    ui.context.client.on_connect(count)
    # Where nothing waits, a run that went well changes nothing: it costs no query.
    Live(studio, count, RunFinished, concerns=lambda event: shown.visible or getattr(event, "status", "") == "failed")


def brand_mark() -> Element:
    """Return Treadle's sign."""
    mark = ui.element("img").props("alt='' width=24 height=24")
    mark.props["src"] = "/_treadle/icons/favicon.svg"
    return mark


def trail(places: Sequence[tuple[str, str]], here: str) -> None:
    """Show the way to this page: links, then where one is."""
    with box("tr-trail tr-grow").props(f'aria-label="{words.TRAIL}"'):
        for target, label in places:
            with link(target):
                text(label)
            icon("chevron_right")
        text(here, "tr-strong tr-clip").style("color: var(--tr-text)")


def theme_button(dark: ui.dark_mode) -> ui.button:
    """Return the button that goes light → dark → as the system says, and remembers it in this browser."""
    icons = {"light": "light_mode", "dark": "dark_mode", "auto": "contrast"}
    following = {"light": "dark", "dark": "auto", "auto": "light"}
    now = {"theme": chosen_theme()}

    async def turn() -> None:
        now["theme"] = following[now["theme"]]
        await choose_theme(dark, now["theme"])
        made.props["icon"] = f"o_{icons[now['theme']]}"

    made = icon_button(icons[now["theme"]], words.THEME, turn, mark="theme")
    return made


async def choose_theme(dark: ui.dark_mode, theme: str) -> None:
    """Remember the choice in this browser, then change the colours: what is seen holds on the next page."""
    await remember_theme(theme)
    dark.value = {"light": False, "dark": True}.get(theme)
