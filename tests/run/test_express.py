"""The express way leaves the same journal as the long way, and steps aside for everything it does not know."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.events.types import RunFinished
from engine.model.items import File
from engine.model.run import RunStatus
from engine.model.workflow import RetryPolicy
from engine.run.express import MOST_ITEMS, find_express
from engine.run.payloads import Payload
from engine.store import tables
from tests.run.workshop import a_document, a_node

pytestmark = pytest.mark.anyio

START = a_node("start", "trigger.manual")
TOTAL = a_node("total", "data.set", fields={"fields": {"total": "item.price * item.qty"}})
NAMED = a_node(
    "named", "data.set", fields={"fields": {"a": "item.price + 1", "b": "'Nr ' + item.qty", "c": "nodes.start.item.qty"}}
)
BIG = a_node("big", "flow.if", fields={"when": "item.price > 5"})
LOW = a_node("low", "data.limit", fields={"count": 1})
ANSWER = a_node("answer", "flow.respond", fields={"status": 201, "body": {"total": "{{ item.total }}"}})
SORT = a_node("sort", "data.sort", fields={"by": ["item.qty"]})
ITEMS = [{"price": 2.5, "qty": 4}, {"price": 10, "qty": 3}, {"price": 7, "qty": 2}]

WAYS = {
    "a chain": ([START, TOTAL, NAMED], "start -> total -> named"),
    "an answer": ([START, TOTAL, ANSWER], "start -> total -> answer"),
    "an answer in the middle": ([START, ANSWER, TOTAL], "start -> answer -> total"),
    "branches": ([START, BIG, TOTAL, LOW, SORT], "start -> big, big.true -> total -> sort, big.false -> low"),
    "another trigger": ([START, a_node("hook", "trigger.webhook", path="x"), TOTAL, LOW], "start -> total, hook -> low"),
    "a port that nothing leaves by": ([START, TOTAL, LOW], "start -> total, total.error -> low"),
    "on empty": (
        [START, BIG, replace(LOW, run_on_empty=True), replace(TOTAL, run_on_empty=True)],
        "start -> big, big.true -> low, big.false -> total",
    ),
}


async def journal_of(shop, run_id):
    """Return a run's journal without what differs from run to run, payloads read."""
    facts = await shop.store.read(lambda work: work.runs.facts(run_id, with_payload=True))
    lines = []
    for fact in facts:
        summary = {name: value for name, value in fact.summary.items() if name != "ms"}
        payload = None if fact.payload is None else Payload(fact.payload)
        ports = payload and {
            port: (
                payload.items(port),
                payload.reference(port),
                {name: str(how) for name, how in payload.origins(port).items()},
            )
            for port in payload.ports
        }
        lines.append((fact.kind.value, fact.node, fact.scope, fact.attempt, summary, ports))
    return lines


async def both_ways(shop, document, items):
    """Return a run's journal and form from the express way and from the long way, which a listener brings about."""
    found = []
    for is_heard in (False, True):
        leave = shop.bus.subscribe(lambda event: None) if is_heard else lambda: None
        finished = await shop.run(document, items)
        leave()
        run = await shop.store.read(lambda work, run_id=finished["id"]: work.runs.get(run_id))
        found.append(
            (sorted(await journal_of(shop, run.id), key=str), finished["outputs"], run.status, run.start_node, run.epoch)
        )
    return found


def way_of(shop, document):
    """Return the express way of a document, and forget nothing of it."""
    plan = shop.worker.plans.get(f"v{id(document)}", document)
    return find_express(plan, plan.choose_start())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("items", [ITEMS, ITEMS[:1], [{"price": 1, "qty": 0}], []], ids=["three", "one", "a small one", "none"])
async def test_the_journal_is_the_same(shop, way, items):
    """
    Nobody can tell from what is kept which way a run went.
    """
    document = a_document(*WAYS[way])
    express, long = await both_ways(shop, document, items)
    assert long == express
    assert 1 == way_of(shop, document).took


async def test_seq_counts_without_a_gap(shop):
    """
    A journal begins at nought and leaves nothing out, however its lines came about.
    """
    finished = await shop.run(a_document(*WAYS["branches"]), ITEMS)
    facts = await shop.store.read(lambda work: work.runs.facts(finished["id"]))
    assert list(range(len(facts))) == [fact.seq for fact in facts]


@pytest.mark.parametrize(
    ("nodes", "items"),
    [
        pytest.param(
            [a_node("fails", "data.set", fields={"fields": {"x": "item.name * 2"}})], [{"name": "Ada"}], id="a failure"
        ),
        pytest.param([a_node("ends", "flow.stop", fields={"status": "failed"})], [{}], id="an end"),
        pytest.param([a_node("sorts", "test.sort", fields={"n": 2})], [{}], id="a step that works item by item"),
        pytest.param([a_node("broken", "test.break")], [{}], id="a broken step"),
        pytest.param([replace(TOTAL, timeout=timedelta(seconds=3))], ITEMS, id="a timeout"),
        pytest.param([replace(TOTAL, retry=RetryPolicy())], ITEMS, id="a retry"),
        pytest.param([replace(TOTAL, disabled=True)], ITEMS, id="a node that is switched off"),
        pytest.param([TOTAL], ITEMS * MOST_ITEMS, id="a big batch"),
        pytest.param(
            [a_node("file", "data.set", fields={"fields": {"x": "1"}})],
            [{"file": File(hash="0" * 64, name="a", media_type="text/plain", size=1)}],
            id="a file",
        ),
    ],
)
async def test_what_it_does_not_know_goes_the_long_way(shop, nodes, items):
    """
    The run ends as it would have without the express way, with a journal that was begun once.
    """
    document = a_document([START, *nodes], f"start -> {nodes[0].id}")
    express, long = await both_ways(shop, document, items)
    assert long == express
    way = way_of(shop, document)
    assert way is None or way.took == 0


async def test_a_way_that_is_mostly_missed_is_given_up(shop):
    """
    A workflow whose runs fail again and again does not pay for trying twice each time.
    """
    document = a_document([START, a_node("fails", "data.set", fields={"fields": {"x": "item.name * 2"}})], "start -> fails")
    for _ in range(10):
        await shop.run(document, [{"name": "Ada"}])
    assert not way_of(shop, document).is_worth_trying


async def test_it_waits_behind_those_who_wait(shop):
    """
    A run that found others waiting for a slot takes its turn behind them.
    """
    shop.worker._queue.slots = 1
    held = shop.start(a_document([START, a_node("wait", "test.wait")], "start -> wait"), [{}])
    second = shop.start(a_document([START, a_node("wait", "test.wait")], "start -> wait"), [{}])
    third = shop.start(a_document([START, TOTAL], "start -> total"), ITEMS)
    assert [RunStatus.RUNNING, RunStatus.QUEUED, RunStatus.QUEUED] == [held.status, second.status, third.status]
    shop.outside.gate("gate").set()
    for run in (held, second, third):
        assert RunStatus.SUCCEEDED is (await shop.worker.wait(run.id)).status


async def test_what_is_said_to_be_over_is_on_disk(shop):
    """
    Until it is, a run that was carried at once counts as running and can be waited for.
    """
    run = shop.start(a_document([START, TOTAL], "start -> total"), ITEMS)
    assert RunStatus.RUNNING is run.status
    assert RunStatus.RUNNING is shop.worker.find_running(run.id).status
    over = await shop.worker.wait(run.id)
    kept = await shop.store.read(lambda work: work.runs.get(run.id))
    assert (RunStatus.SUCCEEDED, None) == (over.status, shop.worker.find_running(run.id))
    assert over == kept


async def test_stopping_waits_for_what_is_about_to_land(shop):
    """
    Who waits for a run that was carried a moment before the worker stops hears how it ended.
    """
    with shop.store.database.gate:  # the disk takes its time
        run = shop.start(a_document([START, TOTAL], "start -> total"), ITEMS)
        waiting = asyncio.create_task(shop.worker.wait(run.id))
        stopping = asyncio.create_task(shop.worker.stop())
        await asyncio.wait((stopping,), timeout=0.05)
        assert not stopping.done()
    await stopping
    assert RunStatus.SUCCEEDED is (await waiting).status


async def test_a_failing_document_says_so_once_per_run(shop):
    """
    Whoever listens hears one end per run, also when it went the long way after all.
    """
    heard = []
    document = a_document([START, a_node("fails", "data.set", fields={"fields": {"x": "item.name * 2"}})], "start -> fails")
    shop.bus.subscribe(heard.append, RunFinished)
    await shop.run(document, [{"name": "Ada"}])
    assert ["failed"] == [event.status for event in heard]


@pytest.mark.parametrize("seed", range(20))
async def test_any_tree_of_plain_steps(shop, seed):
    """
    For trees grown by chance both ways come to the same journal.
    """
    chance = random.Random(seed)
    kinds = [TOTAL, NAMED, BIG, LOW, SORT, ANSWER]
    nodes, edges = [START], []
    for number in range(chance.randint(1, 9)):
        parent = chance.choice(nodes)
        port = chance.choice(["true", "false"]) if parent.use == "flow.if" else chance.choice(["out", "out", "out", "error"])
        node = replace(chance.choice(kinds), id=f"n{number}", run_on_empty=chance.random() < 0.2)
        edges.append(f"{parent.id}.{port} -> {node.id}")
        nodes.append(node)
    document = a_document(nodes, ", ".join(edges))
    express, long = await both_ways(shop, document, chance.sample(ITEMS, chance.randint(0, 3)))
    assert long == express


def test_the_line_is_the_row():
    """
    A line of the hot path has the columns of the table, in their order: who adds a column makes a line longer too.
    """
    columns = ["run_id", "seq", "kind", "node", "scope", "attempt", "at", "summary", "payload_form", "payload"]
    assert columns == tables.facts.columns.keys()


@pytest.mark.parametrize("settings", [{"timeout": timedelta(1)}, {"concurrency": 2}], ids=str)
async def test_settings_that_ask_for_more(shop, settings):
    """
    A limit of the workflow is kept by the long way only.
    """
    assert way_of(shop, a_document([START, TOTAL], "start -> total", **settings)) is None
