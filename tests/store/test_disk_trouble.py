"""What happens when the disk refuses: nothing is lost silently, and everybody is told."""

import asyncio
import random
from dataclasses import replace

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

from engine.clock import SystemClock
from engine.errors import StoreError
from engine.ids import NodeId, VersionId, new_run_id
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.store import open_store, sqlite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path):
    opened = open_store(tmp_path / "treadle.db", clock=SystemClock(), blobs_dir=tmp_path / "blobs")
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
def disk(store, monkeypatch):
    """A disk that can be made full: SQLite refuses to grow the file, as it does when the system has no more space."""
    connect = store.database._connect_writer

    class Disk:
        is_full = False

        def fill(self):
            self.is_full = True
            store._writer._disconnect()

        def connected(self):
            connection = connect()
            if self.is_full:
                connection.execute("PRAGMA max_page_count = 1")
            return connection

    disk = Disk()
    monkeypatch.setattr(store.database.writer.pool, "_creator", lambda *_: disk.connected())
    return disk


def a_run():
    now = SystemClock().now()
    return Run(
        id=new_run_id(now),
        workflow_id=None,
        workflow_name="w",
        version_id=VersionId("v"),
        status=RunStatus.RUNNING,
        trigger="manual",
        start_node=NodeId("a"),
        queued_at=now,
    )


def a_fact(run, seq):
    return Fact(run_id=run.id, seq=seq, kind=FactKind.STEP_SUCCEEDED, node=NodeId("n"), at=run.queued_at, payload=b"y" * 3000)


async def test_a_full_disk_is_told_and_the_records_wait(store, disk):
    """
    While the disk is full barriers and writes fail with a sentence; the records are written as soon as there is room.
    """
    run = a_run()
    store.journal.start(run, input=b"[]")
    await store.journal.barrier()
    disk.fill()

    for seq in range(20):
        store.journal.append(a_fact(run, seq), epoch=0)
    with pytest.raises(StoreError, match="disk is full") as caught:
        await store.journal.barrier()
    assert "space" in caught.value.hint
    with pytest.raises(StoreError, match="disk is full"):
        await store.write(lambda work: work.values.set("a", "b" * 10_000))
    store.journal.append(a_fact(run, 20), epoch=0)
    with pytest.raises(StoreError, match="disk is full"):
        await store.journal.barrier()

    disk.is_full = False
    store.journal.finish(replace(run, status=RunStatus.SUCCEEDED))
    await store.journal.barrier()
    assert list(range(21)) == [fact.seq for fact in await store.read(lambda work: work.runs.facts(run.id))]
    assert RunStatus.SUCCEEDED == (await store.read(lambda work: work.runs.get(run.id))).status
    assert await store.read(lambda work: work.values.get("a")) is None


async def test_stopping_on_a_full_disk_says_what_was_left_behind(store, disk):
    """
    The program does not hang, and it does not pretend.
    """
    run = a_run()
    store.journal.start(run, input=b"[]")
    await store.journal.barrier()
    disk.fill()
    store.journal.append(a_fact(run, 0), epoch=0)
    store.journal.append(a_fact(run, 1), epoch=0)
    with pytest.raises(StoreError):
        await store.journal.barrier()

    with pytest.raises(StoreError, match="2 records could not be written"):
        await store.stop()


async def test_records_given_last_are_written_by_the_stop(tmp_path):
    """
    A stop without a barrier loses nothing.
    """
    run = a_run()
    async with open_store(tmp_path / "a.db", clock=SystemClock(), blobs_dir=tmp_path) as store:
        store.journal.start(run, input=b"[]")
        for seq in range(500):
            store.journal.append(a_fact(run, seq), epoch=0)

    async with open_store(tmp_path / "a.db", clock=SystemClock(), blobs_dir=tmp_path) as store:
        assert 500 == len(await store.read(lambda work: work.runs.facts(run.id)))


async def test_a_lock_held_by_another_program_is_waited_for(store, tmp_path):
    """
    A backup or a browser of databases that holds the file for a moment delays the writer and nothing else.
    """
    other = sqlcipher.connect(str(tmp_path / "treadle.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(store.write(lambda work: work.values.set("a", 1)))
    await asyncio.sleep(0.2)
    assert not writing.done()
    assert await store.read(lambda work: work.values.get("a")) is None

    other.execute("COMMIT")
    other.close()

    await writing
    assert await store.read(lambda work: work.values.get("a")) == 1


async def test_a_lock_that_is_never_given_back_is_told(tmp_path, monkeypatch):
    """
    After the time-out callers are told who might have it; the journal goes on trying.
    """
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    run = a_run()
    async with open_store(tmp_path / "a.db", clock=SystemClock(), blobs_dir=tmp_path) as store:
        other = sqlcipher.connect(str(tmp_path / "a.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.journal.start(run, input=b"[]")
        with pytest.raises(StoreError, match="Another program holds the database"):
            await store.write(lambda work: work.values.set("a", 1))
        other.execute("ROLLBACK")
        other.close()

        await store.journal.barrier()
        assert run == await store.read(lambda work: work.runs.get(run.id))
        assert await store.read(lambda work: work.values.get("a")) is None


async def test_large_batches_wait_for_room_as_well(store, monkeypatch):
    """
    A batch that goes into a file of its own is tried again like every other record.
    """
    run = a_run()
    keep, refusals = store.blobs.keep_bytes, [1, 2]

    def refuse_twice(data):
        if refusals:
            refusals.pop()
            raise StoreError("The disk refused to keep a file.")
        return keep(data)

    monkeypatch.setattr(store.blobs, "keep_bytes", refuse_twice)
    payload = random.Random(1).randbytes(300_000)
    store.journal.start(run, input=payload)
    with pytest.raises(StoreError, match="refused to keep"):
        await store.journal.barrier()

    while refusals:
        await asyncio.sleep(0.02)
    await store.journal.barrier()
    assert payload == await store.read(lambda work: work.runs.get_input(run.id))
