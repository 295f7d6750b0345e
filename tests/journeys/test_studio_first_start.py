"""
First start, told as one story in a real browser: open the starter, add a step, try it, break it, mend it.

With `TREADLE_SCREENSHOTS=docs/images` the pictures of the documentation are taken on the way.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
STARTERS = ROOT / "assets" / "starters"
PICTURES = os.environ.get("TREADLE_SCREENSHOTS")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 15_000  # milliseconds


@dataclass
class Served:
    """A Treadle of its own: where it answers, and the link that signs a browser in."""

    link: str

    @property
    def base(self) -> str:
        return self.link.partition("/?")[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`treadle serve` on an empty data folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    data = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--data", str(data), "--port", "0"]
    server = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"http://\S+", line):
            break
    else:
        pytest.fail("the server did not start: " + "".join(said))
    drain = threading.Thread(target=lambda: said.extend(server.stderr), daemon=True)
    drain.start()
    yield Served(found.group(0))
    server.terminate()
    server.wait(20)
    drain.join(5)
    server.stderr.close()
    assert [] == complaints(said), "".join(said)


def complaints(said: list[str]) -> list[str]:
    """Return what the server's log calls an error; a browser that turns away from a page in mid-answer is none."""
    errors = [line for line in said if re.match(r"[\d:]+ (error|critical)", line)]
    went_away = "".join(said).count("RuntimeError: No response returned.")
    return [line for line in errors if not (went_away and "uvicorn.error: Exception in ASGI application" in line)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = os.environ.get("TREADLE_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(chromium: Browser, served: Served) -> Iterator[BrowserContext]:
    """A browser that came by the launch link."""
    context = chromium.new_context(
        viewport={"width": 1600, "height": 1000}, reduced_motion="reduce", accept_downloads=True, color_scheme="light"
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(served.link)
    expect(page.get_by_role("heading", name="Workflows")).to_be_visible()
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails its test when the browser reports an error."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert [] == errors


def picture(page: Page, name: str, settle: Callable[[], None] | None = None) -> None:
    """Take a picture in light and in dark, when pictures are wanted; the page is drawn anew in each."""
    if not PICTURES:
        return
    Path(PICTURES).mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        choose_theme(page, theme)
        page.reload()
        page.wait_for_timeout(1500)
        if settle is not None:
            settle()
        page.mouse.move(5, 990)
        page.wait_for_timeout(900)
        page.screenshot(path=Path(PICTURES) / f"{name}-{theme}.png")
    choose_theme(page, "light")


def choose_theme(page: Page, theme: str) -> None:
    page.context.add_cookies([{"name": "treadle_theme", "value": theme, "domain": "127.0.0.1", "path": "/"}])


def card(page: Page, node_id: str) -> Locator:
    return page.locator(f".vue-flow__node[data-id='{node_id}']")


def port(page: Page, node_id: str, name: str, side: str) -> Locator:
    return page.locator(f".vue-flow__handle.{side}[data-nodeid='{node_id}'][data-handleid='{name}']")


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def draw_line(page: Page, source: Locator, target: Locator) -> None:
    start, end = middle(source), middle(target)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=6)
    page.mouse.move(*end, steps=6)
    page.mouse.up()


def test_run(page: Page, status: str) -> None:
    """Press Test and wait for the run to be over."""
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator(".tr-panel__run .tr-pill")).to_have_text(status)


test_run.__test__ = False  # type: ignore[attr-defined]  # a gesture, not a test


def type_condition(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name="Keep items where")
    box.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
    page.keyboard.press("Escape")


def late_by(days: int) -> int:
    """Count with nothing but the standard library how many open invoices are that late today."""
    today = datetime.now(ZoneInfo("Europe/Vienna")).date()
    text = (STARTERS / "overdue_invoices.files" / "invoices.csv").read_text("utf-8-sig")
    dialect = ";" if ";" in text.splitlines()[0] else ","
    rows = csv.DictReader(io.StringIO(text), delimiter=dialect)
    return sum(row["status"] == "open" and (today - date.fromisoformat(row["due"])).days > days for row in rows)


def test_from_first_start_to_green_again(page: Page, served: Served, tmp_path: Path) -> None:
    """
    The starter opens and runs; a filter is dragged in, wired, tried, broken, read about, undone, and green again.
    """
    page.goto(served.base)
    page.get_by_role("link", name="Overdue invoices").click()
    expect(card(page, "overdue")).to_be_visible()

    # The starter runs as it is, and leaves a report that a person can open.
    test_run(page, "Succeeded")
    page.get_by_role("button", name="Tidy up").first.click()
    page.wait_for_timeout(600)
    card(page, "as_excel").click()
    with page.expect_download() as download:
        page.locator(".tr-table a", has_text=".xlsx").click()
    report = tmp_path / download.value.suggested_filename
    download.value.save_as(report)
    assert openpyxl.load_workbook(report).active.max_row > 1

    # A filter is dragged in and connected.
    free = page.locator(".tr-canvasbox").bounding_box()
    assert free is not None
    page.locator("[data-type='data.filter']").drag_to(
        page.locator(".vue-flow__pane"), target_position={"x": free["width"] - 330, "y": free["height"] - 90}
    )
    expect(card(page, "filter")).to_be_visible()
    expect(page.get_by_role("button", name="problem")).to_be_visible()
    page.get_by_role("button", name="Fit everything").first.click()
    page.wait_for_timeout(600)
    draw_line(page, port(page, "lateness", "out", "source"), port(page, "filter", "in", "target"))
    expect(page.locator(".vue-flow__edge[data-id='lateness.out->filter.in']")).to_have_count(1)
    page.get_by_role("button", name="Tidy up").first.click()
    page.wait_for_timeout(600)

    # Its condition is typed with help, and shows what it gives on the data of the last run.
    card(page, "filter").click()
    type_condition(page, "item.days_")
    box = page.get_by_role("textbox", name="Keep items where")
    box.press("Control+ ")
    expect(page.get_by_role("option", name="days_late")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type(" > 60")
    expect(box).to_have_value("item.days_late > 60")
    expect(page.locator(".tr-preview__value")).to_have_text(re.compile("true|false"))
    expect(page.get_by_role("button", name="problem")).to_be_hidden()

    # The test shows the data of the new step: the numbers are those of an independent count.
    test_run(page, "Succeeded")
    expect(page.get_by_role("tab", name="Out")).to_contain_text(f"{late_by(60):,}")
    expect(page.locator(".tr-table tbody tr").first).to_be_visible()
    page.get_by_role("tab", name="JSON").click()
    expect(page.locator(".tr-json__key", has_text="days_late").first).to_be_visible()
    page.get_by_role("tab", name="Table").click()

    # Broken on purpose: the sentence stands at the field, at the step and in the panel.
    type_condition(page, "item.days_late * item.penalty > 60")
    expect(page.locator(".tr-preview__error")).to_contain_text("null")
    expect(page.locator(".tr-preview .tr-caret")).to_contain_text("^")
    test_run(page, "Failed")
    expect(page.locator(".tr-panel .tr-banner")).to_contain_text("null")
    expect(card(page, "filter")).to_contain_text("null")
    page.locator(".tr-panel__runlink").click()
    expect(page.locator(".tr-run__error")).to_contain_text("null")
    page.go_back()
    expect(card(page, "filter")).to_be_visible()

    # Undone, and green again.
    page.get_by_role("button", name="Undo", exact=True).click()
    card(page, "filter").click()
    expect(page.get_by_role("textbox", name="Keep items where")).to_have_value("item.days_late > 60")
    test_run(page, "Succeeded")
    expect(page.get_by_role("tab", name="Out")).to_contain_text(f"{late_by(60):,}")

    def settle() -> None:
        page.get_by_role("button", name="Fit everything").first.click()
        card(page, "filter").click()

    picture(page, "editor", settle)


def at_rest(page: Page) -> None:
    """Return when nothing on the page moves any more: a forced click does not wait for a dialog to come to its place."""
    page.wait_for_timeout(50)
    page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
            .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
            .map((one) => one.finished))"""
    )


def test_import_switch_on_and_a_real_run(page: Page, served: Served) -> None:
    """
    One document is pasted in, one is uploaded; one is switched on, called from outside; list and runs show it without a reload.
    """
    page.goto(served.base)
    page.get_by_role("button", name="Import").click()
    page.get_by_label("Or paste the document").fill((STARTERS / "order_webhook.yaml").read_text("utf-8"))
    page.get_by_role("dialog").get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Drop a .yaml or .json file")).to_be_visible()
    at_rest(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Drop a .yaml or .json file").click(force=True)
    chooser.value.set_files(STARTERS / "exchange_rates.yaml")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="Exchange rates")).to_be_visible()
    page.get_by_role("switch", name="Active: Order webhook").click()
    expect(page.get_by_text("is on: its triggers start runs now")).to_be_visible()

    order = {"order": "A-1", "customer": "Ada", "lines": [{"sku": "T", "qty": 2, "price": 4.5}]}
    request = urllib.request.Request(
        f"{served.base}/hooks/orders", json.dumps(order).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert (201, 9.0) == (answer.status, json.load(answer)["total"])
    expect(page.locator(".tr-list__row", has_text="Order webhook").locator(".tr-pill")).to_have_text("Succeeded")
    picture(page, "workflows")

    page.get_by_role("link", name="Runs").click()
    row = page.locator(".tr-list__row", has_text="Order webhook")
    expect(row).to_contain_text("Webhook")
    picture(page, "runs")


def test_the_page_of_a_run(page: Page, served: Served) -> None:
    """
    A failed run opens at its failed step, with its sentence; a step is one click away.
    """
    page.goto(f"{served.base}/runs?status=failed")
    page.locator(".tr-list__cover").first.click()
    expect(page.locator(".tr-run__error")).to_contain_text("null")
    expect(page.get_by_role("button", name="Retry from the failed step")).to_be_visible()
    page.locator(".tr-gantt__row", has_text="How late, how much").click()
    expect(page.locator(".tr-run__data .tr-table tbody tr").first).to_be_visible()
    picture(page, "run-failed", lambda: page.get_by_role("button", name=re.compile("Fit")).first.click())

    page.goto(f"{served.base}/runs?status=succeeded")
    page.locator(".tr-list__cover", has_text="Overdue invoices").first.click()
    expect(page.locator(".tr-run__facts .tr-pill")).to_have_text("Succeeded")

    def settle() -> None:
        page.get_by_role("button", name=re.compile("Fit")).first.click()
        page.locator(".tr-gantt__row", has_text="One line per customer").click()

    settle()
    expect(page.locator(".tr-run__data .tr-table tbody tr").first).to_be_visible()
    picture(page, "run", settle)


def test_keys_help_and_colours(page: Page, served: Served) -> None:
    """
    The help opens with a question mark; the chosen colours are there on the next page.
    """
    page.goto(served.base)
    page.get_by_role("link", name="Overdue invoices").click()
    expect(card(page, "overdue")).to_be_visible()
    page.locator(".vue-flow__pane").click(position={"x": 20, "y": 20})
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")

    page.goto(f"{served.base}/settings")
    page.get_by_role("tab", name="Dark").click()
    expect(page.locator("body.body--dark")).to_have_count(1)
    page.goto(f"{served.base}/runs")
    expect(page.locator("body.body--dark")).to_have_count(1)
