"""The effect ledger: an intent before each item, a receipt behind it, and what a crash between the two leads to."""

import asyncio
import dataclasses
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.errors import BadRequest, Refused, Unavailable
from engine.ids import NodeId
from engine.model.run import Fact, FactKind, RunStatus
from engine.model.workflow import RetryPolicy
from engine.run.compiling import compile_plan
from engine.run.effects import Begun
from engine.run.env import RunEnv
from engine.run.executor import execute
from engine.run.folders import OneFolder
from engine.run.partial import encode_partial
from engine.run.payloads import Payload, encode_batch
from engine.run.resume import Restored
from engine.run.takeover import Answer, Taken, decided
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import FieldSpec, StepSpec
from tests.run.workshop import a_document, a_node, a_run, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")


class Disk:
    """A journal that notes in which order things were said, reached the disk, and were done outside."""

    def __init__(self, facts, chance):
        self.facts = list(facts)
        self.committed = len(self.facts)
        self.log = []
        self.chance = chance

    def append(self, fact, *, epoch):
        self.facts.append(fact)
        self.log.append(("said", len(self.facts)))

    async def barrier(self):
        upto = len(self.facts)
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if upto > self.committed:
            self.committed = upto
            self.log.append(("safe", upto))


def a_world(disk, *, concurrency, is_idempotent, fails):
    """Return a catalog whose one action notes what it does; items of `fails` are refused, once each for good."""

    async def act(ctx, n=0, concurrency=1):
        disk.log.append(("called", ctx.item_index))
        for _ in range(disk.chance.randrange(5)):
            await asyncio.sleep(0)
        if ctx.item_index in fails:
            raise Refused("no")
        return {"did": n, "key": ctx.idempotency_key}

    fields = (
        FieldSpec(name="n", type="integer", default="{{ item.n }}"),
        FieldSpec(name="concurrency", type="integer", default=concurrency),
    )
    step = StepSpec(
        name="world.act", title="Act", call=act, effect="write", mode="each", is_idempotent=is_idempotent, fields=fields
    )
    return Catalog([*builtin_steps(), step])


def live(facts, chance, **how):
    """Live one life of a run of ten items from these facts; return its ending and what was noted."""
    clock, nothing = ManualClock(), None
    disk = Disk(facts, chance)
    env = RunEnv(clock=clock, http=nothing, files=nothing, folders=OneFolder(Path()), journal=disk)
    document = a_document([START, a_node("act", "world.act", on_error="ignore")], "start -> act")
    run = dataclasses.replace(a_run(document, clock), start_node=NodeId("start"), id="run_1")
    plan = compile_plan(document, a_world(disk, **how))
    items = [{"n": n} for n in range(10)]
    ending = asyncio.run(execute(run, plan, env, items=items, restored=Restored(list(facts)) if facts else None))
    return ending, disk


def cut(disk, at, chance):
    """Pull the plug behind event number `at`: return the facts the disk has then, and the items that were called by then."""
    said = [upto for what, upto in disk.log[:at] if what == "said"]
    safe = [upto for what, upto in disk.log[:at] if what == "safe"]
    least, most = max(safe, default=disk.first), max(said, default=disk.first)
    return disk.facts[: chance.randint(least, most)], disk.facts[:least], [i for what, i in disk.log[:at] if what == "called"]


def account(facts):
    """Return the ledger of the step that these facts tell of."""
    return Begun.of(fact for fact in facts if fact.node == "act")


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    seed=st.integers(0, 2**32),
    concurrency=st.sampled_from([1, 2, 5, 10]),
    is_idempotent=st.booleans(),
    fails=st.sets(st.integers(0, 9), max_size=2),
    lives=st.integers(1, 4),
)
def test_whatever_the_moment_of_the_crash(seed, concurrency, is_idempotent, fails, lives):
    """
    Nothing is called before its intent is safe, nothing with a receipt is called again, and a person is asked about exactly the
    items with an intent and no receipt, unless the action may be repeated.
    """
    chance = random.Random(seed)
    how = {"concurrency": concurrency, "is_idempotent": is_idempotent, "fails": fails}
    facts, calls, again = [], [], []
    for _ in range(lives):
        ending, disk = live(facts, chance, **how)
        disk.first = len(facts)
        facts, safe, called = cut(disk, chance.randint(0, len(disk.log)), chance)
        calls += called
        known = account(safe)
        assert set(called) <= known.open | known.settled | known.failed.keys(), "called before the intent was safe"
        facts = _answer(facts, is_idempotent, again, chance)
    ending, disk = live(facts, chance, **how)
    calls += [index for what, index in disk.log if what == "called"]
    assert RunStatus.SUCCEEDED == ending.status
    skipped = {index for index, decision in again if decision == "skip"}
    done = next(fact for fact in disk.facts if fact.node == "act" and fact.kind is FactKind.STEP_SUCCEEDED)
    given = [item["did"] for item in Payload(done.payload).items("out")]
    assert [n for n in range(10) if n not in fails and n not in skipped] == given
    if not is_idempotent:
        assert len(calls) <= 10 + sum(decision == "retry" for _, decision in again)
    assert {f"run_1:act:{n}" for n in given} == {item["key"] for item in Payload(done.payload).items("out")}


def _answer(facts, is_idempotent, again, chance):
    """Let the next life find what is uncertain, compare it with the ledger, and decide about each item by chance."""
    known = account(facts)
    is_over = any(fact.node == "act" and fact.kind is FactKind.STEP_SUCCEEDED for fact in facts)
    if is_over or not known.open or is_idempotent:
        return facts
    how = {"concurrency": 1, "is_idempotent": False, "fails": set()}
    ending, disk = live(facts, chance, **how)
    assert RunStatus.NEEDS_DECISION == ending.status
    assert sorted(known.open) == ending.error["where"]["items"]
    assert [] == [event for event in disk.log if event[0] == "called"]
    for index in ending.error["where"]["items"]:
        decision = chance.choice(["retry", "skip"])
        again.append((index, decision))
        answer = Answer(decision=decision, items=(index,))
        facts = [*facts, *decided(Taken(the_run(), [], facts), answer, ending.error, now=ManualClock().now())]
    return facts


def the_run():
    """Return a run for facts that need no more of it than its id."""
    return dataclasses.replace(a_run(a_document([START]), ManualClock()), id="run_1")


async def test_one_item_after_the_other_costs_one_line_each(shop):
    """
    The receipt of an item travels with the intent of the next; the last receipt comes before the step settles.
    """
    run = shop.start(a_document([START, a_node("send", "test.send")], "start -> send"), [{"n": n} for n in range(5)])
    await shop.worker.wait(run.id)
    facts = await shop.store.read(lambda work: work.runs.facts(run.id, node=NodeId("send")))
    told = [(fact.summary.get("begun"), fact.summary.get("done")) for fact in facts if fact.kind is not FactKind.STEP_SUCCEEDED]
    assert [([0], None), ([1], [0]), ([2], [1]), ([3], [2]), ([4], [3]), (None, [4])] == told


async def test_many_at_a_time_share_their_lines(shop):
    """
    What piles up while one lot is on its way to the disk goes with the next, as one line.
    """
    nodes = [START, a_node("send", "test.send", concurrency=50)]
    run = shop.start(a_document(nodes, "start -> send"), [{"n": n} for n in range(500)])
    await shop.worker.wait(run.id)
    facts = await shop.store.read(lambda work: work.runs.facts(run.id, node=NodeId("send")))
    assert list(range(500)) == sorted(index for fact in facts for index in fact.summary.get("begun", ()))
    assert list(range(500)) == sorted(index for fact in facts for index in fact.summary.get("done", ()))
    assert len(facts) < 120
    assert 50 == shop.outside.most_together


async def test_a_single_item_needs_no_lines_of_its_own(shop):
    """
    The line that says the step began is its intent, the one that settles it the receipt.
    """
    run = shop.start(a_document([START, a_node("send", "test.send")], "start -> send"), [{"n": 1}])
    await shop.worker.wait(run.id)
    facts = await shop.store.read(lambda work: work.runs.facts(run.id, node=NodeId("send")))
    assert [FactKind.STEP_STARTED, FactKind.STEP_SUCCEEDED] == [fact.kind for fact in facts]


async def test_what_the_pause_keeps(shop):
    """
    A pause between two tries keeps what is done and what failed for good; only the others are tried again.
    """
    shop.worker.env.chance = lambda: 0.0
    shop.outside.fail = {"1": [Unavailable("away")], "2": [Refused("no")]}
    send = a_node("send", "test.send", retry=RetryPolicy(attempts=3), on_error="route")
    run = shop.start(a_document([START, send], "start -> send"), [{"n": n} for n in range(4)])
    await shop.worker.wait(run.id)
    assert [0, 1, 2, 3, 1] == shop.outside.seen("send")
    facts = await shop.store.read(lambda work: work.runs.facts(run.id, with_payload=True, node=NodeId("send")))
    pause = next(number for number, fact in enumerate(facts) if fact.kind is FactKind.STEP_RETRYING)
    assert None is facts[pause].payload
    known = Begun.of(facts[: pause + 1]).earlier()
    assert (2, {0, 3}, {2}) == (known.number, known.done.keys(), known.failed.keys())
    assert ("refused", False) == (known.failed[2].code, known.failed[2].retryable)


async def test_old_pauses_and_intents_are_read(shop):
    """
    Before there was a ledger by item, a pause held what was done, and one intent stood for the whole step.
    """

    def fact(seq, kind, **more):
        return Fact(run_id="run_1", seq=seq, kind=kind, node=NodeId("send"), at=shop.clock.now(), **more)

    began = fact(0, FactKind.STEP_STARTED, summary={"in": 3})
    kept = encode_partial({1: {"out": [{"sent": 1}]}})
    due = {"retry_at": shop.clock.now().isoformat(), "done": 1}
    pause = fact(1, FactKind.STEP_RETRYING, summary=due, payload=kept)
    assert (True, None) == (Begun.of([began]).is_uncertain, Begun.of([began]).uncertain)
    paused = Begun.of([began, pause])
    assert (False, {1}) == (paused.is_uncertain, paused.earlier().done.keys())
    assert Begun.of([began, pause, fact(2, FactKind.STEP_STARTED, attempt=2, summary={"in": 3})]).is_uncertain


async def test_stopping_makes_nothing_uncertain(make_workshop, tmp_path):
    """
    When the program stops in the middle of many items, the one at work comes to its end and no further one is begun; the next
    life goes on behind it and asks nobody.
    """
    where = str(tmp_path / "treadle.db")
    shop = await make_workshop(where)
    document = a_document([START, a_node("send", "test.send")], "start -> send")
    run = shop.start(document, [{"n": n} for n in range(200)])
    await until(lambda: len(shop.outside.seen("send")) > 3)
    await shop.worker.stop()
    await shop.store.stop()
    assert len(shop.outside.seen("send")) < 100
    shop = await make_workshop(where)
    over = await shop.worker.wait(run.id)
    assert (RunStatus.SUCCEEDED, list(range(200))) == (over.status, shop.outside.seen("send"))
    await shop.worker.stop()
    await shop.store.stop()


async def test_a_branch_that_fails_ends_the_sending(shop):
    """
    When another branch ends the run, items at work come to their end, and no further one is begun.
    """
    nodes = [START, a_node("send", "test.send"), a_node("waits", "test.wait"), a_node("break", "test.break")]
    run = shop.start(a_document(nodes, "start -> send, start -> waits -> break"), [{"n": n} for n in range(500)])
    await until(lambda: len(shop.outside.seen("send")) > 3)
    shop.outside.gate("gate").set()
    over = await shop.worker.wait(run.id)
    assert (RunStatus.FAILED, "cancelled") == (over.status, (await shop.steps(run.id))["send"].status.value)
    facts = await shop.store.read(lambda work: work.runs.facts(run.id, node=NodeId("send")))
    assert set() == account(facts[:-1]).open
    assert len(shop.outside.seen("send")) < 400


async def test_a_person_decides_by_item(make_workshop, tmp_path):
    """
    Some of the uncertain items are done again, others left out; the run asks until nothing is open.
    """
    where = str(tmp_path / "treadle.db")
    shop = await make_workshop(where)
    document = a_document([START, a_node("send", "test.send", concurrency=4)], "start -> send")
    run = await left_by_a_kill(shop, document)
    await shop.worker.stop()
    await shop.store.stop()
    shop = await make_workshop(where)
    parked = await shop.worker.wait(run.id)
    assert (RunStatus.NEEDS_DECISION, [2, 3, 5]) == (parked.status, parked.error["where"]["items"])
    assert "3 of 8 items" in parked.error["message"]
    with pytest.raises(BadRequest, match="There is no question about item 4"):
        await shop.worker.decide(run.id, "retry", items=[3, 4])
    with pytest.raises(BadRequest, match="is not asked about"):
        await shop.worker.decide(run.id, "retry", node=NodeId("start"))
    await shop.worker.decide(run.id, "retry", items=[3])
    parked = await shop.worker.wait(run.id)
    assert (RunStatus.NEEDS_DECISION, [2, 5]) == (parked.status, parked.error["where"]["items"])
    await shop.worker.decide(run.id, "skip", items=[5])
    await shop.worker.wait(run.id)
    await shop.worker.decide(run.id, "retry")
    over = await shop.worker.wait(run.id)
    step = (await shop.steps(run.id))["send"]
    assert (RunStatus.SUCCEEDED, 7, 1) == (over.status, step.ports["out"].count, step.ignored)
    assert [2, 3, 6, 7] == sorted(shop.outside.seen("send"))
    await shop.worker.stop()
    await shop.store.stop()


async def left_by_a_kill(shop, document):
    """Write a run as a kill leaves it: items 0, 1 and 4 of 8 are done, and the intents of 2, 3 and 5 are there."""
    now = shop.clock.now()
    run = a_run(document, shop.clock, status=RunStatus.RUNNING, start_node="start", started_at=now)
    items = [{"n": n} for n in range(8)]
    done = encode_partial({n: {"out": [{"sent": n}]} for n in (0, 1, 4)})
    gave = {"payload": encode_batch(items), "summary": {"ports": {"out": 8}, "in": 8, "ms": 1.0}}
    facts = [
        (FactKind.STEP_SUCCEEDED, "start", gave),
        (FactKind.STEP_STARTED, "send", {"summary": {"in": 8, "begun": [0]}}),
        (FactKind.EFFECTS, "send", {"summary": {"begun": [1, 2, 3, 4, 5]}}),
        (FactKind.EFFECTS, "send", {"summary": {"done": [0, 1, 4]}, "payload": done}),
    ]
    shop.store.journal.start(run, input=encode_batch(items), document=document)
    for seq, (kind, node, more) in enumerate(facts):
        fact = Fact(run_id=run.id, seq=seq, kind=kind, node=NodeId(node), at=now, **more)
        shop.store.journal.append(fact, epoch=0)
    await shop.store.journal.barrier()
    return run
