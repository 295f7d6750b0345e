"""Items from outside: what a run sees is what is stored, so that it goes on with the same after a restart."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadRequest
from tests.api.contract import API
from tests.api.test_api import DOUBLE
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("half of a character: \ud800", id="a lone surrogate"),
        pytest.param(2**64, id="more than 64 bits"),
        pytest.param({1: "one"}, id="names that are no texts"),
        pytest.param(object(), id="no JSON at all"),
    ],
)
async def test_input_that_cannot_be_stored(house: House, value: Any):
    """
    It is refused as what it is: a mistake of the caller, not of a step.
    """
    workflow = await house.publish(DOUBLE)
    with pytest.raises(BadRequest, match="input"):
        await house.studio.runs.start(workflow, [{"n": 1, "value": value}])
    assert [] == await house.runs()


async def test_deep_input(house: House):
    """
    Input that nests deeper than can be stored is refused.
    """
    workflow = await house.publish(DOUBLE)
    value: Any = 1
    for _ in range(500):
        value = {"a": value}
    with pytest.raises(BadRequest, match="nested"):
        await house.studio.runs.start(workflow, [{"n": 1, "value": value}])


async def test_the_run_sees_what_is_stored(house: House):
    """
    What JSON has no word for is nothing, in the first life of a run as in the second.
    """
    workflow = await house.publish(DOUBLE.replace("item.n * 2", "item.value == null"))
    run = await house.studio.runs.start(workflow, [{"n": 1, "value": math.nan}])
    await house.worker.wait(run.id)
    assert [{"n": 1, "value": None, "twice": True}] == await house.outputs(run, "double")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none_over_the_api(house: House, number: str):
    """
    JSON that only Python and JavaScript write is no JSON: 400, and no run that counts with nothing in its place.
    """
    workflow = await house.publish(DOUBLE)
    async with served(house.front()) as client:
        headers = {**await house.token("run", "read"), "Content-Type": "application/json"}
        place = f"{API}/workflows/{workflow}/runs?wait=5"
        answer = await client.post(place, content=f'{{"input": [{{"n": {number}}}]}}', headers=headers)
        assert (400, "bad_request") == (answer.status_code, answer.json()["error"]["code"])
        text = '{"input": [{"n": 1, "text": "NaN and Infinity"}]}'
        assert 200 == (await client.post(place, content=text, headers=headers)).status_code
    assert 1 == len(await house.runs())
