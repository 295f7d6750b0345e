"""Steps in time: one bar per step, from its start to its end, in the order they began."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from nicegui.element import Element

from engine.model.run import Run, Step

from .. import moments, words
from ..passes import Passes
from .parts import box, empty, text

MOST = 300  # bars on one page; a run with more steps shows the first ones and says so


class Timeline:
    """A small Gantt chart; a click on a bar chooses its step."""

    def __init__(self, on_choose: Callable[[str], Any]) -> None:
        self._on_choose = on_choose
        self._root = box("tr-gantt").mark("timeline")
        self._bars: dict[str, Element] = {}
        self._chosen: str | None = None

    def show(self, run: Run, ran: Sequence[Passes], label: Callable[[str], str], now: datetime) -> None:
        """Draw the steps of a run; bars of steps under way end now. A step in passes of a loop has one bar."""
        steps = [one.whole for one in ran]
        self._root.clear()
        self._bars.clear()
        began, span = extent(run, steps, now)
        with self._root:
            if not steps:
                empty("hourglass_empty", words.NO_STEPS_YET, words.NO_STEPS_YET_TEXT, small=True)
            for one in ran[:MOST]:
                step = one.whole
                line = box("tr-gantt__row", tag="button").props("type=button").mark(f"bar-{step.node}")
                line.props["data-state"] = str(step.status)
                line.on("click", lambda _, node=step.node: self._on_choose(node))
                took = moments.between(step.started_at, step.finished_at)
                with line:
                    box("tr-gantt__dot")
                    text(label(step.node), "tr-gantt__name tr-clip")
                    with box("tr-gantt__track"):
                        left, width = place(step, began, span, now)
                        bar = box("tr-gantt__bar")
                        bar.style(f"left: {left:.2f}%; width: max(3px, {width:.2f}%)")
                    detail = words.state(str(step.status)) if step.status == "skipped" else moments.span(took)
                    if len(one) > 1:
                        detail = words.passes(len(one), one.failed)
                    elif step.attempts > 1:
                        detail += f" · {words.plural(step.attempts, 'try', 'tries')}"
                    text(detail, "tr-gantt__took tr-num")
                self._bars[step.node] = line
            if len(steps) > MOST:
                text(words.more_steps(len(steps) - MOST), "tr-muted tr-small")
        self.choose(self._chosen)

    def choose(self, node: str | None) -> None:
        """Mark one step."""
        for name, line in self._bars.items():
            line.classes(add="tr-gantt__row--on") if name == node else line.classes(remove="tr-gantt__row--on")
        self._chosen = node


def extent(run: Run, steps: Sequence[Step], now: datetime) -> tuple[datetime, float]:
    """Return when the first thing happened and how many milliseconds there are to draw (never 0)."""
    starts = [moment for moment in (run.started_at, *(step.started_at for step in steps)) if moment]
    ends = [moment for moment in (run.finished_at, *(step.finished_at for step in steps)) if moment]
    if not run.status.is_final:
        ends.append(now)
    began = min(starts, default=run.queued_at)
    return began, max(1.0, moments.between(began, max(ends, default=began)) or 1.0)


def place(step: Step, began: datetime, span: float, now: datetime) -> tuple[float, float]:
    """Return where the bar begins and how wide it is, in percent of the track."""
    if step.started_at is None:
        return 0.0, 0.0
    start = moments.between(began, step.started_at) or 0.0
    end = moments.between(began, step.finished_at or now) or 0.0
    left = min(100.0, max(0.0, start / span * 100))
    return left, min(100.0 - left, max(0.0, (end - start) / span * 100))
