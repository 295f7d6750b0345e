"""The failure desk: failures by their cause, the latest first, and the replays under way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.events.types import Event, RunFinished
from engine.model.failures import EVERY_STATE, ON_DESK, FailureFilter, FailureGroup, FailureState, Replay

from .. import moments, words
from ..components.parts import box, button, choice, empty, link, row, search, text
from ..components.replaying import show_replays
from ..frame import frame
from ..live import Live
from ..notices import guarded
from ..session import current_studio
from ..theme import FAVICON

if TYPE_CHECKING:
    from engine.service import Studio

PAGE = 50
TICK = 1.0  # seconds between two looks at a replay that runs: what it skips is told by no event


def install() -> None:
    """Register the page."""
    ui.page("/failures", favicon=FAVICON, response_timeout=10)(failures_page)


async def failures_page(workflow: str = "", state: str = "", text: str = "") -> None:
    studio = current_studio()
    with frame(words.FAILURES, here="/failures"):
        desk = FailureDesk(studio, workflow=workflow, state=state, wanted=text)
        await desk.begin()
    Live(studio, desk.hear, RunFinished)


def states_of(view: str) -> tuple[FailureState, ...]:
    """Return the states a choice of `words.FAILURE_VIEWS` stands for."""
    if view == "any":
        return EVERY_STATE
    return tuple(one for one in EVERY_STATE if one == view) or ON_DESK


class FailureDesk:
    """The groups, their filters, and the replays that run."""

    def __init__(self, studio: Studio, *, workflow: str, state: str, wanted: str) -> None:
        self._studio = studio
        self._workflow, self._text = workflow, wanted.strip()
        self._state = state if state in words.FAILURE_VIEWS else ""
        self._limit = PAGE
        self._shown: tuple[Sequence[FailureGroup], Sequence[Replay]] | None = None
        with box("tr-pagehead"):
            text(words.FAILURES, "tr-h1", tag="h1")
            box("tr-grow")
            search(words.SEARCH_FAILURES, self._look_for, mark="search-failures").value = self._text
        self._filters = row("tr-filters")
        self._replays = box("tr-stack").mark("replays")
        self._body = box("tr-card tr-list tr-list--failures").mark("failures")
        self._foot = box("tr-list__more")
        with self._foot:
            button(words.MORE_FAILURES, self._more, mark="more")
        self._timer = ui.timer(TICK, guarded(self.load), active=False, immediate=False)

    async def begin(self) -> None:
        """Read the workflows for the filter, then the groups."""
        names = {line.workflow.id: line.workflow.name for line in await self._studio.workflows.list_rows()}
        if self._workflow not in names:
            self._workflow = ""
        with self._filters:
            workflows = {"": words.ANY_WORKFLOW, **names}
            choice(words.ANY_WORKFLOW, workflows, self._workflow, self._choose_workflow, "filter-workflow")
            choice(words.ANY_FAILURE_STATE, words.FAILURE_VIEWS, self._state, self._choose_state, "filter-state")
        await self.load()

    async def load(self) -> None:
        """Read the groups that pass the filters and draw them, unless nothing moved."""
        asked = FailureFilter(
            states=states_of(self._state),
            workflow_id=self._workflow or None,  # type: ignore[arg-type]
            text=self._text,
            limit=self._limit + 1,
        )
        groups = await self._studio.failures.groups(asked)
        replays = await self._studio.failures.replays(running=True)
        self._timer.active = bool(replays)
        if self._shown != (groups, replays):
            self._shown = (groups, replays)
            self._show(groups, replays)

    async def hear(self, events: Sequence[Event]) -> None:
        """A run ended: it may have come to the desk, or have left it."""
        await self.load()

    def _show(self, groups: Sequence[FailureGroup], replays: Sequence[Replay]) -> None:
        now = self._studio.clock.now()
        self._replays.clear()
        self._replays.set_visibility(bool(replays))
        with self._replays:
            if replays:
                text(words.REPLAYS, "tr-h2", tag="h2")
                show_replays(self._studio, replays, self.load)
        self._foot.set_visibility(len(groups) > self._limit)
        self._body.clear()
        with self._body:
            if not groups:
                is_filtered = self._workflow or self._text or self._state
                title = words.NO_SUCH_FAILURES if is_filtered else words.NO_FAILURES
                sentence = words.NO_SUCH_FAILURES_TEXT if is_filtered else words.NO_FAILURES_TEXT
                empty("search" if is_filtered else "task_alt", title, sentence)
                return
            with box("tr-list__head"):
                for label in (words.COLUMN_COUNT, words.COLUMN_CAUSE, words.COLUMN_FIRST, words.COLUMN_LAST):
                    text(label)
            for group in groups[: self._limit]:
                self._row(group, now)

    def _row(self, group: FailureGroup, now: Any) -> None:
        address = f"/failures/{group.id}" + (f"?state={self._state}" if self._state else "")
        with box("tr-list__row").mark(f"group-{group.id}"):
            text(f"{group.count:,}", "tr-strong tr-num tr-count")
            with link(address, "tr-list__name tr-list__cover"), box("tr-grow"):
                text(words.sentence(group.message), "tr-strong tr-clip", tag="div")
                with row("tr-list__sub"):
                    if group.cause.step:
                        text(group.cause.step, "tr-mono")
                    text(words.of_workflows(dict(group.workflows)), "tr-clip")
                    if group.replaying:
                        text(words.being_replayed(group.replaying), "tr-tag tr-tag--accent")
            text(moments.ago(group.first_at, now), "tr-muted").tooltip(moments.full(group.first_at))
            text(moments.ago(group.last_at, now), "tr-muted").tooltip(moments.full(group.last_at))

    @guarded
    async def _more(self) -> None:
        self._limit += PAGE
        await self.load()

    async def _look_for(self, wanted: str) -> None:
        self._text = wanted.strip()
        await self._anew()

    async def _choose_workflow(self, value: str) -> None:
        self._workflow = value
        await self._anew()

    async def _choose_state(self, value: str) -> None:
        self._state = value
        await self._anew()

    async def _anew(self) -> None:
        self._limit, self._shown = PAGE, None
        await self.load()
