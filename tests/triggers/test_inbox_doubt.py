"""Events of which the sender heard that it is not certain whether they were kept."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.model.run import RunStatus
from engine.triggers.inbox import make_firing
from tests.web.house import House, a_house, served
from tests.web.test_hooks import a_hook

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front()) as client:
        yield client


async def test_an_event_that_was_kept_and_not_started(house: House, client: httpx.AsyncClient):
    """
    The answer got lost behind the commit, so nobody started the run. The sender tries again, and it runs: once.
    """
    await house.publish(a_hook("orders", more="answer: at_once"))
    hook = house.triggers.webhooks.find("POST", "orders")
    firing = make_firing(hook.trigger, [{"body": {"total": 7}}], now=house.clock.now(), key="key:k1")
    await house.store.write(lambda work: work.firings.accept(firing))
    again = {"json": {"total": 8}, "headers": {"Idempotency-Key": "k1"}}
    answers = [one.json() for one in await asyncio.gather(*(client.post("/hooks/orders", **again) for _ in range(10)))]
    (run,) = await house.runs()
    assert RunStatus.SUCCEEDED == run.status
    assert {run.id} == {answer["run"] for answer in answers}
    assert [7] == [item["total"] for item in await house.outputs(run, "keep")], "what was accepted first counts"


async def test_many_who_send_the_same_at_once(house: House, client: httpx.AsyncClient):
    """
    Twenty senders of one event at the same moment make one run, and all hear of it.
    """
    await house.publish(a_hook("orders", more="answer: at_once"))
    answers = await asyncio.gather(
        *(client.post("/hooks/orders", json={"total": n}, headers={"Idempotency-Key": "k1"}) for n in range(20))
    )
    (run,) = await house.runs()
    assert ({run.id}, {202}) == ({answer.json()["run"] for answer in answers}, {answer.status_code for answer in answers})
