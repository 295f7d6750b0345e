"""
Data of an older Treadle in the tables of this one, on both databases.

What lies in `left_by/` was written by the programs of those days themselves: each had run the workshop's workflows on a SQLite
file and was then stopped in the middle. The file's name is the revision of its tables.
"""

import asyncio
import base64
import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from engine.clock import SystemClock
from engine.errors import NoPlace
from engine.events.bus import EventBus
from engine.ids import NodeId
from engine.maintenance.indexer import Indexer
from engine.model.causes import cause_of
from engine.model.failures import FailureFilter
from engine.model.limits import Concurrency
from engine.model.run import RunStatus
from engine.model.waits import Waking
from engine.model.workflow import Document, Node
from engine.protocols import QueueWish, RunFilter
from engine.run.folders import OneFolder
from engine.run.payloads import decode_batch, encode_batch
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.store import open_store, schema
from engine.store.database import parse_database
from engine.store.documents import document_text
from tests.run.workshop import Outside, Workshop, steps

pytestmark = pytest.mark.anyio

DOCUMENT = document_text(Document(name="Orders", nodes={"fetch": Node(id="fetch", use="http.request")}))
ERROR = '{"code": "refused", "message": "Order 17 is unknown.", "hint": null, "where": {"node": "fetch", "status": 404}}'

LEFT_BY = Path(__file__).with_name("left_by")
ALL = FailureFilter(states=("open", "replaying", "resolved", "replaced", "discarded"))


@pytest.fixture
def revision():
    """The revision that the tables are at before this program sees them."""
    return "0001"


@pytest.fixture
def old_tables(store_url, revision):
    """Return how rows come into the tables of that revision."""
    if store_url.startswith("postgresql"):
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    database = parse_database(store_url)
    database.open()
    schema._run_alembic(database, revision)

    def insert(table, **values):
        names = ", ".join(f'"{name}"' for name in values)
        with database.gate, database.writer.begin() as connection:
            connection.execute(
                text(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(f":{name}" for name in values)})'), values
            )

    yield insert
    database.close()


def a_run(id, status, **given):
    return {
        "id": id,
        "workflow_id": "wf_1",
        "workflow_name": "Orders",
        "version_id": "v1",
        "status": status,
        "trigger": "manual",
        "is_test": False,
        "epoch": 0,
        "queued_at": 1_700_000_000_000_000,
        "finished_at": 1_700_000_001_000_000,
        "error": ERROR if status == "failed" else None,
        "cancel_requested": False,
        **given,
    }


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
async def test_what_failed_before_comes_to_the_desk(store_url, old_tables, clock, tmp_path):
    """
    Runs that failed under the first Treadle stand on the desk, by the causes that new failures have; what a repetition settled
    is settled, and a test is none of the desk's business.
    """
    old_tables("versions", workflow_id="wf_1", id="v1", document=DOCUMENT, parents="[]", created_at=1, author="ada", message="")
    old_tables("runs", **a_run("run_1", "failed"))
    old_tables("runs", **a_run("run_2", "failed", error=ERROR.replace("17", "18")))
    old_tables("runs", **a_run("run_3", "succeeded"))
    old_tables("runs", **a_run("run_4", "failed", is_test=True))
    old_tables("runs", **a_run("run_5", "failed", version_id="gone", error=None))
    old_tables("runs", **a_run("run_6", "failed"))
    old_tables("runs", **a_run("run_7", "failed", retry_of="run_6"))
    old_tables("runs", **a_run("run_8", "succeeded", retry_of="run_7"))

    async with open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs") as store:
        failures = {failure.run_id: failure for failure in await store.read(lambda work: work.failures.list_page(ALL))}
        groups = await store.read(lambda work: work.failures.list_groups(FailureFilter()))
        assert [] == await store.check()

    known = cause_of({"code": "refused", "message": "Order 99 is unknown.", "where": {"status": 404}}, "http.request")
    assert {"run_1": "open", "run_2": "open", "run_5": "open", "run_6": "replaced", "run_7": "resolved"} == {
        name: failure.state for name, failure in failures.items()
    }
    assert ("fetch", known.id, "run_6") == (failures["run_1"].node, failures["run_2"].group_id, failures["run_7"].replay_of)
    assert {known.id: 2, cause_of(None).id: 1} == {group.id: group.count for group in groups}


@pytest.fixture
async def shop(store_url, revision, old_tables, tmp_path):
    """This program on the data that the program of that revision left; its worker is not started yet."""
    left = json.loads((LEFT_BY / f"{revision}.json").read_text())
    for table, rows in left["tables"].items():
        for row in rows:
            old_tables(table, **{name: from_base64(value) for name, value in row.items()})
    clock, bus, outside = SystemClock(), EventBus(), Outside()
    catalog = Catalog([*builtin_steps(), *steps(outside)])
    async with open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs") as store:
        worker = Worker(store, catalog, clock, bus, files=None, http=None, folders=OneFolder(tmp_path / "files"))
        shop = Workshop(worker, store, clock, bus, outside, catalog)
        shop.left = left["runs named"]
        yield shop
        await worker.stop()


def from_base64(value):
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


async def over(shop, run_id):
    """Return the outputs of a run once it has succeeded."""
    async with asyncio.timeout(20):
        while (run := await shop.worker.wait(run_id, timedelta(seconds=5))).status is RunStatus.WAITING:
            await asyncio.sleep(0.001)
    assert (RunStatus.SUCCEEDED, None) == (run.status, run.error)
    return (await shop.finished(run_id))["outputs"]


WITH_DATA = pytest.mark.parametrize("revision", sorted(path.stem for path in LEFT_BY.glob("*.json")))


@WITH_DATA
@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
async def test_the_engine_goes_on_with_what_an_older_program_left(shop, revision):
    """
    Runs that were over are read as they were, those in the middle go on behind their last finished step, those in line start.
    """
    assert [] == await shop.store.check()
    left = shop.left
    assert [{"n": 1, "city": "Graz"}] == decode_batch(await shop.store.read(lambda work: work.runs.get_input(left["done"])))
    assert [1] == [item["sent"] for item in (await shop.finished(left["done"]))["outputs"]["end"]["out"]]
    assert "failed" == (await shop.finished(left["failed"]))["status"]
    assert {"start": "succeeded", "send": "succeeded", "waits": "running"} == await shop.statuses(left["half"])

    shop.outside.gate("gate").set()
    await shop.worker.start()
    ended = {run_id: await over(shop, run_id) for run_id in (left["half"], *left["queued"], left["loose"])}

    assert [4, 5, 6, 7] == [outputs["end"]["out"][0]["sent"] for outputs in ended.values()]
    assert [5, 6, 7] == sorted(shop.outside.seen("send")), "the step that had finished was made again"
    if "parked" in left:
        waking = Waking(how="signal", at=shop.clock.now(), payload=encode_batch([{"paid": 30}]))
        assert await shop.store.write(lambda work: work.waits.wake(left["parked"], NodeId("pause"), "", waking))
        shop.worker.woken([left["parked"]])
        items = (await over(shop, left["parked"]))["end"]["out"]
        assert [{"n": 3, "city": "Wels"}, {"paid": 30}, {"how": "signal"}] == items
    assert 0 == await shop.store.read(lambda work: work.waits.count())


@WITH_DATA
@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
async def test_what_an_older_program_left_is_found_and_trimmed(shop, revision):
    """
    The words of old runs come to the search; the data of an old run goes while it stays listed, and its words go with it.
    """
    left = shop.left

    async def find(words):
        return [run.id for run in await shop.store.read(lambda work: work.runs.list_page(RunFilter(search=words)))]

    assert [] == await find("graz")
    assert 2 == await Indexer(shop.store, shop.clock).run_once()
    assert [[left["done"]], [left["failed"]], []] == [await find(words) for words in ("graz", "linz", "steyr")]
    assert [left["failed"]] == [one.run_id for one in await shop.store.read(lambda work: work.failures.list_page(ALL))]

    assert 1 == await shop.store.write(lambda work: work.retention.drop_data([left["done"]], at=shop.clock.now()))
    assert [left["done"]] == list(
        await shop.store.read(lambda work: work.retention.removed_among([left["done"], left["half"]]))
    )
    assert "succeeded" == (await shop.store.read(lambda work: work.runs.get(left["done"]))).status
    assert [] == await find("graz")


@WITH_DATA
@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
async def test_open_runs_of_an_older_program_stand_in_line(shop, revision):
    """
    In the line of their workflow, or of their document where they have none; first come is next, and who runs has a place.
    """
    left = shop.left
    half, loose = [await shop.store.read(lambda work, name=name: work.runs.get(name)) for name in (left["half"], left["loose"])]
    of_workflow, of_document = half.workflow_id, f"document {loose.version_id}"
    assert {of_workflow: (2, 0), of_document: (1, 0)} == await shop.store.read(lambda work: work.runs.count_queued())
    wish = QueueWish(line=of_workflow, wanted=1, room=lambda key: 5)
    first = await shop.store.read(lambda work: work.runs.next_queued(wish))
    assert left["queued"][:1] == [run.id for run in first.runs[:1]]

    one_at_a_time = Concurrency(limit=1)
    with pytest.raises(NoPlace):
        await shop.store.write(lambda work: work.runs.claim(left["queued"][0], now=shop.clock.now(), limits=one_at_a_time))
