"""The editor's page: bar above, steps at the left, the canvas, data below, the form at the right."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.errors import InvalidDocument, NotFound
from engine.events.types import Event, RunFinished, RunQueued, RunStarted, StepFinished, StepRetrying, StepStarted
from engine.model.run import FINAL, Run
from engine.model.workflow import Node

from .. import words
from ..browser import KEY, listen_for_keys
from ..components.effects import ask_about_effects, steps_to_decide
from ..components.parts import banner, box, button
from ..frame import frame
from ..help import show_shortcuts
from ..live import Live
from ..notices import guarded, show_error
from ..session import current_studio
from ..theme import FAVICON, apply_theme
from .board import Board
from .canvas import CommandEvent, QuickAddEvent
from .data_panel import DataPanel
from .desk import Desk
from .inspector import Inspector
from .palette import Palette
from .quick_add import QuickAdd, focus_search
from .text_dialog import open_problems, open_text
from .top_bar import TopBar

if TYPE_CHECKING:
    from engine.model.workflow import Workflow
    from engine.service import Studio
    from engine.service.drafts import Draft

log = logging.getLogger(__name__)


def install() -> None:
    """Register the page."""
    ui.page("/workflows/{workflow_id}", favicon=FAVICON, response_timeout=10)(editor_page)


async def editor_page(workflow_id: str) -> None:
    studio = current_studio()
    try:
        workflow = await studio.workflows.get(workflow_id)
        draft = await studio.drafts.open(workflow.id)
    except NotFound as error:
        with frame(words.WORKFLOWS, here="/"):
            banner(error.message, words.GONE_HINT)
            button(words.WORKFLOWS, lambda: ui.navigate.to("/"))
        return
    Editor(studio, workflow, draft)


class Editor:
    """Puts the parts of the editor together and carries what one tells the other."""

    def __init__(self, studio: Studio, workflow: Workflow, draft: Draft) -> None:
        ui.page_title(words.page_title(draft.document.name))
        dark = apply_theme()
        self._desk = Desk(studio, draft)
        self._is_starting = False
        desk = self._desk
        with box("tr-editor"):
            TopBar(
                desk,
                lambda: self._board,
                dark=dark,
                active=workflow.active_version,
                test=self._test,
                stop=self._stop,
                show_text=lambda: open_text(desk),
                show_problems=lambda: open_problems(desk, self._board.reveal),
            )
            Palette(studio.catalog, self._add_from_palette)
            with box("tr-middle"), ui.splitter(horizontal=True, value=62, limits=(20, 90)).classes("tr-split") as split:
                with split.before, box("tr-canvasbox"):
                    self._board = Board(desk, on_open=self._open, on_quick_add=self._quick_add, on_command=self._command)
                with split.after:
                    DataPanel(desk, reveal=self._board.reveal, on_choose=self._choose_item)
            self._inspector = Inspector(desk, test_part=self._test_part, paste=self._paste)
        desk.on("over", self._run_over)
        self._quick = QuickAdd(studio.catalog, self._add_quick)
        listen_for_keys()
        ui.on(KEY, self._page_key)
        Live(studio, desk.hear, RunStarted, StepStarted, StepFinished, StepRetrying, RunFinished, concerns=desk.concerns)
        Live(studio, self._other_run, RunQueued, concerns=self._is_new_test)

    # ------------------------------------------------------------------ adding steps
    @guarded
    async def _add_from_palette(self, use: str) -> None:
        spec = self._desk.studio.catalog.find(use)
        node = self._desk.node or self._loose_end()
        connect = None
        if node is not None and spec is not None and spec.ports_in:
            before = self._desk.spec(node)
            outs = before.outs(node.fields) if before else ()
            connect = (node.id, outs[0].name) if outs else None
        await self._board.add(use, self._board.free_place(), connect_from=connect)

    def _loose_end(self) -> Node | None:
        """Return the one node that nothing follows yet, None where it is not clear which one a new step should come after."""
        document = self._desk.draft.document
        led_from = {edge.source for edge in document.edges}
        loose = [node for node in document.nodes.values() if node.id not in led_from]
        return loose[0] if len(loose) == 1 else None

    def _quick_add(self, event: QuickAddEvent) -> None:
        self._quick.open(event)

    @guarded
    async def _add_quick(self, use: str, event: QuickAddEvent) -> None:
        connect = (event.source, event.port or "out") if event.source else None
        await self._board.add(use, (event.x, event.y), connect_from=connect, on_edge=event.edge)

    @guarded
    async def _paste(self, document: str) -> None:
        nodes = await self._desk.draft.paste(document, None, author=self._desk.author)
        self._board.canvas.select(nodes)
        self._desk.select(tuple(nodes))

    # ------------------------------------------------------------------ testing
    async def _test(self) -> None:
        studio, workflow_id = self._desk.studio, self._desk.draft.workflow_id

        async def start() -> Run:
            if await studio.parts.pins(workflow_id):
                return await studio.parts.start(workflow_id, effects="again")  # a whole test does what it says
            return await studio.runs.start(workflow_id, is_test=True)

        await self._start_test(start)

    async def _test_part(self, extent: Any, node: str, effects: Any = "ask") -> None:
        parts, workflow_id = self._desk.studio.parts, self._desk.draft.workflow_id
        await self._start_test(
            lambda: parts.start(workflow_id, extent, node, effects=effects),
            asked=lambda choice: self._test_part(extent, node, choice),
        )

    async def _start_test(
        self, start: Callable[[], Awaitable[Run]], *, asked: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        desk = self._desk
        if desk.is_running or self._is_starting:
            return
        self._is_starting = True
        try:
            run = await start()
        except InvalidDocument as error:
            first = next((problem.node for problem in error.problems if problem.node), None)
            if first:
                self._board.reveal(first)
            show_error(error)
            return
        except Exception as error:
            if asked is not None and (steps := steps_to_decide(error)):
                ask_about_effects(steps, asked)
            else:
                show_error(error)
            return
        finally:
            self._is_starting = False
        await desk.show_run(run)
        newest = await desk.studio.runs.get(run.id)  # a quick run may be over before anybody listened
        if newest.status != run.status:
            await desk.show_run(newest)
            if newest.status in FINAL:
                self._run_over()

    def _run_over(self) -> None:
        """Lead to what matters: the step that failed, or a result when nothing is selected."""
        desk = self._desk
        failed = [node for node, live in desk.steps.items() if live.state == "failed" and node in desk.draft.document.nodes]
        if failed and not set(failed) & set(desk.selected):
            self._board.reveal(failed[0])
        elif not failed and not desk.selected:
            done = [
                node for node, live in desk.steps.items() if live.state == "succeeded" and node in desk.draft.document.nodes
            ]
            if done:
                self._board.canvas.select([done[-1]])
                desk.select((done[-1],))

    @guarded
    async def _stop(self) -> None:
        if self._desk.run is not None:
            await self._desk.studio.runs.cancel(self._desk.run.id)

    def _is_new_test(self, event: Event) -> bool:
        is_ours = getattr(event, "workflow_id", None) == self._desk.draft.workflow_id
        return is_ours and not self._desk.is_running and not self._desk.concerns(event)

    async def _other_run(self, events: Sequence[Event]) -> None:
        """Another tab, or a trigger, started a run of this workflow: show it when nothing else is going on here."""
        newest = events[-1]
        if isinstance(newest, RunQueued) and newest.is_test and self._is_new_test(newest):
            await self._desk.show_run(await self._desk.studio.runs.get(newest.run_id))

    # ------------------------------------------------------------------ keys and clicks
    def _open(self, node_id: str) -> None:
        self._desk.select((node_id,))

    async def _choose_item(self, index: int) -> None:
        await self._inspector.choose_item(index)

    @guarded
    async def _command(self, event: CommandEvent) -> None:
        match event.name:
            case "test":
                await self._test()
            case "search":
                focus_search()
            case "rename":
                self._inspector.edit_title()
            case "disable":
                for node_id in event.nodes:
                    node = self._desk.draft.document.nodes.get(node_id)  # type: ignore[call-overload]
                    if node is not None:
                        await self._desk.set_node(node_id, disabled=not node.disabled)
            case "save":
                self._board.canvas.announce(words.SAVED)

    async def _page_key(self, event: Any) -> None:
        match event.args:
            case "help":
                show_shortcuts()
            case "search":
                focus_search()
            case "test":
                await self._test()
