"""Trying again: when, how often, and that a pause survives a restart."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import ManualClock, SystemClock
from engine.errors import BadInput, RateLimited, Refused, Unavailable
from engine.model.workflow import RetryPolicy
from engine.run.env import RunEnv
from engine.run.retry import next_try, pause_before
from tests.run.workshop import a_document, a_node

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
START = a_node("start", "trigger.manual")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(("attempt", "expected"), [(1, 2), (2, 4), (3, 8), (4, 10), (5000, 10)])
def test_pauses_grow_up_to_the_longest(attempt, expected):
    """
    The ceiling of a pause doubles from try to try and stops at `longest`.
    """
    policy = RetryPolicy(attempts=9, first=seconds(2), factor=2, longest=seconds(10))
    assert seconds(expected) == pause_before(policy, attempt, lambda: 1.0)


@given(st.floats(0, 1), st.integers(1, 60))
def test_full_jitter(chance, attempt):
    """
    Any pause from nothing to the ceiling is possible.
    """
    policy = RetryPolicy(attempts=99, first=seconds(1), factor=3, longest=seconds(60))
    ceiling = min(3.0 ** (attempt - 1), 60)
    assert pause_before(policy, attempt, lambda: chance).total_seconds() == pytest.approx(ceiling * chance, abs=1e-5)


@pytest.mark.parametrize(
    ("policy", "error", "attempt", "expected"),
    [
        pytest.param(RetryPolicy(attempts=3, first=seconds(2)), Unavailable("away"), 1, seconds(2), id="the service is away"),
        pytest.param(RetryPolicy(attempts=3), Unavailable("away"), 3, None, id="all tries are used up"),
        pytest.param(RetryPolicy(attempts=3), Refused("no"), 1, None, id="asking again will not help"),
        pytest.param(None, Unavailable("away"), 1, None, id="nobody asked for another try"),
        pytest.param(
            RetryPolicy(attempts=3),
            RateLimited("Shop", retry_after=seconds(90)),
            1,
            seconds(90),
            id="the service says how long",
        ),
        pytest.param(
            RetryPolicy(attempts=3, first=seconds(40), total=seconds(30)),
            Unavailable("away"),
            1,
            None,
            id="it would be too late",
        ),
    ],
)
def test_when_to_try_again(policy, error, attempt, expected):
    """
    A next try is planned only where it is allowed and can help.
    """
    found = next_try(policy, error, attempt=attempt, first_at=NOW, now=NOW, chance=lambda: 1.0)
    assert (None if expected is None else NOW + expected) == found


@pytest.fixture
async def calm(make_workshop):
    """A workshop whose clock jumps over pauses and keeps how long they were."""
    clock = ManualClock()
    shop = await make_workshop(clock=clock)
    shop.pauses = []

    async def jump(moment: datetime) -> None:
        shop.pauses.append(moment - clock.now())
        clock.advance(max(moment - clock.now(), timedelta(0)))

    shop.worker.env.sleep_until = jump
    shop.worker.env.chance = lambda: 1.0
    yield shop
    await shop.worker.stop()
    await shop.store.stop()


@pytest.mark.anyio
async def test_a_step_is_tried_again(calm):
    """
    A try that failed for now is followed by another after a pause; the step tells how many there were.
    """
    calm.outside.fail["1"] = [Unavailable("away"), RateLimited("Shop", retry_after=seconds(30))]
    send = a_node("send", "test.send", retry=RetryPolicy(attempts=5, first=seconds(2)))
    finished = await calm.run(a_document([START, send], "start -> send"), [{"n": 1}])
    assert ("succeeded", [seconds(2), seconds(30)]) == (finished["status"], calm.pauses)
    assert 3 == (await calm.steps(finished["id"]))["send"].attempts


@pytest.mark.anyio
async def test_only_the_items_that_failed_are_tried_again(calm):
    """
    Items that are done stay done; the second try is for the others.
    """
    calm.outside.fail["2"] = [Unavailable("away")]
    send = a_node("send", "test.send", retry=RetryPolicy(attempts=2))
    finished = await calm.run(a_document([START, send], "start -> send"), [{"n": n} for n in (1, 2, 3)])
    assert [1, 2, 3, 2] == calm.outside.seen("send")
    assert [1, 2, 3] == [item["sent"] for item in finished["outputs"]["send"]["out"]]


@pytest.mark.anyio
async def test_what_stays_broken_goes_its_way(calm):
    """
    When the tries are used up, `on_error` decides; an item that cannot be helped is not tried again.
    """
    calm.outside.fail = {"1": [Unavailable("away"), Unavailable("still away")], "2": [BadInput("n", "never")]}
    send = a_node("send", "test.send", retry=RetryPolicy(attempts=2), on_error="route")
    finished = await calm.run(a_document([START, send], "start -> send"), [{"n": n} for n in (1, 2, 3)])
    errors = finished["outputs"]["send"]["error"]
    assert [(1, "still away"), (2, "never")] == [(item["n"], item["error"]["message"]) for item in errors]
    assert [1, 2, 3, 1] == calm.outside.seen("send")


@pytest.mark.anyio
async def test_stop_does_not_begin_further_items(calm):
    """
    With `on_error: stop`, an item that cannot be helped ends the step before the next item is begun.
    """
    calm.outside.fail["2"] = [BadInput("n", "never")]
    finished = await calm.run(a_document([START, a_node("send", "test.send")], "start -> send"), [{"n": n} for n in (1, 2, 3)])
    assert ("failed", [1, 2]) == (finished["status"], calm.outside.seen("send"))


@pytest.mark.anyio
async def test_a_pause_survives_a_restart(make_workshop, tmp_path):
    """
    The moment of the next try and the items that are done stand in the journal; the next life goes on from there.
    """
    clock = ManualClock()
    where = str(tmp_path / "treadle.db")
    shop = await make_workshop(where, clock)
    shop.worker.env.chance = lambda: 1.0
    shop.outside.fail["2"] = [Unavailable("away")]
    send = a_node("send", "test.send", retry=RetryPolicy(attempts=3, first=seconds(60)))
    run = shop.start(a_document([START, send], "start -> send"), [{"n": n} for n in (1, 2, 3)])
    async with asyncio.timeout(10):
        while (await shop.statuses(run.id)).get("send") != "waiting":
            await asyncio.sleep(0.005)
    assert NOW + seconds(60) == (await shop.steps(run.id))["send"].retry_at
    await shop.worker.stop()
    await shop.store.stop()

    clock.advance(seconds(20))
    paused_until = []

    async def note(moment: datetime) -> None:
        paused_until.append(moment)

    from engine.run.env import RunEnv

    second = await make_workshop(where, clock, starts=False)
    second.worker.env.sleep_until = note
    assert isinstance(second.worker.env, RunEnv)
    await second.worker.start()
    await second.worker.wait(run.id)
    assert [NOW + seconds(60)] == paused_until
    assert [1, 2, 3, 2] == second.outside.seen("send")
    assert "succeeded" == (await second.finished(run.id))["status"]
    await second.worker.stop()
    await second.store.stop()


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_does_not_prolong_a_pause():
    """
    A pause is over when its time has passed, though the clock was set back by an hour in the middle of it.
    """

    class Wobbly(SystemClock):
        shift = timedelta()

        def now(self) -> datetime:
            return super().now() + self.shift

    clock = Wobbly()
    env = RunEnv(clock=clock, http=None, files=None, folders=None)
    asyncio.get_running_loop().call_later(0.1, setattr, clock, "shift", timedelta(hours=-1))
    async with asyncio.timeout(10):
        await env.pause_until(clock.now() + seconds(0.3))
