"""Data of an older Treadle in the tables of this one, on both databases."""

import psycopg
import pytest
from sqlalchemy import text

from engine.model.causes import cause_of
from engine.model.failures import FailureFilter
from engine.model.workflow import Document, Node
from engine.store import open_store, schema
from engine.store.database import parse_database
from engine.store.documents import document_text

pytestmark = pytest.mark.anyio

DOCUMENT = document_text(Document(name="Orders", nodes={"fetch": Node(id="fetch", use="http.request")}))
ERROR = '{"code": "refused", "message": "Order 17 is unknown.", "hint": null, "where": {"node": "fetch", "status": 404}}'

ALL = FailureFilter(states=("open", "replaying", "resolved", "replaced", "discarded"))


@pytest.fixture
def first_tables(store_url):
    """Return how rows come into the tables of the very first revision."""
    if store_url.startswith("postgresql"):
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    database = parse_database(store_url)
    database.open()
    schema._run_alembic(database, "0001")

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
async def test_what_failed_before_comes_to_the_desk(store_url, first_tables, clock, tmp_path):
    """
    Runs that failed under the first Treadle stand on the desk, by the causes that new failures have; what a repetition settled
    is settled, and a test is none of the desk's business.
    """
    first_tables(
        "versions", workflow_id="wf_1", id="v1", document=DOCUMENT, parents="[]", created_at=1, author="ada", message=""
    )
    first_tables("runs", **a_run("run_1", "failed"))
    first_tables("runs", **a_run("run_2", "failed", error=ERROR.replace("17", "18")))
    first_tables("runs", **a_run("run_3", "succeeded"))
    first_tables("runs", **a_run("run_4", "failed", is_test=True))
    first_tables("runs", **a_run("run_5", "failed", version_id="gone", error=None))
    first_tables("runs", **a_run("run_6", "failed"))
    first_tables("runs", **a_run("run_7", "failed", retry_of="run_6"))
    first_tables("runs", **a_run("run_8", "succeeded", retry_of="run_7"))

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
