"""The starters that turn one kind of file into another, checked against the libraries of Python."""

import csv
import json
import re
from datetime import UTC, date, datetime
from xml.etree import ElementTree

import openpyxl
import pytest

from app.build import build
from app.config import load_settings
from app.starters import add_starter, starters_folder
from engine.access import OWNER
from engine.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def run(tmp_path):
    """Run a starter to its end; returns its outputs and the folder it wrote to."""
    clock = ManualClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    treadle = build(load_settings(data=tmp_path, environment={}), clock=clock, in_memory=True)
    await treadle.start()

    async def run(name):
        studio = treadle.studio(OWNER)
        workflow = await add_starter(studio, treadle.folders, name)
        started = await studio.runs.start(workflow.id, None, from_node="start")
        await studio.runs.wait(started.id, None)
        finished = await studio.runs.finished(started.id)
        assert ("succeeded", None) == (finished["status"], finished["error"])
        return finished["outputs"], treadle.folders.of(workflow.id, workflow.name)

    yield run
    await treadle.stop()


def given(starter, file):
    return (starters_folder() / f"{starter}.files" / file).read_text("utf-8")


def table(text, delimiter=","):
    return list(csv.DictReader(text.splitlines(), delimiter=delimiter))


def wrong_with(row):
    """Name the fields of an order that cannot be right."""
    problems = [] if row["email"].count("@") == 1 and " " not in row["email"] else ["email"]
    try:
        date.fromisoformat(row["date"])
    except ValueError:
        problems.append("date")
    amount = row["amount"].lstrip("-").replace(".", "")
    return problems + ([] if amount.isdigit() and float(row["amount"]) > 0 else ["amount"])


async def test_data_quality(run):
    """
    The good rows stand in one file, the others in another with everything that is wrong with each.
    """
    orders = table(given("data_quality", "orders.csv"))
    _, folder = await run("data_quality")
    good, bad = (table((folder / name).read_text("utf-8")) for name in ("good.csv", "to-repair.csv"))
    assert [row for row in orders if not wrong_with(row)] == good
    assert [(row["order"], ", ".join(wrong_with(row))) for row in orders if wrong_with(row)] == [
        (row["order"], row["problems"]) for row in bad
    ]
    assert {"email", "date", "amount", "email, amount"} == {row["problems"] for row in bad}


async def test_web_table(run):
    """
    The second table is read, its thousands are understood, and the best city stands first.
    """
    cells = re.findall(r"<tr><td>(\w+)</td><td>([\d,]+)</td><td>(\d+)</td></tr>", given("web_table", "cities.html"))
    expected = [(float(orders) / int(visitors.replace(",", "")) * 100, city) for city, visitors, orders in cells]
    _, folder = await run("web_table")
    found = json.loads((folder / "cities.json").read_text("utf-8"))
    assert [city for _, city in sorted(expected, reverse=True)] == [row["city"] for row in found]
    assert [pytest.approx(percent, abs=0.0051) for percent, _ in sorted(expected, reverse=True)] == [
        row["percent"] for row in found
    ]


async def test_xml_to_csv(run):
    """
    Every book of the catalogue is one row.
    """
    books = ElementTree.fromstring(given("xml_to_csv", "catalogue.xml"))
    expected = [{name: book.findtext(name) for name in ("title", "year", "price")} for book in books]
    _, folder = await run("xml_to_csv")
    assert expected == table((folder / "catalogue.csv").read_text("utf-8"))
    assert 30 == len(expected)


async def test_csv_to_excel(run):
    """
    Each city has its sheet; fees are numbers and days are days.
    """
    expected = {}
    for row in sorted(table(given("csv_to_excel", "members.csv"), ";"), key=lambda row: (row["city"], row["joined"])):
        joined, fee = datetime.fromisoformat(row["joined"]), float(row["fee"].replace(",", "."))
        expected.setdefault(row["city"], []).append((row["name"], row["city"], joined, fee))
    _, folder = await run("csv_to_excel")
    book = openpyxl.load_workbook(folder / "members.xlsx")
    assert expected == {sheet.title: list(sheet.iter_rows(min_row=2, values_only=True)) for sheet in book}


async def test_letters_in_batches(run):
    """
    Ten letters are in each file and the rest in the last, in the order of the list.
    """
    lines = [f"Dear {row['name']} of {row['city']}," for row in table(given("letters_in_batches", "addresses.csv"))]
    outputs, folder = await run("letters_in_batches")
    written = [(folder / f"letters-{number}.txt").read_text("utf-8").splitlines() for number in range(1, 7)]
    assert [lines[start : start + 10] for start in range(0, len(lines), 10)] == written
    assert [{"files": 6}] == outputs["total"]["out"]
