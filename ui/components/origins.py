"""The way back from a value to its sources, in a small dialog."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from .. import words
from ..notices import guarded
from ..passes import numbers_of
from .data_view import cell_of
from .dialogs import dialog
from .parts import box, button, row, text

if TYPE_CHECKING:
    from engine.run.tracing import Origin

SHOWN = 200


@guarded
async def show_origins(
    read: Callable[[], Awaitable[Sequence[Origin]]],
    *,
    run: str,
    label: Callable[[str], str],
    on_step: Callable[[str, str], Any] | None = None,
) -> None:
    """
    Read the way back and show it.

    A click on a step closes the dialog and calls `on_step` with its node and pass; one of another run than `run`
    opens that run.
    """
    origins = await read()
    with dialog(words.COMES_FROM) as (shown, foot):
        text(words.COMES_FROM_HINT, "tr-muted tr-small", tag="p")
        with box("tr-origins"):
            for number, origin in enumerate(origins[:SHOWN]):

                def go(origin: Origin = origin) -> Any:
                    shown.close()
                    if origin.run_id != run:
                        return ui.navigate.to(f"/runs/{origin.run_id}")
                    return on_step(origin.node, origin.scope) if on_step else None

                line = box("tr-origin", tag="button").props("type=button").mark(f"origin-{number}")
                line.on("click", lambda _, go=go: go())
                with line:
                    with row():
                        text(label(origin.node), "tr-strong tr-clip")
                        text(
                            words.origin_place(origin.port, origin.index, numbers_of(origin.scope)), "tr-muted tr-small tr-num"
                        )
                        box("tr-grow")
                        if origin.run_id != run:
                            text(words.ORIGIN_ELSEWHERE, "tr-tag")
                        text(words.ORIGIN_HOW.get(origin.how, origin.how), "tr-tag")
                    if origin.path:
                        with row():
                            text(origin.path, "tr-mono tr-muted")
                            text(_told(origin.value), "tr-mono tr-clip")
                    if origin.expression:
                        text(f"= {origin.expression}", "tr-mono tr-origin__expression")
        if len(origins) > SHOWN:
            text(words.ORIGINS_CUT, "tr-muted tr-small")
        with foot:
            button(words.CLOSE, shown.close)


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and len(value) < 200 else str(cell_of(value)[0])
