"""Webhooks whose callers mean harm, and answers that should never reach a browser as they are."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.steps.contract import Response
from tests.web.house import House, a_house, served
from tests.web.test_hooks import a_hook

pytestmark = pytest.mark.anyio

ANSWER = """  answer:
    use: flow.respond
    with: {headers: "{{ item.body.headers }}", body: "{{ item.body.text }}"}
edges:
  - hook -> keep
  - keep -> answer
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front(limit=1_000_000, wait=5.0)) as client:
        yield client


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "unicode_escape", "zlib", "no-such", "x" * 500, "a%00"])
async def test_an_encoding_that_is_none_is_refused_at_once(house: House, client: httpx.AsyncClient, charset: str):
    """
    Python knows codecs that are no encodings of texts; some take minutes for what others read in a millisecond.
    """
    await house.publish(a_hook("orders"))
    headers = {"Content-Type": f"text/plain; charset={charset}"}
    answer = await client.post("/hooks/orders", content=b"abc-" + b"d9z" * 300_000, headers=headers, timeout=5)
    assert (400, "bad_request") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("depth", [200, 248, 250, 252, 253, 300, 900])
async def test_a_deep_body_is_read_again_or_refused(house: House, client: httpx.AsyncClient, depth: int):
    """
    What nests as deep as JSON may is shown again wherever it is asked for; what is deeper is refused with that reason.
    """
    await house.publish(a_hook("orders"))
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/hooks/orders", content=b'{"a":' * depth + b"1" + b"}" * depth, headers=headers)
    if answer.status_code == 200:
        (run,) = await house.runs()
        steps = await client.get(f"/api/v1/runs/{run.id}/steps/keep/output", headers=await house.token("read"))
        assert (depth, 200) == (answer.text.count('"a":'), steps.status_code)
    else:
        assert 240 < depth
        assert "nested" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x": "a\x01b"}, id="control characters"),
        pytest.param({"x": "\x7f"}, id="delete"),
        pytest.param({"x": "a\r\nset-cookie: y=1"}, id="a second header"),
        pytest.param({"x y": "1"}, id="no name"),
        pytest.param({"Clear-Site-Data": '"*"'}, id="what would sign the owner out"),
        pytest.param({"Set-Cookie": "treadle_0a1b2c3d=stolen; Path=/"}, id="the studio's own cookie"),
        pytest.param({"Service-Worker-Allowed": "/"}, id="what would reach the studio's pages"),
    ],
)
async def test_headers_that_are_left_out(house: House, client: httpx.AsyncClient, headers: dict[str, str]):
    """
    A header that HTTP cannot carry, or that would reach the studio beside the hook, is left out; the answer is given.
    """
    await house.publish(a_hook("orders", more="answer: by_step", steps=ANSWER))
    answer = await client.post("/hooks/orders", json={"text": "done", "headers": {**headers, "x-kept": "yes"}})
    assert (200, "done", "yes") == (answer.status_code, answer.text, answer.headers["x-kept"])
    assert {"x", "x y", "set-cookie", "clear-site-data", "service-worker-allowed"}.isdisjoint(answer.headers)


async def test_cookies_of_a_workflow_are_its_own(house: House, client: httpx.AsyncClient):
    """
    A workflow may keep a cookie with its callers.
    """
    await house.publish(a_hook("orders", more="answer: by_step", steps=ANSWER))
    answer = await client.post("/hooks/orders", json={"text": "", "headers": {"Set-Cookie": "cart=1"}})
    assert "cart=1" == answer.headers["set-cookie"]
    assert Response(headers={"set-cookie": "cart=1"}).status == 200
