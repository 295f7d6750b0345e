"""Many histories in one process."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from engine.clock import SystemClock
from engine.store.blobs import BlobStore

from .disk import make_database
from .history import Figures, live_through


def live_through_all(seeds: range) -> tuple[Figures, list[tuple[int, str]]]:
    """Live through the histories of these seeds in this process; return their figures, and what broke by seed."""
    logging.disable(logging.CRITICAL)
    figures, broken = Figures(), list[tuple[int, str]]()
    with tempfile.TemporaryDirectory() as folder:
        database, blobs = make_database(SystemClock()), BlobStore(Path(folder))
        try:
            for seed in seeds:
                try:
                    figures.add(live_through(seed, database, blobs))
                except Exception as error:
                    broken.append((seed, f"{type(error).__name__}: {error}"))
        finally:
            database.close()
            logging.disable(logging.NOTSET)
    return figures, broken
