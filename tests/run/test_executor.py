"""How a run goes: branches, joins, skips, errors, ends."""

import asyncio
import logging
import time
from datetime import timedelta

import pytest

from engine.model.run import RunStatus
from engine.run.compiling import PlanCache
from engine.run.logs import RunFilter
from engine.steps.catalog import Catalog
from engine.steps.contract import StopRun
from engine.steps.spec import FieldSpec, StepSpec
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")


async def test_items_travel_along_the_edges(shop):
    """
    A run starts at its trigger; what the last nodes give is the result.
    """
    document = a_document([START, a_node("double", "test.double"), a_node("end")], "start -> double -> end")
    finished = await shop.run(document, [{"n": 1}, {"n": 2}])
    assert {"end": {"out": [{"n": 2}, {"n": 4}]}} == finished["outputs"]


async def test_a_branch_that_gets_no_items_is_skipped(shop):
    """
    A port that gives no items is not taken, and the skip travels on.
    """
    nodes = [START, a_node("part", "test.part"), a_node("evens"), a_node("odds"), a_node("after")]
    finished = await shop.run(a_document(nodes, "start -> part, part.even -> evens, part.odd -> odds -> after"), [{"n": 2}])
    expected = {"start": "succeeded", "part": "succeeded", "evens": "succeeded", "odds": "skipped", "after": "skipped"}
    assert expected == await shop.statuses(finished["id"])


async def test_a_join_does_not_wait_for_what_cannot_come(shop):
    """
    A join starts when all its edges settled, and one of them brought items.
    """
    nodes = [START, a_node("part", "test.part"), a_node("odds"), a_node("end")]
    document = a_document(nodes, "start -> part, part.even -> end, part.odd -> odds -> end")
    finished = await shop.run(document, [{"n": 2}])
    assert {"end": {"out": [{"n": 2}]}} == finished["outputs"]


async def test_edges_into_one_port_are_joined_in_edge_order(shop):
    """
    Batches stand in the order of the edges, not in the order in which they came.
    """
    nodes = [START, a_node("slow", "test.wait"), a_node("fast"), a_node("end")]
    document = a_document(nodes, "start -> slow -> end, start -> fast -> end")
    run = shop.start(document, [{"n": 1}])
    await asyncio.sleep(0.01)
    shop.outside.gate("gate").set()
    await shop.worker.wait(run.id)
    origins = (await shop.finished(run.id))["outputs"]
    assert {"end": {"out": [{"n": 1}, {"n": 1}]}} == origins


async def test_a_node_may_run_on_nothing(shop):
    """
    `run_on_empty` starts a node although nothing came to it; a node that the start does not lead to stays skipped.
    """
    nodes = [
        START,
        a_node("other", "trigger.manual"),
        a_node("part", "test.part"),
        a_node("told", "test.total", run_on_empty=True),
        a_node("far", "test.total", run_on_empty=True),
    ]
    finished = await shop.run(a_document(nodes, "start -> part, part.odd -> told, other -> far"), [{"n": 2}])
    assert {"told": {"out": [{"n": 0}]}} == finished["outputs"]


async def test_ports_in_have_names(shop):
    """
    A step with several in-ports sees each batch under its name.
    """
    nodes = [START, a_node("part", "test.part"), a_node("join", "test.join")]
    document = a_document(nodes, "start -> part, part.odd -> join.a, part.even -> join.b")
    finished = await shop.run(document, [{"n": 1}, {"n": 2}, {"n": 3}])
    assert {"join": {"out": [{"n": 1}, {"n": 3}, {"n": 2}]}} == finished["outputs"]


async def test_branches_go_side_by_side(shop):
    """
    Two steps that wait do so at the same time.
    """
    nodes = [START, a_node("a", "test.wait", gate="a"), a_node("b", "test.wait", gate="b"), a_node("end")]
    run = shop.start(a_document(nodes, "start -> a -> end, start -> b -> end"), [{}])
    await until(lambda: len(shop.outside.seen("wait")) == 2)
    shop.outside.gate("b").set()
    await until(lambda: shop.outside.seen("went"))
    shop.outside.gate("a").set()
    await shop.worker.wait(run.id)
    assert ["b", "a"] == shop.outside.seen("went")


async def test_a_switched_off_node_lets_its_batch_pass(shop):
    """
    A disabled node does nothing; its batch leaves by its first out-port.
    """
    nodes = [START, a_node("part", "test.part", disabled=True), a_node("end")]
    finished = await shop.run(a_document(nodes, "start -> part, part.even -> end"), [{"n": 1}])
    assert {"end": {"out": [{"n": 1}]}} == finished["outputs"]


async def test_a_run_may_start_in_the_middle(shop):
    """
    The node named by the caller takes the input; what stands before it is skipped.
    """
    document = a_document([START, a_node("double", "test.double"), a_node("end")], "start -> double -> end")
    finished = await shop.run(document, [{"n": 5}], start_node="double")
    assert "skipped" == (await shop.statuses(finished["id"]))["start"]
    assert {"end": {"out": [{"n": 10}]}} == finished["outputs"]


async def test_without_a_trigger_every_first_node_starts(shop):
    """
    A document without a trigger starts where nothing leads to.
    """
    finished = await shop.run(a_document([a_node("a"), a_node("b", "test.double")]), [{"n": 1}])
    assert {"a": {"out": [{"n": 1}]}, "b": {"out": [{"n": 2}]}} == finished["outputs"]


async def test_a_broken_step_fails_the_run_with_a_sentence(shop):
    """
    A bug in a step is told as such, with the node it happened in.
    """
    finished = await shop.run(a_document([START, a_node("bad", "test.break"), a_node("end")], "start -> bad -> end"), [{}])
    assert "failed" == finished["status"]
    assert ("step_crashed", "“Bad” broke: ValueError: boom.") == (finished["error"]["code"], finished["error"]["message"])
    assert "bad" == finished["error"]["where"]["node"]


async def test_an_unknown_step_says_so(shop):
    """
    A step that no connector brings fails when it is reached.
    """
    finished = await shop.run(a_document([START, a_node("x", "nowhere.at_all")], "start -> x"), [{}])
    assert "not_found" == finished["error"]["code"]


@pytest.mark.parametrize(
    ("on_error", "out", "error"),
    [
        pytest.param("route", [1, 3], [-2], id="failed items leave by the error port"),
        pytest.param("ignore", [1, 3], None, id="failed items are dropped"),
    ],
)
async def test_some_items_of_a_batch_fail(shop, on_error, out, error):
    """
    What happens to the items that failed is the node's choice; the rest goes on.
    """
    nodes = [START, a_node("some", "test.some_fail", on_error=on_error)]
    finished = await shop.run(a_document(nodes, "start -> some"), [{"n": 1}, {"n": -2}, {"n": 3}])
    ports = finished["outputs"]["some"]
    assert out == [item["n"] for item in ports["out"]]
    assert error == ([item["n"] for item in ports["error"]] if "error" in ports else None)
    step = (await shop.steps(finished["id"]))["some"]
    assert (0 if error else 1) == step.ignored


async def test_a_failed_item_carries_its_error(shop):
    """
    At the error port stands the item itself with `error`: code, message, hint and where.
    """
    nodes = [START, a_node("some", "test.some_fail", on_error="route"), a_node("mend")]
    finished = await shop.run(a_document(nodes, "start -> some, some.error -> mend"), [{"n": -2, "who": "Ada"}])
    expected = {
        "n": -2,
        "who": "Ada",
        "error": {"code": "bad_input", "message": "-2 is bad", "hint": None, "where": {"field": "n"}},
    }
    assert [expected] == finished["outputs"]["mend"]["out"]


async def test_stop_names_the_item(shop):
    """
    `on_error: stop`, the default, fails the run at the first item that failed.
    """
    finished = await shop.run(a_document([START, a_node("some", "test.some_fail")], "start -> some"), [{"n": 1}, {"n": -2}])
    assert {"node": "some", "field": "n", "item": 1} == finished["error"]["where"]


async def test_a_whole_batch_that_fails_is_routed(shop):
    """
    A step that breaks as a whole sends all its items by the error port.
    """
    nodes = [START, a_node("bad", "test.break", on_error="route"), a_node("mend")]
    finished = await shop.run(a_document(nodes, "start -> bad, bad.error -> mend"), [{"n": 1}, {"n": 2}])
    assert [1, 2] == [item["n"] for item in finished["outputs"]["mend"]["out"]]


@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_a_step_may_end_the_run(shop, status):
    """
    `flow.stop` ends the run as it says; nothing further starts.
    """
    nodes = [START, a_node("enough", "test.stop", status=status), a_node("end")]
    finished = await shop.run(a_document(nodes, "start -> enough -> end"), [{}])
    assert status == finished["status"]
    assert "end" not in await shop.statuses(finished["id"])


async def test_a_failure_lets_go_of_the_other_branch(shop):
    """
    A branch that only waits does not hold up a run that has failed.
    """
    nodes = [START, a_node("waits", "test.wait"), a_node("bad", "test.break", timeout=timedelta(seconds=9))]
    finished = await shop.run(a_document(nodes, "start -> waits, start -> bad"), [{}])
    statuses = await shop.statuses(finished["id"])
    assert ("failed", "cancelled") == (finished["status"], statuses["waits"])


async def test_a_write_that_is_under_way_comes_to_its_end(shop):
    """
    When a run fails elsewhere, a change outside that has begun is waited for and its receipt is kept.
    """
    nodes = [START, a_node("send", "test.send"), a_node("bad", "test.break", timeout=timedelta(seconds=9))]
    finished = await shop.run(a_document(nodes, "start -> send, start -> bad"), [{"n": 1}])
    assert ("failed", "succeeded") == (finished["status"], (await shop.statuses(finished["id"]))["send"])


async def test_an_action_works_item_by_item(shop):
    """
    An each-action is called once per item with its fields rendered; the order is kept.
    """
    nodes = [START, a_node("send", "test.send", what="{{ item.n + 1 }}", concurrency=3)]
    finished = await shop.run(a_document(nodes, "start -> send"), [{"n": n} for n in range(7)])
    assert [1, 2, 3, 4, 5, 6, 7] == [item["sent"] for item in finished["outputs"]["send"]["out"]]
    assert 3 == shop.outside.most_together


async def test_each_item_has_its_own_key(shop):
    """
    The idempotency key names run, node and item.
    """
    finished = await shop.run(a_document([START, a_node("send", "test.send")], "start -> send"), [{"n": 1}, {"n": 2}])
    expected = [f"{finished['id']}:send:0", f"{finished['id']}:send:1"]
    assert expected == [item["key"] for item in finished["outputs"]["send"]["out"]]


async def test_an_item_may_leave_by_several_ports(shop):
    """
    `Multi` names the ports; each port keeps where its items came from.
    """
    nodes = [START, a_node("sort", "test.sort"), a_node("out", "data.set", fields={"fields": {"from": "nodes.start.item.n"}})]
    finished = await shop.run(a_document(nodes, "start -> sort, sort.big -> out"), [{"n": 1}, {"n": 2}, {"n": 3}])
    assert [2, 2, 3, 3] == [item["from"] for item in finished["outputs"]["out"]["out"]]


async def test_a_run_that_takes_too_long_fails(shop):
    """
    `settings.timeout` bounds the whole run.
    """
    document = a_document([START, a_node("waits", "test.wait")], "start -> waits", timeout=timedelta(milliseconds=30))
    finished = await shop.run(document, [{}])
    assert ("failed", "timed_out") == (finished["status"], finished["error"]["code"])


async def test_a_step_that_takes_too_long_fails(shop):
    """
    `timeout` on a node bounds one try.
    """
    nodes = [START, a_node("waits", "test.wait", timeout=timedelta(milliseconds=30))]
    finished = await shop.run(a_document(nodes, "start -> waits"), [{}])
    assert ("timed_out", "“Waits” took longer than 0.03 s.") == (finished["error"]["code"], finished["error"]["message"])


async def test_cancel_reaches_a_running_action(shop):
    """
    Cancel ends the action at work, and the step says so.
    """
    run = shop.start(a_document([START, a_node("waits", "test.wait")], "start -> waits"), [{}])
    await until(lambda: shop.outside.seen("wait"))
    cancelled = await shop.worker.cancel(run.id)
    assert RunStatus.CANCELLED == cancelled.status
    assert "cancelled" == (await shop.statuses(run.id))["waits"]
    assert "cancelled" == (await shop.finished(run.id))["status"]


async def test_a_run_can_be_cancelled_before_it_takes_its_first_step(shop):
    """
    Cancel right after the start ends the run too, and gives its slot back.
    """
    document = a_document([START, a_node("send", "test.send")], "start -> send", concurrency=1)
    first = shop.start(document, [{"n": 1}], version_id="v1")
    assert RunStatus.CANCELLED == (await shop.worker.cancel(first.id)).status
    second = shop.start(document, [{"n": 2}], version_id="v1")
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(second.id)).status
    assert [2] == shop.outside.seen("send")


@pytest.mark.alone
async def test_a_big_batch_goes_its_way_beside_the_others(shop):
    """
    Computing and writing down a big batch happens in threads: the event loop keeps moving, and the data is right.
    """
    document = a_document(
        [START, a_node("make", "data.generate", count=50_000, item={"n": "index"}), a_node("double", "test.double")],
        "start -> make -> double",
    )
    gaps, last = [], time.perf_counter()

    async def tick():
        nonlocal last
        while True:
            await asyncio.sleep(0)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    ticking = asyncio.create_task(tick())
    run = shop.start(document, [{}])
    await shop.worker.wait(run.id)
    ticking.cancel()
    items = (await shop.finished(run.id))["outputs"]["double"]["out"]
    assert (50_000, 99_998) == (len(items), items[-1]["n"])
    assert max(gaps) < 0.5


async def test_nobody_changes_items_in_place(make_workshop):
    """
    With `proves_batches`, a step that changes what arrived fails with a sentence that names it.
    """
    shop = await make_workshop(proves_batches=True)
    finished = await shop.run(a_document([START, a_node("spoil", "test.spoil")], "start -> spoil"), [{"n": 1}])
    assert "“Spoil” changed the items that arrived at “in” in place." == finished["error"]["message"]
    finished = await shop.run(a_document([START, a_node("fine", "test.double")], "start -> fine"), [{"n": 1}])
    assert "succeeded" == finished["status"]
    await shop.worker.stop()
    await shop.store.stop()


async def test_batches_that_pass_through_are_stored_once(shop):
    """
    A step that hands on the very list it got is stored as a reference to the step that made it.
    """
    nodes = [START, a_node("double", "test.double"), a_node("a"), a_node("b")]
    run = shop.start(a_document(nodes, "start -> double -> a -> b"), [{"n": n, "text": "x" * 100} for n in range(100)])
    await shop.worker.wait(run.id)
    facts = await shop.store.read(lambda work: work.runs.facts(run.id, with_payload=True))
    sizes = {fact.node: len(fact.payload or b"") for fact in facts}
    assert sizes["double"] > 10_000
    assert (True, True) == (sizes["a"] < 200, sizes["b"] < 200)
    assert 100 == len((await shop.finished(run.id))["outputs"]["b"]["out"])


async def test_values_that_are_not_json_become_json(shop):
    """
    What following steps see is what the journal holds, also where a step handed out dates or decimals.
    """
    nodes = [
        START,
        a_node("when", "data.set", fields={"fields": {"day": "date('2026-11-23')", "sum": "decimal('0.10')"}}),
        a_node("end"),
    ]
    finished = await shop.run(a_document(nodes, "start -> when -> end"), [{}])
    assert [{"day": "2026-11-23", "sum": "0.10"}] == finished["outputs"]["end"]["out"]


async def test_runs_of_one_workflow_wait_for_each_other(shop):
    """
    `settings.concurrency` holds further runs back as queued until one is over.
    """
    document = a_document([START, a_node("waits", "test.wait")], "start -> waits", concurrency=1)
    first, second = (shop.start(document, [{}], version_id="v1") for _ in range(2))
    assert (RunStatus.RUNNING, RunStatus.QUEUED) == (first.status, second.status)
    await shop.store.journal.barrier()
    assert RunStatus.QUEUED == (await shop.store.read(lambda work: work.runs.get(second.id))).status
    shop.outside.gate("gate").set()
    over = [await shop.worker.wait(run.id) for run in (first, second)]
    assert [RunStatus.SUCCEEDED, RunStatus.SUCCEEDED] == [run.status for run in over]
    assert over[0].finished_at <= over[1].started_at


async def test_a_queued_run_can_be_cancelled(shop):
    """
    A run that waits for its slot ends at once.
    """
    document = a_document([START, a_node("waits", "test.wait")], "start -> waits", concurrency=1)
    first, second = (shop.start(document, [{}], version_id="v1") for _ in range(2))
    assert RunStatus.CANCELLED == (await shop.worker.cancel(second.id)).status
    shop.outside.gate("gate").set()
    assert RunStatus.SUCCEEDED == (await shop.worker.wait(first.id)).status


async def test_the_answer_to_the_caller(shop):
    """
    `flow.respond` answers while the run goes on; a run without an answer says None.
    """
    nodes = [START, a_node("answer", "flow.respond", status=201, body="hello {{ item.n }}"), a_node("waits", "test.wait")]
    run = shop.start(a_document(nodes, "start -> answer -> waits"), [{"n": 7}])
    response = await shop.worker.response(run.id)
    assert (201, "hello 7") == (response.status, response.body)
    assert RunStatus.RUNNING == shop.worker.find_running(run.id).status
    shop.outside.gate("gate").set()
    await shop.worker.wait(run.id)
    silent = shop.start(a_document([START]), [{}])
    assert await shop.worker.response(silent.id) is None


async def test_a_manual_trigger_has_a_sample(shop):
    """
    A run that is given no items starts with the sample of its trigger.
    """
    document = a_document([a_node("start", "trigger.manual", sample=[{"n": 4}]), a_node("end")], "start -> end")
    assert {"end": {"out": [{"n": 4}]}} == (await shop.run(document))["outputs"]


async def test_events_tell_the_story(shop):
    """
    Whoever listens hears a run start, its steps and its end, in order.
    """
    heard = []
    shop.bus.subscribe(lambda event: heard.append((type(event).__name__, getattr(event, "node", None))))
    await shop.run(a_document([START, a_node("end")], "start -> end"), [{}])
    expected = [("RunStarted", None), ("StepStarted", "end"), ("StepFinished", "end"), ("RunFinished", None)]
    assert expected == [event for event in heard if event[1] != "start"]


@pytest.mark.parametrize(
    ("mode", "result"),
    [("batch", 7), ("batch", {"out": [1]}), ("batch", [1]), ("each", "text"), ("each", [[]])],
)
async def test_a_step_that_hands_back_nonsense(shop, mode, result):
    """
    What is no output of a step is a bug of the step, told with its name.
    """

    def wrong(batch):
        return result

    async def wrong_each(ctx):
        return result

    spec = StepSpec(name="test.wrong", title="Wrong", call=wrong if mode == "batch" else wrong_each, mode=mode)
    shop.worker.plans = PlanCache(Catalog([*shop.catalog, spec]))
    finished = await shop.run(a_document([START, a_node("odd", "test.wrong")], "start -> odd"), [{}])
    assert "step_crashed" == finished["error"]["code"]
    assert finished["error"]["message"].startswith("“Odd” handed back a value of the type")


async def test_a_connection_is_opened_for_the_step_that_names_it(shop):
    """
    The step gets what the vault gives out; without a vault it fails with a sentence.
    """

    async def asks(ctx):
        return {"token": ctx.connection["token"]}

    async def unlock(workflow_id, name):
        return {"token": f"secret of {name}"}

    shop.worker.plans = PlanCache(Catalog([*shop.catalog, StepSpec(name="test.ask", title="Ask", call=asks, mode="each")]))
    document = a_document([START, a_node("ask", "test.ask", connection="shop")], "start -> ask")
    assert "The connection “shop” cannot be opened here." == (await shop.run(document, [{}]))["error"]["message"]
    shop.worker.env.unlock = unlock
    assert [{"token": "secret of shop"}] == (await shop.run(document, [{}]))["outputs"]["ask"]["out"]


async def test_one_item_of_many_may_end_the_run(shop):
    """
    `StopRun` out of one of several items at work ends the run as it says.
    """

    async def picky(ctx, n=0, concurrency=3):
        await asyncio.sleep(0)
        if n == 2:
            raise StopRun("succeeded", "Found it.")
        return {"n": n}

    fields = (
        FieldSpec(name="n", type="integer", default="{{ item.n }}"),
        FieldSpec(name="concurrency", type="integer", default=3),
    )
    spec = StepSpec(name="test.picky", title="Picky", call=picky, mode="each", fields=fields)
    shop.worker.plans = PlanCache(Catalog([*shop.catalog, spec]))
    document = a_document([START, a_node("picky", "test.picky"), a_node("end")], "start -> picky -> end")
    finished = await shop.run(document, [{"n": n} for n in range(6)])
    assert ("succeeded", None, {}) == (finished["status"], finished["error"], finished["outputs"])


async def test_log_lines_know_where_they_belong(shop, caplog):
    """
    Whatever is logged while a step is at work carries the run's and the node's id.
    """

    def chatty(batch):
        logging.getLogger("somewhere").warning("hello")
        return batch.items

    spec = StepSpec(name="test.chatty", title="Chatty", call=chatty)
    shop.worker.plans = PlanCache(Catalog([*shop.catalog, spec]))
    caplog.handler.addFilter(RunFilter())
    finished = await shop.run(a_document([START, a_node("chatty", "test.chatty")], "start -> chatty"), [{}])
    (record,) = [record for record in caplog.records if record.name == "somewhere"]
    assert (finished["id"], "chatty") == (record.run_id, record.node_id)


async def test_a_step_may_log(shop):
    """
    Lines that a step logs stand with the step.
    """

    async def talks(ctx):
        ctx.log.warning("careful with %s", "this")
        return {}

    spec = StepSpec(name="test.talk", title="Talk", call=talks, mode="each")
    shop.worker.plans = PlanCache(Catalog([*shop.catalog, spec]))
    finished = await shop.run(a_document([START, a_node("talk", "test.talk")], "start -> talk"), [{}])
    (line,) = (await shop.steps(finished["id"]))["talk"].log
    assert ("warning", "careful with this") == (line["level"], line["text"])


async def test_a_thousand_runs_at_a_time(shop):
    """
    Many runs go at the same time through one worker.
    """
    document = a_document([START, a_node("double", "test.double"), a_node("end")], "start -> double -> end")
    runs = [shop.start(document, [{"n": n}], version_id="v1") for n in range(1000)]
    over = await asyncio.gather(*(shop.worker.wait(run.id) for run in runs))
    assert {RunStatus.SUCCEEDED} == {run.status for run in over}


async def test_the_answer_of_the_last_step_comes_with_the_end(shop):
    """
    When `flow.respond` is the last step, its caller hears the answer once the run's end is on disk.
    """
    nodes = [START, a_node("answer", "flow.respond", status=201, body="hello {{ item.n }}")]
    run = shop.start(a_document(nodes, "start -> answer"), [{"n": 1}])
    response = await shop.worker.response(run.id)
    assert (201, "hello 1") == (response.status, response.body)
    stored = await shop.store.read(lambda work: work.runs.get(run.id))
    assert RunStatus.SUCCEEDED == stored.status
