"""
What a run has used of its budget, and the gate its requests pass.

Only runs of workflows with a `budget` or `rates` have a meter. What earlier lives of the run used is read from its journal: the
counts, sizes and times that every finished step leaves there anyway, and its calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.ids import NodeId
from engine.model.limits import Budget, Rate, say_size
from engine.model.run import Fact
from engine.steps.contract import Http, StopRun

if TYPE_CHECKING:
    from .rates import RateGate

_NO_BUDGET = Budget()


class OverBudget(StopRun):
    """The run used more than its budget allows; that ends it, whatever its steps say about failures."""

    code = "over_budget"

    def __init__(self, name: str, used: str, allowed: str, node: NodeId | None = None) -> None:
        super().__init__("failed", f"The run used {used}, and its budget allows {allowed}.")
        self.hint = f"Raise “{name}” under settings.budget of the workflow, or make the run do less at a time."
        self.where = {"budget": name, "used": used, "allowed": allowed, **({"node": node} if node else {})}


class Meter:
    """
    The use of one run so far: items and bytes that left its steps, the seconds they took, its calls to the outside.

    `add_step` and `add_call` raise `OverBudget` at the step or call that goes beyond.
    """

    __slots__ = ("_calls_of", "budget", "bytes", "calls", "items", "rates", "seconds")

    def __init__(self, budget: Budget | None, rates: tuple[Rate, ...]) -> None:
        self.budget = budget or _NO_BUDGET
        self.rates = rates
        self.items = self.bytes = self.calls = 0
        self.seconds = 0.0
        self._calls_of: Counter[NodeId] = Counter()

    def restore(self, facts: Iterable[Fact]) -> None:
        """Take over what the journal says about earlier lives."""
        for fact in facts:
            ports: Mapping[str, int] = fact.summary.get("ports") or {}
            self.items += sum(ports.values())
            self.bytes += len(fact.payload or b"") if ports else 0
            self.seconds += float(fact.summary.get("ms", 0)) / 1000
            self.calls += int(fact.summary.get("calls", 0))

    def add_step(self, node: NodeId, ports: Mapping[str, int], size: int, seconds: float) -> None:
        """Count what a finished step gave; raises `OverBudget`."""
        budget = self.budget
        self.items += sum(ports.values())
        self.bytes += size
        self.seconds += seconds
        if budget.items is not None and self.items > budget.items:
            raise OverBudget("items", f"{self.items:,} items", f"{budget.items:,}", node)
        if budget.bytes is not None and self.bytes > budget.bytes:
            raise OverBudget("bytes", f"{say_size(self.bytes)} of data", say_size(budget.bytes), node)
        if budget.minutes is not None and self.seconds > budget.minutes * 60:
            raise OverBudget("minutes", f"{self.seconds / 60:.2f} minutes", f"{budget.minutes:g}", node)

    def add_call(self, node: NodeId) -> None:
        """Count a request that is about to go out; raises `OverBudget` instead of letting it."""
        if self.budget.calls is not None and self.calls >= self.budget.calls:
            raise OverBudget("calls", f"{self.calls + 1:,} calls to the outside", f"{self.budget.calls:,}", node)
        self.calls += 1
        self._calls_of[node] += 1

    def calls_since(self, node: NodeId) -> int:
        """Return how many calls a step made since this was last asked, for its line in the journal."""
        return self._calls_of.pop(node, 0)

    @property
    def seconds_left(self) -> float | None:
        """How long the run may still work, None without limit."""
        return None if self.budget.minutes is None else max(0.0, self.budget.minutes * 60 - self.seconds)


class MeteredHttp:
    """The way out of one step: each request is counted, and waits for its turn where a rate says so."""

    __slots__ = ("_connection", "_gate", "_http", "_meter", "_node")

    def __init__(self, http: Http, meter: Meter, gate: RateGate, node: NodeId, connection: str | None) -> None:
        self._http, self._meter, self._gate, self._node, self._connection = http, meter, gate, node, connection

    async def request(self, method: str, url: str, **options: Any) -> Any:
        """Send one request; see `Http`. Raises `OverBudget` when the run may make no more."""
        self._meter.add_call(self._node)
        if self._meter.rates:
            await self._gate.pass_through(wanted(self._meter.rates, url, self._connection))
        return await self._http.request(method, url, **options)


def wanted(rates: Iterable[Rate], url: str, connection: str | None) -> list[tuple[str, Rate]]:
    """Return the rates that hold for a request, each with the name of what it counts."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        host = ""
    found = []
    for rate in rates:
        if rate.connection is not None and rate.connection == connection:
            found.append((f"connection {connection}", rate))
        elif rate.host is not None and host and rate.host.lower() in ("*", host):
            found.append((f"host {host}", rate))
    return found
