"""The workflows that come with Treadle do what they say."""

import csv
import json
import threading
from collections import defaultdict
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from app.build import build
from app.config import load_settings
from app.starters import add_starter, bring_files, list_starters, starters_folder
from engine.access import OWNER
from engine.clock import ManualClock
from engine.errors import NotFound
from engine.model.codec import read_document, write_document

pytestmark = pytest.mark.anyio

TODAY = date(2026, 11, 23)


@pytest.fixture
async def treadle(tmp_path):
    treadle = build(
        load_settings(data=tmp_path, environment={}),
        clock=ManualClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC)),
        in_memory=True,
    )
    await treadle.start()
    yield treadle
    await treadle.stop()


async def run_starter(treadle, name, given=None, from_node=None):
    studio = treadle.studio(OWNER)
    workflow = await add_starter(studio, treadle.folders, name)
    run = await studio.runs.start(workflow.id, given, from_node=from_node)
    await studio.runs.wait(run.id, None)
    return await studio.runs.finished(run.id), treadle.folders.of(workflow.id, workflow.name)


def overdue_by_customer():
    """Compute the report independently, with nothing but the csv module."""
    totals, counts, oldest = defaultdict(float), defaultdict(int), defaultdict(int)
    path = starters_folder() / "overdue_invoices.files" / "invoices.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            due = date.fromisoformat(row["due"])
            if row["status"] == "open" and due < TODAY:
                totals[row["customer"]] += float(row["amount"])
                counts[row["customer"]] += 1
                oldest[row["customer"]] = max(oldest[row["customer"]], (TODAY - due).days)
    rows = [(name, counts[name], round(total, 2), oldest[name]) for name, total in totals.items()]
    return sorted(rows, key=lambda row: -row[2])


async def test_overdue_invoices_equal_an_independent_computation(treadle):
    """
    The report and the summary hold the numbers that the csv module finds in the same thousand invoices.
    """
    finished, folder = await run_starter(treadle, "overdue_invoices")
    expected = overdue_by_customer()
    sheet = openpyxl.load_workbook(folder / "overdue-report.xlsx")["Overdue"]
    header, *rows = sheet.iter_rows(values_only=True)
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert "succeeded" == finished["status"]
    assert expected == [(row["customer"], row["invoices"], row["total"], row["oldest_days"]) for row in found]
    (summary,) = json.loads((folder / "overdue-summary.json").read_text("utf-8"))
    assert {
        "customers": len(expected),
        "invoices": sum(row[1] for row in expected),
        "total": round(sum(row[2] for row in expected), 2),
        "worst": expected[0][0],
    } == summary


async def test_the_report_follows_the_calendar_of_vienna(treadle):
    """
    Late in the evening in Vienna it is tomorrow there, though not yet in UTC, and the report counts by Vienna.
    """
    treadle.clock.advance(datetime(2026, 11, 23, 23, 30, tzinfo=UTC) - treadle.clock.now())
    finished, folder = await run_starter(treadle, "overdue_invoices")
    sheet = openpyxl.load_workbook(folder / "overdue-report.xlsx")["Overdue"]
    oldest = max(row[4] for row in sheet.iter_rows(min_row=2, values_only=True))
    assert "succeeded" == finished["status"]
    assert max(row[3] for row in overdue_by_customer()) + 1 == oldest
    assert date(2026, 11, 24) == treadle.clock.now().astimezone(ZoneInfo("Europe/Vienna")).date()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(
            {"order": "A-7", "customer": "Eve", "lines": [{"sku": "X", "qty": 3, "price": 2.5}]},
            {"accepted": True, "order": "A-7", "total": 7.5},
            id="a good order is kept",
        ),
        pytest.param(
            {"customer": "Eve", "lines": []},
            {"accepted": False, "complaints": ["The order has no number.", "The order has no lines."]},
            id="what is missing is told at once",
        ),
    ],
)
async def test_order_webhook_answers_and_keeps(treadle, body, answer):
    """
    A complete order lands in the file; an incomplete one is answered with everything that is wrong with it.
    """
    finished, folder = await run_starter(treadle, "order_webhook", {"method": "POST", "body": body}, from_node="order")
    kept = folder / "orders.jsonl"
    lines = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else []
    assert "succeeded" == finished["status"]
    assert ([body["order"]] if answer["accepted"] else []) == [line["order"] for line in lines]
    assert answer["accepted"] == bool(finished["outputs"].get("accepted", {}).get("out"))


PAGES = [{"USD": 1.16, "CHF": 0.94}, {"CAD": 1.62, "JPY": 178.4, "GBP": 0.87}, {"SEK": 11.2, "INR": 98.1}]


@pytest.fixture
def bank():
    """A bank that tells its rates on three pages."""

    class Rates(BaseHTTPRequestHandler):
        def do_GET(self):
            number = int(self.path.partition("page=")[2] or 0)
            more = f"http://127.0.0.1:{self.server.server_port}/rates?page={number + 1}" if number + 1 < len(PAGES) else None
            body = json.dumps({"base": "EUR", "rates": PAGES[number], "next": more}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Rates)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/rates"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_exchange_rates_join_all_pages_with_the_price_list(treadle, bank):
    """
    The rates of all three pages meet the price list, and the report has each price in euros.
    """
    finished, folder = await run_starter(treadle, "exchange_rates", {"source": bank})
    rates = {currency: rate for page in PAGES for currency, rate in page.items()}
    with (starters_folder() / "exchange_rates.files" / "products.csv").open(encoding="utf-8", newline="") as file:
        expected = {
            row["product"]: float(row["price"])
            if row["currency"] == "EUR"
            else round(float(row["price"]) / rates[row["currency"]], 2)
            for row in csv.DictReader(file)
        }
    header, *rows = openpyxl.load_workbook(folder / "prices-in-euros.xlsx")["Prices"].iter_rows(values_only=True)
    found = {row[header.index("product")]: row[header.index("price_eur")] for row in rows}
    assert "succeeded" == finished["status"]
    assert expected == found
    assert sorted(expected.values(), reverse=True) == list(found.values())


@pytest.mark.parametrize("name", list_starters())
def test_starters_are_in_canonical_form(name):
    """
    A starter reads as the studio would write it.
    """
    text = (starters_folder() / f"{name}.yaml").read_text("utf-8")
    assert text == write_document(read_document(text))


@pytest.mark.parametrize("name", list_starters())
async def test_starters_have_nothing_to_complain_about(treadle, name):
    """
    No errors and no warnings, so that the first thing a person sees is a clean canvas.
    """
    assert [] == treadle.studio(OWNER).workflows.check((starters_folder() / f"{name}.yaml").read_text("utf-8"))


async def test_an_unknown_starter_names_the_known_ones(treadle):
    """
    A wrong name is answered with the right ones.
    """
    with pytest.raises(NotFound) as caught:
        await add_starter(treadle.studio(OWNER), treadle.folders, "nothing")
    assert "overdue_invoices" in (caught.value.hint or "")


def test_files_that_are_there_stay(tmp_path):
    """
    Bringing a starter's files never overwrites what a person has changed.
    """
    document = starters_folder() / "overdue_invoices.yaml"
    (tmp_path / "invoices.csv").write_text("mine")
    assert [] == bring_files(document, tmp_path)
    assert "mine" == (tmp_path / "invoices.csv").read_text()
