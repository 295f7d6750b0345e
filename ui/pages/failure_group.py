"""The failures of one cause: each with its run and its sentence, replayed or put away, one or all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.errors import NotFound
from engine.events.types import Event, RunFinished
from engine.model.failures import EVERY_STATE, Failure, FailureFilter, FailureGroup, Replay

from .. import moments, words
from ..components.parts import Pill, banner, box, button, choice, empty, icon_button, link, row, text
from ..components.replaying import PILLS, ask_to_discard, ask_to_replay, show_replays
from ..components.step_data import failed_item
from ..frame import frame, trail
from ..live import Live
from ..notices import guarded, show_done
from ..session import current_studio
from ..theme import FAVICON
from .failures import PAGE, TICK, states_of

if TYPE_CHECKING:
    from engine.service import Studio

REPLAYS = 3
"""How many replays of the group are shown, the newest first."""


def install() -> None:
    """Register the page."""
    ui.page("/failures/{group_id}", favicon=FAVICON, response_timeout=10)(group_page)


async def group_page(group_id: str, state: str = "") -> None:
    studio = current_studio()
    found = await studio.failures.groups(FailureFilter(states=EVERY_STATE, group_id=group_id, limit=1))
    if not found:
        with frame(words.FAILURES, here="/failures"):
            banner(NotFound("group of failures", group_id).message, words.GROUP_GONE_HINT)
            button(words.FAILURES, lambda: ui.navigate.to("/failures"))
        return
    with frame(words.FAILURES, here="/failures"):
        page = GroupPage(studio, found[0], state=state)
        await page.load()
    Live(studio, page.hear, RunFinished)


class GroupPage:
    """What the cause is, its replays, and its failures one by one."""

    def __init__(self, studio: Studio, group: FailureGroup, *, state: str) -> None:
        self._studio, self._group = studio, group
        self._state = state if state in words.FAILURE_VIEWS else ""
        self._limit = PAGE
        self._drawn: Any = None
        self._discard: tuple[str, int] | None = None
        with box("tr-pagehead"):
            trail([("/failures", words.FAILURES)], group.cause.step or group.cause.code)
            self._buttons = row()
        text(words.sentence(group.message), "tr-h1 tr-wrap", tag="h1").mark("cause")
        self._facts = row("tr-facts")
        self._undo = box("tr-undo")
        self._replays = box("tr-stack").mark("replays")
        with row("tr-filters"):
            choice(words.ANY_FAILURE_STATE, words.FAILURE_VIEWS, self._state, self._choose_state, "filter-state")
        self._body = box("tr-card tr-list tr-list--failed").mark("failures")
        self._foot = box("tr-list__more")
        with self._foot:
            button(words.MORE_FAILURES, self._more, mark="more")
        self._timer = ui.timer(TICK, guarded(self.load), active=False, immediate=False)

    async def load(self) -> None:
        """Read the group, its failures and its replays, and draw them unless nothing moved."""
        desk, name = self._studio.failures, self._group.id
        groups = await desk.groups(FailureFilter(states=EVERY_STATE, group_id=name, limit=1))
        count = await desk.count(FailureFilter(states=("open",), group_id=name))
        asked = FailureFilter(states=states_of(self._state), group_id=name, limit=self._limit + 1)
        failures = await desk.list_page(asked) if groups else []
        replays = await self._replays_of(failures)
        self._timer.active = any(replay.state == "running" for replay in replays)
        if self._drawn != (read := (groups, count, failures, replays)):
            self._drawn = read
            self._group = groups[0] if groups else self._group
            self._show(count, failures, replays)

    async def hear(self, events: Sequence[Event]) -> None:
        """A run ended: it may be one more of this cause, or the repetition of one."""
        await self.load()

    async def _replays_of(self, failures: Sequence[Failure]) -> list[Replay]:
        """Return the replays of the group, and those under way that were ordered for some of its runs."""
        found = await self._studio.failures.replays(group=self._group.id, limit=REPLAYS)
        known = {replay.id for replay in found}
        acts = dict.fromkeys(one.action for one in failures if one.state == "replaying" and one.action not in known)
        named = [await self._studio.failures.get_replay(act) for act in list(acts)[:REPLAYS] if act]
        return [*named, *found]

    def _show(self, count: int, failures: Sequence[Failure], replays: Sequence[Replay]) -> None:
        now, group = self._studio.clock.now(), self._group
        self._buttons.clear()
        if count:
            with self._buttons:
                discard = partial(ask_to_discard, self._studio, self._after_discard, count=count, group=group.id)
                button(words.discard_all(count), discard, icon="archive", mark="discard-all")
                replay = partial(ask_to_replay, self._studio, self.load, count=count, group=group.id)
                button(words.replay_all(count), replay, icon="replay", kind="primary", mark="replay-all")
        self._facts.clear()
        with self._facts:
            Pill("failed" if count else "succeeded", words.failures_waiting(count)).mark("open-count")
            for label, value in (
                (words.COLUMN_FIRST, moments.full(group.first_at)),
                (words.COLUMN_LAST, moments.full(group.last_at)),
                (words.CAUSE_CODE, group.cause.code),
                (words.CAUSE_STATUS, group.cause.status),
                (words.COLUMN_WORKFLOW, words.of_workflows(dict(group.workflows))),
            ):
                if value:
                    with row("tr-run__fact"):
                        text(label, "tr-muted")
                        text(value, "tr-num tr-clip")
        self._show_undo()
        self._replays.clear()
        self._replays.set_visibility(bool(replays))
        with self._replays:
            if replays:
                text(words.REPLAYS, "tr-h2", tag="h2")
                show_replays(self._studio, replays, self.load)
        self._foot.set_visibility(len(failures) > self._limit)
        self._body.clear()
        with self._body:
            if not failures:
                empty("task_alt", words.NO_SUCH_FAILURES, words.NO_SUCH_FAILURES_TEXT, small=True)
            for failure in failures[: self._limit]:
                self._row(failure, now)

    def _row(self, failure: Failure, now: Any) -> None:
        error = failure.error or {}
        message = str(error.get("message", "")) or self._group.message
        with box("tr-list__row").mark(f"failure-{failure.run_id}"):
            with row():
                Pill(PILLS[failure.state], words.FAILURE_STATES[failure.state])
            with link(f"/runs/{failure.run_id}", "tr-list__name tr-list__cover"), box("tr-grow"):
                text(failure.workflow_name, "tr-strong tr-clip", tag="div")
                said = words.at_step(failure.node, message) if failure.node else words.sentence(message)
                text(said, "tr-list__error tr-clip", tag="div").tooltip(said)
                if more := self._details(failure, error):
                    text(more, "tr-list__sub tr-clip", tag="div").tooltip(more)
            text(moments.ago(failure.at, now), "tr-muted").tooltip(moments.full(failure.at))
            with row("tr-list__above tr-list__acts"):
                self._acts(failure)

    def _details(self, failure: Failure, error: Any) -> str:
        told = [str(one["workflow"]) for one in failure.alerts if one.get("run")]
        parts = [
            words.where(failed_item(error), (error.get("where") or {}).get("field")),
            words.put_away_because(failure.reason, failure.settled_by or "") if failure.reason else "",
            words.alerted(told) if told else "",
            *(words.not_alerted(str(one["workflow"]), str(one["problem"])) for one in failure.alerts if one.get("problem")),
        ]
        return " · ".join(part for part in parts if part)

    def _acts(self, failure: Failure) -> None:
        run = failure.run_id
        if failure.replay_run_id:
            target = f"/runs/{failure.replay_run_id}"
            icon_button(
                "open_in_new", words.SHOW_REPLAY_RUN, partial(ui.navigate.to, target), small=True, mark=f"repeated-{run}"
            )
        if failure.state == "open":
            replay = partial(ask_to_replay, self._studio, self.load, count=1, run=run)
            icon_button("replay", words.REPLAY_ONE, replay, small=True, mark=f"replay-one-{run}")
            discard = partial(ask_to_discard, self._studio, self._after_discard, count=1, run=run)
            icon_button("archive", words.DISCARD_ONE, discard, small=True, mark=f"discard-one-{run}")
        elif failure.state == "discarded":
            undo = guarded(partial(self._bring_back, runs=[run]))
            button(words.BRING_BACK, undo, icon="undo", small=True, mark=f"undo-{run}")

    # ------------------------------------------------------------------ put away, and back
    async def _after_discard(self, act: str, count: int) -> None:
        self._discard, self._drawn = (act, count), None
        await self.load()

    def _show_undo(self) -> None:
        self._undo.clear()
        if self._discard is None:
            return
        act, count = self._discard
        with self._undo, banner(words.put_away(count), kind="info", icon_name="archive").mark("put-away"):
            button(words.UNDO, guarded(partial(self._bring_back, discard=act)), icon="undo", small=True, mark="undo")

    async def _bring_back(self, *, discard: str | None = None, runs: Sequence[str] | None = None) -> None:
        count = await self._studio.failures.undo(discard=discard, runs=runs)
        self._discard, self._drawn = None, None
        show_done(words.brought_back(count))
        await self.load()

    @guarded
    async def _more(self) -> None:
        self._limit += PAGE
        await self.load()

    async def _choose_state(self, value: str) -> None:
        self._state, self._limit, self._drawn = value, PAGE, None
        await self.load()
