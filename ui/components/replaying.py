"""What is done about failures: the dialogs that replay them or put them away, and how far replays are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from engine.model.failures import Replay

from .. import moments, words
from ..notices import guarded
from .dialogs import ask_text, dialog
from .effects import items_of
from .parts import Pill, box, button, row, text

if TYPE_CHECKING:
    from engine.service import Studio

Then = Callable[[], Awaitable[None]]
PILLS = {"open": "failed", "replaying": "running", "resolved": "succeeded", "replaced": "cancelled", "discarded": "skipped"}
"""In which colour of a run's state a failure's state is shown."""


def ask_to_replay(studio: Studio, then: Then, *, count: int, group: str | None = None, run: str | None = None) -> None:
    """Ask how the open failures of a group, or one run, are to be repeated; `then` follows once the order is stored."""
    with dialog(words.replay_all(count) if group else words.REPLAY_ONE) as (shown, foot):
        text(words.REPLAY_TEXT, "tr-muted", tag="p")
        start = ui.select(words.REPLAY_FROMS, value="failed_step", label=words.REPLAY_FROM)
        start.props("outlined dense").mark("replay-from")
        version = ui.select(words.REPLAY_VERSIONS, value="same", label=words.REPLAY_VERSION)
        version.props("outlined dense").mark("replay-version")
        if group is None:
            items = ui.textarea(label=words.REPLAY_ITEMS, placeholder=words.ITEMS_PLACEHOLDER)
            items.props("outlined dense autogrow").mark("replay-items")
        else:
            at_once = ui.number(words.REPLAY_AT_ONCE, value=10, min=1, max=200, precision=0)
            at_once.props("outlined dense").mark("replay-at-once")

        @guarded
        async def go() -> None:
            if group is None:
                given = items_of(items.value)
                await studio.failures.replay(runs=[str(run)], start=start.value, version=version.value, input=given)
            else:
                most = int(at_once.value or 0)
                await studio.failures.replay(group=group, start=start.value, version=version.value, at_once=most)
            shown.close()
            await then()

        with foot:
            button(words.CANCEL, shown.close)
            button(words.REPLAY, go, icon="replay", kind="primary", mark="replay-go")


def ask_to_discard(
    studio: Studio, then: Callable[[str, int], Awaitable[None]], *, count: int, group: str | None = None, run: str | None = None
) -> None:
    """Ask why failures are put away; `then` gets the name of that act, for its undoing, and how many those were."""

    async def put_away(reason: str) -> None:
        await then(*await studio.failures.discard(group=group, runs=None if run is None else [run], reason=reason))

    ask_text(
        words.discard_all(count) if group else words.DISCARD_ONE,
        label=words.DISCARD_REASON,
        sentence=words.DISCARD_TEXT,
        do=words.DISCARD,
        action=put_away,
    )


def show_replays(studio: Studio, replays: Sequence[Replay], then: Then) -> None:
    """Show how far replays are; one that runs can be cancelled."""
    now = studio.clock.now()
    with box("tr-card tr-list tr-list--replays"):
        for replay in replays:
            with box("tr-list__row").mark(f"replay-{replay.id}"):
                with row():
                    look = {"running": "running", "done": "succeeded"}.get(replay.state, "cancelled")
                    Pill(look, words.REPLAY_STATES[replay.state])
                with box("tr-col"):
                    text(words.replay_progress(replay.finished, replay.total, dict(replay.counts)), "tr-num tr-clip")
                    _bar(replay)
                text(f"{words.REPLAY_FROMS[replay.start].partition(':')[0]} · {replay.created_by}", "tr-muted tr-clip")
                text(moments.ago(replay.created_at, now), "tr-muted").tooltip(moments.full(replay.created_at))
                with row("tr-list__acts"):
                    if replay.state == "running":
                        cancel = guarded(partial(_cancel, studio, replay.id, then))
                        button(words.CANCEL_REPLAY, cancel, icon="stop", small=True, mark="cancel-replay")


def _bar(replay: Replay) -> None:
    total = max(1, replay.total)
    with box("tr-meter").props("role=progressbar aria-valuemin=0") as made:
        made.props["aria-valuemax"], made.props["aria-valuenow"] = replay.total, replay.finished
        made.props["aria-label"] = words.REPLAYS
        for state in ("succeeded", "failed", "cancelled", "skipped"):
            if count := replay.counts.get(state, 0):  # type: ignore[call-overload]
                box("tr-meter__part").style(f"width: {100 * count / total:.2f}%").props["data-state"] = state


async def _cancel(studio: Studio, replay_id: str, then: Then) -> None:
    await studio.failures.cancel_replay(replay_id)
    await then()
