"""What is old enough goes."""

import asyncio
import logging
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import ManualClock
from engine.errors import NotFound
from engine.ids import NodeId, VersionId, new_run_id, new_workflow_id
from engine.maintenance.periodic import PeriodicService
from engine.maintenance.pruner import AT_ONCE, Pruner
from engine.model.run import Run, RunStatus
from engine.model.waits import Signal
from engine.model.workflow import Workflow
from engine.protocols import RunFilter
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


async def test_signals_that_nobody_waited_for_go(tmp_path):
    """
    A kept signal is forgotten by the first round after its time is over, and not before.
    """
    store = open_store("sqlite://", clock=ManualClock(NOW), blobs_dir=tmp_path)
    async with store:
        for name, left in (("late", timedelta()), ("early", timedelta(seconds=1))):
            signal = Signal(id=f"sig_{name}", name=name, key="", at=NOW, expires_at=NOW + left, payload=b"[{}]")
            await store.write(lambda work, signal=signal: work.signals.send(signal))
        await Pruner(store, ManualClock(NOW), keep=timedelta(days=90)).run_once()
        assert ["early"] == [signal.name for signal in await store.read(lambda work: work.signals.list_kept())]


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


def a_document(keep):
    return f"treadle: 1\nname: Kept\nnodes:\n  start:\n    use: trigger.manual\nsettings:\n  keep: {keep}\n"


def of(workflow, run, status=None):
    return replace(run, workflow_id=workflow.id, status=status or run.status)


async def workflow_with(store, keep):
    workflow = Workflow(
        id=new_workflow_id(NOW),
        name="Kept",
        draft=a_document(keep),
        revision=1,
        active_version=None,
        created_at=NOW,
        updated_at=NOW,
    )
    await store.write(lambda work: work.workflows.add(workflow))
    return workflow


async def left(store):
    await store.journal.barrier()
    runs = await store.read(lambda work: work.runs.list_page(RunFilter(limit=1000)))
    trimmed = await store.read(lambda work: work.retention.removed_among([run.id for run in runs]))
    return [((NOW - run.queued_at).days, run.status.value, run.id in trimmed) for run in runs]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (
            "{days: 10}",
            [(1, "succeeded", False), (2, "failed", False), (5, "succeeded", False)],
        ),
        (
            "{days: 10, failed_days: 30}",
            [(1, "succeeded", False), (2, "failed", False), (5, "succeeded", False), (20, "failed", False)],
        ),
        ("{runs: 2}", [(1, "succeeded", False), (2, "failed", False)]),
        (
            "{payload_days: 3}",
            [
                (1, "succeeded", False),
                (2, "failed", False),
                (5, "succeeded", True),
                (20, "succeeded", True),
                (20, "failed", True),
                (40, "succeeded", True),
            ],
        ),
    ],
)
async def test_a_workflow_has_its_own_policy(tmp_path, keep, expected):
    """
    Days, days of failures, a number of runs, days of data: what the document says; what it leaves open is as usual.
    """
    async with open_store("sqlite://", clock=ManualClock(NOW), blobs_dir=tmp_path) as store:
        workflow = await workflow_with(store, keep)
        runs = [
            of(workflow, a_run(ended=timedelta(days=days)), status)
            for days, status in (
                (1, None),
                (2, RunStatus.FAILED),
                (5, None),
                (20, None),
                (20, RunStatus.FAILED),
                (40, None),
                (100, None),
            )
        ]
        waiting = of(workflow, a_run(ended=timedelta(days=400)), RunStatus.WAITING)
        stranger = a_run(ended=timedelta(days=50))
        await store.write(lambda work: [work.runs.add(run, input=b"[]") for run in [*runs, waiting, stranger]])
        await Pruner(store, ManualClock(NOW), keep=timedelta(days=90)).run_once()
        found = await left(store)
        assert (400, "waiting", False) in found
        assert (50, "succeeded", False) in found
        own = [one for one in found if one[0] not in (400, 50)]
        assert sorted(expected) == sorted(own)


async def test_a_quota_takes_data_first_and_the_oldest_first(tmp_path):
    """
    Beyond it the oldest runs lose their data and stay listed, the open one keeps its own, and the file shrinks.
    """
    async with open_store(tmp_path / "a.db", clock=ManualClock(NOW), blobs_dir=tmp_path / "blobs") as store:
        runs = [a_run(ended=timedelta(days=number)) for number in range(1, 601)]
        waiting = replace(a_run(ended=timedelta(days=700)), status=RunStatus.WAITING)
        payload = [random.Random(number).randbytes(9_000) for number in range(len(runs))]
        await store.write(lambda work: [work.runs.add(run, input=data) for run, data in zip(runs, payload, strict=True)])
        await store.write(lambda work: work.runs.add(waiting, input=b"needed"))
        before = await store.used()
        pruner = Pruner(store, ManualClock(NOW), keep=timedelta(days=900), quota=before * 2 // 3)
        pruned = await pruner.run_once()
        found = await left(store)
        assert (0, 601) == (pruned.runs, len(found))
        assert await store.used() <= before * 2 // 3
        trimmed = [days for days, _, is_trimmed in found if is_trimmed]
        assert pruned.trimmed == len(trimmed)
        assert 200 <= len(trimmed) < 500
        assert min(trimmed) > max(days for days, status, gone in found if not gone and status == "succeeded")
        assert b"needed" == await store.read(lambda work: work.runs.get_input(waiting.id))
        usage = await store.usage()
        assert usage.database < before * 0.8
        assert not pruner.is_over_quota

        tight = Pruner(store, ManualClock(NOW), keep=timedelta(days=900), quota=1)
        assert 600 == (await tight.run_once()).runs
        assert [(700, "waiting", False)] == await left(store)
        assert tight.is_over_quota
