"""The runs one run belongs to: who called it, up to the first of them, and whom it called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import NotFound
from engine.model.run import FINAL, Run

from .. import moments, words
from .parts import Pill, box, link, text

if TYPE_CHECKING:
    from engine.service import Studio

HIGHEST = 20
"""How many callers above a run are shown."""
MOST = 100
"""How many called runs are shown."""


class Family:
    """A tree of runs with their states; it hides where a run neither called another nor was called."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._shown: tuple[Sequence[Run], Run, Sequence[Run]] | None = None
        self._title = text(words.FAMILY, "tr-run__title", tag="h2")
        self._body = box("tr-family").mark("family")
        self._title.set_visibility(False)

    @property
    def ids(self) -> frozenset[str]:
        """The other runs that are shown."""
        return frozenset(run.id for run in self._others())

    @property
    def is_open(self) -> bool:
        """Whether one of the others is not over."""
        return any(run.status not in FINAL for run in self._others())

    async def load(self, run: Run) -> None:
        """Read who belongs to this run and draw them, unless nothing moved."""
        above: list[Run] = []
        here = run
        while here.parent_run_id is not None and len(above) < HIGHEST:
            try:
                here = await self._studio.runs.get(here.parent_run_id)
            except NotFound:  # a caller that was cleared away before the run it called
                break
            above.insert(0, here)
        below = await self._studio.runs.children(run.id, limit=MOST + 1)
        if self._shown != (read := (above, run, below)):
            self._shown = read
            self._show(above, run, below)

    def _others(self) -> Sequence[Run]:
        return () if self._shown is None else (*self._shown[0], *self._shown[2])

    def _show(self, above: Sequence[Run], run: Run, below: Sequence[Run]) -> None:
        self._body.clear()
        self._title.set_visibility(bool(above or below))
        if not above and not below:
            return
        with self._body:
            for depth, one in enumerate(above):
                _row(one, depth)
            _row(run, len(above), is_here=True)
            for one in below[:MOST]:
                _row(one, len(above) + 1)
            if len(below) > MOST:
                text(words.MORE_CALLED_RUNS, "tr-muted")


def _row(run: Run, depth: int, *, is_here: bool = False) -> None:
    with box("tr-family__row").style(f"--depth: {depth}").mark(f"family-{run.id}"):
        Pill(str(run.status))
        if is_here:
            text(run.workflow_name, "tr-strong tr-clip")
            text(words.THIS_RUN, "tr-tag")
        else:
            with link(f"/runs/{run.id}", "tr-clip"):
                text(run.workflow_name)
        box("tr-grow")
        text(moments.span(run.duration_ms), "tr-muted tr-num")
