"""The canvas in the editor: keeps what a tab shows in step with the draft, and gestures in step with the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from engine.errors import TreadleError
from engine.model.workflow import Document, Edge

from .. import words
from ..notices import guarded, show_error
from .canvas import Canvas, CommandEvent, DropEvent, NodeStatus, OpsEvent, PasteEvent, QuickAddEvent, SelectEvent
from .desk import Desk, Live
from .views import Shown, change_of, closes_circle, difference, follow, look, messages

if TYPE_CHECKING:
    from engine.service.drafts import DraftChanged


class Board:
    """One tab's canvas of one draft."""

    def __init__(
        self,
        desk: Desk,
        *,
        on_open: Callable[[str], Any],
        on_quick_add: Callable[[QuickAddEvent], Any],
        on_command: Callable[[CommandEvent], Any],
        on_zoom: Callable[[float], Any] | None = None,
    ) -> None:
        self._desk = desk
        self._client = ui.context.client
        self._shown = Shown()
        self._is_ready = False
        self._to_select: tuple[str, ...] = ()
        self.canvas = Canvas(
            on_ready=guarded(self._begin),
            on_ops=guarded(self._take),
            on_select=self._select,
            on_open=on_open,
            on_drop=guarded(self._drop),
            on_quick_add=on_quick_add,
            on_paste=guarded(self._paste),
            on_undo=guarded(self.undo),
            on_redo=guarded(self.redo),
            on_command=on_command,
            on_zoom=on_zoom,
        )
        self.canvas.mark("canvas")
        desk.on("steps", self._show_steps)
        desk.on("run", self._show_run)

    async def undo(self) -> None:
        if not await self._desk.draft.undo(self._desk.author):
            self.canvas.announce(words.NOTHING_TO_UNDO)

    async def redo(self) -> None:
        if not await self._desk.draft.redo(self._desk.author):
            self.canvas.announce(words.NOTHING_TO_REDO)

    async def add(
        self, use: str, at: tuple[float, float], *, connect_from: tuple[str, str] | None = None, on_edge: str | None = None
    ) -> None:
        """Put a step on the canvas, wired as asked, and select it."""
        edge = self._edge(on_edge)
        node_id = await self._desk.draft.add_step(
            use,
            (round(at[0]), round(at[1])),
            author=self._desk.author,
            connect_from=connect_from,  # type: ignore[arg-type]
            on_edge=edge,
        )
        self.reveal(node_id)

    def reveal(self, node_id: str) -> None:
        """Select a node and bring it into view."""
        self.canvas.focus(node_id)
        self._desk.select((node_id,))

    def free_place(self) -> tuple[float, float]:
        """Return a place for a step added by keyboard: to the right of the selected one, or of all."""
        shown = self._shown.nodes
        selected = [shown[node] for node in self._desk.selected if node in shown]
        anchor = max(selected or shown.values(), key=lambda card: card.x, default=None)
        if anchor is None:
            return (0, 0)
        x, y = anchor.x + 300, anchor.y
        while any(abs(card.x - x) < 220 and abs(card.y - y) < 80 for card in shown.values()):
            y += 120
        return (x, y)

    # ------------------------------------------------------------------ from the browser
    async def _begin(self) -> None:
        if not self._is_ready:  # a GET that never opens a socket listens to nothing
            self._is_ready = True
            self._client.on_delete(self._desk.draft.subscribe(self._draft_changed))
        self._shown = self._look()
        self.canvas.load(self._shown.nodes.values(), self._shown.edges.values())
        self.canvas.problems(messages(self._desk.draft.problems))
        if self._desk.run is None:
            await self._desk.show_last_run()
        else:
            self._show_run()

    async def _take(self, event: OpsEvent) -> None:
        before = self._shown
        self._shown = follow(before, event.ops)
        draft = self._desk.draft
        try:
            if closes_circle(draft.document, event.ops):
                raise TreadleError(words.CIRCLE, hint=words.CIRCLE_HINT)
            if (change := change_of(draft.document, event.ops)) is not None:
                await self._desk.apply(change)
        except Exception as error:
            fix = difference(self._shown, self._look())
            self._shown = self._look()
            if isinstance(error, TreadleError):
                self.canvas.reject(event.seq, error.message, fix)
            else:
                self.canvas.reject(event.seq, words.UNFORESEEN, fix)
                show_error(error)
            return
        self.canvas.ack(event.seq)

    def _select(self, event: SelectEvent) -> None:
        self._desk.select(event.nodes)
        self._offer_clipboard()

    async def _drop(self, event: DropEvent) -> None:
        await self.add(event.use, (event.x, event.y), on_edge=event.edge)

    async def _paste(self, event: PasteEvent) -> None:
        at = None if event.x is None or event.y is None else (round(event.x), round(event.y))
        nodes = await self._desk.draft.paste(event.text, at, author=self._desk.author)
        self.canvas.select(nodes)
        self._desk.select(tuple(nodes))
        self._offer_clipboard()

    def _edge(self, edge_id: str | None) -> Edge | None:
        return next((edge for edge in self._desk.draft.document.edges if edge.id == edge_id), None) if edge_id else None

    # ------------------------------------------------------------------ to the browser
    def _draft_changed(self, _: DraftChanged) -> None:
        with self._client:
            new = self._look()
            if ops := difference(self._shown, new):
                self.canvas.apply(ops)
            self._shown = new
            self.canvas.problems(messages(self._desk.draft.problems))
            self._offer_clipboard()
            if any(node not in self._desk.draft.document.nodes for node in self._desk.selected):
                self._desk.select(self._desk.selected)
            self._desk.tell("document")

    def _look(self) -> Shown:
        return look(self._desk.draft.document, self._desk.studio.catalog, self._desk.draft.problems)

    def _offer_clipboard(self) -> None:
        nodes = self._desk.selected
        self.canvas.clipboard(nodes, self._desk.draft.copy(nodes) if nodes else "")  # type: ignore[arg-type]

    def _show_run(self) -> None:
        self.canvas.clear_status()
        self._show_steps()

    def _show_steps(self) -> None:
        nodes, edges = statuses(self._desk.draft.document, self._desk.steps)
        self.canvas.status(nodes, edges)


def statuses(document: Document, steps: dict[str, Live]) -> tuple[dict[str, NodeStatus], dict[str, int]]:
    """Return the state of the nodes and the item counts of the lines, as the canvas wants them."""
    nodes = {
        node: NodeStatus(live.state, live.items, live.ms, live.error["message"] if live.error else None, live.passes)  # type: ignore[arg-type]
        for node, live in steps.items()
        if node in document.nodes
    }
    edges = {
        edge.id: steps[edge.source].ports.get(edge.source_port, 0)
        for edge in document.edges
        if edge.source in steps and steps[edge.source].state in ("succeeded", "failed")
    }
    return nodes, edges


def in_background(action: Callable[[], Any], name: str) -> None:
    """Run a coroutine function of the page without making the browser wait."""
    background_tasks.create(guarded(action)(), name=name)
