"""What every field editor of one form shares: the node, how to write it, and the item that previews look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.model.problems import Problem

from ...notices import guarded
from ..desk import Desk

if TYPE_CHECKING:
    from engine.expressions import Suggestion
    from engine.service.preview import Preview

    from .expression_input import Mode


class FormContext:
    """One form for one node."""

    def __init__(self, desk: Desk, node_id: str) -> None:
        self.desk, self.node_id = desk, node_id
        self.index = 0
        self.total = 0
        self._previews: list[Callable[[], Awaitable[None]]] = []
        self._on_total: list[Callable[[], None]] = []
        self._on_written: list[Callable[[str, Any], None]] = []

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the node as they stand in the draft."""
        node = self.desk.draft.document.nodes.get(self.node_id)  # type: ignore[call-overload]
        return dict(node.fields) if node else {}

    @guarded
    async def write(self, name: str, value: Any) -> None:
        """Write one field into the draft."""
        for listener in self._on_written:
            listener(name, value)
        await self.desk.set_field(self.node_id, name, value)

    def on_written(self, listener: Callable[[str, Any], None]) -> None:
        """Call `listener` with what this form writes, before it does: so it knows its own changes."""
        self._on_written.append(listener)

    def problems(self, name: str) -> list[Problem]:
        """Return what is wrong with one field."""
        return [problem for problem in self.desk.problems_of(self.node_id) if problem.field == name]

    # ------------------------------------------------------------------ previews
    async def preview(self, source: str, mode: Mode) -> Preview:
        """Compute a text on the item that is looked at."""
        shown = await self.desk.studio.preview.expression(
            self.desk.draft.workflow_id,
            self.node_id,  # type: ignore[arg-type]
            source,
            kind=mode,
            index=self.index,
        )
        if shown.total != self.total:
            self.total = shown.total
            for listener in self._on_total:
                listener()
        return shown

    async def suggest(self, source: str, cursor: int) -> Sequence[Suggestion]:
        """Return what may stand at the cursor."""
        return await self.desk.studio.preview.suggest(self.desk.draft.workflow_id, self.node_id, source, cursor)  # type: ignore[arg-type]

    def on_total(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the number of items to look at is another."""
        self._on_total.append(listener)

    def add_preview(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Remember a preview that follows the chosen item and the newest run."""
        self._previews.append(refresh)

    def drop_preview(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Forget it: its box is gone."""
        if refresh in self._previews:
            self._previews.remove(refresh)

    @property
    def has_previews(self) -> bool:
        """Whether anything here is computed from an item."""
        return bool(self._previews)

    async def look_at(self, index: int) -> None:
        """Preview with another item."""
        self.index = max(0, min(index, max(0, self.total - 1)))
        await self.refresh_previews()

    @guarded
    async def refresh_previews(self) -> None:
        """Compute every preview anew."""
        for refresh in tuple(self._previews):
            await refresh()
        for listener in self._on_total:
            listener()
