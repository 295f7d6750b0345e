"""What is old enough goes."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import ManualClock
from engine.errors import NotFound
from engine.ids import NodeId, VersionId, new_run_id
from engine.maintenance.periodic import PeriodicService
from engine.maintenance.pruner import AT_ONCE, Pruner
from engine.model.run import Run, RunStatus
from engine.store import open_store

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_run(*, ended: timedelta | None):
    at = NOW - (ended or timedelta(days=400))
    return Run(
        id=new_run_id(at),
        workflow_id=None,
        workflow_name="Old work",
        version_id=VersionId("v"),
        status=RunStatus.RUNNING if ended is None else RunStatus.SUCCEEDED,
        trigger="manual",
        start_node=NodeId("start"),
        queued_at=at,
        started_at=at,
        finished_at=None if ended is None else at,
    )


async def test_old_runs_go_and_open_ones_stay(tmp_path):
    """
    More old runs than one transaction takes are removed; yesterday's and one that never ended are still there.
    """
    store = open_store("sqlite://", clock=ManualClock(NOW), blobs_dir=tmp_path)
    async with store:
        old = [a_run(ended=timedelta(days=91)) for _ in range(AT_ONCE + 5)]
        kept = [a_run(ended=timedelta(days=1)), a_run(ended=None)]
        await store.write(lambda work: [work.runs.add(run, input=b"") for run in [*old, *kept]])
        pruned = await Pruner(store, ManualClock(NOW), keep=timedelta(days=90)).run_once()
        assert len(old) == pruned.runs
        assert [run.id for run in kept] == [await store.read(lambda work, run=run: work.runs.get(run.id).id) for run in kept]
        with pytest.raises(NotFound):
            await store.read(lambda work: work.runs.get(old[0].id))


async def test_a_round_that_fails_does_not_end_the_service(caplog):
    """
    The next round comes all the same; starting and stopping twice are harmless.
    """
    rounds = asyncio.Queue()

    class Shaky(PeriodicService):
        interval = timedelta(milliseconds=1)

        async def run_once(self):
            self.count = getattr(self, "count", 0) + 1
            rounds.put_nowait(self.count)
            if self.count == 1:
                raise ValueError("a bad day")

    service = Shaky()
    with caplog.at_level(logging.ERROR):
        await service.start()
        await service.start()
        async with asyncio.timeout(5):
            await rounds.get()
            await rounds.get()
        await service.stop()
        await service.stop()
    assert ["a round of maintenance failed"] == [record.message for record in caplog.records]
