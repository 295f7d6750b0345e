"""
The effect ledger of one try at an each-action that writes: what is about to be done outside, and what came of it, item by item.

An intent is on disk before its item is called; a receipt (what the item gave, or why it failed) is written when the call comes
back. Both of a step are gathered: whatever piled up while one lot was on its way to the disk goes with the next, as one line
of the journal (`effects`). One item after the other therefore costs one line and one commit per item, since the receipt of an
item travels with the intent of the next; many at a time share both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import TreadleError
from engine.model.items import Batch
from engine.model.run import FactKind

from .partial import encode_partial

if TYPE_CHECKING:
    from .calling import Calling, Calls
    from .execution import Execution


class Ledger:
    """
    Writes the intents and receipts of one try; `calls` is where the receipts are found.

    `told` is the item whose intent stands in the journal already (with the line that says that the step began). An action that
    writes nothing outside keeps no intents (`has_intents`); what it gave is written down when the step pauses or stops.
    """

    __slots__ = (
        "_begun", "_calling", "_calls", "_execution", "_going", "_next", "_settled", "has_intents", "is_shared", "is_stopped",
        "told",
    )  # fmt: skip

    def __init__(self, calling: Calling, execution: Execution, calls: Calls, *, told: int | None) -> None:
        self.has_intents = calling.planned.writes
        self.is_shared = False
        self.is_stopped = False
        self.told = told
        self._calling, self._execution, self._calls = calling, execution, calls
        self._begun: list[int] = []
        self._settled: list[int] = []
        self._going: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def begin(self, index: int) -> None:
        """
        Return when the disk knows that this item is about to be done.

        Raises `CancelledError` when the worker stops or the run ends early: what is begun then would not be sure to come to
        its end, and the items that are left are for the next life of the program.
        """
        if not self.has_intents or index == self.told:
            return
        if self._execution.env.is_stopping or self._execution.is_ending:
            self.is_stopped = True
            raise asyncio.CancelledError("no further item is begun")
        self._begun.append(index)
        if self.is_shared:
            await asyncio.shield(self._soon())
        else:
            self._write()
            await self._execution.reach_disk()

    def settle(self, index: int) -> None:
        """Say that an item is in `calls.done` or `calls.failed` now."""
        self._settled.append(index)
        if self.is_shared and self.has_intents:
            self._soon()

    def close(self) -> None:
        """
        Write the receipts that are still here, once, after the last item or in the middle of things; nothing is begun any more.

        The receipt of a step's only item is the line that settles the step, which follows.
        """
        for task in (self._going, self._next):
            if task is not None:
                task.cancel()
        self._going = self._next = None
        self._begun.clear()
        if self.has_intents and len(self._calling.batch) > 1:
            self.write_receipts()

    def write_receipts(self) -> None:
        """Write the receipts that are not in the journal yet."""
        if self._settled:
            self._write()

    def _soon(self) -> asyncio.Task[None]:
        """Return the task that will write what is here by the time the lot before it is on disk."""
        if self._next is None:
            self._next = asyncio.create_task(self._write_lot(self._going), name=f"{self._calling.planned.id} ledger")
        return self._next

    async def _write_lot(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait((before,))
        self._going, self._next = self._next, None
        self._write()
        await self._execution.reach_disk()

    def _write(self) -> None:
        begun, settled = self._begun, self._settled
        self._begun, self._settled = [], []
        payload = self._payload(settled) if settled else None
        calls = self._calls
        summary: dict[str, Any] = {}
        if begun:
            summary["begun"] = begun
        if done := [index for index in settled if index in calls.done]:
            summary["done"] = done
        if failed := {str(index): as_failure(calls.failed[index]) for index in settled if index in calls.failed}:
            summary["failed"] = failed
        if summary:
            self._execution.record(
                FactKind.EFFECTS, self._calling.planned, attempt=self._calling.attempt, summary=summary, payload=payload
            )

    def _payload(self, settled: Collection[int]) -> bytes | None:
        """Return what these items gave; one that cannot be written down counts as failed, for it has no receipt to show."""
        calls = self._calls
        done: Mapping[int, Mapping[str, Batch]] = {index: calls.done[index] for index in settled if index in calls.done}
        if not done:
            return None
        try:
            return encode_partial(done)
        except TreadleError:
            for index, parts in done.items():
                try:
                    encode_partial({index: parts})
                except TreadleError as error:
                    del calls.done[index]
                    calls.failed[index] = error
            kept = {index: parts for index, parts in done.items() if index in calls.done}
            return encode_partial(kept) if kept else None


def as_failure(error: TreadleError) -> dict[str, Any]:
    """Return a failure as the ledger keeps it; `StoredFailure` is its way back."""
    after = getattr(error, "retry_after", None)
    return {
        "error": error.as_dict(),
        **({"again": True} if error.retryable else {}),
        **({"after": after.total_seconds()} if after is not None else {}),
    }
