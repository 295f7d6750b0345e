"""
Folds SQLite's write-ahead log into the database file, away from the writer.

While work goes on a PASSIVE checkpoint runs whenever the log passes 8 MB: it disturbs nobody. When the writer has been quiet
for a while, free pages go back to the disk and a TRUNCATE checkpoint makes the log empty. Nothing runs while nothing changes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlcipher3 import dbapi2 as sqlcipher

log = logging.getLogger(__name__)

PASSIVE_FROM: Final = 8 * 1024 * 1024
IDLE_S: Final = 2.0
VACUUM_PAGES: Final = 2000
PAGE: Final = 4096


class Checkpointer:
    """A thread with its own connection; `committed` is all the writer has to call."""

    def __init__(self, path: Path, connect: Callable[[], Any], *, idle_s: float = IDLE_S) -> None:
        self._log_file = path.with_name(path.name + "-wal")
        self._connect, self._idle_s = connect, idle_s
        self._wake = threading.Condition()
        self._is_dirty = self._is_long = self._stopping = False
        self._last_commit = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="treadle-checkpoints", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it is over."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def committed(self) -> None:
        """Note a commit; a few microseconds."""
        self._last_commit = time.monotonic()
        if self._is_long:
            return  # and stays so until the file has been tidied
        is_long = self.log_size() > PASSIVE_FROM
        if not self._is_dirty or is_long:
            with self._wake:
                self._is_dirty, self._is_long = True, is_long
                self._wake.notify()

    def log_size(self) -> int:
        """Return the log's bytes, 0 when there is none."""
        try:
            return self._log_file.stat().st_size
        except OSError:
            return 0

    def _run(self) -> None:
        connection = None
        try:
            while self._await_work():
                # Somebody else at the file (a backup, a second Treadle): try again at the next turn.
                with suppress(sqlcipher.OperationalError):
                    if connection is None:
                        connection = self._connect()
                        connection.execute("PRAGMA busy_timeout = 200")
                    if time.monotonic() - self._last_commit >= self._idle_s:
                        self._tidy(connection)
                    elif self._is_long:
                        self._fold(connection)
        except sqlcipher.Error:
            log.exception("checkpoint failed")
        finally:
            if connection is not None:
                connection.close()

    def _await_work(self) -> bool:
        """Sleep without end while nothing changes, a tenth of a second while the log is long; False when it is over."""
        with self._wake:
            self._wake.wait_for(lambda: self._stopping or self._is_dirty)
            if self._is_long:
                self._wake.wait_for(lambda: self._stopping, timeout=0.1)
            else:
                self._wake.wait_for(lambda: self._stopping or self._is_long, timeout=self._idle_s / 2)
            return not self._stopping

    def _fold(self, connection: Any) -> None:
        """
        Run a PASSIVE checkpoint when 8 MB of the log are not in the file yet.

        The log's file keeps its length when SQLite begins it anew (overwriting syncs faster than growing), so the length alone
        says nothing: NOOP tells how many pages it holds and how many of them are folded in.
        """
        _, held, folded = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        if (held - folded) * PAGE >= PASSIVE_FROM:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _tidy(self, connection: Any) -> None:
        for _ in range(64):
            if connection.execute("PRAGMA freelist_count").fetchone()[0] == 0:
                break
            connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        blocked, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with self._wake:
            if not blocked and time.monotonic() - self._last_commit >= self._idle_s:
                self._is_dirty = self._is_long = False
