"""flow.approval over time: reminders, deadlines, decisions by default; and the facade's list of what waits for whom."""

from datetime import timedelta

import pytest

from engine.access import OWNER
from engine.clock import ManualClock
from engine.errors import BadRequest, Conflict
from engine.events.types import StepWaiting
from engine.model.run import RunStatus
from engine.service.waits import WaitService
from tests.run.test_waiting import over
from tests.run.workshop import a_document, a_node, until

pytestmark = pytest.mark.anyio

START = a_node("start", "trigger.manual")
HOUR = timedelta(hours=1)
PORTS = ("approve", "reject", "late")


def asks(**fields):
    nodes = [START, a_node("ask", "flow.approval", fields={"title": "Pay {{ item.n }}?", **fields})]
    ports = [port for port in PORTS if port != "late" or ("deadline" in fields and "default" not in fields)]
    nodes += [a_node(port) for port in ports]
    return a_document(nodes, "start -> ask, " + ", ".join(f"ask.{port} -> {port}" for port in ports))


@pytest.fixture
async def desk(make_workshop):
    """A workshop on a clock of the test's own, and the facade's view of what waits."""
    shop = await make_workshop(clock=ManualClock())
    yield shop, WaitService(store=shop.store, worker=shop.worker, clock=shop.clock, actor=OWNER)
    await shop.worker.stop()
    await shop.store.stop()


async def pass_time(shop, by):
    """Let time go by, wake what is due, and wait until it has been dealt with."""
    shop.clock.advance(by)
    woken = await shop.worker.waker.run_once()
    await until(lambda: not shop.worker.running and not shop.worker.waiting)
    return woken


async def parked(shop, document):
    run = shop.start(document, [{"n": 7}])
    assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status
    return run


async def test_who_is_asked_finds_it(desk):
    """
    The inbox lists what waits for a person by name, or for nobody in particular.
    """
    shop, waits = desk
    hers = await parked(shop, asks(people=["Ada@example.org"]))
    anybodys = await parked(shop, asks())
    await parked(shop, asks(people=["bob@example.org"]))

    rows = await waits.list_rows("approval", person="ada@example.org")

    assert {hers.id, anybodys.id} == {row.run_id for row in rows}
    assert ["Pay 7?"] * 2 == [row.name for row in rows]
    assert 3 == await waits.count()


async def test_a_decision_is_recorded(desk):
    """
    The items leave by the button's port with who and when; a second decision is a conflict.
    """
    shop, waits = desk
    run = await parked(shop, asks())
    with pytest.raises(BadRequest):
        await waits.decide(run.id, "ask", "perhaps")
    await waits.decide(run.id, "ask", "reject", note="too dear")
    with pytest.raises(Conflict):
        await waits.decide(run.id, "ask", "approve")

    await over(shop, run)
    approval = {
        "decision": "reject", "by": "owner", "at": shop.clock.now().isoformat(), "note": "too dear", "answers": {},
    }  # fmt: skip
    assert {"reject": {"out": [{"n": 7, "approval": approval}]}} == (await shop.finished(run.id))["outputs"]
    with pytest.raises(Conflict):
        await waits.decide(run.id, "ask", "approve")


async def test_a_reminder_comes_once_and_the_deadline_after_it(desk):
    """
    After a time it says so, in the journal and to who listens; at the deadline the items leave by `late`.
    """
    shop, waits = desk
    heard = []
    shop.bus.subscribe(lambda event: heard.append(event.waits_for["details"].get("reminded_at")), StepWaiting)
    run = await parked(shop, asks(remind="1h", deadline="3h"))

    assert 1 == await pass_time(shop, HOUR)
    await until(lambda: len(heard) == 2)
    assert [None, shop.clock.now().isoformat()] == heard
    assert 0 == await pass_time(shop, HOUR)
    assert [run.id] == [row.run_id for row in await waits.list_rows()]

    assert 1 == await pass_time(shop, HOUR)
    await over(shop, run)
    assert {"late": {"out": [{"n": 7}]}} == (await shop.finished(run.id))["outputs"]


async def test_a_deadline_may_decide(desk):
    """
    With a decision of its own the deadline presses that button.
    """
    shop, _ = desk
    run = await parked(shop, asks(deadline="1h", default="reject"))
    await pass_time(shop, HOUR)
    await over(shop, run)
    (item,) = (await shop.finished(run.id))["outputs"]["reject"]["out"]
    assert ("reject", "") == (item["approval"]["decision"], item["approval"]["by"])


async def test_signals_are_checked_at_the_door(desk):
    """
    A name is needed; nobody waiting is no error.
    """
    shop, waits = desk
    with pytest.raises(BadRequest):
        await waits.signal(" ")
    assert [] == await waits.signal("paid", data={"n": 1}, keep=HOUR)
    assert 1 == len(await shop.store.read(lambda work: work.signals.list_kept()))
