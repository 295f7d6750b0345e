"""The starters that work on tables compute what a few lines of Python find in the same files."""

import csv
import json
import math
from collections import defaultdict
from datetime import UTC, datetime

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
    """Run a starter to its end and return the folder it wrote to."""
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
        return treadle.folders.of(workflow.id, workflow.name)

    yield run
    await treadle.stop()


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def given(starter, file):
    return table(starters_folder() / f"{starter}.files" / file)


def given_lines(starter, file):
    return [json.loads(line) for line in (starters_folder() / f"{starter}.files" / file).read_text("utf-8").splitlines()]


def sheets(path):
    """Return each sheet as its rows without the headings."""
    return {sheet.title: list(sheet.iter_rows(min_row=2, values_only=True)) for sheet in openpyxl.load_workbook(path)}


async def test_sales_by_month(run):
    """
    Each month has its sales, its revenue and its largest sale, January first.
    """
    months = defaultdict(list)
    for row in given("sales_by_month", "sales.csv"):
        months[row["date"][:7]].append(float(row["amount"]))
    expected = [(month, len(sales), round(math.fsum(sales), 2), max(sales)) for month, sales in sorted(months.items())]
    folder = await run("sales_by_month")
    assert expected == sheets(folder / "sales-by-month.xlsx")["Months"]


async def test_stock_alert(run):
    """
    What fell to its reorder point is on the list with the least number of whole lots that fills it up to twice that.
    """
    expected = []
    for row in given("stock_alert", "stock.csv"):
        here, mark, lot = int(row["on_hand"]), int(row["reorder_at"]), int(row["lot"])
        if here <= mark:
            lots = next(lots for lots in range(100) if here + lots * lot >= 2 * mark)
            expected.append((here, row["sku"], lots * lot))
    folder = await run("stock_alert")
    found = [(int(row["on_hand"]), row["sku"], int(row["order"])) for row in table(folder / "purchase-list.csv")]
    assert sorted(expected) == found
    assert 0 < len(found) < 60


async def test_ticket_triage(run):
    """
    Each ticket is on the list once, with the team its subject asks for, the most urgent first.
    """
    teams = {"Site": ("operations", 1, 1), "Please": ("billing", 2, 1), "Forgot": ("accounts", 2, 2), "How": ("support", 3, 2)}
    expected = []
    for ticket in given_lines("ticket_triage", "tickets.jsonl"):
        team, priority, for_enterprise = teams[ticket["subject"].split()[0]]
        expected.append((for_enterprise if ticket["plan"] == "enterprise" else priority, ticket["id"], team))
    folder = await run("ticket_triage")
    found = [(int(row["priority"]), int(row["id"]), row["team"]) for row in table(folder / "work-list.csv")]
    assert sorted(expected) == found


async def test_log_summary(run):
    """
    Each service has its lines, errors and times, most errors first.
    """
    services = defaultdict(list)
    for line in given_lines("log_summary", "app.log.jsonl"):
        services[line["service"]].append(line)
    expected = [
        {
            "service": name,
            "lines": len(lines),
            "errors": sum(line["level"] == "error" for line in lines),
            "slowest_ms": max(line["ms"] for line in lines),
            "average_ms": pytest.approx(sum(line["ms"] for line in lines) / len(lines), abs=0.051),
        }
        for name, lines in services.items()
    ]
    folder = await run("log_summary")
    found = json.loads((folder / "log-summary.json").read_text("utf-8"))
    assert sorted(expected, key=lambda line: (-line["errors"], line["service"])) == found


async def test_customer_dedupe(run):
    """
    Each address is there once, tidied, with the date of its oldest entry.
    """
    oldest = {}
    for row in given("customer_dedupe", "customers.csv"):
        email = row["email"].strip().lower()
        oldest[email] = min(oldest.get(email, "9999"), row["since"])
    folder = await run("customer_dedupe")
    found = table(folder / "customers-clean.csv")
    assert sorted((since, email) for email, since in oldest.items()) == [(row["since"], row["email"]) for row in found]
    assert {row["name"].strip().title() for row in given("customer_dedupe", "customers.csv")} == {row["name"] for row in found}


async def test_bank_reconciliation(run):
    """
    Every invoice and every payment is on the sheet of its verdict, and on no other.
    """
    invoices = {row["invoice"]: float(row["amount"]) for row in given("bank_reconciliation", "invoices.csv")}
    paid = {row["reference"]: float(row["paid"]) for row in given("bank_reconciliation", "payments.csv")}
    expected = {
        "open": invoices.keys() - paid.keys(),
        "unknown": paid.keys() - invoices.keys(),
        "short": {number for number, amount in invoices.items() if number in paid and paid[number] < amount},
        "paid": {number for number, amount in invoices.items() if number in paid and paid[number] >= amount},
    }
    folder = await run("bank_reconciliation")
    found = sheets(folder / "reconciliation.xlsx")
    assert expected == {verdict: {row[0] for row in rows} for verdict, rows in found.items()}
    assert len(invoices | paid) == sum(map(len, found.values()))


async def test_price_changes(run):
    """
    What is new, gone or has another price is told, by article, and what stayed is not.
    """
    before = {row["sku"]: float(row["price"]) for row in given("price_changes", "prices-last-week.csv")}
    after = {row["sku"]: float(row["price"]) for row in given("price_changes", "prices-today.csv")}
    expected = [
        (sku, "added" if sku not in before else "removed" if sku not in after else "changed", before.get(sku), after.get(sku))
        for sku in sorted(before | after)
        if before.get(sku) != after.get(sku)
    ]
    folder = await run("price_changes")
    changes = json.loads((folder / "price-changes.json").read_text("utf-8"))
    assert expected == [(row["sku"], row["change"], row.get("before"), row.get("after")) for row in changes]
    assert {"added", "removed", "changed"} == {row["change"] for row in changes}


async def test_timesheet_payroll(run):
    """
    Each person is paid for the hours, those above forty half as much again.
    """
    rates = {row["person"]: float(row["rate"]) for row in given("timesheet_payroll", "people.csv")}
    hours = defaultdict(float)
    for row in given("timesheet_payroll", "timesheet.csv"):
        hours[row["person"]] += float(row["hours"])
    expected = {
        name: pytest.approx(min(worked, 40) * rates[name] + max(worked - 40, 0) * rates[name] * 1.5, abs=0.0051)
        for name, worked in hours.items()
    }
    folder = await run("timesheet_payroll")
    found = sheets(folder / "payroll.xlsx")["Payroll"]
    assert expected == {row[0]: row[-1] for row in found}
    assert any(worked > 40 for worked in hours.values())
