"""Which Treadle runs on a data folder, so that the command line can speak to it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import StoreError
from engine.store.lock import DataLock

FILE = "server.json"
LOCK = "server.lock"
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running Treadle: its process and the address it listens on. There is no secret in it."""

    pid: int
    url: str


@contextlib.contextmanager
def announced(data: Path, url: str) -> Iterator[None]:
    """
    Write down that this process serves the folder, for as long as the block lasts.

    A lock goes with the file. The system takes it back however the process ends, so a file that was left behind is known for
    what it is, also when its process number belongs to somebody else by now.
    """
    lock = DataLock(data / LOCK)
    _acquire(lock)
    path = data / FILE
    try:
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(asdict(Instance(pid=os.getpid(), url=url))), "utf-8")
        beside.replace(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def find_instance(data: Path) -> Instance | None:
    """Return the Treadle that serves this folder, None when there is none; what one left behind is cleared away."""
    path = data / FILE
    try:
        instance = Instance(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        instance = None
    lock = DataLock(data / LOCK)
    try:
        lock.acquire()
    except StoreError:
        return instance
    try:
        path.unlink(missing_ok=True)
    finally:
        lock.release()
    return None


def _acquire(lock: DataLock) -> None:
    """Take the lock; somebody who is just looking whether it is held gives it back at once."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return lock.acquire()
        except StoreError:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)
