"""
The other side of the comparison: DBOS doing the same steps, run by the Python of an environment of its own.

`python dbos_side.py ADDRESS AT_A_TIME RUNS STEPS` prints `{"steps_per_s": …, "version": …}`. Each step computes a field of
five items, as `data.set` does in ours; of coroutines and threads, the way that DBOS is faster at counts. Imports nothing of
Treadle.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from dbos import DBOS

FIVE = [{"id": n, "name": f"customer {n}", "price": 9.5 + n, "qty": n, "total": 0, "note": "x" * 20} for n in range(5)]


@DBOS.step()
async def compute_aside(items):
    return [{**item, "total": item["price"] * item["qty"]} for item in items]


@DBOS.workflow()
async def ten_aside(items, steps):
    for _ in range(steps):
        items = await compute_aside(items)
    return items


@DBOS.step()
def compute(items):
    return [{**item, "total": item["price"] * item["qty"]} for item in items]


@DBOS.workflow()
def ten(items, steps):
    for _ in range(steps):
        items = compute(items)
    return items


async def in_coroutines(at_a_time, runs, steps):
    async def one_after_the_other(count):
        for _ in range(count):
            await ten_aside(FIVE, steps)

    await asyncio.gather(*(one_after_the_other(max(1, runs // at_a_time)) for _ in range(at_a_time)))


def in_threads(at_a_time, runs, steps):
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda _: ten(FIVE, steps), range(runs)))


def per_second(work, runs, steps):
    begin = time.perf_counter()
    work()
    return runs * steps / (time.perf_counter() - begin)


def main():
    address, at_a_time, runs, steps = sys.argv[1], *map(int, sys.argv[2:5])
    runs = max(runs // at_a_time, 1) * at_a_time
    DBOS(config={"name": "bench", "system_database_url": address, "run_admin_server": False, "log_level": "ERROR"})
    DBOS.launch()
    try:
        ten(FIVE, steps)
        found = [
            per_second(lambda: in_threads(at_a_time, runs, steps), runs, steps),
            per_second(lambda: asyncio.run(in_coroutines(at_a_time, runs, steps)), runs, steps),
        ]
    finally:
        DBOS.destroy()
    print(json.dumps({"steps_per_s": max(found), "both": found, "version": version("dbos")}))  # noqa: T201


if __name__ == "__main__":
    main()
