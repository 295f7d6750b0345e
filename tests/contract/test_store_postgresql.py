"""What only a server brings: several workers on one database, and connections that break."""

import asyncio
import os
from dataclasses import replace

import psycopg
import pytest
from psycopg import OperationalError

from engine.errors import StoreError
from engine.model.run import RunStatus
from engine.store import open_store

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["postgresql"])
def store_url(store_url):
    """These are about the server alone."""
    return store_url


def end_other_connections(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'treadle on %'")


async def test_a_connection_that_was_closed_is_opened_again(store, store_url, make):
    """
    The server was restarted while nobody wrote: the next write and the next read work as if nothing had been.
    """
    await store.write(lambda work: work.values.set("a", 1))
    await store.read(lambda work: work.values.get("a"))
    end_other_connections(store_url)

    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    store.journal.append(make.fact(run.id), epoch=0)
    await store.write(lambda work: work.values.set("a", 2))

    assert await store.read(lambda work: work.values.get("a")) == 2
    assert 1 == len(await store.read(lambda work: work.runs.facts(run.id)))


async def test_a_commit_that_broke_half_way_is_not_done_twice(store, make, monkeypatch):
    """
    The server committed but the answer was lost: the records are found again instead of being written a second time.
    """
    lost = []
    store.journal.lost = lost.extend
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    await store.journal.barrier()
    dialect = store.database.writer.dialect
    really_commit = dialect.do_commit

    def commit_and_break(connection):
        really_commit(connection)
        monkeypatch.undo()
        raise OperationalError("the line is dead")

    monkeypatch.setattr(dialect, "do_commit", commit_and_break)
    store.journal.append(make.fact(run.id, 0), epoch=0)
    store.journal.append(make.fact(run.id, 1), epoch=0)
    with pytest.raises(StoreError):
        await store.journal.barrier()
    store.journal.append(make.fact(run.id, 2), epoch=0)
    store.journal.finish(replace(run, status=RunStatus.SUCCEEDED))
    await store.journal.barrier()

    assert [0, 1, 2] == [fact.seq for fact in await store.read(lambda work: work.runs.facts(run.id))]
    assert RunStatus.SUCCEEDED == (await store.read(lambda work: work.runs.get(run.id))).status
    assert [] == lost


async def test_of_two_workers_only_the_last_claimant_writes(store, store_url, make, clock, tmp_path):
    """
    Two programs on one server take the same run from each other, many times and at once: no line is written by a loser.
    """
    async with open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs", exclusive=False) as other:
        run = make.run()
        await store.write(lambda work: work.runs.add(run, input=b"[]"))
        written = {}

        async def work_on(worker):
            for _ in range(40):
                claimed = await worker.write(lambda work: work.runs.claim(run.id, now=clock.now()))
                for seq in range(3):
                    fact = make.fact(run.id, claimed.epoch * 3 + seq, node=f"epoch_{claimed.epoch}")
                    worker.journal.append(fact, epoch=claimed.epoch)
                    await asyncio.sleep(0)
                await worker.journal.barrier()
                written[claimed.epoch] = worker

        await asyncio.gather(work_on(store), work_on(other))
        facts = await store.read(lambda work: work.runs.facts(run.id))

    assert set(range(1, 81)) == set(written)
    last = [fact for fact in facts if fact.node == "epoch_80"]
    assert 3 == len(last)
    assert all(fact.seq // 3 == int(fact.node.removeprefix("epoch_")) for fact in facts)


async def test_an_engine_has_its_database_for_itself(store, store_url, clock, tmp_path, monkeypatch):
    """
    A second engine is told who has it, and may come in once the first has stopped.
    """
    second = open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs")
    with pytest.raises(StoreError, match=rf"already running.*process {os.getpid()}"):
        await second.start()

    await store.stop()
    async with second:
        await second.write(lambda work: work.values.set("a", 1))


async def test_an_engine_that_lost_its_place_writes_nothing(store, store_url, make, clock, tmp_path):
    """
    While its connection was down another program took over: it is told so, instead of both working on the same runs.
    """
    end_other_connections(store_url)
    async with open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs") as second:
        with pytest.raises(StoreError, match="already running"):
            await store.write(lambda work: work.values.set("a", "old"))
        await second.write(lambda work: work.values.set("b", "new"))

    assert await store.read(lambda work: (work.values.get("a"), work.values.get("b"))) == (None, "new")


async def test_a_name_that_another_program_took_is_a_conflict(store, store_url, make, clock, tmp_path):
    """
    Names are unique across programs, and the loser's transaction leaves nothing.
    """
    async with open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs", exclusive=False) as other:
        results = await asyncio.gather(
            *(each.write(lambda work: work.workflows.add(make.workflow("Same"))) for each in (store, other) * 10),
            return_exceptions=True,
        )

    assert 1 == results.count(None)
    assert 1 == len(await store.read(lambda work: work.workflows.list_rows()))


async def test_a_server_that_is_not_there_is_a_clear_error(clock, tmp_path):
    """
    The sentence says what is wrong, and no password stands in it.
    """
    store = open_store("postgresql://ada:secret@127.0.0.1:1/none", clock=clock, blobs_dir=tmp_path)

    with pytest.raises(StoreError, match="does not answer") as caught:
        await store.start()

    assert "secret" not in f"{caught.value} {caught.value.hint}"
