"""What the store does around a SQLite file: opening, locking, snapshots, keys, the log's length."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

from engine.clock import ManualClock
from engine.errors import StoreError
from engine.store import checkpoints, open_store, schema
from engine.store.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

NEWEST = schema.revisions()[-1]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "treadle.db"


def opened(path, clock, **given):
    return open_store(path, clock=clock, blobs_dir=path.parent / "blobs", **given)


async def test_what_was_written_is_there_after_a_restart(path, clock):
    """
    Start, write, stop, start again; starting or stopping twice does no harm.
    """
    store = opened(path, clock)
    await store.start()
    await store.start()
    await store.write(lambda work: work.values.set("a", 1))
    await store.stop()
    await store.stop()

    async with open_store(f"sqlite:///{path}", clock=clock, blobs_dir=path.parent / "blobs") as again:
        assert await again.read(lambda work: work.values.get("a")) == 1
        assert [] == await again.check()


async def test_a_new_file_is_set_up_to_last_and_to_shrink(path, clock):
    """
    A log beside the file, synced at each commit, and free pages that can be given back.
    """
    async with opened(path, clock) as store:
        with store.database.writer.connect() as connection:
            assert 2 == connection.exec_driver_sql("PRAGMA synchronous").scalar()
            assert "wal" == connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            assert 2 == connection.exec_driver_sql("PRAGMA auto_vacuum").scalar()
            assert 0 == connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()


async def test_an_engine_has_its_file_for_itself(path, clock):
    """
    A second engine is told which process has the file; a command that only reads and queues may come in.
    """
    async with opened(path, clock):
        other = (
            "import asyncio, sys; from pathlib import Path; from engine.clock import SystemClock; "
            "from engine.store import open_store; "
            "asyncio.run(open_store(Path(sys.argv[1]), clock=SystemClock(), blobs_dir=Path(sys.argv[1])).start())"
        )
        ended = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", other, str(path)], capture_output=True, text=True, check=False
        )
        assert f"already running on {path.parent} (process {os.getpid()})" in ended.stderr

        async with opened(path, clock, exclusive=False) as guest:
            await guest.write(lambda work: work.values.set("from a guest", 1))
            assert await guest.read(lambda work: work.values.get("from a guest")) == 1

    async with opened(path, clock) as store:
        assert await store.read(lambda work: work.values.get("from a guest")) == 1


async def test_a_file_is_unreadable_without_its_key(path, clock):
    """
    With a key nothing of the data stands in the file; the wrong key and no key are told as such; snapshots have the same key.
    """
    async with opened(path, clock, key="it's a 'long' passphrase") as store:
        await store.write(lambda work: work.values.set("greeting", "plain words of a secret"))
        snapshot = schema.take_snapshot(store.database, clock=clock)

    for file in (path, snapshot):
        assert b"plain words" not in file.read_bytes()
        assert not file.read_bytes().startswith(b"SQLite format 3")
        for key in (None, "wrong"):
            with pytest.raises(StoreError, match="key"):
                await opened(file, clock, key=key).start()
        async with opened(file, clock, key="it's a 'long' passphrase") as store:
            assert "plain words of a secret" == await store.read(lambda work: work.values.get("greeting"))


async def test_a_snapshot_is_taken_before_the_tables_change(path, clock, monkeypatch):
    """
    Only when there is data and a step to go; the last three are kept, and one can be opened as it was.
    """
    async with opened(path, clock) as store:
        await store.write(lambda work: work.values.set("a", 1))
    snapshots = path.parent / "snapshots"
    assert not snapshots.exists()

    taken = []
    monkeypatch.setattr(schema, "_run_alembic", lambda database, target: taken.append(target))
    for _ in range(5):
        clock.advance(timedelta(minutes=1))
        connection = sqlcipher.connect(str(path), isolation_level=None)
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.close()
        monkeypatch.setattr(schema, "revisions", lambda: ["0000", NEWEST])
        async with opened(path, clock):
            pass
    monkeypatch.undo()

    files = sorted(snapshots.iterdir())
    assert (5, 3) == (len(taken), len(files))
    connection = sqlcipher.connect(str(files[-1]))
    assert [("0000",)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert [("1",)] == connection.execute('SELECT value FROM "values"').fetchall()
    connection.close()


async def test_a_step_that_fails_leaves_everything_as_it_was(path, clock, tmp_path, monkeypatch):
    """
    Tables and revision change together or not at all.
    """
    async with opened(path, clock) as store:
        await store.write(lambda work: work.values.set("a", 1))
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for path_of_one in (schema.FOLDER / "env.py", *(schema.FOLDER / "versions").glob("[0-9]*.py")):
        (folder / path_of_one.relative_to(schema.FOLDER)).write_text(path_of_one.read_text())
    (folder / "versions" / "9000_half.py").write_text(
        f"from alembic import op\nimport sqlalchemy as sa\nrevision, down_revision = '9000', '{NEWEST}'\n"
        "def upgrade():\n    op.create_table('half', sa.Column('a', sa.Integer))\n"
        "    op.execute('INSERT INTO nowhere VALUES (1)')\n"
    )
    monkeypatch.setattr(schema, "FOLDER", folder)
    with pytest.raises(StoreError, match="nowhere"):
        await opened(path, clock).start()
    monkeypatch.undo()

    async with opened(path, clock) as store:
        assert [] == await store.check()
        assert await store.read(lambda work: work.values.get("a")) == 1


async def test_a_file_of_a_newer_program_is_not_touched(path, clock):
    """
    Going back to an older version is told, instead of guessing.
    """
    async with opened(path, clock):
        pass
    connection = sqlcipher.connect(str(path), isolation_level=None)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StoreError, match="newer Treadle"):
        await opened(path, clock).start()


@pytest.mark.parametrize("content", [b"this is a letter, not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_something_else_is_told(path, clock, content):
    """
    A file that is no database stays as it is.
    """
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(StoreError):
        await opened(path, clock).start()

    assert content == path.read_bytes()


@pytest.mark.parametrize("where", ["mysql://host/name", "postgresql://host:port/name"])
def test_an_address_that_makes_no_sense(where, clock, tmp_path):
    """
    The sentence says which addresses do.
    """
    with pytest.raises(StoreError) as caught:
        open_store(where, clock=clock, blobs_dir=tmp_path)

    assert "postgresql://" in caught.value.hint


async def test_a_store_that_is_not_open_says_so(path, clock):
    """
    Before start and after stop.
    """
    store = opened(path, clock)
    for _ in range(2):
        with pytest.raises(StoreError, match="not open"):
            await store.write(lambda work: None)
        with pytest.raises(StoreError, match="not open"):
            await store.read(lambda work: None)
        with pytest.raises(StoreError, match="not open"):
            _ = store.journal
        await store.start()
        await store.stop()


async def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_the_log_is_folded_in_while_work_goes_on_and_is_empty_at_rest(path, clock, monkeypatch):
    """
    The log does not grow without end under load, and after a while of quiet nothing of it is left.
    """
    monkeypatch.setattr(checkpoints, "PASSIVE_FROM", 256 * 1024)
    log, text = Path(f"{path}-wal"), "x" * 100_000
    async with opened(path, clock) as store:
        most = written = 0
        async with asyncio.timeout(60):  # however rarely a busy machine lets the folding have a turn
            while written < max(5_000_000, 3 * most):
                await store.write(lambda work, key=f"key {written}": work.values.set(key, text))
                written += len(text)
                most = max(most, log.stat().st_size)
                await asyncio.sleep(0.005)
        assert path.stat().st_size > written / 2
        await wait_for(lambda: log.stat().st_size == 0)


async def test_the_file_shrinks_again(path, clock, monkeypatch):
    """
    Pages of deleted rows go back to the disk when the writer rests.
    """
    async with opened(path, clock) as store:
        for number in range(40):
            await store.write(lambda work, number=number: work.values.set(f"key {number}", "x" * 200_000))
        for number in range(40):
            await store.write(lambda work, number=number: work.values.set(f"key {number}", ""))
        await wait_for(lambda: Path(f"{path}-wal").stat().st_size == 0)

        assert path.stat().st_size < 1_000_000


def test_a_database_in_memory_is_gone_when_it_is_closed():
    """
    Two of them have nothing in common.
    """
    first, second = SqliteDatabase(None), SqliteDatabase(None)
    first.open()
    second.open()
    with first.writer.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    with second.writer.begin() as connection:
        assert [] == connection.exec_driver_sql("SELECT name FROM sqlite_master").all()
    first.close()
    second.close()
