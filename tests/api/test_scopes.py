"""What a token's scopes open: every route with every scope alone, and nothing done that is then refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.api.contract import API
from tests.api.test_api import DOUBLE, YAML
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio

NEEDS = {
    ("get", "/workflows"): "read",
    ("post", "/workflows"): "write",
    ("get", "/workflows/{ref}"): "read",
    ("put", "/workflows/{ref}"): "write",
    ("delete", "/workflows/{ref}"): "write",
    ("post", "/workflows/{ref}/activate"): "write",
    ("post", "/workflows/{ref}/deactivate"): "write",
    ("post", "/workflows/{ref}/runs"): "run",
    ("get", "/workflows/{ref}/versions"): "read",
    ("get", "/workflows/{ref}/versions/{version}"): "read",
    ("get", "/workflows/{ref}/versions/{version}/diff"): "read",
    ("post", "/workflows/{ref}/versions/{version}/restore"): "write",
    ("patch", "/workflows/{ref}/versions/{version}"): "write",
    ("get", "/runs"): "read",
    ("get", "/runs/{run_id}"): "read",
    ("get", "/runs/{run_id}/steps"): "read",
    ("get", "/runs/{run_id}/children"): "read",
    ("get", "/runs/{run_id}/steps/{node}/output"): "read",
    ("get", "/runs/{run_id}/lineage"): "read",
    ("get", "/runs/{run_id}/steps/{node}/input"): "read",
    ("get", "/runs/{run_id}/events"): "read",
    ("post", "/runs/{run_id}/cancel"): "run",
    ("post", "/runs/{run_id}/decide"): "run",
    ("post", "/runs/{run_id}/retry"): "run",
    ("get", "/failures"): "read",
    ("get", "/failures/{group}"): "read",
    ("post", "/failures/replay"): "run",
    ("post", "/failures/discard"): "run",
    ("post", "/failures/undo"): "run",
    ("get", "/replays"): "read",
    ("get", "/replays/{replay}"): "read",
    ("post", "/replays/{replay}/cancel"): "run",
    ("post", "/runs/{run_id}/fork"): "run",
    ("get", "/runs/{run_id}/steps/{node}/effects"): "read",
    ("get", "/schedule"): "read",
    ("get", "/calendars"): "read",
    ("put", "/calendars"): "write",
    ("post", "/calendars/import"): "write",
    ("get", "/calendars/{name}"): "read",
    ("delete", "/calendars/{name}"): "write",
    ("post", "/workflows/{ref}/backfill"): "run",
    ("get", "/backfills"): "read",
    ("post", "/backfills/{name}/cancel"): "run",
    ("get", "/disk"): "read",
    ("get", "/waiting"): "read",
    ("post", "/signals"): "run",
    ("post", "/approvals/{run_id}/{node}"): "run",
    ("post", "/sql"): "sql",
    ("get", "/catalog"): "read",
    ("get", "/catalog/{name}"): "read",
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front()) as client:
        yield client


@pytest.mark.parametrize("scope", ["read", "run", "write", "admin", "sql", None])
async def test_each_route_asks_for_its_scope(house: House, client: httpx.AsyncClient, scope: str | None):
    """
    A scope opens its own routes and no other; without a token, or with one that is unknown, every route is closed.
    """
    routes = (await client.get(f"{API}/openapi.json")).json()["paths"]
    assert set(NEEDS) == {(method, path) for path, methods in routes.items() for method in methods}
    workflow = await house.publish(DOUBLE)
    run = await house.studio.runs.start(workflow)
    await house.worker.wait(run.id)
    token = await house.token(scope) if scope else {"Authorization": "Bearer trdl_unknown"}
    places = {"{ref}": workflow, "{run_id}": run.id, "{node}": "double", "{name}": "data.set", "{version}": "0"}
    for (method, path), needed in sorted(NEEDS.items(), key=lambda one: one[0][0] == "delete"):
        for name, value in places.items():
            path = path.replace(name, value)
        body = {"content": DOUBLE.replace("Double", f"Double {scope}"), "headers": {**token, **YAML}}
        options = body if path.endswith(("/workflows", workflow)) and method in ("post", "put") else {"headers": token}
        if method == "patch":
            options = {"headers": token, "json": {"message": "one"}}
        if path.endswith("/signals"):
            options = {"headers": token, "json": {"name": "paid"}}
        if path.endswith("/decide") or "/approvals/" in path:
            options = {"headers": token, "json": {"decision": "skip"}}
        if path.startswith("/failures/") and method == "post":
            options = {"headers": token, "json": {"runs": [run.id], **({"reason": "known"} if "discard" in path else {})}}
        if path.endswith("/fork"):
            options = {"headers": token, "json": {}}
        answer = await client.request(method, f"{API}{path}", **options)
        if scope is None:
            assert 401 == answer.status_code, path
        else:
            assert (scope != needed) == (answer.status_code == 403), (method, path, answer.status_code)


async def test_a_run_that_may_not_be_read_is_not_waited_for(house: House, client: httpx.AsyncClient):
    """
    Who may start runs and not read them is refused before the run starts, not after: a caller who is refused tries again.
    """
    workflow = await house.publish(DOUBLE)
    answer = await client.post(f"{API}/workflows/{workflow}/runs?wait=5", headers=await house.token("run"))
    assert (403, 0) == (answer.status_code, len(await house.runs()))


async def test_a_run_may_be_ended_without_reading_it(house: House, client: httpx.AsyncClient):
    """
    The scope `run` ends a run; what it gave so far is not told to who may not read.
    """
    workflow = await house.publish(DOUBLE)
    house.worker._queue.slots = 0  # nothing starts, so the run is still to be ended
    run = await house.studio.runs.start(workflow)
    answer = await client.post(f"{API}/runs/{run.id}/cancel", headers=await house.token("run"))
    assert (200, "cancelled", {}) == (answer.status_code, answer.json()["status"], answer.json()["outputs"])


async def test_a_body_has_an_end(house: House, client: httpx.AsyncClient):
    """
    An input beyond the limit is refused when that much has come, with its length announced or not; nothing is run.
    """
    workflow = await house.publish(DOUBLE)
    headers = {**await house.token("run"), "Content-Type": "application/json"}

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"input": [{"text": "'
        for _ in range(40):
            yield b"x" * 1_000_000
        yield b'"}]}'

    for body in (endless(), b"[" + b"1," * 17_000_000 + b"1]"):
        answer = await client.post(f"{API}/workflows/{workflow}/runs", content=body, headers=headers)
        assert (413, "too_large") == (answer.status_code, answer.json()["error"]["code"])
    assert [] == await house.runs()
