"""
A disk that is full or broken, at each single write.

The layer that fails is SQLite's own table of system calls: `sqlite3_vfs.xSetSystemCall` puts our `pwrite64`, `write`, `fsync`
and `ftruncate` in the place of the system's, so a fault strikes where the system would report it, with `ENOSPC` or `EIO` as it
would. Each story is told once to count its writes, then again for each of them (a sample in CI; all of them with
`TREADLE_EVERY_WRITE=1`): from the n-th write on the disk refuses for a while, then there is room again.
"""

import asyncio
import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlcipher3._sqlite3

from engine.errors import StoreError, TreadleError
from engine.model.codec import read_document
from engine.model.run import RunStatus
from engine.protocols import RunFilter
from engine.run import disk as waiting
from engine.store import writer
from tests.web.house import House, a_house

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="the system calls are Linux's")]

EVERY = bool(os.environ.get("TREADLE_EVERY_WRITE"))
STORY = """treadle: 1
name: Story
nodes:
  start:
    use: trigger.webhook
    with: {path: story}
  double:
    use: data.set
    with:
      fields: {twice: "item.body.n * 2"}
  file:
    use: file.write
    with: {path: "{{ run.id }}.txt", content: "{{ item.twice }}"}
  last:
    use: data.set
    with:
      fields: {done: "true"}
edges:
  - start -> double
  - double -> file
  - file -> last
"""

_library = ctypes.CDLL(sqlcipher3._sqlite3.__file__, use_errno=True)
_libc = ctypes.CDLL(None, use_errno=True)


_SKIPPED = (
    *("open", "delete", "access", "full", "dlopen", "dlerror", "dlsym", "dlclose"),
    *("random", "sleep", "time", "last", "now"),
)


class _Vfs(ctypes.Structure):
    """The head of `sqlite3_vfs` up to `xSetSystemCall` (sqlite3.h, version 3 of the structure)."""

    _fields_ = [
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p),
        ("pAppData", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in _SKIPPED),
        ("xSetSystemCall", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
    ]


PWRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True)
WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, use_errno=True)
TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64, use_errno=True)


class Disk:
    """SQLite's way to the disk; `fail_from` says at which write it begins to refuse, `room` that it works again."""

    def __init__(self) -> None:
        self.count = self.refused = 0
        self.fail_from: int | None = None
        self.error = errno.ENOSPC
        real = {name: getattr(_libc, name) for name in ("pwrite64", "write", "fsync", "fdatasync", "ftruncate64")}
        real["pwrite64"].argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
        real["pwrite64"].restype = ctypes.c_ssize_t
        real["write"].argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        real["write"].restype = ctypes.c_ssize_t
        real["ftruncate64"].argtypes = [ctypes.c_int, ctypes.c_int64]
        self._calls = {
            b"pwrite": PWRITE(self._over(real["pwrite64"])),
            b"pwrite64": PWRITE(self._over(real["pwrite64"])),
            b"write": WRITE(self._over(real["write"])),
            b"fsync": SYNC(self._over(real["fsync"])),
            b"ftruncate": TRUNCATE(self._over(real["ftruncate64"])),
        }

    def _over(self, call):
        def through(*arguments):
            self.count += 1
            if self.fail_from is not None and self.count >= self.fail_from:
                self.refused += 1
                ctypes.set_errno(self.error)
                return -1
            ctypes.set_errno(0)
            return call(*arguments)

        return through

    def mount(self, is_ours: bool) -> None:
        """Put our calls in the place of the system's, or give these back."""
        _library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        vfs = _library.sqlite3_vfs_find(None)
        for name, call in self._calls.items():
            vfs.contents.xSetSystemCall(vfs, name, ctypes.cast(call, ctypes.c_void_p) if is_ours else None)

    def room(self) -> None:
        """Let every write through again."""
        self.fail_from = None


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(writer, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(writer, "LONGEST_PAUSE_S", 0.05)
    made = Disk()
    made.mount(True)
    yield made
    made.room()
    made.mount(False)


async def tell(house: House, disk: Disk, workflow: str) -> list[str]:
    """Three events come in, one with a key twice; whoever is refused sends again. Returns the runs that were accepted."""
    accepted = []
    for number in range(3):
        trigger = next(
            one for one in (await house.store.read(lambda work: work.triggers.list_all())) if one.workflow_id == workflow
        )
        while True:
            try:
                item = {"method": "POST", "path": "/story", "params": {}, "query": {}, "headers": {}, "body": {"n": number}}
                answer = await house.triggers.inbox.accept(trigger, [item], key=f"event-{number}")
            except StoreError as error:
                said = error.message
                assert "disk is full" in said or "reported an error" in said or "said no" in said, said
                disk.room()
                continue
            accepted.append(answer.run_id)
            break
    return accepted


async def one_story(folder: Path, disk: Disk, *, fail_at: int | None = None, error: int = errno.ENOSPC) -> int:
    """Tell the story with a disk that refuses from its n-th write on; returns how many writes a whole disk sees."""
    async with a_house(folder) as house:
        workflow = await house.publish(STORY)
        disk.count = disk.refused = 0
        disk.error = error
        disk.fail_from = fail_at
        telling = asyncio.create_task(tell(house, disk, workflow))
        troubles = []
        async with asyncio.timeout(20):
            while not telling.done() or house.worker.running or house.worker.waiting:
                if house.store.trouble is not None:
                    troubles.append(house.store.trouble.message)
                    disk.room()
                await asyncio.sleep(0.002)
        accepted = await telling
        disk.room()
        runs = [await house.worker.wait(run_id) for run_id in accepted]
        writes = disk.count
        assert [RunStatus.SUCCEEDED] * 3 == [run.status for run in runs]
        assert all("disk" in trouble or "database" in trouble for trouble in troubles)
    async with a_house(folder) as house:
        stored = await house.store.read(lambda work: work.runs.list_page(RunFilter(limit=100)))
        assert sorted(accepted) == sorted(run.id for run in stored)
        assert {RunStatus.SUCCEEDED} == {run.status for run in stored}
        assert [] == await house.store.check()
        written = sorted(path.read_text() for path in (folder / "files").rglob("*.txt"))
        assert ["0", "2", "4"] == written
    return writes


async def test_every_single_write_may_fail(tmp_path, disk):
    """
    Disk full and I/O errors at each write: what was accepted runs to its end exactly once, and the file stays whole.
    """
    writes = await one_story(tmp_path / "whole", disk)
    assert writes > 5
    chosen = range(1, writes + 1) if EVERY else sorted({1, 2, 3, writes // 3, writes // 2, writes - 1})
    struck = 0
    for number in chosen:
        for error in (errno.ENOSPC, errno.EIO):
            await one_story(tmp_path / f"{number}-{error}", disk, fail_at=number, error=error)
            struck += disk.refused > 0
    assert struck >= len(chosen)


async def test_a_run_waits_for_room_and_says_why(tmp_path, disk):
    """
    While the disk is full the run stands still before its change outside, and the sentence can be read; then it goes on.
    """
    async with a_house(tmp_path) as house:
        studio = house.studio
        document = read_document(STORY.replace("trigger.webhook", "trigger.manual").replace("    with: {path: story}\n", ""))
        disk.fail_from = 0
        with pytest.raises(TreadleError, match="disk is full"):
            await studio.runs.start_document(document, {"body": {"n": 21}})
        async with asyncio.timeout(5):
            while studio.disk.trouble is None:
                await asyncio.sleep(0.005)
        assert "disk is full" in studio.disk.trouble
        assert "goes on by itself" in studio.disk.trouble
        assert [] == list((tmp_path / "files").rglob("*.txt"))
        disk.room()
        async with asyncio.timeout(10):
            while house.worker.running:
                await asyncio.sleep(0.005)
        (run,) = await house.runs()
        assert (RunStatus.SUCCEEDED, None) == (run.status, studio.disk.trouble)
        assert ["42"] == [path.read_text() for path in (tmp_path / "files").rglob("*.txt")]


FULL = """
import asyncio, resource, sys
from pathlib import Path
from engine.clock import SystemClock
from engine.errors import StoreError
from engine.store import open_store

async def main(folder):
    async with open_store(folder / "a.db", clock=SystemClock(), blobs_dir=folder / "blobs") as store:
        await store.write(lambda work: work.values.set("kept", 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        refused = []
        for number in range(20):
            try:
                await store.write(lambda work: work.values.set(f"big-{number}", "x" * 40_000))
            except StoreError as error:
                refused.append(error.message)
                break
        try:
            store.blobs.keep_now(b"y" * 400_000, name="a", media_type="b")
        except StoreError as error:
            refused.append(error.message)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.write(lambda work: work.values.set("after", 2))
        kept = await store.read(lambda work: (work.values.get("kept"), work.values.get("after")))
        print(kept, len(refused), await store.check())
        print(list((folder / "blobs").glob("*")))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_limit_of_the_system(tmp_path):
    """
    With RLIMIT_FSIZE the system itself refuses: database and files say so, leave no half, and go on once it is lifted.
    """
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=50, check=False)
    assert "(1, 2) 2 []\n[]\n" == done.stdout, done.stderr
