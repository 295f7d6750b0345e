"""
What expressions cost, beside the same work written by hand in Python.

In microseconds of processor time per evaluation; each round is the least of three goes, so that a busy machine disturbs little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from engine.expressions import compile_expression

from .rounds import Effort, Figure, take_turns
from .table import Row, at_most, hopefully_at_most

GOES = 3
ITEM = {
    "price": 2.5, "qty": 3, "name": "Anna", "city": "Wien", "status": "open", "total": 120, "a": 1, "b": None, "c": True,
    "lines": [{"sku": f"s{n}", "qty": n, "total": n * 1.5} for n in range(5)],
}  # fmt: skip
WIDE = {**ITEM, **{f"field_{n}": n for n in range(100)}}
SHAPES: dict[str, tuple[str, dict[str, object], Callable[[dict], object]]] = {
    "a * b": ("item.price * item.qty", ITEM, lambda item: item["price"] * item["qty"]),
    "a * b, item of 110 fields": ("item.price * item.qty", WIDE, lambda item: item["price"] * item["qty"]),
    "text of four parts": (
        'item.name + " from " + item.city + ": " + item.qty',
        ITEM,
        lambda item: item["name"] + " from " + item["city"] + ": " + str(item["qty"]),
    ),
    "condition": (
        'item.status == "open" && item.total > 100 ? "late" : "fine"',
        ITEM,
        lambda item: "late" if item["status"] == "open" and item["total"] > 100 else "fine",
    ),
    "filter, map and sum of five": (
        "item.lines.filter(l => l.qty > 1).map(l => l.total).sum()",
        ITEM,
        lambda item: sum(line["total"] for line in item["lines"] if line["qty"] > 1),
    ),
}
BATCH = "a * b over a batch, per item"
SUM = "sum over a batch, per item"


def expression_rows(effort: Effort) -> list[Row]:
    """Return the cost of each shape beside the same by hand; what the width of an item and a batch make of it."""
    loops, count = effort.of(20_000), effort.of(100_000, least=100)
    figures: dict[str, Figure] = {}
    for name, (source, item, by_hand) in SHAPES.items():
        evaluate, scope = compile_expression(source).evaluate, {"item": item, "items": [], "index": 0}
        figures[name] = partial(cpu_us, partial(evaluate, scope), loops)
        figures[f"{name} by hand"] = partial(cpu_us, partial(by_hand, item), loops)
    items = [{"price": n * 0.5, "qty": n, "name": "x"} for n in range(count)]
    product, total = compile_expression("item.price * item.qty"), compile_expression("items.sum(i => i.price * i.qty)")
    figures[BATCH] = lambda: cpu_us(lambda: product.evaluate_each(items), 1) / count
    figures[f"{BATCH} by hand"] = lambda: cpu_us(lambda: [item["price"] * item["qty"] for item in items], 1) / count
    figures[SUM] = lambda: cpu_us(lambda: total.evaluate({"items": items}), 1) / count
    figures[f"{SUM} by hand"] = lambda: cpu_us(lambda: sum(item["price"] * item["qty"] for item in items), 1) / count
    taken = take_turns(figures, effort.rounds)
    simple, wide, *_ = SHAPES
    rows = [
        Row(
            name=f"expression, {name}",
            measured=taken.median(name),
            unit="µs",
            limit=taken.median(f"{name} by hand"),
            limit_name="by hand",
            ratio=taken.ratio(name, f"{name} by hand"),
            goal=hopefully_at_most(1) if name == simple else hopefully_at_most(0.5) if name == BATCH else None,
        )
        for name in [*SHAPES, BATCH, SUM]
    ]
    width = Row(
        name="what 100 more fields cost",
        measured=taken.median(wide),
        unit="µs",
        limit=taken.median(simple),
        limit_name="with 10 fields",
        ratio=taken.ratio(wide, simple),
        goal=at_most(1.3),
    )
    return [*rows, width]


def cpu_us(work: Callable[[], object], loops: int) -> float:
    """Return the microseconds of processor time of one call."""
    least = float("inf")
    for _ in range(GOES):
        began = time.process_time_ns()
        for _ in range(loops):
            work()
        least = min(least, (time.process_time_ns() - began) / loops / 1000)
    return least
