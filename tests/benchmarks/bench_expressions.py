"""
What expressions cost, beside the same work written by hand in Python.

`run()` gives microseconds per evaluation: the least of several interleaved rounds of processor time, so that a busy machine
disturbs little. Run as a program it prints them as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from engine.expressions import compile_expression

ITEM = {
    "price": 2.5, "qty": 3, "name": "Anna", "city": "Wien", "status": "open", "total": 120, "a": 1, "b": None, "c": True,
    "lines": [{"sku": f"s{n}", "qty": n, "total": n * 1.5} for n in range(5)],
}  # fmt: skip
WIDE = {**ITEM, **{f"field_{n}": n for n in range(100)}}
SHAPES: dict[str, tuple[str, dict[str, object], Callable[[dict], object]]] = {
    "a*b": ("item.price * item.qty", ITEM, lambda item: item["price"] * item["qty"]),
    "a*b, wide item": ("item.price * item.qty", WIDE, lambda item: item["price"] * item["qty"]),
    "concat": (
        'item.name + " from " + item.city + ": " + item.qty',
        ITEM,
        lambda item: item["name"] + " from " + item["city"] + ": " + str(item["qty"]),
    ),
    "condition": (
        'item.status == "open" && item.total > 100 ? "late" : "fine"',
        ITEM,
        lambda item: "late" if item["status"] == "open" and item["total"] > 100 else "fine",
    ),
    "filter+map+sum": (
        "item.lines.filter(l => l.qty > 1).map(l => l.total).sum()",
        ITEM,
        lambda item: sum(line["total"] for line in item["lines"] if line["qty"] > 1),
    ),
}
LOOPS = 20_000
BATCH = 100_000


def run(rounds: int = 5) -> dict[str, float]:
    """Return microseconds per evaluation by shape, `… by hand` for plain Python, and per item for a batch of 100,000."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, (source, item, by_hand) in SHAPES.items():
            evaluate, scope = compile_expression(source).evaluate, {"item": item, "items": [], "index": 0}
            _keep_least(best, name, _timed(lambda evaluate=evaluate, scope=scope: evaluate(scope), LOOPS))
            _keep_least(best, f"{name} by hand", _timed(lambda by_hand=by_hand, item=item: by_hand(item), LOOPS))
    items = [{"price": n * 0.5, "qty": n, "name": "x"} for n in range(BATCH)]
    product = compile_expression("item.price * item.qty")
    total = compile_expression("items.sum(i => i.price * i.qty)")
    for _ in range(rounds):
        _keep_least(best, "batch of 100k, a*b, per item", _timed(lambda: product.evaluate_each(items), 1) / BATCH)
        _keep_least(best, "batch by hand, per item", _timed(lambda: [item["price"] * item["qty"] for item in items], 1) / BATCH)
        _keep_least(best, "sum over 100k, per item", _timed(lambda: total.evaluate({"items": items}), 1) / BATCH)
    source = 'item.lines.filter(l => l.qty > 1).map(l => l.total).sum() > 10 ? "big" : "small"'
    _keep_least(best, "compile", min(_timed(lambda: compile_expression.__wrapped__(source), 200) for _ in range(rounds)))
    return {name: round(value, 3) for name, value in best.items()}


def _timed(work: Callable[[], object], loops: int) -> float:
    """Return microseconds of processor time for one call."""
    began = time.process_time_ns()
    for _ in range(loops):
        work()
    return (time.process_time_ns() - began) / loops / 1000


def _keep_least(best: dict[str, float], name: str, value: float) -> None:
    best[name] = min(best.get(name, value), value)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
