"""`make soak`, or `python -m tests.simulation`: live through many histories, or again through one."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from engine.clock import SystemClock
from engine.store.blobs import BlobStore

from .batch import live_through_all
from .disk import make_database
from .history import Figures, live_through

A_PART = 250
"""How many histories a process lives through before it asks for more."""


def main() -> int:
    """Live through the histories that the command line names; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--seed", type=int, help="only this history, with its whole traceback")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=100_000, help="how many histories")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    chosen = parser.parse_args()
    if chosen.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(live_through(chosen.seed, make_database(SystemClock()), BlobStore(Path(folder))))  # noqa: T201
        return 0
    began, total, broken = time.monotonic(), Figures(), list[tuple[int, str]]()
    parts = [
        range(at, min(at + 500, chosen.first + chosen.count)) for at in range(chosen.first, chosen.first + chosen.count, 500)
    ]
    with multiprocessing.get_context("forkserver").Pool(chosen.processes) as pool:
        for figures, failed in pool.imap(live_through_all, parts):
            total.add(figures)
            broken += failed
            for seed, error in failed:
                print(f"seed {seed}: {error}", flush=True)  # noqa: T201
    print(json.dumps(vars(total)))  # noqa: T201
    print(f"{chosen.count} histories in {time.monotonic() - began:.0f} s, {len(broken)} broken")  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
