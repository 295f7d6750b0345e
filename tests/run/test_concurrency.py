"""How many runs go at the same time: per workflow, per key, and what becomes of those that find no place."""

import asyncio
from datetime import timedelta

import pytest

from engine.ids import WorkflowId
from engine.model.limits import Concurrency
from engine.model.run import FactKind, RunStatus
from engine.model.waits import Waking
from engine.run import queue as queue_module
from engine.run.payloads import encode_batch
from tests.run.leases import leases, watch_leases
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
SOON = timedelta(seconds=20)


def gated(gate="{{ item.gate }}", **settings):
    """Return a document whose runs stand before a gate."""
    return a_document(
        [START, a_node("wait", "test.wait", gate=gate), a_node("send", "test.send")], "start -> wait -> send", **settings
    )


def by_customer(limit=1, **more):
    """Return a limit for each customer."""
    return Concurrency(limit=limit, key="{{ item.customer }}", **more)


def order(customer, n=0, gate=None):
    """Return the items of a run."""
    return [{"customer": customer, "n": n, "gate": gate or f"{customer}{n}"}]


async def test_each_key_has_its_own_limit(shop):
    """
    One run per customer at a time: the second of one customer waits, another customer's does not.
    """
    watch_leases(shop.store, of_key=1)
    document = gated(concurrency=by_customer())
    first, second, other = (shop.start(document, order(*what)) for what in (("acme", 1), ("acme", 2), ("bolt", 1)))
    assert ["running", "queued", "running"] == [run.status.value for run in (first, second, other)]
    assert ["acme", "acme", "bolt"] == [run.lease_key for run in (first, second, other)]

    shop.outside.gate("acme1").set()
    await until(lambda: ("wait", "acme2") in shop.outside.calls)
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(first.id)).status
    for gate in ("acme2", "bolt1"):
        shop.outside.gate(gate).set()
    await asyncio.gather(*(shop.worker.wait(run.id, SOON) for run in (second, other)))
    assert (0, 0) == await leases(shop.store)


async def test_a_total_bounds_all_keys_together(shop):
    """
    `total` counts the runs of the workflow, whatever their keys.
    """
    document = gated(concurrency=by_customer(total=2))
    runs = [shop.start(document, order(name)) for name in ("a", "b", "c")]
    assert ["running", "running", "queued"] == [run.status.value for run in runs]
    for name in ("a", "b", "c"):
        shop.outside.gate(f"{name}0").set()
    await asyncio.gather(*(shop.worker.wait(run.id, SOON) for run in runs))


async def test_the_newest_is_dropped(shop):
    """
    With `drop_newest` a run that finds no place is over at once, says why, and did nothing.
    """
    document = gated(concurrency=by_customer(when_full="drop_newest"))
    first, second = shop.start(document, order("acme", 1)), shop.start(document, order("acme", 2))
    assert (RunStatus.CANCELLED, "dropped") == (second.status, second.error["code"])
    assert "of the key “acme”" in second.error["message"]
    shop.outside.gate("acme1").set()
    await shop.worker.wait(first.id, SOON)
    assert second == await shop.worker.wait(second.id)
    assert "cancelled" == (await shop.finished(second.id))["status"]
    assert ["acme1"] == shop.outside.seen("wait")
    third = shop.start(document, order("acme", 1))
    assert RunStatus.RUNNING == third.status
    await shop.worker.wait(third.id, SOON)


async def test_the_oldest_gives_way(shop):
    """
    With `cancel_oldest` the oldest of the key is ended for the newest; the limit holds while it comes to its end.
    """
    watch_leases(shop.store, of_key=1)
    document = gated(concurrency=by_customer(when_full="cancel_oldest"))
    runs = [shop.start(document, order("acme", number)) for number in range(4)]
    shop.outside.gate("acme3").set()
    ended = [await shop.worker.wait(run.id, SOON) for run in runs]
    assert ["cancelled", "cancelled", "cancelled", "succeeded"] == [run.status.value for run in ended]
    assert [runs[n + 1].id for n in range(3)] == [run.error["where"]["run"] for run in ended[:3]]
    assert (0, 0) == await leases(shop.store)


async def test_a_woken_run_that_gives_way_waits_for_nothing_any_more(shop):
    """
    A run that was woken and has to give way before it goes on leaves no step behind that waits (histories 188 and 283).
    """
    document = a_document(
        [START, a_node("pause", "flow.wait", signal="go")],
        "start -> pause",
        concurrency=Concurrency(limit=1, when_full="cancel_oldest"),
    )
    first = shop.start(document, order("acme"))
    await shop.worker.wait(first.id)
    (waiting,) = await shop.store.read(lambda work: work.waits.of_run(first.id))
    waking = Waking(how="signal", at=shop.clock.now())
    await shop.store.write(lambda work: work.waits.wake(waiting.run_id, waiting.node, waiting.scope, waking))
    await shop.worker.run_once()
    second = shop.start(document, order("bolt"))

    over = await shop.worker.wait(first.id, SOON)
    assert (RunStatus.CANCELLED, "superseded", second.id) == (over.status, over.error["code"], over.error["where"]["run"])
    assert [] == await shop.store.read(lambda work: work.waits.of_run(first.id))
    steps = await shop.store.read(lambda work: work.runs.facts(first.id))
    assert ("pause", FactKind.STEP_CANCELLED) == (steps[-1].node, steps[-1].kind)


async def test_a_key_that_cannot_be_computed_is_told(shop):
    """
    The run fails before its first step, with the setting named.
    """
    document = gated(concurrency=Concurrency(limit=1, key="{{ item.customer.id + 1 }}"))
    run = await shop.worker.wait(shop.start(document, order("acme")).id)
    assert (RunStatus.FAILED, "bad_input") == (run.status, run.error["code"])
    assert "settings.concurrency.key" == run.error["where"]["field"]


async def test_a_run_that_is_cancelled_gives_its_lease_back(shop):
    """
    The next one goes on as soon as it has let go.
    """
    watch_leases(shop.store, of_key=1)
    document = gated(concurrency=1)
    first, second = shop.start(document, order("a")), shop.start(document, order("b"))
    await until(lambda: shop.outside.seen("wait"))
    await shop.worker.cancel(first.id)
    await until(lambda: len(shop.outside.seen("wait")) == 2)
    shop.outside.gate("b0").set()
    await shop.worker.wait(second.id, SOON)
    assert (0, 0) == await leases(shop.store)


async def test_what_does_not_fit_the_window_is_a_row(shop, monkeypatch):
    """
    Of five hundred queued runs a handful stands in memory; all are done, in their order, and those who wait for one are told.
    """
    monkeypatch.setattr(queue_module, "WINDOW", 8)
    monkeypatch.setattr(queue_module, "LOW", 4)
    document = gated(gate="all", concurrency=2)
    runs = [shop.start(document, order("x", n), workflow_id=WorkflowId("wf_1")) for n in range(500)]
    assert (10, 498) == (len(shop.worker._flights), shop.worker.waiting)
    waiting = asyncio.create_task(shop.worker.wait(runs[-1].id))
    assert RunStatus.CANCELLED == (await shop.worker.cancel(runs[250].id)).status
    shop.outside.gate("all").set()
    assert RunStatus.SUCCEEDED == (await waiting).status
    await until(lambda: not shop.worker._flights)
    sent = shop.outside.seen("send")
    assert set(range(500)) - {250} == set(sent)
    assert 499 == len(sent)
    assert sum(abs(place - n) for place, n in enumerate(sent)) < 4 * 500
    assert 0 == shop.worker.waiting


async def test_priority_goes_first(shop):
    """
    Of those that wait, the more urgent goes first, also when it came last; the start's own word counts before the workflow's.
    """
    document = gated(gate="all", concurrency=1, priority=3)
    first = shop.start(document, order("x", 0))
    runs = [shop.start(document, order("x", n)) for n in (1, 2)]
    runs.append(shop.worker.submit(a_run_of(shop, document), document, order("x", 9), priority=50))
    assert [3, 3, 3, 50] == [run.priority for run in (first, *runs)]
    shop.outside.gate("all").set()
    await asyncio.gather(*(shop.worker.wait(run.id, SOON) for run in runs))
    assert [0, 9, 1, 2] == shop.outside.seen("send")


def a_run_of(shop, document):
    """Return a run that was not started."""
    from tests.run.workshop import a_run

    return a_run(document, shop.clock)


async def test_another_workflow_does_not_wait_behind_a_long_line(make_workshop):
    """
    One workflow with thousands of queued runs and all the slots it can get: another's run starts at once.
    """
    shop = await make_workshop(slots=16)
    crowd, other = gated(gate="crowd"), gated(gate="other")
    for n in range(3000):
        shop.start(crowd, order("x", n), workflow_id=WorkflowId("wf_crowd"))
    assert 14 == shop.worker.running
    assert RunStatus.RUNNING == shop.start(other, order("y"), workflow_id=WorkflowId("wf_other")).status
    shop.outside.gate("other").set()
    await until(lambda: ("went", "other") in shop.outside.calls)
    await shop.worker.stop()
    await shop.store.stop()


async def test_leases_survive_and_are_neither_doubled_nor_lost(make_workshop, tmp_path):
    """
    After a restart the runs that held a lease go on first, and the others wait for them as before.
    """
    where, document = str(tmp_path / "treadle.db"), gated(concurrency=by_customer(limit=2))
    life = await make_workshop(where, grace=timedelta(seconds=0))
    watch_leases(life.store, of_key=2)
    ids = [
        life.start(document, order(("acme", "bolt")[n % 2], n, "all"), workflow_id=WorkflowId("wf_1"), is_test=True).id
        for n in range(20)
    ]
    await until(lambda: len(life.outside.seen("wait")) == 4)
    await life.worker.stop()
    assert (0, 4) == await leases(life.store)
    await life.store.stop()

    life.outside.calls.clear()
    life = await make_workshop(where)
    await until(lambda: len(life.outside.seen("wait")) == 4)
    assert (0, 4) == await leases(life.store)
    assert 4 == life.worker.running
    life.outside.gate("all").set()
    ended = await asyncio.gather(*(life.worker.wait(run_id, SOON) for run_id in ids))
    assert {RunStatus.SUCCEEDED} == {run.status for run in ended}
    assert (0, 0) == await leases(life.store)
    await life.worker.stop()
    await life.store.stop()


async def test_a_run_queued_by_somebody_else_counts_by_its_key(shop):
    """
    A run that was put into the store without a key is counted by it all the same.
    """
    watch_leases(shop.store, of_key=1)
    document = gated(concurrency=by_customer())
    first = shop.start(document, order("acme", 1))
    other = a_run_of(shop, document)
    await shop.store.write(lambda work: work.runs.add(other, input=encode_batch(order("acme", 2)), document=document))
    await shop.worker.run_once()
    assert "acme" == (await shop.store.read(lambda work: work.runs.get(other.id))).lease_key
    assert ["acme1"] == shop.outside.seen("wait")
    for gate in ("acme1", "acme2"):
        shop.outside.gate(gate).set()
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(other.id, SOON)).status
    await shop.worker.wait(first.id, SOON)
    assert (0, 0) == await leases(shop.store)
