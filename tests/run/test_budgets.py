"""What a run may use, and how often the outside is called."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clock import SystemClock
from engine.ids import NodeId
from engine.model.limits import Budget, Rate
from engine.model.run import FactKind, RunStatus
from engine.run.compiling import PlanCache
from engine.run.meter import wanted
from engine.run.rates import PATIENCE, RateGate
from engine.steps.catalog import Catalog
from engine.steps.spec import StepSpec
from engine.store import open_store
from tests.run.test_resume import gave, leave_behind, life  # noqa: F401 - a fixture
from tests.run.workshop import a_document, a_node

pytestmark = pytest.mark.anyio
START = a_node("start", "trigger.manual")
TEN_A_SECOND = Rate(count=10, per=timedelta(seconds=1), host="api.example.com")
TWO_AN_HOUR = Rate(count=2, per=timedelta(hours=1), connection="shop")


class Time:
    """A clock that only pauses move."""

    def __init__(self):
        self.at = datetime(2026, 11, 23, tzinfo=UTC)

    def now(self):
        return self.at

    async def pause_until(self, moment):
        await asyncio.sleep(0)
        self.at = max(self.at, moment)


@pytest.mark.parametrize(
    ("budget", "name", "said"),
    [
        pytest.param(Budget(items=150), "items", "The run used 201 items, and its budget allows 150.", id="items"),
        pytest.param(Budget(bytes=1000), "bytes", "of data, and its budget allows 1 kB.", id="bytes"),
        pytest.param(Budget(minutes=1e-9), "minutes", "and its budget allows 1e-09.", id="minutes"),
    ],
)
async def test_a_run_that_uses_more_than_its_budget_ends(shop, budget, name, said):
    """
    It fails at the step that goes beyond, names the budget, what was used, and how to raise it, whatever the step's `on_error`.
    """
    make = a_node("make", "data.generate", count=100, item={"n": "index"})
    document = a_document([START, make, a_node("set", "test.double", on_error="ignore")], "start -> make -> set", budget=budget)
    run = await shop.run(document)
    assert ("failed", "over_budget", name) == (run["status"], run["error"]["code"], run["error"]["where"]["budget"])
    assert said in run["error"]["message"]
    assert f"Raise “{name}” under settings.budget" in run["error"]["hint"]


async def test_within_the_budget_nothing_happens(shop):
    """
    A budget that is large enough is not noticed.
    """
    budget = Budget(items=300, bytes=100_000, minutes=5, calls=0)
    document = a_document([START, a_node("make", "data.generate", count=100)], "start -> make", budget=budget)
    assert "succeeded" == (await shop.run(document))["status"]


class Web:
    """The outside."""

    def __init__(self):
        self.asked = []

    async def request(self, method, url, **options):
        self.asked.append(url)
        return SimpleNamespace(status_code=200)


@pytest.fixture
def calling(shop):
    """Return a document whose step calls the outside once per item."""

    async def asks(ctx, concurrency=1):
        await ctx.http.request("GET", "https://api.example.com/x")
        return {"asked": True}

    shop.worker.env.http = Web()
    ask = StepSpec(name="test.ask", title="Ask", call=asks, mode="each", effect="read")
    shop.worker.plans = PlanCache(Catalog([*shop.catalog, ask]))
    return lambda **more: a_document([START, a_node("ask", "test.ask", on_error="route")], "start -> ask", **more)


async def test_a_call_beyond_the_budget_does_not_go_out(shop, calling):
    """
    The run ends before the fourth call, although the step routes its failures.
    """
    run = await shop.run(calling(budget=Budget(calls=3)), [{"n": n} for n in range(9)])
    assert ("failed", "over_budget") == (run["status"], run["error"]["code"])
    assert 3 == len(shop.worker.env.http.asked)


async def test_a_rate_holds_over_runs_and_parallel_steps(shop, calling):
    """
    Two runs that call the same host together stay within its rate.
    """
    time = Time()
    shop.worker.env.gate = RateGate(time, time.pause_until, None)
    began, document = time.at, calling(rates=(TEN_A_SECOND,))
    await asyncio.gather(*(shop.run(document, [{"n": n} for n in range(10)]) for _ in range(2)))
    assert 20 == len(shop.worker.env.http.asked)
    assert timedelta(seconds=1.9) == time.at - began


async def test_what_earlier_lives_used_counts(life):  # noqa: F811
    """
    After a restart the budget goes on where it was: the journal knows.
    """
    document = a_document(
        [START, a_node("make", "test.pass"), a_node("more", "test.double")], "start -> make -> more", budget=Budget(items=25)
    )
    shop = await life(starts=False)
    items = [{"n": n} for n in range(10)]
    run = await leave_behind(
        shop, document, items, [(FactKind.STEP_SUCCEEDED, "start", gave(items)), (FactKind.STEP_SUCCEEDED, "make", gave(items))]
    )
    shop = await life()
    ended = await shop.worker.wait(run.id, timedelta(seconds=10))
    assert (RunStatus.FAILED, "over_budget", "30 items") == (ended.status, ended.error["code"], ended.error["where"]["used"])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 50),
    st.integers(1, 8),
    st.sampled_from([timedelta(seconds=1), timedelta(minutes=1)]),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_ever_sees_more_than_the_rate(count, burst, per, pauses):
    """
    In any stretch of the rate's length there are at most `count` calls and the burst, whenever they come.
    """
    rate, time, went = Rate(count=count, per=per, burst=burst, host="a"), Time(), []
    gate = RateGate(time, time.pause_until, None)

    async def one():
        await gate.pass_through([("host a", rate)])
        went.append(time.at)

    async def all_of_them():
        for pause in pauses:
            time.at += timedelta(seconds=pause)
            await asyncio.gather(*(one() for _ in range(3)))

    asyncio.run(all_of_them())
    went.sort()
    for index, begin in enumerate(went):
        inside = [moment for moment in went[index:] if moment - begin < per - timedelta(milliseconds=1)]
        assert len(inside) <= count + burst - 1 + 1


async def test_a_slow_rate_outlives_the_program(tmp_path):
    """
    What was called before a crash counts after it, to the call.
    """
    time = Time()
    for life_number in range(4):
        store = open_store(tmp_path / "a.db", clock=SystemClock(), blobs_dir=tmp_path)
        await store.start()
        began = time.at
        await RateGate(time, time.pause_until, store).pass_through([("connection shop", TWO_AN_HOUR)])
        await store.stop()
        assert timedelta(minutes=30 if life_number else 0) == time.at - began


async def test_a_fast_rate_begins_each_life_with_nothing_in_hand(shop):
    """
    A burst right before a restart is not followed by one right after it.
    """
    time = Time()
    rate, began = Rate(count=10, per=timedelta(seconds=1), burst=5, host="a"), time.at
    await RateGate(time, time.pause_until, shop.store).pass_through([("host a", rate)])
    assert timedelta(seconds=0.1) == time.at - began


async def test_waiting_for_a_turn_is_not_held_against_the_call():
    """
    The time-out of a step counts the call, not the time it stood in line for its rate.
    """
    clock = SystemClock()

    async def pause_until(moment):
        await asyncio.sleep((moment - clock.now()).total_seconds())

    gate, rate = RateGate(clock, pause_until, None), Rate(count=4, per=timedelta(seconds=1), host="a")
    async with asyncio.timeout(0.2) as limit:
        PATIENCE.set(limit)
        await gate.pass_through([("host a", rate)])
        await gate.pass_through([("host a", rate)])
    PATIENCE.set(None)


def test_which_rate_is_meant():
    """
    A host by its name or by *, a connection by the step's.
    """
    anywhere = Rate(count=1, per=timedelta(seconds=1), host="*")
    rates = (TEN_A_SECOND, TWO_AN_HOUR, anywhere)
    assert [("host api.example.com", TEN_A_SECOND), ("host api.example.com", anywhere)] == wanted(
        rates, "https://API.example.com:8443/x", None
    )
    assert [("connection shop", TWO_AN_HOUR), ("host b", anywhere)] == wanted(rates, "http://b/", "shop")
    assert [] == wanted((TEN_A_SECOND,), "https://other.example.com", NodeId("shop"))


async def test_a_loop_counts_and_a_try_does_not_catch(shop):
    """
    What the passes of a loop use counts for the run; inside `flow.try` a spent budget ends the run all the same.
    """
    frames = [a_node("guard", "flow.try"), a_node("each", "flow.loop")]
    nodes = [START, *frames, a_node("work", "test.double"), a_node("bad"), a_node("good")]
    way = "start -> guard, guard.body -> each, each.each -> work -> each.next, each.done -> guard.next"
    document = a_document(nodes, f"{way}, guard.done -> good, guard.caught -> bad", budget=Budget(items=15))
    run = await shop.run(document, [{"n": n} for n in range(10)])
    assert ("failed", "over_budget") == (run["status"], run["error"]["code"])
    assert {"bad", "good"}.isdisjoint(name for _, name in shop.outside.calls)
