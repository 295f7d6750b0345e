"""The API keeps what its OpenAPI document promises: every operation, every status, every body."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.app import build_api
from engine.model.run import RunStatus
from tests.api.contract import API, Contract
from tests.parked import leave_behind
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio

DOCUMENT = """treadle: 1
name: Contract
nodes:
  start:
    use: trigger.manual
  keep:
    use: data.set
    with:
      fields: {n: "item.no * 2"}
edges:
  - start -> keep
"""
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house.front()) as client:
        client.headers.update(await house.token("read", "run", "write", "sql"))
        yield client


@pytest.fixture
async def contract(client: httpx.AsyncClient) -> Contract:
    """The document as the server gives it; from here on every answer is held against it."""
    answer = await client.get(f"{API}/openapi.json", headers={"Authorization": ""})
    assert 200 == answer.status_code
    contract = Contract(answer.json())
    client.event_hooks = {"response": [contract.check]}
    return contract


async def test_the_document(contract: Contract):
    """
    OpenAPI 3.1, served from where it stands; every operation has a summary, a token, and says what its problems look like.
    """
    document = contract.document
    assert ("3.1", [{"url": API}]) == (document["openapi"][:3], document["servers"])
    for path, methods in document["paths"].items():
        for method, spec in methods.items():
            name = f"{method.upper()} {path}"
            assert spec["summary"], name
            assert spec["description"], name
            assert [{"token": []}] == spec["security"], name
            assert {"401", "403", "422", "500"} <= set(spec["responses"]), name
            for status, answer in spec["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert {"$ref": "#/components/schemas/ProblemAnswer"} == schema, f"{name} {status}"


async def test_every_operation_answers_as_promised(house: House, client: httpx.AsyncClient, contract: Contract):
    """
    Each operation is called so that it succeeds; status and body are what the document says.
    """
    workflow = (await client.post(f"{API}/workflows", content=DOCUMENT, headers=YAML)).json()["id"]
    await client.get(f"{API}/workflows")
    await client.get(f"{API}/workflows/{workflow}")
    await client.get(f"{API}/workflows/{workflow}", headers={"Accept": "application/yaml"})
    await client.put(f"{API}/workflows/{workflow}", content=DOCUMENT, headers=YAML)
    await client.post(f"{API}/workflows/{workflow}/activate", json={"message": "one"})
    await with_versions(client, workflow)
    started = (await client.post(f"{API}/workflows/{workflow}/runs", json={"input": {"no": 1}})).json()["id"]
    await client.post(f"{API}/workflows/{workflow}/runs?wait=10", json={"input": {"no": 1}})
    failed = (await client.post(f"{API}/workflows/{workflow}/runs?wait=10")).json()
    assert "failed" == failed["status"]
    await client.get(f"{API}/workflows")  # now with a last run
    await client.get(f"{API}/runs")
    for run in (started, failed["id"]):
        await house.worker.wait(run)
        await client.get(f"{API}/runs/{run}")
        await client.get(f"{API}/runs/{run}/steps")
        await client.get(f"{API}/runs/{run}/children")
        await client.get(f"{API}/runs/{run}/steps/keep/output")
        await client.get(f"{API}/runs/{run}/lineage?step=start&path=no")
        await client.get(f"{API}/runs/{run}/steps/keep/input")
        await client.get(f"{API}/runs/{run}/events")
    group = (await client.get(f"{API}/failures")).json()["groups"][0]["id"]
    await client.get(f"{API}/failures/{group}")
    discard = (await client.post(f"{API}/failures/discard", json={"group": group, "reason": "known"})).json()["discard"]
    await client.post(f"{API}/failures/undo", json={"discard": discard})
    replay = (await client.post(f"{API}/failures/replay", json={"group": group})).json()["id"]
    await client.get(f"{API}/replays")
    await client.get(f"{API}/replays/{replay}")
    await client.post(f"{API}/replays/{replay}/cancel")
    await client.post(f"{API}/runs/{failed['id']}/retry")
    await client.post(f"{API}/runs/{started}/fork", json={"at": "keep", "otherwise": "again"})
    await client.get(f"{API}/runs/{started}/steps/keep/effects")
    parked = await leave_behind(house.store, house.clock.now(), status=RunStatus.NEEDS_DECISION)
    await client.post(f"{API}/runs/{parked}/decide", json={"decision": "skip"})
    house.worker._queue.slots = 0
    waiting = (await client.post(f"{API}/workflows/{workflow}/runs", json={"input": {"no": 1}})).json()
    assert "queued" == waiting["status"]
    await client.post(f"{API}/runs/{waiting['id']}/cancel")
    await with_time(client)
    await with_waits(client, house)
    await client.post(f"{API}/workflows/{workflow}/deactivate")
    await client.delete(f"{API}/workflows/{workflow}")
    await client.get(f"{API}/catalog")
    await client.get(f"{API}/catalog/data.set")
    assert contract.operations == {name for name, status in contract.seen if status < 300}


ASKS = """treadle: 1
name: Asks
nodes:
  start:
    use: trigger.manual
  ask:
    use: flow.approval
    with: {title: Is this right}
edges:
  - start -> ask
"""


async def with_waits(client: httpx.AsyncClient, house: House) -> None:
    """Call everything about what waits so that it succeeds."""
    house.worker._queue.slots = 1
    asks = (await client.post(f"{API}/workflows", content=ASKS, headers=YAML)).json()["id"]
    run = (await client.post(f"{API}/workflows/{asks}/runs?wait=10")).json()
    assert "waiting" == run["status"]
    (waiting,) = (await client.get(f"{API}/waiting?kind=approval")).json()["waiting"]
    assert (run["id"], "ask", "Is this right") == (waiting["run"], waiting["step"], waiting["name"])
    await client.post(f"{API}/approvals/{run['id']}/ask", json={"decision": "approve", "note": "fine"})
    await client.post(f"{API}/signals", json={"name": "paid", "key": "7", "data": {"n": 1}, "keep_s": 60})


CLOCK = DOCUMENT.replace("name: Contract", "name: Clock").replace("trigger.manual", "trigger.schedule\n    with: {every: 1h}")
ICS = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261208\nSUMMARY:Feast\nEND:VEVENT\nEND:VCALENDAR\n"


async def with_versions(client: httpx.AsyncClient, workflow: str) -> None:
    """Look at what was published, compare it with a changed draft, name it, and take it back."""
    versions = f"{API}/workflows/{workflow}/versions"
    (version,) = (await client.get(versions)).json()["versions"]
    one = f"{versions}/{version['version'][:12]}"
    await client.put(f"{API}/workflows/{workflow}", content=DOCUMENT.replace("* 2", "* 3"), headers=YAML)
    diff = (await client.get(f"{one}/diff")).json()
    assert {"keep": [{"path": ["with", "fields", "n"], "before": "item.no * 2", "after": "item.no * 3"}]} == diff["changed"]
    assert "first" == (await client.patch(one, json={"message": "first"})).json()["message"]
    await client.post(f"{one}/restore")
    assert {} == (await client.get(f"{one}/diff")).json()["changed"]
    assert (await client.get(one)).json()["document"] == (await client.get(one, headers={"Accept": "application/yaml"})).text


async def with_time(client: httpx.AsyncClient) -> None:
    """Call everything about calendars, slots and backfills so that it succeeds."""
    clock = (await client.post(f"{API}/workflows", content=CLOCK, headers=YAML)).json()["id"]
    await client.post(f"{API}/workflows/{clock}/activate")
    await client.put(f"{API}/calendars", json={"name": "office", "yearly": {"12-25": "Christmas"}})
    await client.post(f"{API}/calendars/import?name=office", content=ICS)
    await client.get(f"{API}/calendars")
    await client.get(f"{API}/calendars/office")
    await client.get(f"{API}/schedule")
    now = datetime.now(UTC)
    window = {"from": (now - timedelta(hours=3)).isoformat(), "to": now.isoformat()}
    planned = (await client.post(f"{API}/workflows/{clock}/backfill", json={**window, "dry_run": True})).json()
    begun = (await client.post(f"{API}/workflows/{clock}/backfill", json=window)).json()
    assert (3, "planned", 3) == (planned["total"], planned["state"], begun["total"])
    await client.get(f"{API}/backfills")
    await client.post(f"{API}/backfills/{begun['id']}/cancel")
    await client.delete(f"{API}/calendars/office")
    await client.get(f"{API}/disk")
    await client.post(f"{API}/sql")


def calls(contract: Contract, **names: str) -> list[tuple[str, str]]:
    """Return every operation with its parameters filled in."""
    kinds = ("ref", "run_id", "node", "name", "group", "replay", "version")
    given = {**dict.fromkeys(kinds, "none"), **names}
    return [(method, API + path.format(**given)) for method, path in (name.split(" ") for name in sorted(contract.operations))]


def decision(path: str) -> dict[str, Any]:
    """Return the body that the one operation needs that cannot do without."""
    if path.startswith(f"{API}/failures/"):
        return {"json": {"runs": ["run_none"], **({"reason": "known"} if path.endswith("/discard") else {})}}
    if path.endswith("/fork"):
        return {"json": {}}
    if path.endswith("/signals"):
        return {"json": {"name": "paid"}}
    if "/versions/" in path and not path.endswith(("/diff", "/restore")):
        return {"json": {"message": "one"}}
    return {"json": {"decision": "skip"}} if path.endswith("/decide") or "/approvals/" in path else {}


async def test_nobody_gets_a_401_everywhere(client: httpx.AsyncClient, contract: Contract):
    """
    Without a token, and with a wrong one, every operation answers 401 and does nothing.
    """
    for method, path in calls(contract):
        for header in ({"Authorization": ""}, {"Authorization": "Bearer trdl_wrong"}):
            assert 401 == (await client.request(method, path, headers=header)).status_code, f"{method} {path}"


async def test_a_token_without_scopes_gets_a_403_everywhere(house: House, client: httpx.AsyncClient, contract: Contract):
    """
    A token that holds none of the needed scopes is refused by every operation.
    """
    only_admin = await house.token("admin")
    for method, path in calls(contract, name="data.set"):
        body: dict[str, Any] = {"content": DOCUMENT, "headers": {**YAML, **only_admin}}
        if method in {"GET", "DELETE"} or not path.endswith(("/workflows", "/workflows/none")):
            body = {"headers": only_admin, **decision(path)}
        assert 403 == (await client.request(method, path, **body)).status_code, f"{method} {path}"


async def test_what_is_not_there_is_a_404_everywhere(client: httpx.AsyncClient, contract: Contract):
    """
    Every operation on something named answers 404 when there is no such thing.
    """
    for method, path in calls(contract):
        if "none" not in path:
            continue
        body: dict[str, Any] = {"content": DOCUMENT, "headers": YAML} if method == "PUT" else decision(path)
        assert 404 == (await client.request(method, path, **body)).status_code, f"{method} {path}"


@pytest.mark.parametrize("odd", ["%00", "..%2f..%2f", "ü" * 200, "a" * 301, "%ff", "1;drop", "{ref}"])
async def test_odd_names_break_nothing(client: httpx.AsyncClient, contract: Contract, odd: str):
    """
    Names with odd characters are not found or not accepted; nothing breaks.
    """
    for method, path in calls(contract, ref=odd, run_id=odd, node=odd, name=odd, group=odd, replay=odd, version=odd):
        if odd in path:
            body: dict[str, Any] = {"content": DOCUMENT, "headers": YAML} if method == "PUT" else {}
            answer = await client.request(method, path, **body)
            assert answer.status_code in {400, 404, 405, 422}, f"{method} {path}: {answer.status_code}"


async def test_a_bug_is_a_problem_too(house: House, client: httpx.AsyncClient, contract: Contract, monkeypatch, caplog):
    """
    What nobody foresaw answers 500 in the same form, tells nothing from inside, and stands in the log.
    """

    def broken(*_: object) -> None:
        raise RuntimeError("a secret from inside")

    monkeypatch.setattr("app.api.catalog.spec_form", broken)
    answer = await client.get(f"{API}/catalog")
    assert (500, "internal") == (answer.status_code, answer.json()["error"]["code"])
    assert "secret" not in answer.text
    assert "a secret from inside" in caplog.text


async def test_every_operation_is_described(house: House):
    """
    Each address of the API stands on its reference page.
    """
    page = (Path(__file__).parents[2] / "docs" / "reference" / "http-api.md").read_text("utf-8")
    page = page.replace("{id}", "{run_id}")
    missing = [
        f"{method.upper()} {path}"
        for path, methods in build_api(house.studio).openapi()["paths"].items()
        for method in methods
        if f"{method.upper()} {path}" not in page
    ]
    assert [] == missing
