"""One run: its drawing with what happened, its steps in time, the data at each, and its error in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from nicegui import ui

from engine.errors import NotFound
from engine.events.types import Event, RunFinished, RunStarted, StepFinished, StepRetrying, StepStarted
from engine.model.run import FINAL, Run, RunStatus
from engine.model.workflow import Document

from .. import moments, words
from ..components.effects import ask_to_fork, show_receipts
from ..components.family import Family
from ..components.parts import Pill, banner, box, button, empty, row, text
from ..components.step_data import StepData, failed_item
from ..components.timeline import Timeline
from ..editor.board import in_background, statuses
from ..editor.canvas import Canvas
from ..editor.desk import Live as Moment
from ..editor.desk import live_of_passes
from ..editor.views import look
from ..frame import frame, trail
from ..live import Live
from ..notices import guarded
from ..passes import Passes, fold_passes
from ..session import current_studio
from ..theme import FAVICON

if TYPE_CHECKING:
    from engine.service import Studio


def install() -> None:
    """Register the page."""
    ui.page("/runs/{run_id}", favicon=FAVICON, response_timeout=10)(run_page)


async def run_page(run_id: str) -> None:
    studio = current_studio()
    try:
        run = await studio.runs.get(run_id)
        document = await studio.runs.document(run_id)
    except NotFound as error:
        with frame(words.RUNS, here="/runs"):
            banner(error.message, words.RUN_GONE_HINT)
            button(words.RUNS, lambda: ui.navigate.to("/runs"))
        return
    with frame(words.run_title(run.workflow_name), here="/runs", wide=True):
        page = RunPage(studio, run, document)
        await page.load()
    if run.status not in FINAL or page.has_open_family:
        kinds = (RunStarted, StepStarted, StepFinished, StepRetrying, RunFinished)
        Live(studio, page.hear, *kinds, concerns=page.is_concerned)


class RunPage:
    """The parts of the page and what one tells the other."""

    def __init__(self, studio: Studio, run: Run, document: Document) -> None:
        self._studio, self._run, self._document = studio, run, document
        self._steps: dict[str, Passes] = {}
        self._scope: str | None = None
        self._chosen: str | None = None
        with box("tr-run"):
            with box("tr-run__head"):
                trail([("/runs", words.RUNS)], run.workflow_name)
                self._buttons = row()
            self._facts = row("tr-run__facts")
            self._notes = box("tr-run__notes")
            self._error = box("tr-run__error")
            with box("tr-run__canvas"):
                self._canvas = Canvas(
                    readonly=True,
                    on_ready=self._draw,
                    on_select=lambda event: self._choose(event.nodes[0] if event.nodes else None),
                ).mark("canvas")
            with box("tr-run__lower"):
                with box("tr-run__steps"):
                    text(words.STEPS, "tr-run__title", tag="h2")
                    self._timeline = Timeline(self._choose_from_timeline)
                    self._family = Family(studio)
                with box("tr-run__data"):
                    self._data = StepData(
                        studio.runs, nothing=_say_nothing, lead=self._build_title, label=self._label, on_step=self._go_to
                    )

    @property
    def has_open_family(self) -> bool:
        """Whether a run that called this one, or was called by it, is not over."""
        return self._family.is_open

    def is_concerned(self, event: Event) -> bool:
        """Whether an event is about this run, or about the state of one of its family."""
        run_id = getattr(event, "run_id", None)
        return run_id == self._run.id or (isinstance(event, RunStarted | RunFinished) and run_id in self._family.ids)

    async def load(self) -> None:
        """Read the steps and show everything."""
        self._steps = fold_passes(await self._studio.runs.steps(self._run.id))
        self._paint()
        removed = await self._studio.runs.data_removed((self._run.id,))
        if self._run.id in removed:
            with self._notes:
                banner(words.data_removed(removed[self._run.id]), kind="info", icon_name="delete_sweep")
        await self._family.load(self._run)
        if self._chosen is None:
            failed = next((node for node, ran in self._steps.items() if ran.whole.status == "failed"), None)
            done = [node for node, ran in self._steps.items() if ran.whole.status == "succeeded"]
            self._chosen = failed or (done[-1] if done else None)
        await self._show_step()

    async def hear(self, events: Sequence[Event]) -> None:
        """Steps moved, or the run ended."""
        self._run = await self._studio.runs.get(self._run.id)
        before = self._steps.get(self._chosen or "")
        self._steps = fold_passes(await self._studio.runs.steps(self._run.id))
        self._paint()
        await self._family.load(self._run)
        if self._chosen is None or self._steps.get(self._chosen) != before:
            await self._show_step()

    # ------------------------------------------------------------------ what is above
    def _paint(self) -> None:
        run = self._run
        self._buttons.clear()
        with self._buttons:
            if run.workflow_id:
                button(
                    words.OPEN_WORKFLOW,
                    lambda: ui.navigate.to(f"/workflows/{run.workflow_id}"),
                    icon="edit",
                    mark="open-workflow",
                )
            if run.status in FINAL or run.status is RunStatus.NEEDS_DECISION:
                button(words.RECEIPTS, self._receipts, icon="receipt_long", mark="receipts")
                button(words.FORK, self._fork, icon="call_split", mark="fork")
            if run.status is RunStatus.NEEDS_DECISION:
                button(words.DECIDE_SKIP, lambda: self._decide("skip"), icon="redo", mark="decide-skip")
                button(words.DECIDE_RETRY, lambda: self._decide("retry"), icon="replay", kind="primary", mark="decide-retry")
            if run.status not in FINAL:
                button(words.CANCEL_RUN, self._cancel, icon="stop", mark="cancel")
            elif run.status in (RunStatus.FAILED, RunStatus.CANCELLED):
                button(words.RETRY, self._retry, icon="replay", kind="primary", mark="retry")
        self._facts.clear()
        with self._facts:
            Pill(str(run.status)).mark("run-status")
            if run.is_test:
                text(words.TEST_RUN, "tr-tag")
            _fact(words.COLUMN_STARTED, moments.full(run.started_at or run.queued_at))
            _fact(words.COLUMN_TOOK, moments.span(run.duration_ms) or "–")
            _fact(words.COLUMN_STARTED_BY, words.started_by(run.trigger, is_retry=run.retry_of is not None))
            _fact(
                words.STEPS,
                f"{sum(ran.whole.status == 'succeeded' for ran in self._steps.values())} / {len(self._document.nodes)}",
            )
            _fact(words.VERSION, (run.version_id or "")[:10])
        self._error.clear()
        if run.error:
            with self._error:
                self._show_run_error(run.error)
        self._show_status()
        self._timeline.show(self._run, list(self._steps.values()), self._label, self._studio.clock.now())

    def _show_run_error(self, error: Any) -> None:
        where = error.get("where") or {}
        node = where.get("node")
        message = str(error.get("message", ""))
        sentence = words.at_step(self._label(node), message) if node else message
        made = banner(sentence, error.get("hint"), detail=words.where(failed_item(error), where.get("field"))).mark("run-error")
        if node:
            with made:
                button(words.SHOW_STEP, lambda: self._choose_from_timeline(node), small=True)

    def _label(self, node_id: str) -> str:
        node = self._document.nodes.get(node_id)  # type: ignore[call-overload]
        return node.label if node else node_id

    # ------------------------------------------------------------------ the drawing
    def _draw(self) -> None:
        shown = look(self._document, self._studio.catalog)
        self._canvas.load(shown.nodes.values(), shown.edges.values(), readonly=True)
        self._show_status()

    def _show_status(self) -> None:
        moments_of: dict[str, Moment] = {node: live_of_passes(ran) for node, ran in self._steps.items()}
        nodes, edges = statuses(self._document, moments_of)
        self._canvas.status(nodes, edges)

    # ------------------------------------------------------------------ one step
    def _choose(self, node_id: str | None) -> None:
        if node_id is not None and node_id != self._chosen:
            self._chosen = node_id
            in_background(self._show_step, "run page")

    def _choose_from_timeline(self, node_id: str) -> None:
        self._canvas.focus(node_id)
        self._choose(node_id)

    async def _go_to(self, node_id: str, scope: str) -> None:
        """Show a step in one of its passes."""
        self._chosen, self._scope = node_id, scope
        self._canvas.focus(node_id)
        await self._show_step()

    async def _show_step(self) -> None:
        node_id, scope = self._chosen, self._scope
        self._scope = None
        self._timeline.choose(node_id)
        node = self._document.nodes.get(node_id) if node_id else None  # type: ignore[call-overload]
        self._step_title.text = node.label if node else ""
        spec = self._studio.catalog.find(node.use) if node else None
        await self._data.show(self._run.id, node, spec, self._steps.get(node_id or ""), scope=scope)

    def _build_title(self) -> None:
        self._step_title = text("", "tr-strong tr-clip")

    @guarded
    async def _cancel(self) -> None:
        self._run = await self._studio.runs.cancel(self._run.id)
        await self.load()

    @guarded
    async def _decide(self, decision: Literal["retry", "skip"]) -> None:
        self._run = await self._studio.runs.decide(self._run.id, decision)
        await self.load()

    @guarded
    async def _receipts(self) -> None:
        if self._chosen is not None:
            await show_receipts(self._studio, self._run.id, self._chosen, self._label(self._chosen))

    def _fork(self) -> None:
        if self._chosen is not None:
            ask_to_fork(self._studio, self._run, self._chosen, self._label(self._chosen))

    @guarded
    async def _retry(self) -> None:
        again = await self._studio.runs.retry(self._run.id)
        ui.navigate.to(f"/runs/{again.id}")


def _say_nothing() -> None:
    empty("touch_app", words.CHOOSE_A_STEP, words.CHOOSE_A_STEP_TEXT, small=True)


def _fact(label: str, value: str) -> None:
    if value:
        with row("tr-run__fact"):
            text(label, "tr-muted")
            text(value, "tr-num tr-clip")
