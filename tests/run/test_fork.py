"""Going on from a run that was: with other data, another document, and a choice for every change outside."""

import pytest

from engine.errors import BadRequest, Conflict, NotFound, Refused
from engine.ids import NodeId
from engine.model.run import FactKind, RunStatus
from engine.run.fork import EffectsToDecide, Fork, behind, changed_nodes
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
LINE = "start -> double -> send -> last"


def a_line(**double):
    """A workflow that doubles, sends, and looks at what was sent."""
    last = a_node("last", "data.set", fields={"fields": {"was": "nodes.double.item.n", "sent": "item.sent"}, "keep": "none"})
    return a_document([START, a_node("double", "test.double", **double), a_node("send", "test.send"), last], LINE)


async def forked(shop, run_id, **wish):
    """Fork a run, follow it to its end and return it as borders show it."""
    new = await shop.worker.fork(run_id, Fork(**wish))
    await shop.worker.wait(new.id)
    return await shop.finished(new.id)


def last(finished):
    return finished["outputs"]["last"]["out"]


async def test_earlier_steps_are_taken_over(shop):
    """
    What stands before the fork is not run again; its facts are those of the new run, and lineage goes through them.
    """
    old = await shop.run(a_line(), [{"n": 1}, {"n": 2}])
    new = await forked(shop, old["id"], at=NodeId("last"))
    assert ("succeeded", [{"was": 2, "sent": 2}, {"was": 4, "sent": 4}]) == (new["status"], last(new))
    assert [2, 4] == shop.outside.seen("send")
    facts = await shop.store.read(lambda work: work.runs.facts(new["id"]))
    assert list(range(len(facts))) == [fact.seq for fact in facts]
    assert old["id"] == (await shop.store.read(lambda work: work.runs.get(new["id"]))).retry_of


async def test_effects_behind_the_fork_are_asked_about(shop):
    """
    Without a choice nothing is started, and the error lists the steps with what they have done.
    """
    old = await shop.run(a_line(), [{"n": 1}, {"n": 2}])
    with pytest.raises(EffectsToDecide, match="“Send” \\(2 done\\)") as caught:
        await shop.worker.fork(old["id"], Fork(at=NodeId("double")))
    assert [{"node": "send", "title": "Send", "done": 2, "uncertain": 0}] == caught.value.where["steps"]
    assert 1 == len(await shop.store.read(lambda work: work.runs.list_page(_everything())))


def _everything():
    from engine.protocols import RunFilter

    return RunFilter()


@pytest.mark.parametrize(
    ("choice", "calls", "sent"),
    [
        pytest.param("reuse", [2, 4], [2, 4], id="what it gave then"),
        pytest.param("again", [2, 4, 20, 40], [20, 40], id="once more, with what arrives now"),
    ],
)
async def test_a_choice_for_each_effect(shop, choice, calls, sent):
    """
    Changed data goes in at the fork; what was sent is reused or sent again, as chosen, under a key of its own.
    """
    old = await shop.run(a_line(), [{"n": 1}, {"n": 2}])
    new = await forked(shop, old["id"], at=NodeId("double"), items=[{"n": 10}, {"n": 20}], effects={NodeId("send"): choice})
    assert ("succeeded", calls, sent) == (new["status"], shop.outside.seen("send"), [item["sent"] for item in last(new)])
    assert [20, 40] == [item["was"] for item in last(new)]


async def test_a_reused_effect_keeps_the_data_it_gave(shop):
    """
    A step that handed on the very list of a step that is run again keeps the old items, not the new ones.
    """
    nodes = [START, a_node("make", "test.double"), a_node("note", "test.note")]
    old = await shop.run(a_document(nodes, "start -> make -> note"), [{"n": 1}])
    new = await forked(shop, old["id"], at=NodeId("make"), items=[{"n": 5}], otherwise="reuse")
    assert old["outputs"] == new["outputs"]


async def test_a_dry_run_describes_what_it_would_do(shop):
    """
    Nothing is changed outside; each item says what would have been done to it.
    """
    old = await shop.run(a_line(), [{"n": 1}])
    nodes = [START, a_node("double", "test.double"), a_node("send", "test.send")]
    document = a_document(nodes, "start -> double -> send")
    new = await forked(shop, old["id"], document=document, items=[{"n": 7}], is_dry=True)
    would = [item["would"] for item in new["outputs"]["send"]["out"]]
    assert [{"step": "test.send", "effect": "write", "fields": {"what": 14, "concurrency": 1}}] == would
    assert [2] == shop.outside.seen("send")
    facts = await shop.store.read(lambda work: work.runs.facts(new["id"], node=NodeId("send")))
    assert {FactKind.STEP_SUCCEEDED} == {fact.kind for fact in facts}


async def test_another_document(shop):
    """
    Steps that are other ones now, and all behind them, are run; what did not change is taken over.
    """
    old = await shop.run(a_line(), [{"n": 3}])
    document = a_document(
        [START, a_node("double", "test.double"), a_node("send", "test.send"), a_node("last", "test.total")],
        LINE.replace("x", ""),
    )
    shop.outside.calls.clear()
    nodes = dict(document.nodes, last=a_node("last", "data.set", fields={"fields": {"changed": "item.sent + 1"}}))
    new = await forked(shop, old["id"], document=_with(document, nodes))
    assert ("succeeded", 7, []) == (new["status"], last(new)[0]["changed"], shop.outside.seen("send"))


def _with(document, nodes):
    from dataclasses import replace

    return replace(document, nodes=nodes)


async def test_trying_again_keeps_what_is_done(shop):
    """
    A step that failed in the middle has its receipts: the new run does the rest, under the keys of the old one.
    """
    shop.outside.fail["3"] = [Refused("not now")]
    document = a_document([START, a_node("send", "test.send")], "start -> send")
    failed = await shop.run(document, [{"n": n} for n in range(6)])
    assert ("failed", [0, 1, 2, 3]) == (failed["status"], shop.outside.seen("send"))
    new = await shop.worker.retry(failed["id"])
    await shop.worker.wait(new.id)
    over = await shop.finished(new.id)
    assert ("succeeded", [0, 1, 2, 3, 3, 4, 5]) == (over["status"], shop.outside.seen("send"))
    keys = [item["key"] for item in over["outputs"]["send"]["out"]]
    assert [f"{failed['id']}:send:{n}" for n in range(6)] == keys


async def test_trying_again_what_was_cancelled_asks_about_what_was_under_way(shop):
    """
    Cancelling stops calls in the middle; nobody knows what became of those, so the new run asks about exactly them.
    """
    document = a_document([START, a_node("send", "test.send", concurrency=3)], "start -> send")
    run = shop.start(document, [{"n": n} for n in range(30)])
    await until(lambda: len(shop.outside.seen("send")) > 8)
    await shop.worker.cancel(run.id)
    before = len(shop.outside.seen("send"))
    new = await shop.worker.retry(run.id)
    parked = await shop.worker.wait(new.id)
    assert RunStatus.NEEDS_DECISION == parked.status
    assert 1 <= len(parked.error["where"]["items"]) <= 3
    await shop.worker.decide(new.id, "retry")
    over = await shop.worker.wait(new.id)
    assert (RunStatus.SUCCEEDED, 30 - before + len(parked.error["where"]["items"])) == (
        over.status,
        len(shop.outside.seen("send")) - before,
    )


async def test_a_forked_run_survives_a_restart(make_workshop, tmp_path):
    """
    What it took over, the data it was given and that it is dry stand in its journal.
    """
    where = str(tmp_path / "treadle.db")
    shop = await make_workshop(where)
    nodes = [START, a_node("double", "test.double"), a_node("waits", "test.wait"), a_node("send", "test.send")]
    shop.outside.gate("gate").set()
    old = await shop.run(a_document(nodes, "start -> double -> waits -> send"), [{"n": 1}])
    shop.outside.gate("gate").clear()
    shop.worker._grace *= 0
    new = await shop.worker.fork(old["id"], Fork(at=NodeId("double"), items=[{"n": 5}], is_dry=True))
    await until(lambda: len(shop.outside.seen("wait")) > 1)
    await shop.worker.stop()
    await shop.store.stop()
    shop = await make_workshop(where)
    shop.outside.gate("gate").set()
    await shop.worker.wait(new.id)
    over = await shop.finished(new.id)
    assert 10 == over["outputs"]["send"]["out"][0]["would"]["fields"]["what"]
    assert [2] == shop.outside.seen("send")
    await shop.worker.stop()
    await shop.store.stop()


async def test_what_cannot_be_forked(shop):
    """
    A run at work, a step that is not there, items without a place: each has its sentence.
    """
    run = shop.start(a_document([START, a_node("waits", "test.wait")], "start -> waits"), [{}])
    await until(lambda: shop.outside.seen("wait"))
    with pytest.raises(Conflict, match="is running"):
        await shop.worker.fork(run.id, Fork())
    shop.outside.gate("gate").set()
    await shop.worker.wait(run.id)
    with pytest.raises(NotFound, match="no node “gone”"):
        await shop.worker.fork(run.id, Fork(at=NodeId("gone")))
    with pytest.raises(NotFound, match="no node “gone”"):
        await shop.worker.fork(run.id, Fork(effects={NodeId("gone"): "again"}))
    loose = await shop.run(a_document([a_node("one"), a_node("two")]), [{}])
    with pytest.raises(BadRequest, match="no one start"):
        await shop.worker.fork(loose["id"], Fork(items=[{"n": 1}]))


def test_what_stands_behind():
    """
    Every node that a line leads to, over however many others.
    """
    document = a_document([a_node(name) for name in "abcde"], "a -> b -> c, d -> c -> e")
    assert ({"b", "c", "e"}, {"d", "c", "e"}) == (behind(document, ["b"]), behind(document, ["d"]))


def test_what_changed():
    """
    Fields, lines that lead in and new nodes count; titles, notes and places do not.
    """
    before = a_document([a_node("a", n=1), a_node("b"), a_node("c"), a_node("d", title="One")], "a -> b -> c")
    after = a_document([a_node("a", n=2), a_node("b"), a_node("c"), a_node("d", title="Two"), a_node("e")], "a -> b, a -> c")
    assert {"a", "c", "e"} == changed_nodes(before, after)


async def test_trying_again_goes_on_in_the_pass_that_failed(shop):
    """
    A loop that failed at an item of its third pass keeps the passes before it, asks nobody, and sends the rest.
    """
    shop.outside.fail["2"] = [Refused("not now")]
    nodes = [START, a_node("loop", "flow.loop"), a_node("send", "test.send")]
    document = a_document(nodes, "start -> loop, loop.each -> send, send -> loop.next")
    failed = await shop.run(document, [{"n": n} for n in range(5)])
    assert ("failed", [0, 1, 2]) == (failed["status"], shop.outside.seen("send"))
    new = await shop.worker.retry(failed["id"])
    over = await shop.worker.wait(new.id)
    assert (RunStatus.SUCCEEDED, [0, 1, 2, 2, 3, 4]) == (over.status, shop.outside.seen("send"))
