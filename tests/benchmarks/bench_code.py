"""What a code step costs when its process is warm, and how soon one that runs away is gone."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.code.packages import Packages
from engine.code.pool import CodePool
from engine.errors import TimedOut
from engine.model.items import Batch
from engine.steps.code import CodeJob

from .bench_engine import NOTHING, on_loop
from .rounds import Effort, take_turns
from .table import Row, hopefully_at_most

CODE = "item['total'] = item['price'] * item['qty']"
STUBBORN = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
LOG: Any = logging.LoggerAdapter(logging.getLogger("bench"), {})


def code_rows(effort: Effort) -> list[Row]:
    """Return the milliseconds of one item, of 10,000 items, of a workflow's first call, and of a runaway beyond its limit."""
    count = effort.of(10_000)
    taken = take_turns(
        {
            "code": lambda: code_ms(effort.folder, count=count, times=effort.of(50)),
            "by hand": lambda: by_hand_ms(count),
        },
        effort.rounds,
    )
    return [
        Row(name="code step, warm, 1 item", measured=taken.median("code.one"), unit="ms", goal=hopefully_at_most(1)),
        Row(
            name=f"code step, warm, {count:,} items",
            measured=taken.median("code.many"),
            unit="ms",
            limit=taken.median("by hand"),
            limit_name="by hand",
            ratio=taken.ratio("code.many", "by hand"),
            goal=hopefully_at_most(200),
        ),
        Row(name="code step, first call of a workflow, spare ready", measured=taken.median("code.first"), unit="ms"),
        Row(
            name="code step that runs away, beyond its limit",
            measured=taken.median("code.late"),
            unit="ms",
            goal=hopefully_at_most(500),
        ),
    ]


def items_of(count: int) -> Batch:
    """Return items of nine fields, about 215 bytes each."""
    return [
        {"id": n, "price": 9.5, "qty": n % 7, **{f"text_{field}": f"some words of field {field}" for field in range(6)}}
        for n in range(count)
    ]


def code_ms(folder: Path, *, count: int, times: int) -> dict[str, float]:
    """Return `one`, `many`, `first` and `late` in milliseconds, through a pool of its own."""

    async def measure() -> dict[str, float]:
        pool = CodePool(folder / "cages", Packages(folder / "packages"))

        async def run(items: Batch, owner: str = "wf_1", code: str = CODE, limit: float = 30) -> float:
            job = CodeJob(source=code, per="item", items=items, limit=timedelta(seconds=limit))
            begin = time.perf_counter()
            await pool.run(job, owner=owner, log=LOG, files=NOTHING)
            return (time.perf_counter() - begin) * 1000

        try:
            one, many = items_of(1), items_of(count)
            await run(one)
            lone = sum([await run(one) for _ in range(times)]) / times
            await run(many)
            while pool._spare is None:
                await asyncio.sleep(0.001)
            first = await run(one, owner="wf_2")
            begin = time.perf_counter()
            try:
                await run(
                    one, code="while True:\n    try:\n        while True: pass\n    except BaseException: pass", limit=0.2
                )
            except TimedOut:
                late = (time.perf_counter() - begin - 0.2) * 1000
            return {"one": lone, "many": await run(many), "first": first, "late": late}
        finally:
            await pool.stop()

    return on_loop(measure())


def by_hand_ms(count: int) -> float:
    """Return the milliseconds of the same work in this process."""
    items = items_of(count)
    begin = time.perf_counter()
    [{**item, "total": item["price"] * item["qty"]} for item in items]
    return (time.perf_counter() - begin) * 1000
