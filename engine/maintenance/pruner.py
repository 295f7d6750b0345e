"""What is old enough goes: first the data of runs, later the runs, and more of both while the disk is fuller than it may be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from engine.clock import Clock
from engine.ids import WorkflowId
from engine.maintenance.periodic import PeriodicService
from engine.model.codec import parse_document
from engine.model.run import RunStatus
from engine.model.workflow import Keep
from engine.protocols import Store, UnitOfWork

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Runs per transaction: few enough that nobody waits for the writer."""

PAGES_AT_ONCE: Final = 500
WELL: Final = (RunStatus.SUCCEEDED, RunStatus.CANCELLED)


class Sweeping(Store, Protocol):
    """A store that can tell which files nobody needs any more, and how much it takes."""

    async def sweep_blobs(self) -> tuple[int, int]:
        """Remove them; returns how many and their bytes."""

    async def used(self) -> int:
        """Return the bytes that runs take."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs went, how many lost their data alone, and how many files with how many bytes went."""

    runs: int = 0
    files: int = 0
    bytes: int = 0
    trimmed: int = 0


class Pruner(PeriodicService):
    """
    Removes what each workflow's policy (`settings.keep`) lets go; where it says nothing, what is given here holds.

    `keep` is how long runs stay, `usual` the rest of the policy. While runs take more than `quota` bytes, the data of the
    oldest goes first, then the oldest runs. A run that is not over, or that an open run needs, is never touched. Signals that
    were kept for whoever would wait go when their time is over.
    """

    interval = timedelta(hours=1)
    delay = timedelta(minutes=2)

    def __init__(
        self, store: Sweeping, clock: Clock, *, keep: timedelta, usual: Keep | None = None, quota: int | None = None
    ) -> None:
        super().__init__()
        self._store, self._clock, self._keep, self._quota = store, clock, keep, quota
        self._usual = usual or Keep()
        self.is_over_quota = False

    async def run_once(self) -> Pruned:
        """Remove what is old enough by now, in slices between which others get their turn."""
        policies, known = await self._store.read(_policies)
        own = tuple(policies)
        runs = await self._remove_old(None, own, self._usual)
        trimmed = await self._trim_old(None, own, self._usual)
        for workflow_id in known:
            keep = _over(policies.get(workflow_id, Keep()), self._usual)
            if workflow_id in policies:
                runs += await self._remove_old(workflow_id, (), keep)
                trimmed += await self._trim_old(workflow_id, (), keep)
            if keep.runs is not None:
                runs += await self._keep_newest(workflow_id, keep)
        more_runs, more_trimmed = await self._fit_quota()
        runs, trimmed = runs + more_runs, trimmed + more_trimmed
        await self._in_slices(lambda work: work.retention.drop_orphans(), None)
        await self._store.write(lambda work: work.signals.drop_expired(self._clock.now()))
        files, size = await self._store.sweep_blobs()
        if runs or trimmed:
            await self._give_back()
        if runs or files or trimmed:
            log.info("old runs removed", extra={"runs": runs, "trimmed": trimmed, "files": files, "bytes": size})
        return Pruned(runs, files, size, trimmed)

    async def _remove_old(self, workflow_id: WorkflowId | None, not_of: Collection[WorkflowId], keep: Keep) -> int:
        days = self._keep if keep.days is None else timedelta(days=keep.days)
        failed = days if keep.failed_days is None else timedelta(days=keep.failed_days)
        now = self._clock.now()
        which: dict[str, Any] = {"workflow_id": workflow_id, "not_of": not_of}
        if failed == days:
            return await self._remove(before=now - days, **which)
        well = await self._remove(before=now - days, statuses=WELL, **which)
        return well + await self._remove(before=now - failed, statuses=(RunStatus.FAILED,), **which)

    async def _keep_newest(self, workflow_id: WorkflowId, keep: Keep) -> int:
        assert keep.runs is not None
        count = keep.runs
        last = await self._store.read(lambda work: work.retention.nth_newest(workflow_id, count))
        if last is None:
            return 0
        statuses = WELL if keep.failed_days is not None else ()  # failed ones have a time of their own
        return await self._remove(workflow_id=workflow_id, older_than=last, statuses=statuses)

    async def _trim_old(self, workflow_id: WorkflowId | None, not_of: Collection[WorkflowId], keep: Keep) -> int:
        if keep.payload_days is None:
            return 0
        before = self._clock.now() - timedelta(days=keep.payload_days)
        return await self._trim(before=before, workflow_id=workflow_id, not_of=not_of)

    async def _fit_quota(self) -> tuple[int, int]:
        """Take away the oldest until all of it fits; returns how many runs went and how many lost their data."""
        runs = trimmed = 0
        self.is_over_quota = False
        while self._quota is not None and await self._store.used() > self._quota:
            if slimmer := await self._trim(most=AT_ONCE):
                trimmed += slimmer
            elif gone := await self._remove(most=AT_ONCE):
                runs += gone
            else:
                self.is_over_quota = True
                log.warning("more is kept than the quota allows, and none of it may go", extra={"quota": self._quota})
                break
        return runs, trimmed

    async def _give_back(self) -> None:
        """Let the file shrink, in slices, as long as that makes it smaller."""
        before: int | None = None
        while (free := await self._store.write(lambda work: work.retention.give_back(PAGES_AT_ONCE))) and free != before:
            before = free
            await asyncio.sleep(0)

    async def _remove(self, *, most: int | None = None, **which: Any) -> int:
        def slice_of(work: UnitOfWork) -> int:
            return work.retention.remove(work.retention.find_over(limit=AT_ONCE, **which))

        return await self._in_slices(slice_of, most)

    async def _trim(self, *, most: int | None = None, **which: Any) -> int:
        now: datetime = self._clock.now()

        def slice_of(work: UnitOfWork) -> int:
            return work.retention.drop_data(work.retention.find_over(limit=AT_ONCE, with_data=True, **which), at=now)

        return await self._in_slices(slice_of, most)

    async def _in_slices(self, slice_of: Any, most: int | None) -> int:
        count = 0
        while gone := int(await self._store.write(slice_of)):
            count += gone
            if most is not None and count >= most:
                break
            await asyncio.sleep(0)
        return count


def _policies(work: UnitOfWork) -> tuple[Mapping[WorkflowId, Keep], list[WorkflowId]]:
    """Return the workflows that say how long their runs stay, and all there are."""
    found: dict[WorkflowId, Keep] = {}
    for workflow_id, text in work.retention.drafts().items():
        document = parse_document(text).document
        if document is not None and document.settings.keep is not None:
            found[workflow_id] = document.settings.keep
    for workflow_id, document in work.retention.documents().items():
        if document.settings.keep is not None:
            found[workflow_id] = document.settings.keep
    return found, work.retention.workflow_ids()


def _over(own: Keep, usual: Keep) -> Keep:
    """Return a workflow's own policy, with what it leaves open from the usual one."""
    return Keep(
        days=own.days if own.days is not None else usual.days,
        runs=own.runs if own.runs is not None else usual.runs,
        failed_days=own.failed_days if own.failed_days is not None else None if own.days is not None else usual.failed_days,
        payload_days=own.payload_days if own.payload_days is not None else usual.payload_days,
    )
