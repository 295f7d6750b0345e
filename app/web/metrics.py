"""`/metrics`: figures in the Prometheus text format, gathered when somebody asks for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples: a value per set of labels."""

    name: str
    kind: str
    help: str
    samples: Mapping[Labels, float]


Source = Callable[[], Awaitable[list[Family]]]


class Metrics:
    """Counts requests, and asks its sources for the rest."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Ask this source too."""
        self._sources.append(source)

    def count_request(self, area: str, status: int) -> None:
        """Note that a request was answered."""
        self._requests[area, status] += 1

    async def render(self) -> bytes:
        """Return everything in the text exposition format 0.0.4."""
        requests: dict[Labels, float] = {
            (("area", area), ("status", str(status))): float(count) for (area, status), count in self._requests.items()
        }
        families = [Family("treadle_http_requests_total", "counter", "Requests answered, by part and status.", requests)]
        for source in self._sources:
            families += await source()
        return "".join(_lines(family) for family in families).encode()


def _lines(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    for labels, value in sorted(family.samples.items()):
        inner = ",".join(f'{name}="{_escape(text)}"' for name, text in labels)
        lines.append(f"{family.name}{{{inner}}} {value:.17g}" if inner else f"{family.name} {value:.17g}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
