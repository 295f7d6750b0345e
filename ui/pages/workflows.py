"""The start page: every workflow with its last run and its switch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.events.types import Event, RunFinished, RunStarted, WorkflowChanged
from engine.model.codec import parse_document

from .. import moments, words
from ..components.dialogs import ask_text, confirm
from ..components.parts import Pill, box, button, empty, icon_button, link, menu, menu_item, row, search, text, tile
from ..frame import frame
from ..live import Live
from ..notices import guarded, show_done, show_error
from ..session import current_studio
from ..theme import FAVICON
from .importing import DropImport, open_import

if TYPE_CHECKING:
    from engine.protocols import WorkflowRow
    from engine.service import Studio

BLANK = "treadle: 1\nname: {name}\nnodes:\n  start:\n    title: When you press Test\n    use: trigger.manual\n"


def install() -> None:
    """Register the page."""
    ui.page("/", favicon=FAVICON, response_timeout=10)(workflows_page)


async def workflows_page() -> None:
    studio = current_studio()
    with frame(words.WORKFLOWS, here="/"):
        page = WorkflowList(studio)
        await page.load()
    Live(studio, page.hear, WorkflowChanged, RunStarted, RunFinished)


class WorkflowList:
    """The list and what can be done with its rows."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._text = ""
        self._rows: list[WorkflowRow] = []
        self._look: tuple[Any, ...] | None = None
        DropImport(self._create)
        with box("tr-pagehead"):
            text(words.WORKFLOWS, "tr-h1", tag="h1")
            self._count = text("", "tr-tag tr-num")
            box("tr-grow")
            self._search = search(words.SEARCH_WORKFLOWS, self._look_for)
            button(words.IMPORT, lambda: open_import(self._create), icon="file_upload", mark="import")
            button(words.NEW_WORKFLOW, self._ask_name, icon="add", kind="primary", mark="new")
        self._body = box("tr-card tr-list").mark("workflows")

    async def load(self) -> None:
        """Read the rows and show them; what looks the same stays, so that no click goes to a row just redrawn."""
        self._rows = await self._studio.workflows.list_rows(self._text)
        look = (self._text, *map(_look_of, self._rows))
        if look == self._look:
            return
        self._look = look
        self._count.text = f"{len(self._rows):,}"
        self._count.set_visibility(bool(self._rows))
        self._body.clear()
        with self._body:
            if self._rows:
                self._show_rows()
            else:
                self._show_nothing()

    async def hear(self, events: Sequence[Event]) -> None:
        """Something changed: read again, which costs one query whatever happened."""
        await self.load()

    def _show_rows(self) -> None:
        now = self._studio.clock.now()
        with box("tr-list__head"):
            for label in (
                words.COLUMN_NAME,
                words.COLUMN_STARTS,
                words.COLUMN_LAST_RUN,
                words.COLUMN_CHANGED,
                words.COLUMN_ACTIVE,
            ):
                text(label)
            box()
        for line in self._rows:
            workflow, last = line.workflow, line.last_run
            with box("tr-list__row").mark(f"row-{workflow.name}"):
                with link(f"/workflows/{workflow.id}", "tr-list__name tr-list__cover"):
                    kinds = line.trigger_kinds or triggers_of(workflow.draft)
                    tile(icon_of(kinds), "triggers" if kinds else "flow")
                    with box("tr-grow"):
                        text(workflow.name, "tr-clip tr-strong", tag="div")
                        if description := description_of(workflow.draft):
                            text(description, "tr-list__sub tr-clip", tag="div")
                text(words.starts(kinds) or "—", "tr-muted tr-clip")
                with row():
                    if last:
                        with link(f"/runs/{last.id}", "tr-row tr-list__above"):
                            Pill(last.status)
                            text(moments.ago(last.queued_at, now), "tr-muted tr-small tr-clip")
                    else:
                        text(words.state("never"), "tr-faint")
                text(moments.ago(workflow.updated_at, now), "tr-muted").tooltip(moments.full(workflow.updated_at))
                self._switch(line)
                self._menu(line)

    def _switch(self, line: WorkflowRow) -> None:
        workflow = line.workflow

        async def turn(is_on: bool) -> None:
            try:
                if is_on:
                    await self._studio.workflows.activate(workflow.id)
                    show_done(words.switched_on(workflow.name))
                else:
                    await self._studio.workflows.deactivate(workflow.id)
                    show_done(words.switched_off(workflow.name))
            except Exception as error:
                show_error(error)
                self._look = None  # the switch shows what is not so
                await self.load()

        with row("tr-list__above"):
            switch = ui.switch(value=workflow.active_version is not None, on_change=lambda event: turn(bool(event.value)))
            switch.classes("tr-switch").mark(f"active-{workflow.name}")
            switch.props["aria-label"] = f"{words.COLUMN_ACTIVE}: {workflow.name}"

    def _menu(self, line: WorkflowRow) -> None:
        workflow = line.workflow
        with row("tr-list__above"), icon_button("more_horiz", words.MORE, small=True, mark=f"more-{workflow.name}"), menu():
            menu_item("edit", words.RENAME, lambda: self._ask_rename(line))
            menu_item("content_copy", words.DUPLICATE, lambda: self._duplicate(line))
            menu_item(
                "file_download",
                words.EXPORT,
                lambda: ui.download(workflow.draft.encode(), f"{workflow.name}.yaml", "text/plain"),
            )
            menu_item("difference", words.VERSIONS, lambda: ui.navigate.to(f"/workflows/{workflow.id}/versions"))
            menu_item("history", words.OPEN_RUNS, lambda: ui.navigate.to(f"/runs?workflow={workflow.id}"))
            ui.separator()
            menu_item("delete", words.DELETE, lambda: self._ask_delete(line), "tr-danger")

    def _show_nothing(self) -> None:
        if self._text:
            empty("search", words.NOTHING_FOUND, words.nothing_found(self._text))
            return
        with empty("gesture", words.NO_WORKFLOWS, words.NO_WORKFLOWS_TEXT):
            button(words.NEW_WORKFLOW, self._ask_name, icon="add", mark="new-first")
            button(words.IMPORT, lambda: open_import(self._create), icon="file_upload")

    async def _look_for(self, wanted: str) -> None:
        self._text = wanted.strip()
        await self.load()

    def _ask_name(self) -> None:
        async def create(name: str) -> None:
            # a JSON string is a YAML string, whatever the name holds
            workflow = await self._studio.workflows.create(BLANK.format(name=json.dumps(name, ensure_ascii=False)), rename=True)
            ui.navigate.to(f"/workflows/{workflow.id}")

        ask_text(
            words.NEW_WORKFLOW, label=words.WORKFLOW_NAME, do=words.CREATE, action=create, sentence=words.NEW_WORKFLOW_TEXT
        )

    def _ask_rename(self, line: WorkflowRow) -> None:
        async def rename(name: str) -> None:
            await self._studio.workflows.rename(line.workflow.id, name)
            await self.load()

        ask_text(words.RENAME, label=words.WORKFLOW_NAME, value=line.workflow.name, do=words.RENAME, action=rename)

    def _ask_delete(self, line: WorkflowRow) -> None:
        async def delete() -> None:
            await self._studio.workflows.delete(line.workflow.id)
            show_done(words.deleted(line.workflow.name))
            await self.load()

        confirm(words.DELETE_WORKFLOW, words.delete_workflow(line.workflow.name), do=words.DELETE, action=delete)

    @guarded
    async def _duplicate(self, line: WorkflowRow) -> None:
        await self._studio.workflows.create(line.workflow.draft, with_problems=True, rename=True)
        await self.load()

    async def _create(self, document: str) -> bool:
        """Make a workflow of the text and tell how it went; returns whether it worked."""
        try:
            workflow = await self._studio.workflows.create(document, with_problems=True, rename=True)
        except Exception as error:
            show_error(error)
            return False
        show_done(words.IMPORT_DONE, caption=workflow.name)
        await self.load()
        return True


def _look_of(line: WorkflowRow) -> tuple[Any, ...]:
    workflow, last = line.workflow, line.last_run
    run = (last.id, last.status) if last else None
    return (workflow.id, workflow.name, workflow.updated_at, workflow.active_version, line.trigger_kinds, run)


def triggers_of(draft: str) -> tuple[str, ...]:
    """Return the kinds of trigger a document names, in order; good enough for a list, which must not parse them all."""
    return tuple(dict.fromkeys(_TRIGGER.findall(draft)))


def icon_of(kinds: Sequence[str]) -> str:
    """Return the icon of the trigger that matters most: one that starts runs by itself."""
    known = [kind for kind in kinds if kind != "trigger.manual"] or list(kinds)
    return _ICONS.get(known[0], "bolt") if known else "account_tree"


def description_of(draft: str) -> str:
    """Return what a document says it is for; only its head is read."""
    head, found, _ = draft.partition("\nnodes:")
    return _description(head + "\n") if found and "\ndescription:" in head else ""


@lru_cache(maxsize=2_000)
def _description(head: str) -> str:
    document = parse_document(head).document
    return (document.description or "") if document else ""


_TRIGGER = re.compile(r"\buse: (trigger\.[a-z_]+)")
_ICONS = {"trigger.schedule": "schedule", "trigger.webhook": "webhook", "trigger.manual": "touch_app"}
