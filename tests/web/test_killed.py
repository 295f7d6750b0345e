"""kill -9 in the middle: what was answered is kept, and nothing runs twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from engine.model.run import RunStatus
from tests.web.house import a_house

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
HOOK = """
treadle: 1
name: Orders
nodes:
  hook:
    use: trigger.webhook
    with: {path: orders}
  keep:
    use: data.set
    with:
      fields: {number: item.body.number}
edges:
  - hook -> keep
"""
CLOCK = """
treadle: 1
name: Every second
nodes:
  clock:
    use: trigger.schedule
    with: {every: 1s, missed: all}
"""


@asynccontextmanager
async def a_life(folder: Path) -> AsyncIterator[str]:
    """A running Treadle that ends by kill -9; hands out its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.web.killable", str(folder), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def call_until_it_dies(client: httpx.AsyncClient, numbers: list[int], answered: dict[int, str], keyed: bool) -> None:
    """Send requests as fast as they are answered; remember the run of each number that was answered."""
    while numbers:
        number = numbers.pop()
        headers = {"Idempotency-Key": f"order {number}"} if keyed else {}
        try:
            answer = await client.post("/hooks/orders", json={"number": number}, headers=headers)
        except httpx.HTTPError:
            numbers.append(number)
            return
        assert 202 == answer.status_code
        answered[number] = answer.json()["run"]


@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "with a key"])
async def test_what_was_answered_is_kept(tmp_path: Path, keyed: bool):
    """
    Killed four times under load, every request that was answered has its run, and the run comes to its end.

    With an idempotency key a caller may send again what was not answered: each number runs exactly once.
    """
    async with a_house(tmp_path) as house:
        await house.publish(HOOK)
    chance, answered, numbers = random.Random(7), {}, list(range(100_000))
    for _ in range(4):
        before = len(answered)
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            async with a_life(tmp_path) as base:
                client.base_url = base
                calls = [asyncio.create_task(call_until_it_dies(client, numbers, answered, keyed)) for _ in range(16)]
                while len(answered) == before:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(chance.uniform(0.05, 0.5))
            await asyncio.gather(*calls)
    assert len(answered) > 50
    async with a_house(tmp_path) as house:
        runs = {run.id: run for run in await house.runs()}
        assert {RunStatus.SUCCEEDED} == {run.status for run in runs.values()}
        assert {run for run in answered.values() if run not in runs} == set()
        ran = Counter([(await house.outputs(run, "keep"))[0]["number"] for run in runs.values()])
        assert set(answered) <= set(ran)
        assert [] == await house.store.check()
        if keyed:
            assert {1} == set(ran.values())


async def test_each_slot_once(tmp_path: Path):
    """
    A schedule of every second, killed five times, has run each second from first to last exactly once.
    """
    async with a_house(tmp_path) as house:
        await house.publish(CLOCK)
    chance = random.Random(11)
    for _ in range(5):
        async with a_life(tmp_path):
            await asyncio.sleep(chance.uniform(0.2, 1.6))
    async with a_house(tmp_path) as house:
        await house.triggers.schedules.run_once()
        slots = sorted([datetime.fromisoformat((await house.outputs(run, "clock"))[0]["due"]) for run in await house.runs()])
        assert len(slots) >= 5
        assert [slots[0] + timedelta(seconds=number) for number in range(len(slots))] == slots
