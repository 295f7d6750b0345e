"""The column at the right: the form of the selected step, or what holds for the whole workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.errors import Conflict, TreadleError
from engine.model.changes import RemoveNodes

from .. import words
from ..browser import copy_text, put_cursor
from ..components.parts import banner, box, button, icon_button, menu, menu_item, prose, row, text, tile
from ..notices import guarded, show_done
from .board import in_background
from .conduct import Conduct
from .desk import Desk
from .due_times import SCHEDULE, DueTimes
from .fields.base import FieldEditor
from .fields.context import FormContext
from .fields.registry import editor_for, is_shown
from .views import hue_of
from .workflow_form import WorkflowForm

if TYPE_CHECKING:
    from engine.model.workflow import Node
    from engine.steps.spec import StepSpec


class Inspector:
    """Shows what is selected; redraws itself when somebody else changed it."""

    def __init__(self, desk: Desk, *, test_part: Callable[[str, str], Any], paste: Callable[[str], Any]) -> None:
        self._desk, self._test_part, self._paste = desk, test_part, paste
        self._client = ui.context.client
        self._form: NodeForm | WorkflowForm | None = None
        self._root = box("tr-inspector", tag="aside").props(f'aria-label="{words.INSPECTOR}"').mark("inspector")
        desk.on("selection", self.show)
        desk.on("document", self._document_changed)
        desk.on("run", self._run_changed)
        self.show()

    def show(self) -> None:
        """Draw the form of what is selected now."""
        self._root.clear()
        self._form = None
        with self._root:
            node = self._desk.node
            if node is not None:
                self._form = NodeForm(self._desk, node, test_part=self._test_part, paste=self._paste)
            elif self._desk.selected:
                self._show_many()
            else:
                self._form = WorkflowForm(self._desk)

    def edit_title(self) -> None:
        """Put the keyboard into the name of the step."""
        put_cursor(".tr-inspector .tr-inspector__title input")

    def _document_changed(self) -> None:
        if self._form is not None and not self._form.follow():
            self.show()

    def _run_changed(self) -> None:
        if isinstance(self._form, NodeForm) and not self._desk.is_running:
            in_background(self._form.context.refresh_previews, "previews")
            in_background(self._form.show_standing, "standing")

    async def choosemenu_item(self, index: int) -> None:
        """Preview with the item of this number."""
        if isinstance(self._form, NodeForm):
            await self._form.context.look_at(index)

    def _show_many(self) -> None:
        chosen = self._desk.selected
        with box("tr-inspector__many"):
            text(words.steps_selected(len(chosen)), "tr-h2", tag="h2")
            with row():
                copied = self._desk.draft.copy(chosen)  # type: ignore[arg-type]
                button(
                    words.DUPLICATE_STEP, lambda: self._paste(copied), icon="content_copy", small=True, mark="duplicate-many"
                )
                button(words.REMOVE_STEP, self._remove, icon="delete", small=True, mark="remove-many")

    @guarded
    async def _remove(self) -> None:
        await self._desk.apply(RemoveNodes(nodes=self._desk.selected))  # type: ignore[arg-type]


class NodeForm:
    """The form of one node."""

    def __init__(self, desk: Desk, node: Node, *, test_part: Callable[[str, str], Any], paste: Callable[[str], Any]) -> None:
        self._desk, self._node_id, self._test_part, self._paste = desk, node.id, test_part, paste
        self._spec: StepSpec | None = desk.spec(node)
        self._known: Node = node
        self._editors: dict[str, FieldEditor] = {}
        self.context = FormContext(desk, node.id)
        self.context.on_written(self._written)
        self._mine: set[str] = set()
        self._show_head(node)
        self._notice = box("tr-inspector__notice")
        self._stepper = row("tr-stepper").mark("preview-stepper")
        with box("tr-inspector__form"):
            self._show_fields()
            self._due_times = DueTimes(desk, node) if node.use == SCHEDULE else None
            self._conduct = Conduct(desk, node.id, self._spec)
        self.context.on_total(self._paint_stepper)
        self._paint_stepper()
        self._paint_notice()
        in_background(self.context.refresh_previews, "previews")

    def follow(self) -> bool:
        """Take a change of the document in; returns False when the form has to be drawn anew."""
        node = self._desk.draft.document.nodes.get(self._node_id)
        if node is None or node.use != self._known.use:
            return False
        foreign = {
            name for name in {*node.fields, *self._known.fields} if node.fields.get(name) != self._known.fields.get(name)
        } - self._mine
        self._mine.clear()
        self._known = node
        if (node.title or "") != self._title.value:
            self._title.value = node.title or ""
        for name in foreign:
            if name in self._editors:
                self._editors[name].rebuild()
        if foreign:
            in_background(self.context.refresh_previews, "previews")
        for editor in self._editors.values():
            editor.show_problems()
        self._conduct.follow()
        in_background(self.show_standing, "standing")
        if self._due_times is not None:
            self._due_times.show(node)
        self._paint_shown()
        self._paint_notice()
        return True

    async def show_standing(self) -> None:
        """Say whether what the step gave still holds, and why."""
        try:
            standings = await self._desk.studio.parts.standings(self._desk.draft.workflow_id)
        except TreadleError:
            return  # while the draft cannot be looked at; what is wrong with it is said elsewhere
        if (standing := standings.get(self._known.id)) is not None:
            self._standing.text = words.STANDINGS[standing.reason]

    @guarded
    async def _pin(self) -> None:
        desk = self._desk
        live = desk.steps.get(self._node_id)
        if desk.run is None or live is None or not live.ports:
            raise Conflict(words.NOTHING_TO_PIN)
        ports = {port: (await desk.studio.runs.output(desk.run.id, self._node_id, port)).items for port in live.ports}
        await desk.studio.parts.pin(desk.draft.workflow_id, self._node_id, ports)
        await self.show_standing()

    @guarded
    async def _unpin(self) -> None:
        await self._desk.studio.parts.pin(self._desk.draft.workflow_id, self._node_id, None)
        await self.show_standing()

    def _written(self, name: str, _: Any) -> None:
        self._mine.add(name)

    def _show_head(self, node: Node) -> None:
        spec = self._spec
        with box("tr-inspector__head"):
            tile(spec.icon if spec else "help_outline", hue_of(spec))
            with box("tr-grow"):
                self._title = ui.input(value=node.title or "", placeholder=node.label, on_change=self._rename)
                self._title.props("borderless dense debounce=300 maxlength=200").classes("tr-inspector__title").mark("title")
                self._title.props["aria-label"] = words.STEP_TITLE
                with row("tr-inspector__use"):
                    if spec is None or spec.title != node.label:
                        text(spec.title if spec else node.use, "tr-clip")
                    text(f"nodes.{node.id}", "tr-mono tr-faint tr-clip")
            with icon_button("more_vert", words.STEP_MENU, small=True, mark="step-menu"), menu():
                menu_item("play_arrow", words.TEST_FROM, lambda: self._test_part("from", self._node_id))
                menu_item("keyboard_tab", words.TEST_TO, lambda: self._test_part("to", self._node_id))
                menu_item("adjust", words.TEST_ONLY, lambda: self._test_part("only", self._node_id))
                menu_item("push_pin", words.PIN, self._pin)
                menu_item("location_off", words.UNPIN, self._unpin)
                menu_item("content_copy", words.DUPLICATE_STEP, lambda: self._paste(self._desk.draft.copy([self._node_id])))
                menu_item("power_settings_new", words.ENABLE if node.disabled else words.DISABLE, self._toggle)
                menu_item("tag", words.COPY_ID, self._copy_id)
                ui.separator()
                menu_item("delete", words.REMOVE_STEP, self._remove, "tr-danger")
        self._standing = text("", "tr-faint tr-clip").mark("standing")
        in_background(self.show_standing, "standing")
        if spec and spec.help:
            prose(spec.help.split("\n\n")[0], "tr-inspector__help")

    def _show_fields(self) -> None:
        if self._spec is None:
            banner(words.unknown_step(self._known.use), words.UNKNOWN_STEP_HINT, kind="warn", icon_name="help_outline")
            return
        set_fields = self._known.fields
        plain = [one for one in self._spec.fields if not one.is_advanced]
        advanced = [one for one in self._spec.fields if one.is_advanced]
        for one in plain:
            self._editors[one.name] = editor_for(self.context, one)
        if advanced:
            is_used = any(one.name in set_fields for one in advanced)
            with (
                ui.expansion(words.MORE_SETTINGS, value=is_used)
                .classes("tr-fold")
                .props("dense switch-toggle-side expand-icon=o_expand_more")
            ):
                for one in advanced:
                    self._editors[one.name] = editor_for(self.context, one)
        self._paint_shown()

    def _paint_shown(self) -> None:
        if self._spec is None:
            return
        specs = {one.name: one for one in self._spec.fields}
        for name, editor in self._editors.items():
            editor.root.set_visibility(is_shown(specs[name], self._known.fields, specs))

    def _paint_notice(self) -> None:
        self._notice.clear()
        with self._notice:
            if self._known.disabled:
                banner(words.OFF_NOW, kind="info", icon_name="power_settings_new")
            for problem in self._desk.problems_of(self._node_id):
                if problem.field not in self._editors:
                    kind = "bad" if problem.severity == "error" else "warn"
                    banner(problem.text, problem.hint, kind=kind, icon_name="error" if kind == "bad" else "warning")  # type: ignore[arg-type]

    def _paint_stepper(self) -> None:
        context = self.context
        self._stepper.clear()
        self._stepper.set_visibility(context.has_previews and context.total > 1)
        with self._stepper:
            text(words.PREVIEW_ITEM, "tr-grow")
            back = icon_button("chevron_left", words.PAGE_BEFORE, lambda: context.look_at(context.index - 1), small=True)
            text(words.preview_of(context.index, context.total), "tr-num tr-strong")
            onward = icon_button(
                "chevron_right", words.PAGE_AFTER, lambda: context.look_at(context.index + 1), small=True, mark="next-item"
            )
            back.set_enabled(context.index > 0)
            onward.set_enabled(context.index + 1 < context.total)

    @guarded
    async def _rename(self, event: Any) -> None:
        await self._desk.set_node(self._node_id, title=(event.value or "").strip() or None)

    @guarded
    async def _toggle(self) -> None:
        await self._desk.set_node(self._node_id, disabled=not self._known.disabled)

    @guarded
    async def _remove(self) -> None:
        await self._desk.apply(RemoveNodes(nodes=(self._node_id,)))

    def _copy_id(self) -> None:
        copy_text(f"nodes.{self._node_id}")
        show_done(words.copied(f"nodes.{self._node_id}"))
