"""Changes outside that were made already: what a person is asked about them, and what was done, item by item."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.errors import BadRequest, TreadleError

from .. import moments, words
from ..notices import guarded
from .dialogs import dialog
from .parts import box, button, row, text

if TYPE_CHECKING:
    from engine.model.run import Run
    from engine.service import Studio

SHOWN = 200


def steps_to_decide(error: Exception) -> Sequence[Mapping[str, Any]]:
    """Return the steps an error wants a choice for; none for any other error."""
    if not isinstance(error, TreadleError) or error.code != "effects_to_decide":
        return ()
    steps: Any = error.where.get("steps", ())
    return steps


def ask_about_effects(steps: Sequence[Mapping[str, Any]], action: Callable[[str], Awaitable[None]]) -> None:
    """Ask whether steps that changed something outside shall do so again (`again`), or describe it (`dry`)."""
    with dialog(words.EFFECTS_DONE) as (shown, foot):
        for step in steps:
            text(words.effects_of(str(step["title"]), int(step["done"])), "tr-muted", tag="p")

        async def go(choice: str) -> None:
            shown.close()
            await guarded(action)(choice)

        with foot:
            button(words.CANCEL, shown.close)
            button(words.EFFECTS_DRY, lambda: go("dry"), mark="effects-dry")
            button(words.EFFECTS_AGAIN, lambda: go("again"), kind="primary", mark="effects-again")


def ask_to_fork(studio: Studio, run: Run, node: str | None, label: str) -> None:
    """Ask how a run is to be gone on from at a step: with which data and document, and what becomes of changes outside."""
    with dialog(words.fork_title(label)) as (shown, foot):
        text(words.FORK_TEXT, "tr-muted", tag="p")
        use = ui.select(words.FORK_USES, value="same", label=words.FORK_DOCUMENT).props("outlined dense").mark("fork-use")
        items = ui.textarea(label=words.FORK_ITEMS, placeholder=words.ITEMS_PLACEHOLDER).props("outlined dense autogrow")
        items.mark("fork-items")
        dry = ui.switch(words.FORK_DRY).classes("tr-switch").mark("fork-dry")
        asked = box("tr-col")
        chosen: dict[str, Any] = {}

        @guarded
        async def go() -> None:
            try:
                new = await studio.runs.fork(
                    run.id,
                    at=node,
                    input=items_of(items.value),
                    document=use.value,
                    effects={name: select.value for name, select in chosen.items()},
                    is_dry=bool(dry.value),
                )
            except TreadleError as error:
                if not (steps := steps_to_decide(error)):
                    raise
                asked.clear()
                with asked:
                    text(words.EFFECTS_DONE, "tr-strong")
                    for step in steps:
                        name = words.effects_of(str(step["title"]), int(step["done"]))
                        select = ui.select(words.EFFECT_CHOICES, value="reuse", label=name).props("outlined dense")
                        chosen[str(step["node"])] = select.mark(f"effect-{step['node']}")
                return
            shown.close()
            ui.navigate.to(f"/runs/{new.id}")

        with foot:
            button(words.CANCEL, shown.close)
            button(words.FORK, go, icon="call_split", kind="primary", mark="fork-go")


def items_of(written: str | None) -> Any:
    """Return the items somebody wrote as JSON, None for nothing; raises `BadRequest`."""
    if not (written or "").strip():
        return None
    try:
        return json.loads(written or "")
    except ValueError as error:
        raise BadRequest(words.NOT_ITEMS) from error


async def show_receipts(studio: Studio, run_id: str, node: str, label: str) -> None:
    """Show what a step changed outside, item by item; of an uncertain one, the person can say what becomes of it."""
    page = await studio.runs.receipts(run_id, node, limit=SHOWN)
    with dialog(words.receipts_title(label), wide=True) as (shown, foot):
        if not page.total:
            text(words.NO_RECEIPTS, "tr-muted", tag="p")
        text(" · ".join(f"{count} {words.EFFECT_STATES[state]}" for state, count in page.counts.items()), "tr-strong")
        for receipt in page.receipts:
            with row().mark(f"receipt-{receipt.item}"):
                text("–" if receipt.item is None else f"{receipt.item + 1}", "tr-num tr-muted")
                text(words.EFFECT_STATES[receipt.state], "tr-strong")
                text(moments.full(receipt.at), "tr-faint")
                text(words.attempt(receipt.attempt), "tr-faint")
                text(str((receipt.error or {}).get("message", "")), "tr-clip tr-grow")
                text(receipt.key, "tr-mono tr-faint tr-clip")
                if receipt.state == "uncertain":
                    for decision, name in (("skip", words.DECIDE_SKIP), ("retry", words.DECIDE_RETRY)):
                        button(name, _decide(studio, run_id, node, receipt.item, decision, shown), small=True)
        with foot:
            button(words.CLOSE, shown.close)


def _decide(studio: Studio, run_id: str, node: str, item: int | None, decision: Any, shown: ui.dialog) -> Any:
    @guarded
    async def go() -> None:
        shown.close()
        await studio.runs.decide(run_id, decision, node=node, items=None if item is None else [item])

    return go
