"""Every run, newest first, with filters; it follows what happens while it is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.events.types import Event, RunFinished, RunQueued, RunStarted
from engine.model.durations import parse_duration
from engine.model.run import Run, RunStatus
from engine.service.runs import RunFilter

from .. import moments, words
from ..components.parts import Pill, box, button, choice, empty, link, row, search, text
from ..frame import frame
from ..live import Live
from ..notices import guarded
from ..session import current_studio
from ..theme import FAVICON

if TYPE_CHECKING:
    from engine.service import Studio

PAGE = 50


def install() -> None:
    """Register the page."""
    ui.page("/runs", favicon=FAVICON, response_timeout=10)(runs_page)


async def runs_page(workflow: str = "", status: str = "") -> None:
    studio = current_studio()
    with frame(words.RUNS, here="/runs"):
        page = RunList(studio, workflow=workflow, status=status)
        await page.begin()
    Live(studio, page.hear, RunQueued, RunStarted, RunFinished)


class RunList:
    """The list, its filters, and the way to older runs."""

    def __init__(self, studio: Studio, *, workflow: str, status: str) -> None:
        self._studio = studio
        self._workflow, self._text = workflow, ""
        self._status = status if status in {one.value for one in RunStatus} else ""
        self._kind = "all"
        self._where = "names"
        self._within = self._took = ""
        self._runs: list[Run] = []
        self._has_more = False
        self._is_drawn = False
        with box("tr-pagehead"):
            text(words.RUNS, "tr-h1", tag="h1")
            box("tr-grow")
            search(words.SEARCH_RUNS, self._look_for, mark="search-runs")
        self._filters = row("tr-filters")
        self._body = box("tr-card tr-list tr-list--runs").mark("runs")
        self._foot = box("tr-list__more")
        with self._foot:
            button(words.OLDER, self._older, mark="older")

    async def begin(self) -> None:
        """Read the workflows for the filter, then the first page."""
        rows = await self._studio.workflows.list_rows()
        names = {line.workflow.id: line.workflow.name for line in rows}
        if self._workflow not in names:
            self._workflow = ""
        with self._filters:
            choice(
                words.ANY_WORKFLOW, {"": words.ANY_WORKFLOW, **names}, self._workflow, self._choose_workflow, "filter-workflow"
            )
            states = {"": words.ANY_STATUS, **{one.value: words.state(one.value) for one in RunStatus}}
            choice(words.ANY_STATUS, states, self._status, self._choose_status, "filter-status")
            choice(words.ANY_KIND, words.RUN_KINDS, self._kind, self._choose_kind, "filter-kind")
            choice(words.ANY_TIME, words.RUN_TIMES, self._within, self._choose_within, "filter-time")
            choice(words.ANY_DURATION, words.RUN_DURATIONS, self._took, self._choose_took, "filter-took")
            choice(words.SEARCH_RUNS, words.SEARCH_IN, self._where, self._choose_where, "filter-where")
        await self.load()

    async def load(self) -> None:
        """Read the newest runs that pass the filters, as many as are shown."""
        limit = max(PAGE, len(self._runs))
        found = await self._studio.runs.list_page(self._filter(limit + 1))
        if found[:limit] == self._runs and self._is_drawn:
            return  # nothing moved: what somebody is about to click stays where it is
        self._runs, self._has_more = found[:limit], len(found) > limit
        self._show()

    async def hear(self, events: Sequence[Event]) -> None:
        """Runs came, began or ended: read again, one query whatever happened."""
        await self.load()

    @guarded
    async def _older(self) -> None:
        if not self._runs:
            return
        found = await self._studio.runs.list_page(self._filter(PAGE + 1, before=self._runs[-1].id))
        self._runs += found[:PAGE]
        self._has_more = len(found) > PAGE
        self._show()

    def _filter(self, limit: int, *, before: Any = None) -> RunFilter:
        return RunFilter(
            workflow_id=self._workflow or None,  # type: ignore[arg-type]
            statuses=(RunStatus(self._status),) if self._status else (),
            is_test={"all": None, "real": False, "test": True}[self._kind],
            text=self._text if self._where == "names" else "",
            key=self._text if self._where == "key" else "",
            since=self._studio.clock.now() - parse_duration(self._within) if self._within else None,
            took_at_least=parse_duration(self._took) if self._took else None,
            search=self._text if self._where == "data" and any(letter.isalnum() for letter in self._text) else "",
            before=before,
            limit=limit,
        )

    def _show(self) -> None:
        self._is_drawn = True
        now = self._studio.clock.now()
        self._body.clear()
        self._foot.set_visibility(self._has_more)
        with self._body:
            if not self._runs:
                self._show_nothing()
                return
            with box("tr-list__head"):
                for label in (
                    words.COLUMN_STATUS,
                    words.COLUMN_WORKFLOW,
                    words.COLUMN_STARTED_BY,
                    words.COLUMN_STARTED,
                    words.COLUMN_TOOK,
                ):
                    text(label)
            for run in self._runs:
                run_row(run, now)

    def _show_nothing(self) -> None:
        if self._workflow or self._status or self._text or self._within or self._took or self._kind != "all":
            empty("search", words.NO_SUCH_RUNS, words.NO_SUCH_RUNS_TEXT)
        else:
            with empty("history", words.NO_RUNS, words.NO_RUNS_TEXT):
                button(words.WORKFLOWS, lambda: ui.navigate.to("/"))

    async def _look_for(self, wanted: str) -> None:
        self._text = wanted.strip()
        await self._anew()

    async def _choose_workflow(self, value: str) -> None:
        self._workflow = value
        await self._anew()

    async def _choose_status(self, value: str) -> None:
        self._status = value
        await self._anew()

    async def _choose_kind(self, value: str) -> None:
        self._kind = value
        await self._anew()

    async def _choose_within(self, value: str) -> None:
        self._within = value
        await self._anew()

    async def _choose_took(self, value: str) -> None:
        self._took = value
        await self._anew()

    async def _choose_where(self, value: str) -> None:
        self._where = value
        await self._anew()

    async def _anew(self) -> None:
        self._runs, self._is_drawn = [], False
        await self.load()


def run_row(run: Run, now: Any) -> None:
    """Show one run as a line that leads to its page."""
    with box("tr-list__row").mark(f"run-{run.id}"):
        with row():
            Pill(str(run.status))
        with link(f"/runs/{run.id}", "tr-list__name tr-list__cover"), box("tr-grow"):
            with row():
                text(run.workflow_name, "tr-strong tr-clip")
                if run.is_test:
                    text(words.TEST_RUN, "tr-tag")
            if run.error:
                text(words.sentence(str(run.error.get("message", ""))), "tr-list__error tr-clip", tag="div")
        text(words.started_by(run.trigger, is_retry=run.retry_of is not None), "tr-muted tr-clip")
        text(moments.ago(run.started_at or run.queued_at, now), "tr-muted").tooltip(
            moments.full(run.started_at or run.queued_at)
        )
        text(moments.span(run.duration_ms), "tr-muted tr-num")
