"""The versions of a workflow: what was published when and by whom, what changed between any two, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.element import Element

from engine.errors import NotFound
from engine.events.types import Event, WorkflowChanged
from engine.model.workflow import Version, Workflow
from engine.service.versions import DRAFT, Comparison, short_id

from .. import moments, words
from ..components.dialogs import ask_text, confirm
from ..components.parts import Pill, banner, box, button, choice, empty, icon_button, row, text
from ..editor.board import in_background
from ..editor.canvas import Canvas
from ..editor.compared import Entry, Way, counted, entries, look_compared, remark
from ..frame import frame, trail
from ..live import Live
from ..notices import guarded, show_done
from ..session import current_studio
from ..theme import FAVICON

if TYPE_CHECKING:
    from engine.service import Studio

MOST = 200
PILLS = {"added": "succeeded", "removed": "failed", "changed": "waiting"}
"""The colours of a change are those of states that mean nearly the same."""


def install() -> None:
    """Register the page."""
    ui.page("/workflows/{workflow_id}/versions", favicon=FAVICON, response_timeout=10)(versions_page)


async def versions_page(workflow_id: str) -> None:
    studio = current_studio()
    try:
        workflow = await studio.workflows.get(workflow_id)
    except NotFound as error:
        with frame(words.VERSIONS, here="/"):
            banner(error.message, error.hint)
            button(words.WORKFLOWS, lambda: ui.navigate.to("/"))
        return
    with frame(words.VERSIONS, here="/", wide=True):
        page = VersionsPage(studio, workflow)
        await page.load()
    Live(studio, page.hear, WorkflowChanged, concerns=lambda event: getattr(event, "workflow_id", "") == workflow.id)


class VersionsPage:
    """The list of versions, the two that are compared, and what differs."""

    def __init__(self, studio: Studio, workflow: Workflow) -> None:
        self._studio, self._workflow = studio, workflow
        self._versions: Sequence[Version] = ()
        self._before: str | None = None
        self._after = DRAFT
        self._compared: Comparison | None = None
        with box("tr-run"):
            with box("tr-run__head"):
                trail([("/", words.WORKFLOWS), (f"/workflows/{workflow.id}", workflow.name)], words.VERSIONS)
                self._buttons = row()
            with box("tr-versions"):
                self._list = box("tr-versions__list").mark("versions")
                with box("tr-versions__diff"):
                    self._head = row("tr-versions__head")
                    with box("tr-run__canvas") as self._drawing:
                        self._canvas = Canvas(readonly=True, on_ready=self._draw).mark("canvas")
                    self._body = box("tr-versions__body").mark("changes")

    async def load(self) -> None:
        """Read the versions and compare; at first what is live with the draft, or the newest with the one before it."""
        self._workflow = await self._studio.workflows.get(self._workflow.id)
        self._versions = await self._studio.versions.list_page(self._workflow.id, limit=MOST)
        ids = [version.id for version in self._versions]
        if self._before not in ids:
            self._before = self._workflow.active_version or next(iter(ids), None)
        if self._after != DRAFT and self._after not in ids:
            self._after = DRAFT
        self._compared = None
        if self._before is not None:
            self._compared = await self._studio.versions.compare(self._workflow.id, self._before, self._after)
        self._show()

    async def hear(self, events: Sequence[Event]) -> None:
        """Something was published, or the draft changed."""
        await self.load()

    # ------------------------------------------------------------------ the list
    def _show(self) -> None:
        self._show_list()
        self._show_head()
        self._show_changes()
        self._draw()
        self._buttons.clear()
        with self._buttons:
            ref = f"/workflows/{self._workflow.id}"
            button(words.OPEN_WORKFLOW, lambda: ui.navigate.to(ref), icon="edit", mark="open-workflow")
            if self._after != DRAFT:
                button(words.RESTORE, self._ask_restore, icon="restore", kind="primary", mark="restore")

    def _show_list(self) -> None:
        self._list.clear()
        with self._list:
            text(words.VERSIONS_LIST, "tr-run__title", tag="h2")
            self._line(DRAFT, words.DRAFT, words.DRAFT_TEXT)
            for number, version in enumerate(self._versions):
                older = self._versions[number + 1].id if number + 1 < len(self._versions) else None
                self._version(version, older)
            if not self._versions:
                empty("inventory_2", words.NO_VERSIONS, words.NO_VERSIONS_TEXT, small=True)

    def _version(self, version: Version, older: str | None) -> None:
        said = version.message or words.NO_MESSAGE
        when = moments.ago(version.created_at, self._studio.clock.now())
        made = self._line(version.id, said, f"{when} · {version.author} · {short_id(version.id)}", older=older)
        with made, row("tr-versions__acts"):
            if version.id == self._workflow.active_version:
                Pill("succeeded", words.LIVE).mark("live")
            name = icon_button(
                "edit", words.NAME_VERSION, lambda: self._ask_name(version), small=True, mark=f"name-{short_id(version.id)}"
            )
            name.on("click.stop", js_handler="() => {}")

    def _line(self, name: str, title: str, sub: str, *, older: str | None = None) -> Element:
        made = box("tr-versions__line tr-versions__line--here" if name == self._after else "tr-versions__line", tag="div")
        made.mark(f"version-{name if name == DRAFT else short_id(name)}")  # type: ignore[arg-type]
        made.props("role=button tabindex=0")
        before = self._workflow.active_version if name == DRAFT else older
        made.on("click", lambda: self._compare(before, name))
        made.on("keydown.enter", lambda: self._compare(before, name))
        with made, box("tr-grow tr-clip"):
            text(title, "tr-strong tr-clip", tag="div")
            text(sub, "tr-small tr-muted tr-clip", tag="div")
        return made

    # ------------------------------------------------------------------ what differs
    def _show_head(self) -> None:
        self._head.clear()
        if self._compared is None:
            return
        names = {version.id: version.message or short_id(version.id) for version in self._versions}
        to = {DRAFT: words.DRAFT, **names}
        with self._head:
            text(words.COMPARE_FROM, "tr-muted")
            choice(
                words.COMPARE_FROM, names, self._before or "", lambda value: self._choose(value, self._after), "compare-from"
            )
            text(words.COMPARE_TO, "tr-muted")
            choice(words.COMPARE_TO, to, self._after, lambda value: self._choose(self._before, value), "compare-to")
            box("tr-grow")
            text(counted(self._compared), "tr-muted tr-num").mark("counted")

    def _show_changes(self) -> None:
        self._body.clear()
        self._drawing.set_visibility(self._compared is not None)
        with self._body:
            if self._compared is None:
                if self._versions:
                    banner(words.FIRST_VERSION, kind="info", icon_name="info")
                return
            if said := remark(self._compared.diff):
                empty("task_alt", words.SAME_VERSIONS, said, small=True)
            for entry in entries(self._compared):
                self._entry(entry)

    def _entry(self, entry: Entry) -> None:
        with box("tr-change").mark(f"change-{entry.node or entry.title}"):
            with row("tr-change__head"):
                Pill(PILLS[entry.kind], words.CHANGES[entry.kind])
                title = text(entry.title, "tr-strong tr-clip")
                if entry.node:
                    title.on("click", lambda: self._canvas.focus(entry.node or "")).classes("tr-link")
                    text(entry.node, "tr-muted tr-small")
            for way in entry.ways:
                self._way(way)

    def _way(self, way: Way) -> None:
        with box("tr-change__way"):
            if way.path:
                text(way.path, "tr-change__path tr-clip", tag="div")
            if way.before is not None:
                text(way.before, "tr-change__value tr-change__value--before", tag="del")
            if way.after is not None:
                text(way.after, "tr-change__value tr-change__value--after", tag="ins")

    def _draw(self) -> None:
        if self._compared is None:
            return
        shown, states = look_compared(self._compared, self._studio.catalog)
        self._canvas.clear_status()
        self._canvas.load(shown.nodes.values(), shown.edges.values(), readonly=True)
        self._canvas.status(states)

    # ------------------------------------------------------------------ what one does
    def _choose(self, before: str | None, after: str) -> None:
        if (before, after) != (self._before, self._after):
            self._before, self._after = before, after
            in_background(self.load, "versions")

    async def _compare(self, before: str | None, after: str) -> None:
        """Show what a version changed: against the one before it, the draft against what is live."""
        self._before, self._after = before, after
        if before is None and after != DRAFT:
            self._compared = None
            self._show()
            return
        await self.load()

    def _ask_restore(self) -> None:
        async def restore() -> None:
            await self._studio.versions.restore(self._workflow.id, self._after)
            show_done(words.RESTORED)
            self._after = DRAFT
            await self.load()

        confirm(words.RESTORE_TITLE, words.RESTORE_TEXT, do=words.RESTORE, action=restore)

    def _ask_name(self, version: Version) -> None:
        async def name(message: str) -> None:
            await self._studio.versions.describe(self._workflow.id, version.id, message)
            await self.load()

        ask_text(
            words.NAME_VERSION,
            label=words.VERSION_MESSAGE,
            value=version.message,
            do=words.SAVE,
            action=guarded(name),
            may_be_empty=True,
        )
