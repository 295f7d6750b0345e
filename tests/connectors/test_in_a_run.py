"""The real steps in real runs: documents as people write them, the engine, a server, files on disk."""

import time

import pytest
from openpyxl import load_workbook

from connectors import load_connectors
from engine.clock import SystemClock
from engine.events.bus import EventBus
from engine.model.codec import parse_document
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.check import check_document
from engine.store import open_store
from tests.run.workshop import Outside, Workshop

from .conftest import Reply

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(client, files, tmp_path):
    """A worker with every step there is, a file store and the network."""
    clock, bus = SystemClock(), EventBus()
    store = open_store("sqlite://", clock=clock, blobs_dir=tmp_path / "blobs", synchronous="NORMAL")
    await store.start()
    catalog = Catalog([*builtin_steps(), *load_connectors()])
    folder = tmp_path / "own"
    folder.mkdir()
    worker = Worker(store, catalog, clock, bus, files=files, http=client, folders=OneFolder(folder))
    await worker.start()
    workshop = Workshop(worker, store, clock, bus, Outside(), catalog)
    workshop.folder = folder
    yield workshop
    await worker.stop()
    await store.stop()


async def finished(shop, text, items=None):
    """Check a document, run it, and return the finished run."""
    parsed = parse_document("treadle: 1\nname: A test\n" + text)
    assert [] == [*parsed.problems, *(one for one in check_document(parsed, shop.catalog) if not one.is_warning)]
    return await shop.run(parsed.document, items)


async def test_a_429_is_waited_out(server, shop):
    """
    The service says to come back in a second; the node's retry does, and the run goes through.
    """
    server.routes["/a"] = [Reply(status=429, headers={"retry-after": "1"}), Reply({"ok": 1})]
    began = time.monotonic()
    run = await finished(
        shop,
        f"""
nodes:
  start: {{use: trigger.manual}}
  fetch:
    use: http.request
    with: {{url: "{server.url("/a")}"}}
    retry: {{attempts: 3, first: 1ms}}
edges: [start -> fetch]
""",
    )
    assert ("succeeded", {"ok": 1}) == (run["status"], run["outputs"]["fetch"]["out"][0]["body"])
    assert 1.0 <= time.monotonic() - began < 5
    assert 2 == len(server.asked)


async def test_items_fail_one_by_one(server, shop):
    """
    Of five requests two are refused: those leave by the error port with their error, the others go on, four at a time.
    """
    server.routes["/a"] = lambda asked: Reply(
        {"n": dict(asked.query)["n"]}, status=404 if dict(asked.query)["n"] in "13" else 200, pause=0.02
    )
    run = await finished(
        shop,
        f"""
nodes:
  start:
    use: trigger.manual
  numbers:
    use: data.generate
    with: {{count: 5, item: {{n: index}}}}
  fetch:
    use: http.request
    with: {{url: "{server.url("/a")}", query: {{n: "{{{{ item.n }}}}"}}, concurrency: 4}}
    on_error: route
  good:
    use: data.set
    with: {{keep: none, fields: {{n: item.body.n, asked: nodes.numbers.item.n}}}}
  bad:
    use: data.set
    with: {{keep: none, fields: {{n: item.n, asked: nodes.numbers.item.n}}}}
edges: [start -> numbers, numbers -> fetch, fetch -> good, fetch.error -> bad]
""",
    )
    assert "succeeded" == run["status"]
    assert [("0", 0), ("2", 2), ("4", 4)] == [(item["n"], item["asked"]) for item in run["outputs"]["good"]["out"]]
    assert [1, 3] == [item["asked"] for item in run["outputs"]["bad"]["out"]]
    assert 1 < server.most_at_once <= 4


async def test_pages_lists_joins_and_a_report(server, shop):
    """
    Two pages of rates, a price list on disk, joined, summed up and written as Excel; each price knows which rate it came from.
    """
    server.routes["/rates"] = lambda asked: (
        Reply({"rates": [{"c": "CHF", "r": 0.5}], "next": None})
        if asked.query
        else Reply({"rates": [{"c": "USD", "r": 2}], "next": "/rates?p=2"})
    )
    (shop.folder / "prices.csv").write_text("sku;currency;price\nA;USD;10,00\nB;CHF;5,50\nC;EUR;1,00\n")
    run = await finished(
        shop,
        f"""
nodes:
  start: {{use: trigger.manual}}
  fetch:
    use: http.request
    with: {{url: "{server.url("/rates")}", paging: next_url}}
  rates:
    use: data.split
    with: {{list: item.body.rates}}
  file:
    use: file.read
    with: {{path: prices.csv}}
  prices:
    use: data.parse
    with: {{types: {{price: number}}, decimal: ","}}
  joined:
    use: flow.merge
    with: {{mode: by_key, left: item.currency, right: item.c}}
  euros:
    use: data.set
    with:
      keep: none
      fields: {{sku: item.sku, eur: item.price / item.r, of_rate: nodes.rates.item.c, of_row: nodes.prices.item.sku}}
  report:
    use: data.format
    with: {{format: excel, name: "prices-{{{{ items.length }}}}"}}
  save:
    use: file.write
    with: {{path: "out/{{{{ item.file.name }}}}"}}
edges:
  - start -> fetch
  - fetch -> rates
  - start -> file
  - file -> prices
  - prices -> joined.a
  - rates -> joined.b
  - joined -> euros
  - euros -> report
  - report -> save
""",
    )
    assert ("succeeded", None) == (run["status"], run["error"])
    sheet = load_workbook(shop.folder / "out" / "prices-2.xlsx").active
    assert [("sku", "eur", "of_rate", "of_row"), ("A", 5, "USD", "A"), ("B", 11, "CHF", "B")] == list(
        sheet.iter_rows(values_only=True)
    )


async def test_a_broken_row_stops_with_its_line(shop):
    """
    The run's error leads to the node and the line of the file.
    """
    (shop.folder / "a.csv").write_text("a,b\n1,2\n3\n")
    run = await finished(
        shop,
        """
nodes:
  start: {use: trigger.manual}
  file: {use: file.read, with: {path: a.csv}}
  rows: {use: data.parse}
edges: [start -> file, file -> rows]
""",
    )
    assert "failed" == run["status"]
    assert "Line 3 has 1 cell where there are 2 columns" in run["error"]["message"]
    assert "rows" == run["error"]["where"]["node"]


async def test_routes_and_sums(shop):
    """
    Switch, compare and summarize in one run, and the reason of a stop in the run's error.
    """
    run = await finished(
        shop,
        """
nodes:
  start:
    use: trigger.manual
    with: {sample: [{v: 1}]}
  many: {use: data.generate, with: {count: 10, item: {v: index}}}
  ways:
    use: flow.switch
    with: {cases: {small: item.v < 3, even: item.v % 2 == 0}, otherwise: rest}
  sum: {use: data.summarize, with: {values: {total: "sum(items.map(i => i.v))", from: "count(items)"}}}
  difference: {use: data.compare, with: {key: item.v}}
edges:
  - start -> many
  - many -> ways
  - ways.even -> sum
  - ways.small -> difference.a
  - many -> difference.b
""",
    )
    assert [{"total": 18, "from": 3}] == run["outputs"]["sum"]["out"]
    assert [7, 3] == [len(run["outputs"]["difference"][port]) for port in ("added", "same")]
    stopped = await finished(
        shop,
        """
nodes:
  start: {use: trigger.manual}
  stop: {use: flow.stop, with: {message: "no rate for {{ item.c }}"}}
edges: [start -> stop]
""",
        [{"c": "CHF"}],
    )
    assert ("failed", "no rate for CHF") == (stopped["status"], stopped["error"]["message"])
