"""Other people on this machine: the database holds the key that signs the owner in, so nobody else may read it."""

import os
import stat
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.store import open_store
from engine.store.schema import take_snapshot
from engine.store.sqlite import SqliteDatabase

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.name == "nt", reason="Windows keeps a person's folders apart by itself")]


@pytest.fixture(autouse=True)
def _open_handed():
    """A umask that lets everybody read, which is what most systems have."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]


async def test_a_new_data_folder_is_its_owners(tmp_path: Path):
    """
    Folder, database, log, lock, files and snapshots of a new installation open for nobody else.
    """
    data = tmp_path / "made" / "data"
    store = open_store(data / "treadle.db", clock=ManualClock(), blobs_dir=data / "blobs")
    await store.start()
    await store.write(lambda work: work.values.set("web.key", "secret"))
    store.blobs.keep_now(b"bytes", name="a", media_type="text/plain")
    assert isinstance(store.database, SqliteDatabase)
    take_snapshot(store.database, clock=ManualClock())
    assert [] == open_to_others(data)
    assert 0o700 == stat.S_IMODE(data.stat().st_mode)
    await store.stop()


async def test_a_database_that_was_open_is_closed(tmp_path: Path):
    """
    A database that others could read is closed to them at the next start; a folder that is there already stays as it is.
    """
    (tmp_path / "data").mkdir(mode=0o755)
    path = tmp_path / "data" / "treadle.db"
    path.touch(mode=0o644)
    store = open_store(path, clock=ManualClock(), blobs_dir=tmp_path / "data" / "blobs")
    await store.start()
    await store.write(lambda work: work.values.set("web.key", "secret"))
    assert [] == open_to_others(tmp_path / "data")
    await store.stop()
    assert (0o600, 0o755) == (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode))
