"""Python's end of the canvas, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import user_simulation

from ui.editor.canvas import Canvas, CanvasEdge, CanvasNode, DropEvent, NodeStatus, OpsEvent, add_op, palette_drag

pytestmark = pytest.mark.anyio


class Stage:
    """A canvas on a page, the calls its browser would get, and the events Python got."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.heard: list[object] = []
        self.canvas = Canvas(
            on_ready=self.on_ready,
            on_ops=self.heard.append,
            on_drop=self.heard.append,
            on_undo=lambda: self.heard.append("undo"),
            on_command=self.remember_later,
        )
        self.canvas.run_method = lambda *call: self.calls.append(call)  # type: ignore[assignment, method-assign]
        self.button = ui.button("Filter")
        palette_drag(self.button, "data.filter")

    def on_ready(self) -> None:
        self.canvas.load([a_node("a"), a_node("b")], [CanvasEdge("a", "b")])

    async def remember_later(self, event: object) -> None:
        await asyncio.sleep(0)
        self.heard.append(event)

    def fire(self, event: str, arguments: object = None) -> None:
        """What the browser would send."""
        for listener in self.canvas._event_listeners.values():
            if listener.type == event:
                self.canvas._handle_event({"listener_id": listener.id, "args": arguments})

    def methods(self) -> list[str]:
        return [call[0] for call in self.calls]


def a_node(node_id: str) -> CanvasNode:
    return CanvasNode(id=node_id, use="data.set", title=node_id.upper())


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stages: list[Stage] = []
    async with user_simulation(root=lambda: stages.append(Stage())) as user:
        await user.open("/")
        yield stages[0]


async def test_nothing_is_sent_before_the_browser_is_ready(stage: Stage) -> None:
    """
    A page is built for people who never open a socket, too; the graph goes out once it is asked for.
    """
    stage.canvas.apply([add_op([a_node("c")])])
    stage.canvas.status({"a": NodeStatus("running")})
    assert [] == stage.calls

    stage.fire("ready")
    assert ["load", "problems", "status"] == stage.methods()
    assert ["a", "b"] == [node["id"] for node in stage.calls[0][1]["nodes"]]
    assert {"nodes": {"a": ["running", None, None, None]}, "edges": {}} == stage.calls[2][1]


async def test_gestures_reach_python_checked(stage: Stage) -> None:
    """
    What the protocol does not know is dropped and logged.
    """
    stage.fire("ops", {"seq": 1, "ops": [{"op": "move", "to": [["a", 1, 2]]}]})
    stage.fire("ops", {"seq": 2, "ops": [{"op": "format the disk"}]})
    stage.fire("drop", {"use": "data.filter", "x": 5, "y": 6, "edge": None})
    stage.fire("undo")

    expected = [OpsEvent(1, ({"op": "move", "to": [["a", 1, 2]]},)), DropEvent(use="data.filter", x=5, y=6), "undo"]
    assert expected == stage.heard


async def test_callbacks_may_be_coroutines(stage: Stage) -> None:
    """
    They run on the page's loop.
    """
    stage.fire("command", {"name": "test", "nodes": []})
    await asyncio.sleep(0.05)

    assert 1 == len(stage.heard)


async def test_events_without_a_callback_are_fine(stage: Stage) -> None:
    """
    A run page listens to little.
    """
    stage.fire("zoom", {"zoom": 0.5})
    stage.fire("redo")

    assert [] == stage.heard


async def test_status_is_gathered(stage: Stage) -> None:
    """
    However chatty the engine, a browser hears at most every 50 ms, and the last word counts.
    """
    stage.fire("ready")
    stage.calls.clear()
    for n in range(1000):
        stage.canvas.status({"a": NodeStatus("running", n)}, {"a.out->b.in": n})
    assert [] == stage.calls
    await asyncio.sleep(0.12)

    assert [("status", {"nodes": {"a": ["running", 999, None, None]}, "edges": {"a.out->b.in": 999}})] == stage.calls


async def test_a_reload_in_mid_run_shows_what_was_painted(stage: Stage) -> None:
    """
    Status and problems are kept here and follow every load.
    """
    stage.fire("ready")
    stage.canvas.status({"a": NodeStatus("failed", 0, 12.5, "No such file.")})
    stage.canvas.problems({"b": ["The field where is empty."], "a": []})
    stage.calls.clear()
    stage.fire("ready")

    assert ("problems", {"b": ["The field where is empty."]}) == stage.calls[1]
    assert ["failed", 0, 12.5, "No such file."] == stage.calls[2][1]["nodes"]["a"]


async def test_clearing_forgets_what_was_painted(stage: Stage) -> None:
    """
    Also what had not been sent yet.
    """
    stage.fire("ready")
    stage.canvas.status({"a": NodeStatus("running")})
    stage.canvas.clear_status()
    stage.calls.clear()
    await asyncio.sleep(0.08)
    stage.fire("ready")

    assert ["load", "problems"] == stage.methods()


async def test_every_method_speaks_the_protocol(stage: Stage) -> None:
    """
    Names and arguments as README.md has them.
    """
    stage.fire("ready")
    stage.calls.clear()
    canvas = stage.canvas
    canvas.ack(4)
    canvas.reject(5, "No.", [])
    canvas.clipboard(["a"], "nodes:")
    canvas.select(["a"])
    canvas.focus("b")
    canvas.fit()
    canvas.tidy()
    canvas.zoom_to(1.5)
    canvas.set_readonly(True)
    canvas.announce("Saved.")

    expected = [
        ("ack", 4),
        ("reject", {"seq": 5, "reason": "No.", "fix": []}),
        ("clipboard", {"ids": ["a"], "text": "nodes:"}),
        ("select", ["a"]),
        ("focus", "b"),
        ("fit",),
        ("tidy",),
        ("zoom_to", 1.5),
        ("set_readonly", True),
        ("announce", "Saved."),
    ]
    assert expected == stage.calls


async def test_a_palette_element_names_its_step_without_a_script(stage: Stage) -> None:
    """
    The name is an attribute, so no name can break out into code.
    """
    assert "data.filter" == stage.button.props["data-step"]
    listener = next(iter(each for each in stage.button._event_listeners.values() if each.type == "dragstart"))
    assert "data.filter" not in str(listener.js_handler)


async def test_a_deleted_canvas_says_nothing(stage: Stage) -> None:
    """
    A page that was left must not keep a timer running.
    """
    stage.fire("ready")
    stage.canvas.status({"a": NodeStatus("running")})
    stage.canvas.delete()
    stage.calls.clear()
    await asyncio.sleep(0.08)
    stage.canvas.fit()

    assert [] == stage.calls
