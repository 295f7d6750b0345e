"""The API over a real server, told as stories."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import orjson
import pytest

from tests.api.contract import API, Contract
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio

DOUBLE = """treadle: 1
name: Double
nodes:
  start:
    use: trigger.manual
    with:
      sample:
        - {n: 1}
  double:
    use: data.set
    with:
      fields: {twice: "item.n * 2"}
edges:
  - start -> double
"""
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front()) as client:
        client.headers.update(await house.token("read", "run", "write"))
        contract = Contract((await client.get(f"{API}/openapi.json")).json())
        client.event_hooks = {"response": [contract.check]}  # every story keeps to the document
        yield client


async def made(client: httpx.AsyncClient, text: str = DOUBLE) -> str:
    """Make a workflow and return its id."""
    answer = await client.post(f"{API}/workflows", content=text, headers=YAML)
    assert 201 == answer.status_code, answer.text
    return answer.json()["id"]


async def test_the_life_of_a_workflow(client: httpx.AsyncClient):
    """
    A workflow is made from a document, read, replaced, switched on and off, listed and deleted.
    """
    created = await client.post(f"{API}/workflows", content=DOUBLE, headers=YAML)
    workflow = created.json()
    assert ("Double", 1, False) == (workflow["name"], workflow["revision"], workflow["is_active"])
    assert f"{API}/workflows/{workflow['id']}" == created.headers["location"]

    read = (await client.get(f"{API}/workflows/Double")).json()
    assert DOUBLE == read["document"]
    plain = await client.get(f"{API}/workflows/Double", headers={"Accept": "application/yaml"})
    assert (DOUBLE, "application/yaml") == (plain.text, plain.headers["content-type"].partition(";")[0])

    replaced = await client.put(f"{API}/workflows/Double", content=DOUBLE.replace("* 2", "* 3"), headers=YAML)
    assert 2 == replaced.json()["revision"]
    version = (await client.post(f"{API}/workflows/Double/activate", json={"message": "first"})).json()
    assert ("first", "a test") == (version["message"], version["author"])
    (row,) = (await client.get(f"{API}/workflows")).json()["workflows"]
    assert (True, ["trigger.manual"], None) == (row["is_active"], row["triggers"], row["last_run"])
    assert (await client.post(f"{API}/workflows/Double/deactivate")).json()["is_active"] is False

    assert 204 == (await client.delete(f"{API}/workflows/{workflow['id']}")).status_code
    assert 404 == (await client.get(f"{API}/workflows/Double")).status_code


async def test_a_document_as_json(client: httpx.AsyncClient):
    """
    The same document may come as JSON.
    """
    document = {"treadle": 1, "name": "As JSON", "nodes": {"start": {"use": "trigger.manual"}}}
    answer = await client.post(f"{API}/workflows", json=document)
    assert (201, "As JSON") == (answer.status_code, answer.json()["name"])


async def test_every_problem_of_a_document_is_told(client: httpx.AsyncClient):
    """
    A document with mistakes is refused with all of them, each with its line and the nearest right word.
    """
    text = DOUBLE.replace("data.set", "data.sett").replace("start -> double", "start -> duble")
    answer = await client.post(f"{API}/workflows", content=text, headers=YAML)
    error = answer.json()["error"]
    assert (422, "invalid_document") == (answer.status_code, error["code"])
    assert 2 <= len(error["where"]["problems"])
    assert all(problem["line"] for problem in error["where"]["problems"])
    assert any("data.set" in (problem["hint"] or "") for problem in error["where"]["problems"])


async def test_two_who_save_at_once(client: httpx.AsyncClient):
    """
    With the ETag that was read, the second to save learns that the first was faster.
    """
    workflow = await made(client)
    etag = (await client.get(f"{API}/workflows/{workflow}")).headers["etag"]
    headers = {**YAML, "If-Match": etag}
    first = await client.put(f"{API}/workflows/{workflow}", content=DOUBLE.replace("* 2", "* 3"), headers=headers)
    second = await client.put(f"{API}/workflows/{workflow}", content=DOUBLE.replace("* 2", "* 4"), headers=headers)
    assert (200, 412) == (first.status_code, second.status_code)
    assert {"revision": 2} == second.json()["error"]["where"]
    assert first.headers["etag"] == (await client.get(f"{API}/workflows/{workflow}")).headers["etag"]
    odd = await client.put(f"{API}/workflows/{workflow}", content=DOUBLE, headers={**YAML, "If-Match": '"²"'.encode()})
    assert 400 == odd.status_code


async def test_a_run_to_its_end(house: House, client: httpx.AsyncClient):
    """
    Started with `wait`, a run answers as it reads from the command line: with the outputs of its last nodes.
    """
    workflow = await made(client)
    answer = await client.post(f"{API}/workflows/{workflow}/runs?wait=10", json={"input": [{"n": 4}, {"n": 5}]})
    run = answer.json()
    assert (200, "succeeded", "manual", None) == (answer.status_code, run["status"], run["trigger"], run["error"])
    assert {"double": {"out": [{"n": 4, "twice": 8}, {"n": 5, "twice": 10}]}} == run["outputs"]
    keys = ["id", "workflow", "version", "status", "trigger", "queued_at", "started_at", "finished_at", "duration_ms"]
    assert [*keys, "error", "outputs"] == list(run)
    assert run == (await client.get(f"{API}/runs/{run['id']}")).json()
    steps = (await client.get(f"{API}/runs/{run['id']}/steps")).json()["steps"]
    assert [("start", "succeeded", {"out": 2}), ("double", "succeeded", {"out": 2})] == [
        (step["node"], step["status"], step["ports"]) for step in steps
    ]
    page = (await client.get(f"{API}/runs/{run['id']}/steps/double/output?offset=1&limit=1")).json()
    assert {"items": [{"n": 5, "twice": 10}], "total": 2, "offset": 1} == page
    assert 2 == (await client.get(f"{API}/runs/{run['id']}/steps/double/input")).json()["total"]


async def test_a_run_without_waiting(client: httpx.AsyncClient):
    """
    Without `wait` the answer is 202 with the run's address, where its end can be read.
    """
    workflow = await made(client)
    answer = await client.post(f"{API}/workflows/{workflow}/runs")
    assert (202, False) == (answer.status_code, "outputs" in answer.json())
    async with asyncio.timeout(10):
        while (run := (await client.get(answer.headers["location"])).json())["status"] != "succeeded":
            await asyncio.sleep(0.01)
    assert {"double": {"out": [{"n": 1, "twice": 2}]}} == run["outputs"]


async def test_pages_of_runs(client: httpx.AsyncClient):
    """
    Runs are listed newest first, page by page, each exactly once, filtered as asked.
    """
    workflow = await made(client)
    broken = await made(client, DOUBLE.replace("Double", "Broken").replace("item.n * 2", "item.no * 2"))
    for number in range(7):
        await client.post(f"{API}/workflows/{workflow}/runs?wait=10", json={"input": {"n": number}})
    await client.post(f"{API}/workflows/{broken}/runs?wait=10", json={"test": True})
    found, cursor = [], None
    while True:
        page = (await client.get(f"{API}/runs", params={"limit": 3, **({"before": cursor} if cursor else {})})).json()
        found += page["runs"]
        if (cursor := page["next"]) is None:
            break
    assert 8 == len({run["id"] for run in found}) == len(found)
    assert sorted((run["id"] for run in found), reverse=True) == [run["id"] for run in found]
    failed = (await client.get(f"{API}/runs?status=failed&status=cancelled&test=true&workflow=Broken")).json()["runs"]
    assert [("Broken", "failed", True)] == [(run["workflow"], run["status"], run["is_test"]) for run in failed]
    assert [] == (await client.get(f"{API}/runs?until=2020-01-01T00:00:00Z")).json()["runs"]
    assert 400 == (await client.get(f"{API}/runs?since=2020-01-01T00:00:00")).status_code


async def test_again_from_where_it_failed(house: House, client: httpx.AsyncClient):
    """
    A failed run can be run again; one that succeeded or goes on cannot be cancelled or retried.
    """
    workflow = await made(client, DOUBLE.replace("item.n * 2", "item.no * 2"))
    failed = (await client.post(f"{API}/workflows/{workflow}/runs?wait=10")).json()
    assert ("failed", "double") == (failed["status"], failed["error"]["where"]["node"])
    again = await client.post(f"{API}/runs/{failed['id']}/retry")
    assert (202, failed["id"]) == (again.status_code, again.json()["retry_of"])
    await house.worker.wait(again.json()["id"], timedelta(seconds=10))
    assert "failed" == (await client.get(again.headers["location"])).json()["status"]
    assert 409 == (await client.post(f"{API}/runs/{failed['id']}/cancel")).status_code


async def test_follow_a_run(house: House, client: httpx.AsyncClient):
    """
    The stream of a run begins with its state and ends with the finished run; a run that is over gives both at once.
    """
    workflow = await made(client)
    run = (await client.post(f"{API}/workflows/{workflow}/runs?wait=10")).json()
    events = await read_events(client, f"{API}/runs/{run['id']}/events")
    assert ["state", "finished"] == [name for name, _ in events]
    assert run == events[-1][1]
    assert {"start", "double"} == {step["node"] for step in events[0][1]["steps"]}


async def test_follow_a_run_as_it_goes(house: House, client: httpx.AsyncClient):
    """
    Who follows a run from its start sees each step, and at last the finished run.
    """
    workflow = await made(client)
    await house.worker.stop()
    await house.worker.start(resume=False)
    house.worker._queue.slots = 0  # nothing starts yet, so that the line is open before the first step
    run = (await client.post(f"{API}/workflows/{workflow}/runs")).json()
    following = asyncio.create_task(read_events(client, f"{API}/runs/{run['id']}/events"))
    async with asyncio.timeout(10):
        while not house.bus.is_heard:
            await asyncio.sleep(0.005)
    house.worker.set_slots(100)
    events = await following
    assert "state" == events[0][0]
    assert "finished" == events[-1][0]
    settled = [data["node"] for name, data in events if name == "step" and data["status"] == "succeeded"]
    known = [step["node"] for step in events[0][1]["steps"]]
    assert {"start", "double"} <= {*settled, *known}
    assert not house.bus.is_heard


async def read_events(client: httpx.AsyncClient, path: str) -> list[tuple[str, dict]]:
    """Read a stream of server-sent events to its end."""
    events, name = [], ""
    async with client.stream("GET", path) as answer:
        assert "text/event-stream" == answer.headers["content-type"].partition(";")[0]
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                events.append((name, orjson.loads(line[6:])))
    return events


async def test_the_catalog(house: House, client: httpx.AsyncClient):
    """
    Every step is there with its fields; an unknown one names the nearest.
    """
    steps = (await client.get(f"{API}/catalog")).json()["steps"]
    assert [spec.name for spec in house.catalog] == [step["name"] for step in steps]
    schedule = (await client.get(f"{API}/catalog/trigger.schedule")).json()
    assert ["cron", "every", "timezone", "missed", "calendar", "on_holiday"] == [field["name"] for field in schedule["fields"]]
    unknown = await client.get(f"{API}/catalog/data.filtr")
    assert (404, "Did you mean “data.filter”?") == (unknown.status_code, unknown.json()["error"]["hint"])


async def test_who_may(house: House, client: httpx.AsyncClient):
    """
    Without a token nothing is answered; a token does what its scopes say, until it is revoked.
    """
    workflow = await made(client)
    bare = {"Authorization": ""}
    for headers in (bare, {"Authorization": "Bearer trdl_wrong"}, {"Authorization": "Basic YTpi"}):
        answer = await client.get(f"{API}/workflows", headers=headers)
        assert (401, "not_signed_in", "Bearer") == (
            answer.status_code,
            answer.json()["error"]["code"],
            answer.headers["www-authenticate"],
        )
    reader = await house.token("read")
    assert 200 == (await client.get(f"{API}/workflows", headers=reader)).status_code
    refused = await client.post(f"{API}/workflows/{workflow}/runs", headers=reader)
    assert (403, "not_allowed") == (refused.status_code, refused.json()["error"]["code"])
    assert 403 == (await client.delete(f"{API}/workflows/{workflow}", headers=await house.token("read", "run"))).status_code
    for token in await house.studio.tokens.list_all():
        await house.studio.tokens.revoke(token.id)
    assert 401 == (await client.get(f"{API}/workflows", headers=reader)).status_code


async def test_pages_of_other_sites_are_refused(client: httpx.AsyncClient):
    """
    A browser page of another site gets nothing, even with a token.
    """
    answer = await client.get(f"{API}/workflows", headers={"Origin": "https://evil.example"})
    assert (403, "wrong_origin") == (answer.status_code, answer.json()["error"]["code"])
    assert "access-control-allow-origin" not in answer.headers
    cross = await client.get(f"{API}/workflows", headers={"Sec-Fetch-Site": "cross-site"})
    assert 403 == cross.status_code


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PATCH", "/workflows", 405),
        ("DELETE", "/catalog", 405),
        ("GET", "/runs/run_0", 404),
        ("GET", "/runs?limit=0", 422),
        ("GET", "/runs?status=odd", 422),
        ("POST", "/workflows", 400),
    ],
)
async def test_whatever_fails_has_one_form(client: httpx.AsyncClient, method: str, path: str, status: int):
    """
    Every answer that is no success is a problem with code, message, hint and place.
    """
    answer = await client.request(method, API + path)
    assert status == answer.status_code
    assert {"code", "message", "hint", "where"} == set(answer.json()["error"])
    assert answer.json()["error"]["message"].endswith(".")


async def test_bodies_that_make_no_sense(client: httpx.AsyncClient):
    """
    Broken JSON, an unknown key and a wrong type are told apart, with the place.
    """
    workflow = await made(client)
    path = f"{API}/workflows/{workflow}/runs"
    broken = await client.post(path, content=b'{"input": ', headers={"Content-Type": "application/json"})
    unknown = await client.post(path, json={"inptu": {}})
    wrong = await client.post(path, json={"input": "x"})
    assert [400, 422, 422] == [answer.status_code for answer in (broken, unknown, wrong)]
    assert "inptu" in unknown.json()["error"]["message"]
    nowhere = await client.post(path, json={"from": "nowhere"})
    assert (404, "node") == (nowhere.status_code, nowhere.json()["error"]["where"]["kind"])


async def test_a_document_that_is_too_large(client: httpx.AsyncClient):
    """
    A body over ten megabytes is refused without being read to its end.
    """
    answer = await client.post(f"{API}/workflows", content=b"#" * (10 * 1024 * 1024 + 1), headers=YAML)
    assert (413, "too_large") == (answer.status_code, answer.json()["error"]["code"])
