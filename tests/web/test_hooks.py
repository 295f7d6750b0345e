"""Webhooks over a real server: what arrives, what is answered, and that nothing is lost or done twice."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.errors import Conflict
from engine.model.items import File
from tests.web.house import House, a_house, served

pytestmark = pytest.mark.anyio


def a_hook(path: str = "orders/{id}", *, name: str = "Orders", more: str = "answer: when_done", steps: str = "") -> str:
    return f"""
treadle: 1
name: {name}
nodes:
  hook:
    use: trigger.webhook
    with: {{path: "{path}", {more}}}
  keep:
    use: data.set
    with:
      fields: {{total: item.body.total}}
{steps or "edges: [hook -> keep]"}
"""


RESPOND = """  answer:
    use: flow.respond
    with:
      status: 201
      headers: {x-order: "{{ item.params.id }}"}
      body: {id: "{{ item.params.id }}", total: "{{ item.total }}"}
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
    async with served(house.front(limit=100_000, wait=1.0)) as client:
        yield client


async def hook_item(house: House) -> dict:
    """Return the item that the only run started with."""
    (run,) = await house.runs()
    return (await house.outputs(run, "hook"))[0]


async def test_a_request_becomes_an_item(house: House, client: httpx.AsyncClient):
    """
    The item holds method, path, parameters, query, headers and the body, read by its type; secrets only show that they came.
    """
    await house.publish(a_hook())
    headers = {"X-Shop": "vienna", "Authorization": "Bearer s3cret", "Cookie": "a=s3cret"}
    answer = await client.post("/hooks/orders/1%207?tag=a&tag=b&page=2", json={"total": 12.5}, headers=headers)
    assert (200, [{"total": 12.5}]) == (answer.status_code, [{"total": answer.json()["keep"]["out"][0]["total"]}])
    item = await hook_item(house)
    assert ("POST", "/orders/1 7", {"id": "1 7"}, {"tag": ["a", "b"], "page": "2"}, {"total": 12.5}) == (
        item["method"],
        item["path"],
        item["params"],
        item["query"],
        item["body"],
    )
    assert ("vienna", "***", "***") == tuple(item["headers"][name] for name in ("x-shop", "authorization", "cookie"))


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        pytest.param(b"a=1&b=x%20y&a=2", "application/x-www-form-urlencoded", {"a": ["1", "2"], "b": "x y"}, id="a form"),
        pytest.param("Grüße".encode(), "text/plain; charset=utf-8", "Grüße", id="text"),
        pytest.param("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße", id="text in another encoding"),
        pytest.param(b"<a/>", "application/xml", "<a/>", id="XML stays text"),
        pytest.param(b"[1, 2]", "application/vnd.api+json", [1, 2], id="a dialect of JSON"),
        pytest.param(b'{"a": 1}', None, {"a": 1}, id="JSON without a type"),
        pytest.param(b"plain", None, "plain", id="text without a type"),
        pytest.param(b"", "application/json", None, id="nothing"),
        pytest.param(b'{"$file": "abc", "name": "x"}', "application/json", {"$file": "abc", "name": "x"}, id="no handle"),
    ],
)
async def test_bodies(house: House, client: httpx.AsyncClient, body: bytes, content_type: str | None, expected: object):
    """
    A body is read by what its type says; a look-alike of a file handle stays the plain data it is.
    """
    await house.publish(a_hook(more="answer: at_once"))
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await client.post("/hooks/orders/1", content=body, headers=headers)
    assert 202 == answer.status_code
    assert expected == (await hook_item(house))["body"]


async def test_files(house: House, client: httpx.AsyncClient):
    """
    Uploads become handles to bytes in the content-addressed store; of their name only the last part is kept.
    """
    await house.publish(a_hook(more="answer: at_once"))
    files = {"scan": ("..\\..\\größe/scan 1.pdf", b"%PDF-1.7 \0\xff", "application/pdf")}
    answer = await client.post("/hooks/orders/1", files=files, data={"note": "für dich"})
    assert 202 == answer.status_code
    body = (await hook_item(house))["body"]
    file = body["scan"]
    assert isinstance(file, File)
    assert ("für dich", "scan 1.pdf", "application/pdf", 11) == (body["note"], file.name, file.media_type, file.size)
    with house.files.open(file) as stream:
        assert b"%PDF-1.7 \0\xff" == stream.read()


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        pytest.param(b'{"a": ', "application/json", 400, "bad_request", id="broken JSON"),
        pytest.param(b'{"a": NaN}', "application/json", 400, "bad_request", id="no number"),
        pytest.param(b"[" * 5000, "application/json", 400, "bad_request", id="a well without a ground"),
        pytest.param(b"--x\r\n", "multipart/form-data; boundary=x", 400, "bad_request", id="half a form"),
        pytest.param(b"abc", "multipart/form-data", 400, "bad_request", id="no boundary"),
        pytest.param(b"\xff", "text/plain", 400, "bad_request", id="not the encoding it says"),
        pytest.param(b"&".join([b"a=1"] * 2000), "application/x-www-form-urlencoded", 400, "bad_request", id="many fields"),
        pytest.param(b"x" * 100_001, "text/plain", 413, "too_large", id="too large"),
    ],
)
async def test_bodies_that_cannot_be_read(
    house: House, client: httpx.AsyncClient, content: bytes, content_type: str, status: int, code: str
):
    """
    A body that is not what it says is refused with a problem, and nothing runs.
    """
    await house.publish(a_hook())
    answer = await client.post("/hooks/orders/1", content=content, headers={"Content-Type": content_type})
    assert (status, code) == (answer.status_code, answer.json()["error"]["code"])
    assert [] == await house.runs()


async def test_a_body_without_a_length_is_cut_off(house: House, client: httpx.AsyncClient):
    """
    The limit holds for a body that comes in pieces, too.
    """
    await house.publish(a_hook())

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    assert 413 == (await client.post("/hooks/orders/1", content=endless())).status_code


async def test_what_is_not_there(house: House, client: httpx.AsyncClient):
    """
    An unknown path is a problem that says so; a known one names the methods it has; switched off it is unknown.
    """
    workflow = await house.publish(a_hook(more="answer: at_once, methods: [PUT, PATCH]"))
    assert "no_webhook" == (await client.post("/hooks/nowhere")).json()["error"]["code"]
    wrong = await client.get("/hooks/orders/1")
    assert (405, "PUT, PATCH") == (wrong.status_code, wrong.headers["allow"])
    assert 202 == (await client.patch("/hooks/orders/1")).status_code
    await house.studio.workflows.deactivate(workflow)
    assert 404 == (await client.patch("/hooks/orders/1")).status_code


async def test_an_answer_by_a_step(house: House, client: httpx.AsyncClient):
    """
    `flow.respond` says status, headers and body; what a workflow answers never runs as a page of ours.
    """
    await house.publish(a_hook(more="answer: by_step", steps=RESPOND))
    answer = await client.post("/hooks/orders/17", json={"total": 3})
    assert (201, {"id": "17", "total": 3}, "17") == (answer.status_code, answer.json(), answer.headers["x-order"])
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_run_that_fails_before_it_answers(house: House, client: httpx.AsyncClient):
    """
    A failed run is a 500 that names the run and tells no detail of the workflow.
    """
    await house.publish(a_hook(more="answer: by_step", steps=RESPOND.replace("item.total }}", "item.secret_name * 2 }}")))
    answer = await client.post("/hooks/orders/17", json={"total": 3})
    (run,) = await house.runs()
    problem = answer.json()["error"]
    assert (500, "run_failed", run.id) == (answer.status_code, problem["code"], problem["where"]["run"])
    assert "secret_name" not in answer.text


async def test_a_run_that_ends_without_an_answer(house: House, client: httpx.AsyncClient):
    """
    When no step answered, the caller learns that the run succeeded.
    """
    await house.publish(a_hook(more="answer: by_step"))
    answer = await client.post("/hooks/orders/17", json={"total": 3})
    assert (200, "succeeded") == (answer.status_code, answer.json()["status"])


async def test_two_workflows_one_path(house: House):
    """
    The second workflow on a path cannot be switched on; the problem names the first.
    """
    await house.publish(a_hook())
    with pytest.raises(Conflict, match="“Orders”"):
        await house.publish(a_hook("orders/{number}", name="Others"))


async def test_a_hundred_times_the_same(house: House, client: httpx.AsyncClient):
    """
    A request sent a hundred times at once with one idempotency key starts one run, and every caller learns which.
    """
    await house.publish(a_hook(more="answer: at_once"))
    calls = [client.post("/hooks/orders/1", json={"total": 1}, headers={"Idempotency-Key": "k1"}) for _ in range(100)]
    answers = [answer.json() for answer in await asyncio.gather(*calls)]
    (run,) = await house.runs()
    assert {run.id} == {answer["run"] for answer in answers}
    assert 99 == sum(answer.get("duplicate", False) for answer in answers)


async def test_the_same_again_after_a_restart(tmp_path: Path):
    """
    A key is remembered over a restart.
    """
    found = set()
    for life in range(2):
        async with a_house(tmp_path) as house, served(house.front()) as client:
            if life == 0:
                await house.publish(a_hook(more="answer: at_once"))
            answer = await client.post("/hooks/orders/1", json={"total": 1}, headers={"Idempotency-Key": "k1"})
            found.add(answer.json()["run"])
            assert 1 == len(await house.runs())
    assert 1 == len(found)


async def test_webhooks_survive_a_restart(tmp_path: Path):
    """
    An active webhook answers again after a restart, without anybody switching it on.
    """
    async with a_house(tmp_path) as house:
        await house.publish(a_hook())
    async with a_house(tmp_path) as house, served(house.front()) as client:
        assert 200 == (await client.post("/hooks/orders/1", json={"total": 1})).status_code


async def test_what_was_accepted_is_kept(tmp_path: Path):
    """
    A message that was answered with 202 is a run in the store, whatever happens to the program then.
    """
    async with a_house(tmp_path) as house, served(house.front()) as client:
        await house.publish(a_hook(more="answer: at_once"))
        accepted = [(await client.post("/hooks/orders/1", json={"total": n})).json()["run"] for n in range(20)]
        stored = await house.store.read(lambda work: [work.runs.get(run_id).id for run_id in accepted])
        assert accepted == stored


async def test_a_paused_webhook_holds(house: House, client: httpx.AsyncClient):
    """
    While its trigger is paused a webhook accepts and holds; the runs start when it goes on, each once.
    """
    workflow = await house.publish(a_hook(more="answer: by_step"))
    await house.triggers.pause(workflow, "hook")
    for number in range(3):
        answer = await client.post("/hooks/orders/1", json={"total": number})
        assert (202, "held") == (answer.status_code, answer.json()["status"])
    assert [] == await house.runs()
    assert 3 == await house.triggers.resume(workflow, "hook")
    assert 0 == await house.triggers.inbox.recover()
    assert [0, 1, 2] == sorted([(await house.outputs(run, "keep"))[0]["total"] for run in await house.runs()])


async def test_a_signed_webhook(house: House, client: httpx.AsyncClient):
    """
    An unsigned or wrongly signed request is refused and starts nothing; a right one runs once, however often it is sent.
    """
    secret = "correct horse battery"
    await house.publish(a_hook(more=f'answer: at_once, sign: {{style: github, secret: "{secret}"}}'))
    body = b'{"total": 1}'
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-GitHub-Delivery": "d-1"}
    for wrong in ({}, {"X-Hub-Signature-256": "sha256=00"}, {"X-Hub-Signature-256": signature[:-1] + "0"}):
        answer = await client.post("/hooks/orders/1", content=body + b" " * bool(wrong), headers={**headers, **wrong})
        assert (401, "not_signed") == (answer.status_code, answer.json()["error"]["code"])
    assert [] == await house.runs()
    for _ in range(3):
        answer = await client.post("/hooks/orders/1", content=body, headers={**headers, "X-Hub-Signature-256": signature})
        assert 202 == answer.status_code
    assert 1 == len(await house.runs())


async def test_foreign_hosts_are_refused(client: httpx.AsyncClient):
    """
    A name that does not lead here is refused on every path, so a foreign site cannot point its own name at this machine.
    """
    for path in ("/hooks/a", "/api/v1/runs", "/", "/healthz"):
        answer = await client.get(path, headers={"Host": "evil.example"})
        assert (400, "wrong_host") == (answer.status_code, answer.json()["error"]["code"])


async def test_state_and_figures(house: House, client: httpx.AsyncClient):
    """
    Health, readiness and figures need no token.
    """
    await house.publish(a_hook())
    await client.post("/hooks/orders/1", json={"total": 1})
    assert {"status": "ok"} == (await client.get("/healthz")).json()
    assert {"status": "ready"} == (await client.get("/readyz")).json()
    lines = (await client.get("/metrics")).text.splitlines()
    assert 'treadle_runs{status="succeeded"} 1' in lines
    assert 'treadle_http_requests_total{area="hooks",status="200"} 1' in lines
    assert 'treadle_steps_total{status="succeeded"} 2' in lines
    assert "treadle_webhooks_active 1" in lines
    assert 405 == (await client.post("/metrics")).status_code
