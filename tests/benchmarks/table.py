"""The one table: what was measured, what the machine allows, what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table

Verdict = Literal["kept", "warning", "missed", ""]

_SHOWN = {
    "kept": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "missed": "[bold red]✗[/]",
    "": "[dim]·[/]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    A bound on the ratio or on the measured number.

    Only a bound on a ratio can be missed: it holds on every machine. One on the number itself depends on the machine and on who
    else is using it, so it warns.
    """

    of: Literal["ratio", "measured"]
    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        """Tell whether a value keeps within the bound."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: a figure in its unit, the limit it is held against in the same unit, and how the two stand to each other."""

    name: str
    measured: float
    unit: str
    limit: float | None = None
    limit_name: str = ""
    ratio: float | None = None
    goal: Goal | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the goal was kept; "" where there is none."""
        if self.goal is None:
            return ""
        if self.goal.of == "measured":
            return "kept" if self.goal.met(self.measured) else "warning"
        assert self.ratio is not None
        return "kept" if self.goal.met(self.ratio) else "missed"


def at_least(ratio: float) -> Goal:
    """Return the goal of a ratio that must not be smaller."""
    return Goal(of="ratio", least=ratio)


def at_most(ratio: float) -> Goal:
    """Return the goal of a ratio that must not be greater."""
    return Goal(of="ratio", most=ratio)


def hopefully_at_most(measured: float) -> Goal:
    """Return the goal of a number that should not be greater on a machine like ours."""
    return Goal(of="measured", most=measured)


def hopefully_at_least(measured: float) -> Goal:
    """Return the goal of a number that should not be smaller on a machine like ours."""
    return Goal(of="measured", least=measured)


def render(groups: Sequence[tuple[str, Sequence[Row]]], *, title: str = "") -> Table:
    """Return the table for a terminal, one section per group."""
    caption = "✓ kept   ✗ a ratio that was missed   ! a number that depends on the machine, and is not what was hoped for"
    table = Table(title=title or None, title_justify="left", caption=caption, caption_justify="left", pad_edge=False)
    table.add_column("name")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("the machine's limit beside it", justify="right")
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for _, rows in groups:
        for row in rows:
            table.add_row(*cells(row), _SHOWN[row.verdict])
        table.add_section()
    return table


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """Return name, figure, limit, ratio and goal as texts."""
    limit = "" if row.limit is None else f"{quantity(row.limit)} {row.limit_name}".strip()
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} ×" if row.ratio < 100 else f"{row.ratio:.0f} ×"
    return row.name, quantity(row.measured, row.unit), limit, ratio, _goal(row)


def as_json(groups: Sequence[tuple[str, Sequence[Row]]]) -> list[dict[str, Any]]:
    """Return the rows for machines."""
    return [{"group": group, **asdict(row), "verdict": row.verdict} for group, rows in groups for row in rows]


def quantity(value: float, unit: str = "") -> str:
    """Return a number with as many digits as mean something, and its unit."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def _goal(row: Row) -> str:
    if (goal := row.goal) is None:
        return ""
    sign, bound = ("≥", goal.least) if goal.least is not None else ("≤", goal.most)
    assert bound is not None
    return f"{sign} {bound:g} ×" if goal.of == "ratio" else f"{sign} {bound:,g} {row.unit}"
