"""Leases in the store: a claim keeps the limit in its own transaction, whoever else claims at the same time."""

import asyncio
from datetime import timedelta

import pytest

from engine.clock import SystemClock
from engine.errors import NoPlace
from engine.events.bus import EventBus
from engine.ids import WorkflowId
from engine.model.limits import Concurrency
from engine.model.run import RunStatus
from engine.protocols import QueueWish
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.store import open_store
from tests.run.leases import leases, stop_watching, watch_leases
from tests.run.workshop import Outside, a_document, a_node, a_run, steps

pytestmark = pytest.mark.anyio
TWO_EACH = Concurrency(limit=2, key="{{ item.customer }}", total=3)


async def test_a_claim_takes_a_lease_or_says_that_there_is_none(store, make, clock):
    """
    Two per key and three in all; what ends gives its lease back, and a run that holds one needs no second.
    """
    runs = [make.run(lease_key=key) for key in ("acme", "acme", "acme", "bolt", "bolt")]
    for run in runs:
        await store.write(lambda work, run=run: work.runs.add(run, input=b"[]"))

    async def claim(run):
        try:
            found = await store.write(lambda work: work.runs.claim(run.id, now=clock.now(), limits=TWO_EACH))
        except NoPlace:
            return None
        return found.status.value

    assert ["running", "running", None, "running", None] == [await claim(run) for run in runs]
    assert "running" == await claim(runs[0])
    await store.write(lambda work: work.runs.request_cancel(runs[0].id))
    first = await store.read(lambda work: work.runs.get(runs[0].id))
    store.journal.finish(ended(first))
    await store.journal.barrier()
    assert ["running", None] == [await claim(runs[2]), await claim(runs[4])]


def ended(run):
    """Return the run as cancelled."""
    from dataclasses import replace

    return replace(run, status=RunStatus.CANCELLED, finished_at=run.queued_at)


async def test_keys_take_turns_in_the_store(store, make):
    """
    Who is next goes from key to key, behind the last one and once around; of a key the most urgent and oldest first.
    """
    keys = ["a", "a", "b", "c", "c", "c"]
    runs = [make.run(lease_key=key, priority=number == 1) for number, key in enumerate(keys)]
    for run in runs:
        await store.write(lambda work, run=run: work.runs.add(run, input=b"[]"))
    number = {run.id: index for index, run in enumerate(runs)}

    async def ask(wanted, cursor="", room=1, known=None):
        wish = QueueWish(line="wf_orders", wanted=wanted, cursor=cursor, room=lambda key: room, known=known or {})
        found = await store.read(lambda work: work.runs.next_queued(wish))
        return [number[run.id] for run in found.runs], found.is_all, found.has_rest

    assert ([1, 2, 3], True, True) == await ask(9)
    assert ([3, 1, 2], True, True) == await ask(9, cursor="b")
    assert ([1, 0, 2, 3, 4, 5], True, False) == await ask(9, room=9)
    assert ([1, 2], False, True) == await ask(2)
    assert ([0, 2, 3], True, True) == await ask(9, known={"a": {runs[1].id}})
    assert {"wf_orders": (6, 1)} == dict(await store.read(lambda work: work.runs.count_queued()))


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_two_programs_keep_a_limit_together(store, store_url, tmp_path):
    """
    Two workers claim runs of one PostgreSQL database: everything is done once, and no limit is passed at any moment.
    """
    watch_leases(store, of_key=2, of_line=3)
    document = a_document(
        [a_node("start", "trigger.manual"), a_node("send", "test.send")], "start -> send", concurrency=TWO_EACH
    )
    clock, outside = SystemClock(), Outside()
    catalog = Catalog([*builtin_steps(), *steps(outside)])
    other = open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs", exclusive=False)
    await other.start()
    workers = [
        Worker(one, catalog, clock, EventBus(), files=None, http=None, folders=OneFolder(tmp_path), is_alone=False)
        for one in (store, other)
    ]
    for worker in workers:
        worker.interval = timedelta(milliseconds=20)
        await worker.start()
    runs = [
        workers[number % 2].submit(
            a_run(document, clock, workflow_id=WorkflowId("wf_both")), document, [{"customer": "abc"[number % 3], "n": number}]
        )
        for number in range(40)
    ]
    async with asyncio.timeout(50):
        ended_runs = [await workers[number % 2].wait(run.id) for number, run in enumerate(runs)]
    passed, held = await leases(store)
    for worker in workers:
        await worker.stop()
    await other.stop()
    stop_watching(store)
    assert {RunStatus.SUCCEEDED} == {run.status for run in ended_runs}
    assert sorted(range(40)) == sorted(outside.seen("send"))
    assert (0, 0) == (passed, held)
