"""
`make bench`, or `python -m tests.benchmarks`: one table of what Treadle does beside what this machine allows.

Exits with 1 when a ratio misses its goal; numbers that depend on the machine only warn.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from app.interpreter import tune_interpreter

from .bench_calls import call_rows
from .bench_code import code_rows
from .bench_dbos import dbos_rows
from .bench_durable import durable_rows, hundred_rows, machine_rows
from .bench_engine import executor_rows
from .bench_expressions import expression_rows
from .bench_items import item_rows
from .bench_loops import loop_rows
from .bench_parked import parked_rows
from .bench_postgresql import postgresql_rows
from .bench_process import process_rows
from .bench_restart import restart_rows
from .bench_schedules import schedule_rows
from .bench_store import store_rows
from .bench_webhook import webhook_rows
from .rounds import Effort, Skipped
from .table import Row, as_json, render

WIDTH = 140
"""How wide the table is where there is no terminal."""

Group = Callable[[Effort], list[Row]]

GROUPS: dict[str, Group] = {
    "machine": machine_rows,
    "executor": executor_rows,
    "store": store_rows,
    "durable": durable_rows,
    "hundred": hundred_rows,
    "postgresql": postgresql_rows,
    "restart": restart_rows,
    "loops": loop_rows,
    "calls": call_rows,
    "items": item_rows,
    "expressions": expression_rows,
    "code": code_rows,
    "webhook": webhook_rows,
    "process": process_rows,
    "parked": parked_rows,
    "dbos": dbos_rows,
    "schedules": schedule_rows,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure speed and memory on this machine.")
    parser.add_argument("--json", action="store_true", help="print JSON for machines instead of the table")
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(GROUPS), help=f"one of: {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="three small rounds: a first look, too coarse to judge by")
    given = parser.parse_args(arguments)
    rounds, scale = (3, 0.3) if given.quick else (5, 1.0)
    chosen = [name for name in GROUPS if not given.only or name in given.only]
    began = time.monotonic()
    groups: list[tuple[str, list[Row]]] = []
    margin = Console(stderr=True)
    tune_interpreter()
    with tempfile.TemporaryDirectory(prefix="treadle-bench-") as folder, margin.status("") as status:
        for name in chosen:
            status.update(f"Measuring: {name} …")
            try:
                groups.append((name, GROUPS[name](Effort(Path(folder), rounds, scale))))
            except Skipped as reason:
                margin.print(f"Skipped {name}: {reason}", style="yellow", markup=False)
    missed = [row.name for _, rows in groups for row in rows if row.verdict == "missed"]
    if given.json:
        sys.stdout.write(json.dumps(as_json(groups), indent=2) + "\n")
    else:
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        out = Console() if sys.stdout.isatty() else Console(width=WIDTH)
        out.print(render(groups, title=f"{machine}, medians of {rounds} interleaved rounds, {time.monotonic() - began:.0f} s"))
    for name in missed:
        margin.print(f"Missed: {name}", style="bold red", markup=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
