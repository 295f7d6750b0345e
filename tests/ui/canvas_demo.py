"""
The canvas by itself, with a palette and a document kept in memory: `python tests/ui/canvas_demo.py [port]`.

It answers every event the way the editor does, as small as that can be done, and is what the browser tests drive.
`/` is editable, `/run` is a finished run, `/empty` starts with nothing, `/long` is a chain,
`/many?n=1000` is large; `?dark=1` for the dark look.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from nicegui import ui

sys.path.insert(0, str(Path(__file__).parents[2]))

from ui.editor.canvas import (
    Canvas,
    CanvasEdge,
    CanvasNode,
    CanvasPort,
    CommandEvent,
    DropEvent,
    NodeStatus,
    OpsEvent,
    PasteEvent,
    QuickAddEvent,
    SelectEvent,
    add_op,
    del_op,
    move_op,
    palette_drag,
)

IN, OUT = (CanvasPort("in"),), (CanvasPort("out"),)
WITH_ERROR = (CanvasPort("out"), CanvasPort("error", kind="error"))
STEPS = {
    "trigger.schedule": ("Every morning", "Mon–Fri at 07:00", "schedule", "triggers", (), OUT),
    "file.read": ("Read invoices", "invoices.csv", "description", "files", IN, (CanvasPort("out", kind="files"),)),
    "data.parse": ("Parse CSV", "with header row", "table_rows", "data", (CanvasPort("in", kind="any"),), OUT),
    "data.filter": ("Only overdue", "item.due < today()", "filter_alt", "data", IN, (*OUT, CanvasPort("rejected"))),
    "data.summarize": ("Per customer", "sum, count", "functions", "data", IN, OUT),
    "http.request": ("Tell the team", "POST hooks.example", "public", "network", IN, WITH_ERROR),
    "flow.merge": ("Bring together", "append", "merge", "flow", (CanvasPort("a"), CanvasPort("b")), OUT),
    "data.format": ("Excel report", "overdue.xlsx", "grid_on", "files", IN, (CanvasPort("out", kind="files"),)),
}


def a_node(node_id: str, use: str, x: float, y: float, **changes: object) -> CanvasNode:
    title, sub, icon, hue, ports_in, ports_out = STEPS[use]
    node = CanvasNode(
        id=node_id, use=use, title=title, sub=sub, icon=icon, hue=hue, x=x, y=y, ports_in=ports_in, ports_out=ports_out
    )
    return replace(node, **changes)


def a_workflow() -> tuple[list[CanvasNode], list[CanvasEdge]]:
    nodes = [
        a_node("morning", "trigger.schedule", 0, 80),
        a_node("read", "file.read", 310, 80),
        a_node("parse", "data.parse", 620, 80),
        a_node("overdue", "data.filter", 930, 80),
        a_node("group", "data.summarize", 1260, 0),
        a_node("report", "data.format", 1570, 0),
        a_node("tell", "http.request", 1260, 190),
    ]
    edges = [
        CanvasEdge("morning", "read"),
        CanvasEdge("read", "parse"),
        CanvasEdge("parse", "overdue"),
        CanvasEdge("overdue", "group"),
        CanvasEdge("group", "report"),
        CanvasEdge("overdue", "tell", "rejected"),
    ]
    return nodes, edges


def many_nodes(count: int) -> tuple[list[CanvasNode], list[CanvasEdge]]:
    rows = 10
    uses = list(STEPS)[1:]
    nodes = [a_node(f"n{i}", uses[i % len(uses)], (i // rows) * 320, (i % rows) * 140, title=f"Step {i}") for i in range(count)]
    edges = [
        CanvasEdge(f"n{i}", f"n{i + rows}", nodes[i].ports_out[0].name, nodes[i + rows].ports_in[0].name)
        for i in range(count - rows)
    ]
    return nodes, edges


class Demo:
    """One tab: the document, its undo stack, and the canvas that shows it."""

    def __init__(self, nodes: list[CanvasNode], edges: list[CanvasEdge], *, readonly: bool = False) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.edges = {edge.id: edge for edge in edges}
        self.undone: list[tuple[dict, dict]] = []
        self.done: list[tuple[dict, dict]] = []
        self.heard: list[str] = []
        with ui.element("div").classes("demo-canvas"):
            self.canvas = Canvas(
                readonly=readonly,
                on_ready=self.show,
                on_ops=self.store,
                on_select=self.offer_text,
                on_open=lambda node_id: self.hear(f"open {node_id}"),
                on_drop=self.drop,
                on_quick_add=self.quick_add,
                on_paste=self.paste,
                on_undo=self.undo,
                on_redo=self.redo,
                on_command=self.command,
            )
        self.line = ui.label("").classes("demo-line")

    def hear(self, text: str) -> None:
        self.heard.append(text)
        self.line.set_text(text)

    def show(self) -> None:
        self.canvas.load(self.nodes.values(), self.edges.values())

    def change(self, ops: list[dict]) -> None:
        before = dict(self.nodes), dict(self.edges)
        for op in ops:
            self.carry_out(op)
        self.done.append(before)
        self.undone.clear()

    def carry_out(self, op: dict) -> None:
        match op["op"]:
            case "move":
                for node_id, x, y in op["to"]:
                    self.nodes[node_id] = replace(self.nodes[node_id], x=x, y=y)
            case "del":
                for node_id in op["nodes"]:
                    del self.nodes[node_id]
                for edge_id in op["edges"]:
                    del self.edges[edge_id]
            case "add":
                for edge in op["edges"]:
                    del edge["id"]
                    fresh = CanvasEdge(**edge)
                    self.edges[fresh.id] = fresh

    def store(self, event: OpsEvent) -> None:
        forbidden = [e for op in event.ops if op["op"] == "add" for e in op["edges"] if e["target"] == "read"]
        if forbidden:
            fix = [del_op(edges=[edge["id"] for edge in forbidden])]
            self.canvas.reject(event.seq, "Read invoices takes no second line.", fix)
            return
        self.change(list(event.ops))
        self.canvas.ack(event.seq)
        self.hear(f"ops {' '.join(op['op'] for op in event.ops)}")

    def offer_text(self, event: SelectEvent) -> None:
        chosen = [self.nodes[node_id] for node_id in event.nodes]
        self.canvas.clipboard(event.nodes, json.dumps([asdict(node) for node in chosen]))
        self.hear(f"select {' '.join(event.nodes + event.edges)}".strip())

    def insert(self, fresh: list[CanvasNode], edges: list[CanvasEdge], gone: list[str] = []) -> None:  # noqa: B006
        before = dict(self.nodes), dict(self.edges)
        self.nodes.update({node.id: node for node in fresh})
        self.edges.update({edge.id: edge for edge in edges})
        for edge_id in gone:
            del self.edges[edge_id]
        self.done.append(before)
        self.canvas.apply([del_op(edges=gone), add_op(fresh, edges)] if gone else [add_op(fresh, edges)])
        self.canvas.select([node.id for node in fresh])

    def fresh_id(self, use: str) -> str:
        stem = use.split(".")[1]
        return next(f"{stem}_{n}" for n in range(1, 1000) if f"{stem}_{n}" not in self.nodes)

    def drop(self, event: DropEvent) -> None:
        fresh = a_node(self.fresh_id(event.use), event.use, event.x, event.y)
        self.hear(f"drop {event.use}")
        if event.edge is None:
            self.insert([fresh], [])
        else:
            old = self.edges[event.edge]
            into = CanvasEdge(old.source, fresh.id, old.source_port, fresh.ports_in[0].name)
            onward = CanvasEdge(fresh.id, old.target, fresh.ports_out[0].name, old.target_port)
            self.insert([fresh], [into, onward], [old.id])

    def quick_add(self, event: QuickAddEvent) -> None:
        fresh = a_node(self.fresh_id("data.summarize"), "data.summarize", event.x, event.y)
        self.hear(f"quick_add {event.source}.{event.port} {event.edge}")
        self.insert([fresh], [CanvasEdge(event.source, fresh.id, event.port)] if event.source else [])

    def paste(self, event: PasteEvent) -> None:
        known = json.loads(event.text)
        left, top = min(n["x"] for n in known), min(n["y"] for n in known)
        at = (left + 40, top + 40) if event.x is None else (event.x, event.y)
        fresh = []
        for old in known:
            node = a_node(self.fresh_id(old["use"]), old["use"], old["x"] - left + at[0], old["y"] - top + at[1])
            self.insert([node], [])
            fresh.append(node)
        self.canvas.select([node.id for node in fresh])
        self.hear(f"paste {len(fresh)}")

    def command(self, event: CommandEvent) -> None:
        self.hear(f"command {event.name} {' '.join(event.nodes)}")

    def undo(self) -> None:
        if self.done:
            self.undone.append((dict(self.nodes), dict(self.edges)))
            self.restore(*self.done.pop())

    def redo(self) -> None:
        if self.undone:
            self.done.append((dict(self.nodes), dict(self.edges)))
            self.restore(*self.undone.pop())

    def restore(self, nodes: dict[str, CanvasNode], edges: dict[str, CanvasEdge]) -> None:
        old_nodes, old_edges = self.nodes, self.edges
        self.nodes, self.edges = nodes, edges
        moved = [n for key, n in nodes.items() if key in old_nodes and (old_nodes[key].x, old_nodes[key].y) != (n.x, n.y)]
        self.canvas.apply(
            [
                del_op([key for key in old_nodes if key not in nodes], [key for key in old_edges if key not in edges]),
                add_op(
                    [n for key, n in nodes.items() if key not in old_nodes],
                    [e for key, e in edges.items() if key not in old_edges],
                ),
                move_op((n.id, n.x, n.y) for n in moved),
            ]
        )
        self.hear("restored")

    def paint_run(self) -> None:
        def done(items: int, ms: float) -> NodeStatus:
            return NodeStatus("succeeded", items, ms)

        self.canvas.status(
            {
                "morning": done(1, 0.2),
                "read": done(1, 4.1),
                "parse": done(1000, 38),
                "overdue": done(257, 12),
                "group": NodeStatus("running"),
                "report": NodeStatus("queued"),
                "tell": NodeStatus("failed", 0, 1240, "hooks.example answered 503 Service Unavailable."),
            },
            {
                "morning.out->read.in": 1,
                "read.out->parse.in": 1,
                "parse.out->overdue.in": 1000,
                "overdue.out->group.in": 257,
                "overdue.rejected->tell.in": 743,
            },
        )


def look(dark: bool) -> None:
    ui.dark_mode(dark)
    ui.add_css("""
        .nicegui-content { padding: 0; gap: 0 }
        .demo-canvas { position: fixed; inset: 0 0 0 180px }
        .demo-palette { position: fixed; inset: 0 auto 0 0; width: 180px; padding: 12px; display: grid; gap: 6px;
                        align-content: start }
        .demo-line { position: fixed; top: 8px; right: 8px; opacity: .5 }
    """)
    with ui.element("div").classes("demo-palette"):
        for use in STEPS:
            palette_drag(ui.button(use).props("flat no-caps dense"), use)


@ui.page("/")
def edit_page(dark: bool = False) -> None:
    look(dark)
    demo = Demo(*a_workflow())
    ui.button("paint", on_click=demo.paint_run).classes("fixed bottom-2 left-2")
    ui.button("problems", on_click=lambda: demo.canvas.problems({"overdue": ["The field where is empty."]})).classes(
        "fixed bottom-12 left-2"
    )


@ui.page("/run")
def run_page(dark: bool = False) -> None:
    look(dark)
    Demo(*a_workflow(), readonly=True).paint_run()


@ui.page("/empty")
def empty_page(dark: bool = False) -> None:
    look(dark)
    Demo([], [])


@ui.page("/long")
def long_page(dark: bool = False) -> None:
    look(dark)
    nodes = [a_node(f"n{i}", "data.summarize", i * 300, 0, title=f"Step {i}") for i in range(16)]
    Demo(nodes, [CanvasEdge(f"n{i}", f"n{i + 1}") for i in range(15)])


@ui.page("/many")
def many_page(n: int = 1000, dark: bool = False) -> None:
    look(dark)
    Demo(*many_nodes(n))


if __name__ in ("__main__", "__mp_main__"):
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8099
    ui.run(port=port, host="127.0.0.1", reload=False, show=False, title="Canvas", language="en-US", reconnect_timeout=30)
