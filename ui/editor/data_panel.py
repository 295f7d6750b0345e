"""The panel below the canvas: the selected step in the run that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from .. import moments, words
from ..components.parts import Pill, box, empty, link, row, text
from ..components.step_data import StepData
from ..passes import fold_passes
from .board import in_background
from .desk import Desk


class DataPanel:
    """Follows the selection and the run; reads again only when one of them moved."""

    def __init__(self, desk: Desk, *, reveal: Callable[[str], Any], on_choose: Callable[[int], Any] | None = None) -> None:
        self._desk, self._reveal = desk, reveal
        self._client = ui.context.client
        self._shown: tuple[Any, ...] = ()
        self._scope: str | None = None
        with box("tr-panel", tag="section").props(f'aria-label="{words.DATA}"'):
            self._data = StepData(
                desk.studio.runs,
                nothing=self._say_nothing,
                tail=self._build_run_line,
                on_choose=on_choose,
                label=self._label,
                on_step=self._go_to,
            )
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
        if self._state() != self._shown:
            in_background(self._load, "data panel")

    def _state(self) -> tuple[Any, ...]:
        node = self._desk.node
        live = self._desk.steps.get(node.id) if node else None
        return (node.id if node else None, live.state if live else None)

    async def _load(self) -> None:
        desk, node = self._desk, self._desk.node
        self._shown = self._state()
        ran = None
        if node is not None and desk.run is not None and node.id in desk.steps:
            ran = fold_passes(await desk.studio.runs.steps(desk.run.id)).get(node.id)
        if self._state() == self._shown:  # else something else was chosen meanwhile, and is on its way
            run_id = desk.run.id if desk.run else ""
            scope, self._scope = self._scope, None
            await self._data.show(run_id, node, desk.spec(node) if node else None, ran, scope=scope)

    def _label(self, node_id: str) -> str:
        node = self._desk.draft.document.nodes.get(node_id)  # type: ignore[call-overload]
        return node.label if node else node_id

    def _go_to(self, node_id: str, scope: str) -> None:
        """Show a step in one of its passes; one that the drawing no longer has is left alone."""
        if node_id in self._desk.draft.document.nodes:
            self._scope = scope
            if self._desk.selected == (node_id,):
                self.refresh()
            else:
                self._reveal(node_id)

    def _say_nothing(self) -> None:
        if self._desk.run is None:
            empty("play_arrow", words.NO_RUN_YET, words.NO_RUN_YET_TEXT, small=True)
        elif self._desk.node is None:
            empty("touch_app", words.CHOOSE_A_STEP, words.CHOOSE_A_STEP_TEXT, small=True)
        else:
            empty("hourglass_empty", words.STEP_DID_NOT_RUN, words.STEP_DID_NOT_RUN_TEXT, small=True)

    def _build_run_line(self) -> None:
        self._run_line = row("tr-panel__run")

    def _paint_run(self) -> None:
        self._run_line.clear()
        run = self._desk.run
        if run is None:
            return
        with self._run_line, link(f"/runs/{run.id}", "tr-row tr-panel__runlink"):
            Pill(str(run.status)).mark("run-status")
            text(moments.span(run.duration_ms) or moments.clock(run.queued_at)[:8], "tr-muted tr-small tr-num")
