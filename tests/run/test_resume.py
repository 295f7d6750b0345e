"""From the journal back into flight: what was done stays done."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from engine.clock import SystemClock
from engine.errors import Conflict, Refused, Unavailable
from engine.events.types import RunFinished
from engine.ids import NodeId
from engine.model.limits import Concurrency
from engine.model.run import Fact, FactKind, RunStatus
from engine.model.workflow import RetryPolicy
from engine.run.flight import rest_before
from engine.run.payloads import encode_batch, encode_outputs
from engine.store import tables
from tests.run.workshop import a_document, a_node, a_run, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")


@pytest.fixture
async def life(make_workshop, tmp_path):
    """Return a maker of lives: each call ends the life before and begins the next on the same file."""
    lives = []

    async def begin(**options):
        if lives:
            await end(lives.pop())
        lives.append(await make_workshop(str(tmp_path / "treadle.db"), **options))
        return lives[-1]

    async def end(shop):
        await shop.worker.stop()
        await shop.store.stop()

    yield begin
    for shop in lives:
        await end(shop)


async def leave_behind(shop, document, items, facts, **changes):
    """Write a run into the store as a crash would leave it: running, with these facts."""
    run = a_run(
        document, SystemClock(), status=RunStatus.RUNNING, start_node="start", started_at=SystemClock().now(), **changes
    )
    shop.store.journal.start(run, input=encode_batch(items), document=document)
    for seq, (kind, node, more) in enumerate(facts):
        fact = Fact(run_id=run.id, seq=seq, kind=kind, node=NodeId(node), at=SystemClock().now(), **more)
        shop.store.journal.append(fact, epoch=0)
    await shop.store.journal.barrier()
    return run


def gave(items, ports=("out",)):
    """Return what a step that succeeded left in the journal."""
    from engine.model.items import Output

    payload, _ = encode_outputs({port: Output(items) for port in ports})
    return {"payload": payload, "summary": {"ports": {port: len(items) for port in ports}, "in": len(items), "ms": 1.0}}


async def test_finished_steps_never_run_again(life):
    """
    After a restart a run goes on behind its last finished step, with the data that step gave.
    """
    nodes = [START, a_node("send", "test.send"), a_node("waits", "test.wait"), a_node("end")]
    shop = await life(grace=timedelta(milliseconds=1))
    run = shop.start(a_document(nodes, "start -> send -> waits, send -> end"), [{"n": 1}])
    await until(lambda: shop.outside.seen("wait"))
    shop = await life()
    assert RunStatus.RUNNING == (await shop.store.read(lambda work: work.runs.get(run.id))).status
    shop.outside.gate("gate").set()
    over = await shop.worker.wait(run.id)
    assert RunStatus.SUCCEEDED == over.status
    assert [1] == shop.outside.seen("send")
    assert 1 == over.epoch


async def test_a_step_at_work_comes_to_its_end_before_the_worker_stops(life):
    """
    Stopping waits a while for what is under way, records it, and starts nothing more.
    """
    nodes = [START, a_node("waits", "test.wait"), a_node("send", "test.send")]
    shop = await life()
    run = shop.start(a_document(nodes, "start -> waits -> send"), [{"n": 1}])
    await until(lambda: shop.outside.seen("wait"))
    asyncio.get_running_loop().call_later(0.02, shop.outside.gate("gate").set)
    await shop.worker.stop()
    assert ({"start": "succeeded", "waits": "succeeded"}, []) == (await shop.statuses(run.id), shop.outside.seen("send"))


async def test_stopping_does_not_wait_for_a_pause(life):
    """
    A branch that only waits for its next try is let go of at once, and nothing of it counts as cancelled.
    """
    send = a_node("send", "test.send", retry=RetryPolicy(attempts=3, first=timedelta(minutes=5), longest=timedelta(minutes=5)))
    nodes = [START, send, a_node("waits", "test.wait"), a_node("end")]
    shop = await life()
    shop.worker.env.chance = lambda: 1.0
    shop.outside.fail["1"] = [Unavailable("away")]
    run = shop.start(a_document(nodes, "start -> send -> end, start -> waits -> end"), [{"n": 1}])
    await until(lambda: shop.worker.env.pausing)
    asyncio.get_running_loop().call_later(0.02, shop.outside.gate("gate").set)
    await asyncio.wait_for(shop.worker.stop(), 4)
    assert {"start": "succeeded", "send": "waiting", "waits": "succeeded"} == await shop.statuses(run.id)
    assert RunStatus.RUNNING == (await shop.store.read(lambda work: work.runs.get(run.id))).status


async def test_a_queued_run_starts_in_the_next_life(life):
    """
    A run that was accepted and never began begins after the restart, with its own input.
    """
    shop = await life()
    document = a_document([START, a_node("double", "test.double")], "start -> double")
    queued = a_run(document, SystemClock())
    await shop.store.write(lambda work: work.runs.add(queued, input=encode_batch([{"n": 4}]), document=document))
    shop = await life()
    await shop.worker.wait(queued.id)
    assert {"double": {"out": [{"n": 8}]}} == (await shop.finished(queued.id))["outputs"]


async def test_batches_are_found_by_reference(life):
    """
    A batch that the journal holds as a reference is read from the step that made it; lineage comes back too.
    """
    ask = a_node("ask", "data.set", fields={"fields": {"was": "nodes.start.item.n"}})
    nodes = [START, a_node("same"), a_node("waits", "test.wait"), ask]
    shop = await life(grace=timedelta(milliseconds=1))
    run = shop.start(a_document(nodes, "start -> same -> waits -> ask"), [{"n": 1}, {"n": 2}])
    await until(lambda: shop.outside.seen("wait"))
    shop = await life()
    shop.outside.gate("gate").set()
    await shop.worker.wait(run.id)
    assert [1, 2] == [item["was"] for item in (await shop.finished(run.id))["outputs"]["ask"]["out"]]


@pytest.mark.parametrize(
    ("on_uncertain", "expected", "calls"),
    [
        pytest.param("ask", "needs_decision", [], id="a person is asked"),
        pytest.param("retry", "succeeded", [1], id="it is done again"),
        pytest.param("skip", "succeeded", [], id="it is left out"),
    ],
)
async def test_a_write_without_a_receipt_is_uncertain(life, on_uncertain, expected, calls):
    """
    What was under way when the program died is not simply repeated: the node says what becomes of it.
    """
    shop = await life()
    nodes = [START, a_node("send", "test.send", on_uncertain=on_uncertain)]
    document = a_document(nodes, "start -> send")
    facts = [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}])), (FactKind.STEP_STARTED, "send", {})]
    run = await leave_behind(shop, document, [{"n": 1}], facts)
    shop = await life()
    over = await shop.worker.wait(run.id)
    assert (expected, calls) == (over.status.value, shop.outside.seen("send"))
    if expected == "needs_decision":
        assert ("uncertain", "send") == (over.error["code"], over.error["where"]["node"])
        assert over.finished_at is None


@pytest.mark.parametrize(("decision", "calls"), [("retry", [1]), ("skip", [])])
async def test_a_person_decides(life, decision, calls):
    """
    The answer is a fact of the journal; the run goes on from there, and the question is gone.
    """
    shop = await life()
    nodes = [START, a_node("send", "test.send"), a_node("end", run_on_empty=True)]
    facts = [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}])), (FactKind.STEP_STARTED, "send", {})]
    run = await leave_behind(shop, a_document(nodes, "start -> send -> end"), [{"n": 1}], facts)
    shop = await life()
    await shop.worker.wait(run.id)
    await shop.worker.decide(run.id, decision)
    over = await shop.worker.wait(run.id)
    assert (RunStatus.SUCCEEDED, None, calls) == (over.status, over.error, shop.outside.seen("send"))
    with pytest.raises(Conflict, match="does not wait for a decision"):
        await shop.worker.decide(run.id, decision)


async def test_what_only_reads_is_read_again(life):
    """
    A step that changes nothing outside is repeated without a question.
    """
    shop = await life()
    shop.outside.gate("gate").set()
    facts = [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}])), (FactKind.STEP_STARTED, "waits", {})]
    run = await leave_behind(shop, a_document([START, a_node("waits", "test.wait")], "start -> waits"), [{"n": 1}], facts)
    shop = await life()
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(run.id)).status


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(
            (FactKind.STEP_FAILED, "send", {"summary": {"error": {"code": "refused"}}}), "failed", id="a step had failed"
        ),
        pytest.param((FactKind.STEP_CANCELLED, "send", {}), "cancelled", id="it was being cancelled"),
        pytest.param(
            (FactKind.STEP_SUCCEEDED, "send", {"summary": {"ends": "succeeded"}}), "succeeded", id="a step had ended it"
        ),
    ],
)
async def test_an_ending_that_was_not_written_is_written(life, last, expected):
    """
    A run that had come to its end, but for the last line, gets that line.
    """
    shop = await life()
    facts = [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}])), (FactKind.STEP_STARTED, "send", {}), last]
    run = await leave_behind(shop, a_document([START, a_node("send", "test.send")], "start -> send"), [{"n": 1}], facts)
    shop = await life()
    assert expected == (await shop.worker.wait(run.id)).status.value
    assert [] == shop.outside.seen("send")


async def test_a_run_that_was_to_be_cancelled_is(life):
    """
    A cancel that came while nobody was at work holds in the next life.
    """
    shop = await life()
    run = await leave_behind(shop, a_document([START, a_node("send", "test.send")], "start -> send"), [{"n": 1}], [])
    await shop.store.write(lambda work: work.runs.request_cancel(run.id))
    shop = await life()
    assert RunStatus.CANCELLED == (await shop.worker.wait(run.id)).status


async def test_a_run_without_a_slot_after_a_crash_can_be_cancelled(life):
    """
    A run that was interrupted and has no slot yet is over as soon as somebody cancels it, and waits for nothing any more.
    """
    document = a_document([START, a_node("waits", "test.wait")], "start -> waits")
    facts = [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}]))]
    shop = await life()
    runs = [await leave_behind(shop, document, [{"n": number}], facts) for number in (1, 2)]
    shop = await life(slots=1)
    await until(lambda: shop.outside.seen("wait"))
    assert RunStatus.CANCELLED == (await shop.worker.cancel(runs[1].id)).status
    assert [(RunStatus.CANCELLED, True)] == await stand(shop, runs[1])
    shop.outside.gate("gate").set()
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(runs[0].id)).status
    assert (0, 0) == (shop.worker.running, shop.worker.waiting)


async def test_a_run_without_a_slot_after_a_crash_gives_way(life):
    """
    One that was interrupted ends when a newer run of its workflow takes its place, and frees it (history 9308).
    """
    other = a_document([START, a_node("waits", "test.wait")], "start -> waits")
    limited = a_document([START], "", concurrency=Concurrency(limit=1, when_full="cancel_oldest"))
    shop = await life()
    first = await leave_behind(shop, other, [{"n": 1}], [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}]))])
    old = await leave_behind(shop, limited, [{"n": 2}], [], workflow_id="wf_limited")
    shop = await life(slots=1)
    await until(lambda: shop.outside.seen("wait"))
    new = shop.start(limited, [{"n": 3}], workflow_id="wf_limited")
    assert RunStatus.CANCELLED == (await asyncio.wait_for(shop.worker.wait(old.id), 5)).status
    assert [(RunStatus.CANCELLED, True)] == await stand(shop, old)
    shop.outside.gate("gate").set()
    over = [await asyncio.wait_for(shop.worker.wait(run.id), 5) for run in (first, new)]
    assert [RunStatus.SUCCEEDED] * 2 == [run.status for run in over]


async def stand(shop, run):
    """Return how a run stands in the store, and whether it says when it ended."""
    found = await shop.store.read(lambda work: work.runs.get(run.id))
    return [(found.status, found.finished_at is not None)]


async def test_a_caller_is_answered_once(life):
    """
    A run that had answered before the crash does not answer again.
    """
    shop = await life()
    nodes = [START, a_node("answer", "flow.respond", status=200)]
    facts = [(FactKind.STEP_SUCCEEDED, "start", gave([{"n": 1}])), (FactKind.RESPONDED, "answer", {"summary": {"status": 200}})]
    run = await leave_behind(shop, a_document(nodes, "start -> answer"), [{"n": 1}], facts)
    shop = await life()
    await shop.worker.wait(run.id)
    found = await shop.store.read(lambda work: work.runs.facts(run.id))
    assert 1 == sum(fact.kind is FactKind.RESPONDED for fact in found)


async def test_a_failed_run_is_tried_again_from_where_it_failed(shop):
    """
    A new run takes over what succeeded, does the rest, and says which run it repeats.
    """
    nodes = [START, a_node("send", "test.send"), a_node("again", "test.send", what="{{ item.sent * 10 }}")]
    shop.outside.fail["10"] = [Refused("not now")]
    failed = await shop.run(a_document(nodes, "start -> send -> again"), [{"n": 1}])
    assert "failed" == failed["status"]
    new = await shop.worker.retry(failed["id"])
    over = await shop.worker.wait(new.id)
    assert (RunStatus.SUCCEEDED, failed["id"]) == (over.status, over.retry_of)
    assert [1, 10, 10] == shop.outside.seen("send")
    with pytest.raises(Conflict):
        await shop.worker.retry(new.id)


async def test_who_lost_a_run_writes_nothing_more(shop):
    """
    A run that somebody else took over is let go of at once.
    """
    run = shop.start(a_document([START, a_node("waits", "test.wait"), a_node("end")], "start -> waits -> end"), [{}])
    await until(lambda: shop.outside.seen("wait"))
    await shop.store.write(lambda work: work.runs.claim(run.id, now=shop.clock.now()))
    shop.outside.gate("gate").set()
    await shop.worker.wait(run.id)
    await shop.store.journal.barrier()
    stored = await shop.store.read(lambda work: work.runs.get(run.id))
    assert (RunStatus.RUNNING, 1) == (stored.status, stored.epoch)
    assert "end" not in await shop.statuses(run.id)


async def test_a_run_without_its_workflow_fails_with_a_sentence(life):
    """
    When the version of an open run is gone, the run says so instead of staying open for ever.
    """
    shop = await life()
    document = a_document([START])
    run = a_run(document, SystemClock(), status=RunStatus.RUNNING, is_test=False, version_id="gone")
    shop.store.journal.start(run, input=encode_batch([{}]))
    await shop.store.journal.barrier()
    shop = await life()
    over = await shop.worker.wait(run.id)
    assert ("failed", "There is no version “gone”.") == (over.status.value, over.error["message"])


async def test_the_end_is_told_when_it_is_on_disk(shop):
    """
    `RunFinished` is heard only after the store has the end of the run.
    """
    found = []

    async def look(run_id):
        found.append((await shop.store.read(lambda work: work.runs.get(run_id))).status)

    tasks = []
    shop.bus.subscribe(lambda event: tasks.append(asyncio.ensure_future(look(event.run_id))), RunFinished)
    await shop.run(a_document([START, a_node("end")], "start -> end"), [{}])
    await asyncio.gather(*tasks)
    assert [RunStatus.SUCCEEDED] == found


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0), (1, 0), (4, 0), (5, 1), (6, 2), (9, 16), (40, 300), (100_000, 300)])
def test_how_long_a_run_rests_that_was_taken_over_again_and_again(epoch, expected):
    """
    Nothing for the first times, then longer and longer, five minutes at most.
    """
    assert timedelta(seconds=expected) == rest_before(epoch)


async def test_a_run_that_kills_the_program_leaves_time_to_end_it(life):
    """
    A run that ends the program each time it goes on rests first, so that it can be cancelled; the program can stop meanwhile.
    """
    shop = await life()
    document = a_document([START, a_node("send", "test.send")], "start -> send")
    run = await leave_behind(shop, document, [{"n": 1}], [], epoch=0)
    for _ in range(12):
        await shop.store.write(lambda work: work.runs.claim(run.id, now=SystemClock().now()))
    shop = await life()
    assert RunStatus.RUNNING == (await shop.worker.wait(run.id, timedelta(milliseconds=200))).status
    shop = await life()
    assert [] == shop.outside.seen("send")
    assert RunStatus.CANCELLED == (await shop.worker.cancel(run.id)).status


async def test_a_run_that_cannot_be_read_harms_no_other(life):
    """
    One damaged input fails its own run, with a sentence that says so, and the others of its lot go on.
    """
    shop = await life()
    document = a_document([START, a_node("end")], "start -> end")
    broken, sound = [await leave_behind(shop, document, [{"n": n}], []) for n in (1, 2)]
    await shop.store.write(
        lambda work: work.runs._connection.execute(
            update(tables.inputs).where(tables.inputs.c.run_id == broken.id).values(payload=b"nonsense")
        )
    )
    shop = await life()
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(sound.id)).status
    failed = await shop.worker.wait(broken.id)
    assert (RunStatus.FAILED, "damaged") == (failed.status, failed.error["code"])
