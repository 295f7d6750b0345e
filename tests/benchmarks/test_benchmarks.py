"""The benchmarks themselves: each measures something, tiny as it is here, and the table says what was missed."""

import asyncio
import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from engine.clock import SystemClock
from engine.run.compiling import compile_plan
from engine.run.env import RunEnv
from engine.run.executor import execute
from engine.run.folders import OneFolder
from tests.benchmarks import __main__ as bench
from tests.benchmarks.bench_engine import CATALOG, FIVE, NOTHING, a_run, computing
from tests.benchmarks.bench_process import idle_percent
from tests.benchmarks.bench_store import PAYLOAD
from tests.benchmarks.bench_webhook import compare
from tests.benchmarks.rounds import Effort, take_turns
from tests.benchmarks.served import bring_in, serve_bare, serve_treadle
from tests.benchmarks.table import Row, as_json, at_least, at_most, hopefully_at_most, render

GROUPS_IN_MINIATURE = sorted(bench.GROUPS.keys() - {"webhook", "process", "dbos"})
"""All but those that start servers or install something; the servers have a test of their own."""


@pytest.mark.parametrize("group", GROUPS_IN_MINIATURE)
def test_every_group_measures(group, tmp_path):
    """
    A tiny round of a group gives rows whose figures are numbers above zero.
    """
    rows = bench.GROUPS[group](Effort(tmp_path, rounds=1, scale=0.002))
    assert rows
    assert [row.name for row in rows] == [row.name for row in rows if math.isfinite(row.measured) and row.measured > 0]


@pytest.mark.slow
def test_servers_are_measured(tmp_path):
    """
    A real `treadle serve` is started, watched for a moment, called, and held against a bare server.
    """
    bring_in(tmp_path)
    with serve_treadle(tmp_path) as full, serve_bare() as bare:
        assert full.start_s > 0
        assert full.memory_mb() > bare.memory_mb() > 0
        assert 0 <= idle_percent(full, seconds=0.05) < 200
        rows = compare(full, bare, Effort(tmp_path, rounds=1, scale=0.02))
    assert [True] * 4 == [row.measured > 0 and row.ratio is not None and row.ratio > 0 for row in rows]


def test_figures_take_turns():
    """
    Each round measures every figure once, in order, and a ratio is taken inside its round.
    """
    order, speeds = [], iter([10.0, 2.0, 40.0, 10.0, 30.0, 5.0])

    def figure(name):
        return lambda: order.append(name) or next(speeds)

    taken = take_turns({"a": figure("a"), "b": figure("b")}, rounds=3)
    assert ["a", "b"] * 3 == order
    assert (30.0, 5.0) == (taken.median("a"), taken.median("b"))
    assert 5.0 == taken.ratio("a", "b")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(Row(name="a", measured=1, unit="s"), "", id="no goal"),
        pytest.param(Row(name="a", measured=4, unit="s", ratio=0.4, goal=at_least(0.35)), "kept", id="a ratio that is kept"),
        pytest.param(
            Row(name="a", measured=4, unit="s", ratio=0.3, goal=at_least(0.35)), "missed", id="a ratio that is missed"
        ),
        pytest.param(Row(name="a", measured=4, unit="s", ratio=6, goal=at_most(5)), "missed", id="too much of something"),
        pytest.param(Row(name="a", measured=4, unit="s", goal=hopefully_at_most(3)), "warning", id="a number only warns"),
    ],
)
def test_what_a_row_says(row, expected):
    """
    A ratio is kept or missed; a number that depends on the machine never fails.
    """
    assert expected == row.verdict


def test_the_table_and_its_json():
    """
    The table has a line for each row, with limit, ratio and goal, and the JSON says the same.
    """
    rows = [Row(name="speed", measured=1234.5, unit="x/s", limit=2469, limit_name="raw", ratio=0.5, goal=at_least(0.35))]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render([("group", rows)]))
    text = console.export_text()
    assert [True] * 4 == [part in text for part in ("1,234 x/s", "2,469 raw", "0.50 ×", "≥ 0.35 ×")]
    assert [("group", "speed", "kept")] == [(row["group"], row["name"], row["verdict"]) for row in as_json([("group", rows)])]


def test_a_missed_ratio_is_an_exit_code(monkeypatch, capsys):
    """
    `make bench` fails when a ratio is missed, and prints JSON where it is asked for.
    """
    missed = Row(name="slow", measured=1, unit="s", ratio=0.1, goal=at_least(0.35))
    monkeypatch.setattr(bench, "GROUPS", {"machine": lambda effort: [missed]})
    monkeypatch.setattr(bench, "tune_interpreter", lambda: None)
    assert 1 == bench.main(["--json", "--quick"])
    assert ["missed"] == [row["verdict"] for row in json.loads(capsys.readouterr().out)]


async def _recorded() -> list[int]:
    sizes: list[int] = []

    class Journal:
        is_full = False

        def append(self, fact, *, epoch):
            sizes.append(len(fact.payload))

    plan = compile_plan(computing(10), CATALOG)
    env = RunEnv(clock=SystemClock(), http=NOTHING, files=NOTHING, folders=OneFolder(Path()), journal=Journal())
    await execute(a_run("size"), plan, env, items=FIVE)
    return sizes


def test_raw_rows_are_as_large_as_those_of_steps():
    """
    The rows that the bare driver writes are as long as those of the steps they are held against.
    """
    sizes = asyncio.run(_recorded())
    assert 11 == len(sizes)
    assert abs(len(PAYLOAD) - sum(sizes) / len(sizes)) < 10
