"""Webhooks whose run parks before it answers: the caller keeps waiting, and gets what the run says once it goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.model.run import RunStatus
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio

CHILD = """
treadle: 1
name: Child
nodes:
  start: {use: trigger.call}
  double:
    use: data.set
    with:
      fields: {double: item.body.n * 2}
edges: [start -> double]
"""

CALLER = """
treadle: 1
name: Caller
nodes:
  hook:
    use: trigger.webhook
    with: {path: orders, answer: by_step}
  call:
    use: flow.call
    with: {workflow: Child}
  answer:
    use: flow.respond
    with:
      status: 201
      body: {double: "{{ item.double }}"}
edges: [hook -> call, call -> answer]
"""


def waiting(answer: str, *, time: str = "200ms", then: str = "data.set") -> str:
    fields = "with: {fields: {seen: 'true'}}" if then == "data.set" else 'with: {body: {seen: "yes"}}'
    return f"""
treadle: 1
name: Waiting
nodes:
  hook:
    use: trigger.webhook
    with: {{path: orders, answer: {answer}}}
  wait:
    use: flow.wait
    with: {{for: {time}}}
  then:
    use: {then}
    {fields}
edges: [hook -> wait, wait -> then]
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front(wait=10.0)) as client:
        yield client


async def test_a_step_answers_after_a_call(house: House, client: httpx.AsyncClient):
    """
    The run leaves memory while the called one works; its caller gets the answer of `flow.respond`, with what came back.
    """
    await house.studio.workflows.create(CHILD)
    await house.publish(CALLER)
    answers = await asyncio.gather(*(client.post("/hooks/orders", json={"n": n}) for n in range(5)))
    assert [(201, {"double": 2 * n}) for n in range(5)] == [(one.status_code, one.json()) for one in answers]


@pytest.mark.parametrize(
    ("answer", "then", "expected"),
    [("when_done", "data.set", [{"seen": True}]), ("by_step", "flow.respond", {"seen": "yes"})],
)
async def test_an_answer_after_a_wait(house: House, client: httpx.AsyncClient, answer: str, then: str, expected: object):
    """
    A run that waits for a moment parks and is woken; its caller notices nothing of it.
    """
    await house.publish(waiting(answer, then=then))
    told = await client.post("/hooks/orders", json={})
    assert 200 == told.status_code, told.text
    body = told.json()
    found = [{"seen": item["seen"]} for item in body["then"]["out"]] if answer == "when_done" else {"seen": body["seen"]}
    assert expected == found
    (run,) = await house.runs()
    kinds = [fact.kind.value for fact in await house.store.read(lambda work: work.runs.facts(run.id))]
    assert ["step_waiting", "step_woken"] == [kind for kind in kinds if kind in ("step_waiting", "step_woken")]


@pytest.mark.parametrize("answer", ["when_done", "by_step"])
async def test_a_wait_longer_than_the_caller_waits(house: House, answer: str):
    """
    The caller is told that there is no answer yet, after all of the time it may wait and not when the run parks.
    """
    await house.publish(waiting(answer, time="1h"))
    async with served(house.front(wait=0.5)) as client:
        begin = asyncio.get_running_loop().time()
        told = await client.post("/hooks/orders", json={})
        took = asyncio.get_running_loop().time() - begin
    assert (504, "no_answer_yet", True) == (told.status_code, told.json()["error"]["code"], took >= 0.5)


@pytest.mark.parametrize("answer", ["when_done", "by_step"])
async def test_a_parked_run_that_is_cancelled(house: House, client: httpx.AsyncClient, answer: str):
    """
    Its caller is told at once that the run was cancelled.
    """
    await house.publish(waiting(answer, time="1h"))
    asking = asyncio.create_task(client.post("/hooks/orders", json={}))
    async with asyncio.timeout(5):
        while not (runs := await house.runs()) or runs[0].status is not RunStatus.WAITING:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        await house.studio.runs.cancel(runs[0].id)
        told = await asking
    assert 500 == told.status_code
    assert "cancelled" in told.text


@pytest.mark.parametrize("answer", ["when_done", "by_step"])
async def test_a_program_that_stops_lets_go_of_callers(house: House, client: httpx.AsyncClient, answer: str):
    """
    Whoever waits for a parked run is told that it goes on, and not held until the time is up.
    """
    await house.publish(waiting(answer, time="1h"))
    asking = asyncio.create_task(client.post("/hooks/orders", json={}))
    async with asyncio.timeout(5):
        while not (runs := await house.runs()) or runs[0].status is not RunStatus.WAITING:
            await asyncio.sleep(0.01)
        await house.worker.stop()
        told = await asking
    assert (504, "no_answer_yet") == (told.status_code, told.json()["error"]["code"])
