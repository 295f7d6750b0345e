"""What went into and came out of the selected step in the run that is shown, and what it logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.model.workflow import ERROR_PORT

from .. import moments, words
from ..browser import copy_text
from ..components.parts import Pill, Tabs, banner, box, empty, link, row, text
from ..components.port_data import PortData, Source
from ..notices import show_done
from .board import in_background
from .desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.run import Step


class DataPanel:
    """The panel below the canvas."""

    def __init__(self, desk: Desk, *, on_choose: Callable[[int], Any] | None = None) -> None:
        self._desk = desk
        self._client = ui.context.client
        self._step: Step | None = None
        self._shown: tuple[Any, ...] = ()
        with box("tr-panel", tag="section").props(f'aria-label="{words.DATA}"'):
            with box("tr-panel__head"):
                self._tabs = Tabs({"out": words.OUTPUT}, "out", lambda _: self._refresh_data())
                box("tr-grow")
                self._bar = row()
                self._run_line = row("tr-panel__run")
            self._notice = box("tr-panel__notice")
            self._log = box("tr-panel__log")
            self._data = PortData(on_choose=on_choose, on_pick=self._copy)
        with self._bar:
            self._data.build_bar()
        for topic in ("selection", "run"):
            desk.on(topic, self.refresh)
        desk.on("steps", self._maybe_refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the selected step anew."""
        self._paint_run()
        in_background(self._load, "data panel")

    def _maybe_refresh(self) -> None:
        # While a run goes on only the selected step's own settling changes what is shown here.
        self._paint_run()
        node = self._desk.node
        live = self._desk.steps.get(node.id) if node else None
        if (node.id if node else None, live.state if live else None) != self._shown[:2]:
            in_background(self._load, "data panel")

    async def _load(self) -> None:
        desk, node = self._desk, self._desk.node
        live = desk.steps.get(node.id) if node else None
        self._shown = (node.id if node else None, live.state if live else None)
        self._step = None
        if node is not None and desk.run is not None and live is not None:
            steps = await desk.studio.runs.steps(desk.run.id)
            self._step = next((step for step in steps if step.node == node.id), None)
        with self._client:
            self._offer_tabs()
            await self._refresh_data()

    def _offer_tabs(self) -> None:
        node, step = self._desk.node, self._step
        spec = self._desk.spec(node) if node else None
        tabs: dict[str, str] = {}
        counts: dict[str, str] = {}
        if node is not None and step is not None:
            outs = list(dict.fromkeys([*(port.name for port in _outs(spec, node.fields)), *step.ports])) or ["out"]
            for port in outs:
                tabs[f"out:{port}"] = words.output_port(port, alone=len(outs) == 1)
                counts[f"out:{port}"] = f"{step.ports[port].count:,}" if port in step.ports else ""
            ports = [port.name for port in spec.ports_in] if spec else ["in"]
            for port in ports:
                tabs[f"in:{port}"] = words.input_port(port, alone=len(ports) == 1)
            if len(ports) == 1 and step.items_in:
                counts[f"in:{ports[0]}"] = f"{step.items_in:,}"
            if step.log:
                tabs["log"] = words.LOG
                counts["log"] = str(len(step.log))
        self._tabs.offer(tabs, counts)

    async def _refresh_data(self) -> None:
        desk, node, step = self._desk, self._desk.node, self._step
        self._notice.clear()
        self._log.clear()
        self._log.set_visibility(False)
        self._bar.set_visibility(False)
        if node is None or step is None or desk.run is None:
            await self._data.show(None)
            with self._notice:
                self._say_nothing()
            return
        with self._notice:
            if step.error and self._tabs.value != "log":
                _show_error(step.error)
        if self._tabs.value == "log":
            await self._data.show(None)
            self._log.set_visibility(True)
            with self._log:
                for line in step.log:
                    log_line(line)
            return
        if step.status == "failed" and self._tabs.value.startswith("out:") and not step.ports:
            await self._data.show(None)
            return
        self._bar.set_visibility(True)
        way, _, port = self._tabs.value.partition(":")
        runs, run_id, node_id = desk.studio.runs, desk.run.id, node.id
        page = runs.output if way == "out" else runs.input_page
        nothing = words.NOTHING_LEFT if way == "out" else words.NOTHING_ARRIVED
        hint = words.skipped_hint() if step.status == "skipped" else ""
        if port == ERROR_PORT:
            nothing = words.NO_FAILED_ITEMS
        await self._data.show(
            Source(lambda offset, limit: page(run_id, node_id, port, offset=offset, limit=limit), nothing, hint)
        )

    def _say_nothing(self) -> None:
        if self._desk.run is None:
            empty("play_arrow", words.NO_RUN_YET, words.NO_RUN_YET_TEXT, small=True)
        elif self._desk.node is None:
            empty("touch_app", words.CHOOSE_A_STEP, words.CHOOSE_A_STEP_TEXT, small=True)
        else:
            empty("hourglass_empty", words.STEP_DID_NOT_RUN, words.STEP_DID_NOT_RUN_TEXT, small=True)

    def _paint_run(self) -> None:
        self._run_line.clear()
        run = self._desk.run
        if run is None:
            return
        with self._run_line, link(f"/runs/{run.id}", "tr-row tr-panel__runlink"):
            Pill(str(run.status)).mark("run-status")
            text(moments.span(run.duration_ms) or moments.clock(run.queued_at)[:8], "tr-muted tr-small tr-num")

    def _copy(self, path: str) -> None:
        copy_text(path)
        show_done(words.copied(path))


def _outs(spec: Any, fields: Mapping[str, Any]) -> tuple[Any, ...]:
    if spec is None:
        return ()
    try:
        return tuple(spec.outs(fields))
    except Exception:
        return tuple(spec.ports_out)  # half-typed fields; the problem is named where they are typed


def _show_error(error: Mapping[str, Any]) -> None:
    banner(str(error.get("message", "")), error.get("hint") or None).mark("step-error")
    caret = (error.get("where") or {}).get("caret")
    if isinstance(caret, str) and caret:
        text(caret, "tr-caret", tag="pre")


def log_line(line: Mapping[str, Any]) -> None:
    """Show one line a step logged."""
    with row("tr-logline"):
        text(moments.clock(line.get("at")), "tr-faint tr-mono")
        text(str(line.get("level", "info")), f"tr-logline__level tr-logline__level--{line.get('level', 'info')}")
        text(str(line.get("message", line.get("text", ""))), "tr-grow")
