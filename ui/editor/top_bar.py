"""What stands above the canvas: the way back, the name, undo, tidy, the switch, and the one filled button."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.model.changes import Rename
from engine.model.codec import document_hash

from .. import words
from ..components.dialogs import ask_text
from ..components.parts import box, button, icon, icon_button, link, row, text
from ..frame import brand_mark, theme_button
from ..help import show_shortcuts
from ..notices import guarded, show_done, show_error

if TYPE_CHECKING:
    from .board import Board
    from .desk import Desk

Do = Callable[[], Any]


class TopBar:
    """The bar of one editor."""

    def __init__(
        self,
        desk: Desk,
        board: Callable[[], Board],
        *,
        dark: ui.dark_mode,
        active: str | None,
        test: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
        show_text: Do,
        show_problems: Do,
    ) -> None:
        self._desk = desk
        self._active = active
        is_active = active is not None
        self._settling = False
        with box("tr-bar", tag="header"):
            with link("/", "tr-bar__home").props(f'aria-label="{words.WORKFLOWS}"'):
                brand_mark()
            text("/", "tr-bar__slash")
            self._name = (
                ui.input(value=desk.draft.document.name)
                .props("borderless dense maxlength=200")
                .classes("tr-bar__name")
                .mark("name")
            )
            self._name.props["aria-label"] = words.WORKFLOW_NAME
            self._name.on("blur", self._rename)
            self._name.on("keydown.enter", js_handler="(e) => e.target.blur()")
            self._saved = text(words.SAVED, "tr-bar__saved tr-clip")
            with row("tr-bar__tools"):
                self._undo = icon_button("undo", words.UNDO, lambda: board().undo(), mark="undo", keys="Ctrl Z")
                self._redo = icon_button("redo", words.REDO, lambda: board().redo(), mark="redo", keys="Ctrl Shift Z")
                box("tr-sep")
                icon_button("account_tree", words.TIDY, lambda: board().canvas.tidy(), mark="tidy", keys="Shift T")
                icon_button("fit_screen", words.FIT, lambda: board().canvas.fit(), mark="fit", keys="Shift 1")
                box("tr-sep")
                icon_button("data_object", words.AS_TEXT, show_text, mark="text")
                versions = f"/workflows/{desk.draft.workflow_id}/versions"
                icon_button("difference", words.SHOW_VERSIONS, lambda: ui.navigate.to(versions), mark="versions")
                theme_button(dark)
                icon_button("keyboard", words.SHORTCUTS, show_shortcuts, keys="?", mark="shortcuts")
            box("tr-grow")
            self._problems = (
                box("tr-bar__problems", tag="button").props("type=button").on("click", show_problems).mark("problems")
            )
            with self._problems:
                icon("error")
                self._problem_count = text("")
            with row("tr-bar__active"):
                self._switch_label = text(words.ON if is_active else words.OFF, "tr-small tr-muted")
                self._switch = ui.switch(value=is_active, on_change=self._switched).classes("tr-switch").mark("active")
                self._switch.props["aria-label"] = words.COLUMN_ACTIVE
            self._publish = button(words.PUBLISH, self._ask_message, small=False, mark="publish")
            self._stop = button(words.STOP, stop, icon="stop", mark="stop")
            self._test = button(words.TEST, test, icon="play_arrow", kind="primary", mark="test")
            with self._test:
                ui.tooltip(f"{words.TEST_HINT}  Ctrl Enter").props("delay=400")
        desk.on("document", self.refresh)
        desk.on("run", self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the name, what can be undone, and how many problems there are."""
        draft = self._desk.draft
        if self._name.value != draft.document.name:
            self._name.value = draft.document.name
        self._undo.set_enabled(draft.history.can_undo(self._desk.author))
        self._redo.set_enabled(draft.history.can_redo(self._desk.author))
        self._saved.text = words.SAVED if self._desk.is_saved else words.NOT_SAVED
        errors = len(draft.errors)
        self._problem_count.text = words.plural(errors, "problem")
        self._problems.set_visibility(errors > 0)
        self._paint_publish()
        running = self._desk.is_running
        self._stop.set_visibility(running)
        self._test.set_visibility(not running)

    @guarded
    async def _rename(self) -> None:
        name = (self._name.value or "").strip()
        if name and name != self._desk.draft.document.name:
            await self._desk.apply(Rename(name=name))
        else:
            self._name.value = self._desk.draft.document.name

    def _switched(self, event: Any) -> Awaitable[None] | None:
        # Asked now, not in the coroutine: it would begin when the settling is over.
        return None if self._settling else self._turn(bool(event.value))

    async def _turn(self, is_on: bool) -> None:
        if is_on:
            self._show_switch(None)
            self._ask_message()
            return
        try:
            await self._desk.studio.workflows.deactivate(self._desk.draft.workflow_id)
            self._show_switch(None)
            show_done(words.switched_off(self._desk.draft.document.name))
        except Exception as error:
            self._show_switch(self._active)
            show_error(error)

    def _ask_message(self) -> None:
        async def publish(message: str) -> None:
            version = await self._desk.studio.workflows.activate(self._desk.draft.workflow_id, message)
            self._show_switch(version.id)
            show_done(words.switched_on(self._desk.draft.document.name))

        ask_text(
            words.PUBLISH_TITLE,
            label=words.PUBLISH_MESSAGE,
            do=words.PUBLISH_DO if self._active else words.SWITCH_ON,
            action=publish,
            sentence=words.PUBLISH_TEXT,
            may_be_empty=True,
        )

    def _show_switch(self, active: str | None) -> None:
        self._settling = True
        self._active, is_on = active, active is not None
        self._switch.value = is_on
        self._switch_label.text = words.ON if is_on else words.OFF
        self._paint_publish()
        self._settling = False

    def _paint_publish(self) -> None:
        # The hash leaves places out: moving boxes is nothing to publish.
        is_new = self._active is not None and self._active != document_hash(self._desk.draft.document)
        self._publish.set_visibility(is_new)
