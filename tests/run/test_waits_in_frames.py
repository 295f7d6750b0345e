"""Waiting in the bodies of frames: each pass parks by itself, is woken by itself, and the frame ends as it would without."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import StoreError
from engine.model.limits import Concurrency
from engine.model.run import FactKind, RunStatus
from engine.model.waits import Signal
from engine.model.workflow import Settings
from tests.run.test_waiting import over
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
NUMBERS = [{"n": 1}, {"n": 2}, {"n": 3}]
KEY = "{{ item.n }}"


def looped(pause, **loop):
    """each pass: pause, then a mark on the item"""
    mark = a_node("mark", "data.set", fields={"fields": {"seen": "loop.index"}})
    edges = "start -> each, each.each -> pause -> mark -> each.next, each.done -> end"
    return a_document([START, a_node("each", "flow.loop", **loop), pause, mark, a_node("end")], edges)


def tried(*body, edges):
    nodes = [START, a_node("guard", "flow.try"), *body, a_node("good"), a_node("bad", "data.set", fields={"fields": {}})]
    return a_document(nodes, f"start -> guard, {edges}, guard.done -> good, guard.caught -> bad")


def a_signal(key):
    nodes = [START, a_node("tell", "flow.signal", signal="'go'", key=f"'{key}'")]
    return a_document(nodes, "start -> tell")


async def facts_of(shop, run, kind, node="pause"):
    await shop.store.journal.barrier()
    found = await shop.store.read(lambda work: work.runs.facts(run.id))
    return [fact for fact in found if fact.kind is kind and fact.node == node]


async def waiting_scopes(shop, run):
    return sorted(row.scope for row in await shop.store.read(lambda work: work.waits.of_run(run.id)) if row.waking is None)


async def ended(shop, run):
    done = await over(shop, run)
    return done, (await shop.finished(run.id))["outputs"]


EXPECTED = {"end": {"out": [{"n": 1, "seen": 0}, {"n": 2, "seen": 1}, {"n": 3, "seen": 2}]}}


async def test_a_timer_in_passes_one_after_the_other(shop):
    """
    Each pass waits its time, and none begins to wait before the one before it was woken.
    """
    run = shop.start(looped(a_node("pause", "flow.wait", **{"for": "20ms"})), NUMBERS)
    done, outputs = await ended(shop, run)

    assert (RunStatus.SUCCEEDED, EXPECTED) == (done.status, outputs)
    waits, wakes = [await facts_of(shop, run, kind) for kind in (FactKind.STEP_WAITING, FactKind.STEP_WOKEN)]
    assert ["each:0", "each:1", "each:2"] == [fact.scope for fact in waits] == [fact.scope for fact in wakes]
    assert all(woken.seq < waiting.seq for woken, waiting in zip(wakes, waits[1:], strict=False))
    assert 0.06 <= (done.finished_at - done.started_at).total_seconds()


async def test_a_timer_in_passes_side_by_side(shop):
    """
    All passes park together as rows of their own; they wait at the same time, and the order is kept.
    """
    run = shop.start(looped(a_node("pause", "flow.wait", **{"for": "500ms"}), concurrency=3), NUMBERS)
    assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status
    assert ["each:0", "each:1", "each:2"] == await waiting_scopes(shop, run)

    done, outputs = await ended(shop, run)
    assert (RunStatus.SUCCEEDED, EXPECTED) == (done.status, outputs)
    assert 3 == len(await facts_of(shop, run, FactKind.STEP_WOKEN))


async def test_passes_are_woken_in_any_order(shop):
    """
    A signal wakes the pass whose key it has and no other; what leaves the loop stands in the order of the passes.
    """
    pause = a_node("pause", "flow.wait", signal="go", key=KEY)
    run = shop.start(looped(pause, concurrency=3), NUMBERS)
    await shop.worker.wait(run.id)
    for n, left in ((3, ["each:0", "each:1"]), (1, ["each:1"]), (2, [])):
        await shop.run(a_signal(n), [{"n": n, "told": True}])
        assert left == await waiting_scopes(shop, run)

    expected = [{**item, "told": True} for item in EXPECTED["end"]["out"]]
    assert {"end": {"out": expected}} == (await ended(shop, run))[1]
    woken = await facts_of(shop, run, FactKind.STEP_WOKEN)
    assert ["each:0", "each:1", "each:2"] == sorted(fact.scope for fact in woken)


async def test_loops_in_loops_wait(shop):
    """
    A wait two loops deep is found again by both its passes.
    """
    nodes = [
        START,
        a_node("outer", "flow.loop", concurrency=2),
        a_node("two", "data.generate", count=2, item={"k": "index"}),
        a_node("inner", "flow.loop", concurrency=2),
        a_node("pause", "flow.wait", **{"for": "20ms"}),
        a_node("mark", "data.set", fields={"fields": {"at": "loop.outer.index * 10 + loop.index"}}),
    ]
    edges = "start -> outer, outer.each -> two -> inner, inner.each -> pause -> mark -> inner.next, inner.done -> outer.next"
    done, outputs = await ended(shop, shop.start(a_document(nodes, edges), NUMBERS))
    assert RunStatus.SUCCEEDED is done.status
    assert [0, 1, 10, 11, 20, 21] == [item["at"] for item in outputs["outer"]["done"]]


async def test_waits_outlive_the_program_in_a_loop(make_workshop, tmp_path):
    """
    Passes that wait when the program ends are woken in the next life; those that were over are not done again.
    """
    where = f"sqlite:///{tmp_path / 'shop.db'}"
    shop = await make_workshop(where)
    run = shop.start(looped(a_node("pause", "flow.wait", signal="go", key=KEY), concurrency=3), NUMBERS)
    await shop.worker.wait(run.id)
    await shop.run(a_signal(2), [{"n": 2}])
    await shop.worker.stop()
    await shop.store.stop()

    shop = await make_workshop(where)
    for n in (1, 3):
        await shop.run(a_signal(n), [{"n": n}])
    done, outputs = await ended(shop, run)
    assert (RunStatus.SUCCEEDED, EXPECTED) == (done.status, outputs)
    marks = await facts_of(shop, run, FactKind.STEP_SUCCEEDED, "mark")
    assert ["each:0", "each:1", "each:2"] == sorted(fact.scope for fact in marks)
    await shop.worker.stop()
    await shop.store.stop()


async def test_a_try_waits_with_its_body(shop):
    """
    What waits in the body comes back, and the try leaves by `done`.
    """
    pause = a_node("pause", "flow.wait", **{"for": "20ms"})
    done, outputs = await ended(shop, shop.start(tried(pause, edges="guard.body -> pause -> guard.next"), NUMBERS))
    assert (RunStatus.SUCCEEDED, {"good": {"out": NUMBERS}}) == (done.status, outputs)


async def test_a_failure_after_waiting_is_caught(shop):
    """
    The step after the wait fails: `caught`, as if nothing had waited.
    """
    body = [a_node("pause", "flow.wait", **{"for": "20ms"}), a_node("boom", "test.break")]
    done, outputs = await ended(shop, shop.start(tried(*body, edges="guard.body -> pause -> boom -> guard.next"), NUMBERS))
    assert (RunStatus.SUCCEEDED, ["bad"]) == (done.status, list(outputs))


async def test_what_waits_in_a_try_ends_with_its_failure(shop):
    """
    A branch that fails withdraws the one that waits beside it: no row is left, and a signal for it finds nobody.
    """
    body = [
        a_node("pause", "flow.wait", signal="go", key="k"),
        a_node("soon", "flow.wait", **{"for": "20ms"}),
        a_node("boom", "test.break"),
    ]
    edges = "guard.body -> pause -> guard.next, guard.body -> soon -> boom -> guard.next"
    run = shop.start(tried(*body, edges=edges), NUMBERS)
    done, outputs = await ended(shop, run)
    assert (RunStatus.SUCCEEDED, ["bad"]) == (done.status, list(outputs))
    assert [] == await waiting_scopes(shop, run)

    await shop.run(a_signal("k"), [{"n": 1}])
    assert [] == await facts_of(shop, run, FactKind.STEP_WOKEN)


async def test_a_withdrawn_wait_does_not_hold_up_what_follows(shop):
    """
    Waits after the try are waits of their own: the run that caught parks again and goes on.
    """
    body = [
        a_node("pause", "flow.wait", **{"for": "30d"}),
        a_node("soon", "flow.wait", **{"for": "20ms"}),
        a_node("boom", "test.break"),
        a_node("again", "flow.wait", **{"for": "20ms"}),
    ]
    edges = "guard.body -> pause -> guard.next, guard.body -> soon -> boom -> guard.next, bad -> again"
    done, outputs = await ended(shop, shop.start(tried(*body, edges=edges), NUMBERS))
    assert (RunStatus.SUCCEEDED, ["again"]) == (done.status, list(outputs))


async def test_cancelled_between_being_taken_and_being_read(shop, monkeypatch):
    """
    A run that was woken and taken over, while the disk then refuses to read it, is over with all that waited in its loop when
    it is cancelled (history 878).
    """
    loop = looped(a_node("pause", "flow.wait", signal="go", key=KEY), concurrency=3)
    run = shop.start(replace(loop, settings=Settings(concurrency=Concurrency(limit=1))), NUMBERS)
    await shop.worker.wait(run.id)
    assert 3 == len(await waiting_scopes(shop, run))
    was_refused = asyncio.Event()

    async def refuses(store, claimed):
        was_refused.set()
        raise StoreError("The disk reported an error.")

    monkeypatch.setattr("engine.run.flight.read_taken", refuses)
    await shop.store.write(lambda work: work.signals.send(Signal(id="sig_1", name="go", key="2", at=shop.clock.now())))
    shop.worker.ring()
    await asyncio.wait_for(was_refused.wait(), 5)
    assert RunStatus.CANCELLED is (await asyncio.wait_for(shop.worker.cancel(run.id), 5)).status
    stored = await shop.store.read(lambda work: (work.runs.get(run.id).status, work.waits.count()))
    assert (RunStatus.CANCELLED, 0) == stored
    scopes = [fact.scope for fact in await facts_of(shop, run, FactKind.STEP_CANCELLED)]
    assert ["each:0", "each:1", "each:2"] == sorted(scopes)


async def test_cancelled_while_it_rests_between_two_lives(shop, monkeypatch):
    """
    A run that was interrupted again and again rests; cancelled then, the passes of its loop wait no more.
    """
    monkeypatch.setattr("engine.run.flight.rest_before", lambda lived: timedelta(seconds=60))
    run = shop.start(looped(a_node("pause", "flow.wait", signal="go", key=KEY), concurrency=3), NUMBERS)
    await shop.worker.wait(run.id)
    await shop.store.write(lambda work: work.signals.send(Signal(id="sig_1", name="go", key="2", at=shop.clock.now())))
    shop.worker.ring()
    await until(lambda: shop.worker.env.pausing)
    assert RunStatus.CANCELLED is (await asyncio.wait_for(shop.worker.cancel(run.id), 5)).status
    stored = await shop.store.read(lambda work: (work.runs.get(run.id).status, work.waits.count()))
    assert (RunStatus.CANCELLED, 0) == stored
    scopes = [fact.scope for fact in await facts_of(shop, run, FactKind.STEP_CANCELLED)]
    assert ["each:0", "each:1", "each:2"] == sorted(scopes)
