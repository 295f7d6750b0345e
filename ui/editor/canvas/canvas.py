"""The canvas as a NiceGUI element: Python's end of the conversation that README.md describes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nicegui import app as nicegui_app
from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from . import protocol
from .protocol import (
    BadMessage,
    CanvasEdge,
    CanvasNode,
    CommandEvent,
    DropEvent,
    NodeStatus,
    Op,
    OpsEvent,
    PasteEvent,
    QuickAddEvent,
    SelectEvent,
)

log = logging.getLogger(__name__)

DIST = Path(__file__).parent / "dist"
FLUSH_AFTER = 0.05  # seconds: status reaches the browser at most 20 times a second
STEP_TYPE = "application/x-treadle-step"

if not (DIST / "index.js").is_file():
    raise ImportError(
        "The canvas has not been built yet (ui/editor/canvas/dist is missing). "
        "Run `make run`, or `npm ci && npm run build` in ui/editor/canvas/frontend."
    )

T = TypeVar("T")
Answer = Awaitable[None] | None


class Canvas(Element, component="canvas.js", esm={"treadle-canvas": "dist"}):
    """
    A workflow drawn in the browser; fills the box it stands in.

    Python holds the truth: every gesture arrives as an event and is answered by `ack`, `reject` or `apply`. Callbacks may be
    functions or coroutines; what they get has been checked.
    """

    def __init__(
        self,
        *,
        readonly: bool = False,
        on_ready: Callable[[], Answer] | None = None,
        on_ops: Callable[[OpsEvent], Answer] | None = None,
        on_select: Callable[[SelectEvent], Answer] | None = None,
        on_open: Callable[[str], Answer] | None = None,
        on_drop: Callable[[DropEvent], Answer] | None = None,
        on_quick_add: Callable[[QuickAddEvent], Answer] | None = None,
        on_paste: Callable[[PasteEvent], Answer] | None = None,
        on_undo: Callable[[], Answer] | None = None,
        on_redo: Callable[[], Answer] | None = None,
        on_command: Callable[[CommandEvent], Answer] | None = None,
        on_zoom: Callable[[float], Answer] | None = None,
    ) -> None:
        super().__init__()
        add_stylesheet()
        self._readonly = readonly
        self._is_ready = False
        self._status: dict[str, NodeStatus] = {}
        self._counts: dict[str, int] = {}
        self._problems: dict[str, list[str]] = {}
        self._fresh_status: dict[str, NodeStatus] = {}
        self._fresh_counts: dict[str, int] = {}
        self._flush: asyncio.TimerHandle | None = None
        # Every listener is registered here: one that joins after the first drawing makes NiceGUI mount the element again.
        self._listen("ops", protocol.read_ops, on_ops)
        self._listen("select", protocol.read_select, on_select)
        self._listen("open", protocol.read_id, on_open)
        self._listen("drop", protocol.read_drop, on_drop)
        self._listen("quick_add", protocol.read_quick_add, on_quick_add)
        self._listen("paste", protocol.read_paste, on_paste)
        self._listen("command", protocol.read_command, on_command)
        self._listen("zoom", protocol.read_zoom, on_zoom)
        self.on("undo", lambda: on_undo() if on_undo else None)
        self.on("redo", lambda: on_redo() if on_redo else None)
        self.on("ready", lambda: self._become_ready(on_ready))

    def load(self, nodes: Iterable[CanvasNode], edges: Iterable[CanvasEdge], *, readonly: bool | None = None) -> None:
        """Show this graph and nothing else; status and problems known so far follow."""
        if readonly is not None:
            self._readonly = readonly
        graph = {
            "nodes": [node.as_json() for node in nodes],
            "edges": [edge.as_json() for edge in edges],
            "readonly": self._readonly,
        }
        self._call("load", graph)
        self._call("problems", self._problems)
        self._send_status(self._status, self._counts)

    def apply(self, ops: Sequence[Op]) -> None:
        """Draw changes that were made elsewhere."""
        self._call("apply", list(ops))

    def ack(self, seq: int) -> None:
        """The browser's batch `seq` is stored."""
        self._call("ack", seq)

    def reject(self, seq: int, reason: str, fix: Sequence[Op] = ()) -> None:
        """The browser's batch `seq` is refused: say why, and put right what it drew already."""
        self._call("reject", {"seq": seq, "reason": reason, "fix": list(fix)})

    def status(self, nodes: Mapping[str, NodeStatus] | None = None, edges: Mapping[str, int] | None = None) -> None:
        """Merge live run state in; it is gathered and sent at most 20 times a second."""
        self._status.update(nodes or {})
        self._counts.update(edges or {})
        self._fresh_status.update(nodes or {})
        self._fresh_counts.update(edges or {})
        if self._flush is None and self._is_ready:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_AFTER, self._flush_status)

    def clear_status(self) -> None:
        """Back to the resting look."""
        self._status.clear()
        self._counts.clear()
        self._forget_fresh()
        self._call("clear_status")

    def problems(self, messages: Mapping[str, Sequence[str]]) -> None:
        """Show these problems on their nodes, in place of all earlier ones."""
        self._problems = {node_id: list(texts) for node_id, texts in messages.items() if texts}
        self._call("problems", self._problems)

    def clipboard(self, ids: Sequence[str], text: str) -> None:
        """Document text of the selected nodes `ids`, at hand for the next copy or cut."""
        self._call("clipboard", {"ids": list(ids), "text": text})

    def select(self, ids: Sequence[str]) -> None:
        """Select exactly these nodes."""
        self._call("select", list(ids))

    def focus(self, node_id: str) -> None:
        """Select the node, bring it into view and put the keyboard there."""
        self._call("focus", node_id)

    def fit(self) -> None:
        """Bring the whole graph into view."""
        self._call("fit")

    def tidy(self) -> None:
        """Lay the graph out from left to right; the browser answers with one `move`."""
        self._call("tidy")

    def zoom_to(self, value: float) -> None:
        """Zoom around the middle; 1.0 is 100 %."""
        self._call("zoom_to", value)

    def set_readonly(self, value: bool) -> None:
        """Whether gestures may change the graph."""
        self._readonly = value
        self._call("set_readonly", value)

    def announce(self, text: str) -> None:
        """Say a sentence to people who listen instead of looking."""
        self._call("announce", text)

    def _listen(self, event: str, read: Callable[[object], T], callback: Callable[[T], Answer] | None) -> None:
        def heard(arguments: GenericEventArguments) -> Answer:
            try:
                message = read(arguments.args)
            except BadMessage as error:
                log.warning("malformed canvas message", extra={"event": event, "part": str(error)})
                return None
            return callback(message) if callback else None

        self.on(event, heard)

    def _become_ready(self, on_ready: Callable[[], Answer] | None) -> Answer:
        self._is_ready = True
        self._forget_fresh()
        return on_ready() if on_ready else None

    def _flush_status(self) -> None:
        nodes, counts = dict(self._fresh_status), dict(self._fresh_counts)
        self._forget_fresh()
        self._send_status(nodes, counts)

    def _forget_fresh(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        self._flush = None
        self._fresh_status.clear()
        self._fresh_counts.clear()

    def _send_status(self, nodes: Mapping[str, NodeStatus], counts: Mapping[str, int]) -> None:
        if nodes or counts:
            rows = {
                node_id: [s.state, s.items, s.ms, s.error, *([s.passes] if s.passes else [])] for node_id, s in nodes.items()
            }
            self._call("status", {"nodes": rows, "edges": dict(counts)})

    def _call(self, method: str, *arguments: Any) -> None:
        if self._is_ready and not self.is_deleted:
            self.run_method(method, *arguments)

    def _handle_delete(self) -> None:
        self._forget_fresh()
        super()._handle_delete()


def palette_drag(element: Element, use: str) -> None:
    """Let a palette element be dragged onto the canvas as the step `use`."""
    element.props("draggable=true")
    # The name goes through the element's attribute: it never becomes part of a script.
    element.props["data-step"] = use
    element.on(
        "dragstart",
        js_handler=f"(e) => {{ e.dataTransfer.setData('{STEP_TYPE}', e.currentTarget.dataset.step);"
        " e.dataTransfer.effectAllowed = 'copy' }",
    )


def add_stylesheet() -> None:
    """Bring the canvas's stylesheet (and the Inter typeface in it) into the page."""
    ui.add_head_html(f'<link rel="stylesheet" href="{_stylesheet_url()}">')


def _stylesheet_url() -> str:
    """Where the stylesheet is served; the address changes with every build, so browsers may keep it for a year."""
    built = int((DIST / "index.css").stat().st_mtime)
    folder = f"/_treadle/canvas-{built}"
    if folder not in _served:
        nicegui_app.add_static_files(folder, DIST, max_cache_age=31_536_000)
        _served.add(folder)
    return f"{folder}/index.css"


_served: set[str] = set()
