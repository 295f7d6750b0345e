"""More events than can be done: callers are asked to come again, and what was accepted is done."""

from pathlib import Path

import pytest

from engine.model.run import RunStatus
from tests.web.house import a_house, served

pytestmark = pytest.mark.anyio

SLOW = """
treadle: 1
name: Slow
nodes:
  hook:
    use: trigger.webhook
    with: {path: slow, answer: at_once}
  keep:
    use: data.set
    with: {fields: {n: item.body.n}}
edges:
  - hook -> keep
"""
LIMIT = 3


async def test_callers_are_asked_to_come_again(tmp_path: Path):
    """
    With too many queued runs a webhook answers 503 and when to try again; once there is room it accepts, and nothing is lost.
    """
    async with a_house(tmp_path, inbox_limit=LIMIT) as house, served(house.front()) as client:
        await house.publish(SLOW)
        slots, house.worker._queue.slots = house.worker._queue.slots, 0
        accepted = 0
        while (answer := await client.post("/hooks/slow", json={"n": accepted})).status_code == 202:
            accepted += 1
        assert (503, "10") == (answer.status_code, answer.headers["retry-after"])
        assert "runs are queued already" in answer.json()["error"]["message"]
        assert accepted >= LIMIT

        house.worker.set_slots(slots)
        assert [RunStatus.SUCCEEDED] * accepted == [run.status for run in await house.runs()]
        while (answer := await client.post("/hooks/slow", json={"n": 0})).status_code == 503:
            pass  # it counts the queue only twenty times a second
        assert 202 == answer.status_code
        assert accepted + 1 == len(await house.runs())
