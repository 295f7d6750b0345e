"""Zero bytes in texts, which PostgreSQL does not take: they are refused at the door on every database alike."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.errors import BadRequest
from tests.api.contract import API
from tests.api.test_api import DOUBLE, YAML
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front()) as client:
        client.headers.update(await house.token("read", "run", "write"))
        yield client


@pytest.mark.parametrize("place", ["/runs?workflow=", "/runs?text=", "/runs?before=", "/workflows?text="])
async def test_a_zero_byte_in_a_query(client: httpx.AsyncClient, place: str):
    """
    Lists refuse it as a bad request; an empty text and one with any other sign are fine.
    """
    assert 422 == (await client.get(f"{API}{place}a%00b")).status_code
    if "text" in place:
        assert 200 == (await client.get(f"{API}{place}")).status_code
        assert 200 == (await client.get(f"{API}{place}%25%5C%01%0A")).status_code


async def test_a_zero_byte_in_a_name(house: House, client: httpx.AsyncClient):
    """
    No workflow, message or token is named with it.
    """
    answer = await client.post(f"{API}/workflows", content=DOUBLE.replace("name: Double", 'name: "Dou\\0ble"'), headers=YAML)
    assert (422, "invalid_document") == (answer.status_code, answer.json()["error"]["code"])
    workflow = await house.publish(DOUBLE)
    assert 422 == (await client.post(f"{API}/workflows/{workflow}/activate", json={"message": "a\0b"})).status_code
    with pytest.raises(BadRequest):
        await house.studio.tokens.create("a\0b")
