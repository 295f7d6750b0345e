"""Callers that nobody woke, as a bug while a run's end is settled would leave them: they are found, and go on."""

import asyncio
from datetime import timedelta

import pytest

from engine.maintenance.callers import Callers
from engine.model.run import RunStatus
from engine.store import work as unit_of_work
from tests.service.test_calls import CHILD, caller, children_of, outputs_of
from tests.service.workbench import a_treadle, owner_of

pytestmark = pytest.mark.anyio


async def left_waiting(treadle, studio, monkeypatch, **fields):
    """Return a caller whose first child ended while the part that wakes callers did nothing."""
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per="item", **fields))
    with monkeypatch.context() as patched:
        patched.setattr(unit_of_work, "wake_callers", lambda *given, **more: (set(), False))
        run = await studio.runs.start("Parent", [{"n": n} for n in range(3)])
        async with asyncio.timeout(10):
            while True:
                children = await children_of(treadle, run)
                statuses = {child.status for child in children if child.started_at is not None}
                if statuses == {RunStatus.SUCCEEDED} and (fields or all(child.status.is_final for child in children)):
                    break
                await asyncio.sleep(0.005)
            while (await studio.runs.get(run.id)).status is not RunStatus.WAITING:
                await asyncio.sleep(0.005)
        await treadle.store.journal.barrier()
    return run


@pytest.mark.parametrize("fields", [{}, {"concurrency": 1}], ids=["all are over", "the others are held back"])
async def test_a_caller_that_was_not_woken_goes_on(treadle, studio, outside, monkeypatch, fields):
    """
    It is found by the next look, woken once, and has what its children gave; the look after that finds nothing.
    """
    run = await left_waiting(treadle, studio, monkeypatch, **fields)
    look = Callers(treadle.store)
    assert 1 == await look.run_once()
    over = await treadle.worker.outcome(run.id, timedelta(seconds=10))
    assert RunStatus.SUCCEEDED is over.status
    assert [0, 10, 20] == [item["n"] for item in (await outputs_of(studio, run))["after"]["out"]]
    assert 0 == await look.run_once()


async def test_a_caller_whose_child_is_on_its_way_is_left_alone(treadle, studio, outside):
    """
    A look in the middle of a call changes nothing.
    """
    await studio.workflows.create(CHILD.replace("test.send", "test.wait").replace('    with: {what: "{{ item.n }}"}\n', ""))
    await studio.workflows.create(caller())
    run = await studio.runs.start("Parent", {"n": 1})
    async with asyncio.timeout(10):
        while not await treadle.store.read(lambda work: work.waits.count("child")):
            await asyncio.sleep(0.005)
    assert 0 == await Callers(treadle.store).run_once()
    outside.gate("gate").set()
    assert RunStatus.SUCCEEDED is (await treadle.worker.outcome(run.id, timedelta(seconds=10))).status


async def test_the_next_start_wakes_it(tmp_path, outside, monkeypatch):
    """
    A Treadle that starts looks for such callers before anything else happens to them.
    """
    first = a_treadle(tmp_path, outside, in_memory=False)
    await first.start(triggers=False)
    run = await left_waiting(first, owner_of(first), monkeypatch)
    await first.stop()
    second = a_treadle(tmp_path, outside, in_memory=False)
    await second.start(triggers=False)
    try:
        assert RunStatus.SUCCEEDED is (await second.worker.outcome(run.id, timedelta(seconds=10))).status
    finally:
        await second.stop()
