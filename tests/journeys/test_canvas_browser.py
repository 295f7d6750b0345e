"""The canvas in a real browser, against the demo page `tests/ui/canvas_demo.py`."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    """The demo page, served by its own process (NiceGUI behaves differently when it finds itself under pytest)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    server = subprocess.Popen([sys.executable, ROOT / "tests/ui/canvas_demo.py", str(port)], env=environment, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    for _ in range(150):
        try:
            with urllib.request.urlopen(url, timeout=1):
                break
        except OSError:
            time.sleep(0.2)
    yield url
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = os.environ.get("TREADLE_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test when the browser reports an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [] == errors


@pytest.fixture
def canvas(page: Page, demo_url: str) -> Page:
    """The editable demo, drawn and answering."""
    return opened(page, demo_url)


def opened(page: Page, url: str, cards: int = 7) -> Page:
    page.goto(url)
    expect(page.locator(".cv-card")).to_have_count(cards)
    return page


def card(page: Page, node_id: str) -> Locator:
    return page.locator(f".vue-flow__node[data-id='{node_id}']")


def line(page: Page, edge_id: str) -> Locator:
    return page.locator(f".vue-flow__edge[data-id='{edge_id}']")


def port(page: Page, node_id: str, name: str, side: str) -> Locator:
    return page.locator(f".vue-flow__handle.{side}[data-nodeid='{node_id}'][data-handleid='{name}']")


def heard(page: Page) -> Locator:
    """What Python heard last."""
    return page.locator(".demo-line")


def drag(page: Page, start: Locator, end: tuple[float, float]) -> None:
    box = start.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(end[0] - 20, end[1] - 5, steps=6)
    page.mouse.move(*end, steps=3)
    page.mouse.up()


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def eventually(page: Page, holds: Callable[[], bool]) -> None:
    """What Python says and what the canvas draws reach the page one after the other: looks for up to 5 s."""
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        page.wait_for_timeout(20)


def lie_apart(boxes: list[dict[str, float]]) -> bool:
    """Whether no two of the boxes cover each other."""
    return all(
        one["x"] + one["width"] <= other["x"]
        or other["x"] + other["width"] <= one["x"]
        or one["y"] + one["height"] <= other["y"]
        or other["y"] + other["height"] <= one["y"]
        for one, other in itertools.combinations(boxes, 2)
    )


def test_a_step_dragged_from_the_palette_becomes_a_card(canvas: Page) -> None:
    """
    Python names the new node; it appears where it was let go and is selected.
    """
    canvas.locator("[data-step='data.filter']").drag_to(canvas.locator(".treadle-canvas"), target_position={"x": 400, "y": 600})

    expect(card(canvas, "filter_1")).to_be_visible()
    x, y = middle(card(canvas, "filter_1"))
    assert abs(x - 580) < 15
    assert abs(y - 600) < 40
    expect(card(canvas, "filter_1").locator(".cv-card.is-selected")).to_be_visible()


def test_a_step_dropped_on_a_line_is_put_between(canvas: Page) -> None:
    """
    The drop names the line, and what Python answers replaces it by two.
    """
    x, y = middle(line(canvas, "morning.out->read.in"))
    box = canvas.locator(".treadle-canvas").bounding_box()
    canvas.locator("[data-step='data.filter']").drag_to(
        canvas.locator(".treadle-canvas"), target_position={"x": x - box["x"], "y": y - box["y"]}
    )

    expect(line(canvas, "morning.out->filter_1.in")).to_have_count(1)
    expect(line(canvas, "filter_1.out->read.in")).to_have_count(1)
    expect(line(canvas, "morning.out->read.in")).to_have_count(0)


def test_a_line_is_drawn_from_port_to_port(canvas: Page) -> None:
    """
    One gesture, one batch of ops.
    """
    drag(canvas, port(canvas, "morning", "out", "source"), middle(port(canvas, "group", "in", "target")))

    expect(line(canvas, "morning.out->group.in")).to_have_count(1)
    expect(heard(canvas)).to_have_text("ops add")


def test_a_port_of_another_kind_refuses_the_line(canvas: Page) -> None:
    """
    Files do not go into a port that takes items, and the reason is shown and said aloud.
    """
    drag(canvas, port(canvas, "read", "out", "source"), middle(port(canvas, "overdue", "in", "target")))

    expect(line(canvas, "read.out->overdue.in")).to_have_count(0)
    expect(canvas.locator(".cv-note")).to_have_text("The port “in” takes items, not files.")
    expect(canvas.locator(".cv-spoken")).to_contain_text("takes items, not files.")


def test_a_line_that_closes_a_circle_is_refused(canvas: Page) -> None:
    """
    Repeating is the loop step's business.
    """
    drag(canvas, port(canvas, "overdue", "out", "source"), middle(port(canvas, "parse", "in", "target")))

    expect(canvas.locator(".cv-note")).to_contain_text("would close a circle")
    expect(canvas.locator(".vue-flow__edge")).to_have_count(6)


def test_a_line_refused_by_python_disappears_with_its_reason(canvas: Page) -> None:
    """
    The browser draws at once; `reject` puts it right and shows why.
    """
    canvas.locator("[data-step='trigger.schedule']").drag_to(
        canvas.locator(".treadle-canvas"), target_position={"x": 100, "y": 600}
    )
    drag(canvas, port(canvas, "schedule_1", "out", "source"), middle(port(canvas, "read", "in", "target")))

    expect(canvas.locator(".cv-note")).to_have_text("Read invoices takes no second line.")
    expect(line(canvas, "schedule_1.out->read.in")).to_have_count(0)


def test_deleting_and_undoing_with_the_keyboard(canvas: Page) -> None:
    """
    A card goes together with its lines as one step, and undo works right after, without a click.
    """
    card(canvas, "overdue").click()
    expect(heard(canvas)).to_have_text("select overdue")
    canvas.keyboard.press("Delete")
    expect(card(canvas, "overdue")).to_have_count(0)
    expect(canvas.locator(".vue-flow__edge")).to_have_count(3)
    expect(heard(canvas)).to_have_text("select")

    canvas.keyboard.press("Control+z")
    expect(card(canvas, "overdue")).to_be_visible()
    expect(canvas.locator(".vue-flow__edge")).to_have_count(6)

    canvas.keyboard.press("Control+Shift+z")
    expect(card(canvas, "overdue")).to_have_count(0)


def test_moving_a_card_is_one_gesture(canvas: Page) -> None:
    """
    However far it is dragged, Python hears of one move, and undo brings it back.
    """
    before = middle(card(canvas, "tell"))
    drag(canvas, card(canvas, "tell"), (before[0] + 60, before[1] + 120))
    expect(heard(canvas)).to_have_text("ops move")
    moved = middle(card(canvas, "tell"))
    assert moved[1] - before[1] > 90

    canvas.keyboard.press("Control+z")
    expect(heard(canvas)).to_have_text("restored")
    eventually(canvas, lambda: abs(middle(card(canvas, "tell"))[1] - before[1]) < 2)


def test_copy_and_paste_carry_document_text(canvas: Page) -> None:
    """
    The clipboard holds text that Python wrote, and pasting gives it back to Python.
    """
    card(canvas, "group").click()
    expect(heard(canvas)).to_have_text("select group")
    canvas.wait_for_timeout(100)
    canvas.keyboard.press("Control+c")
    canvas.keyboard.press("Control+v")

    expect(card(canvas, "summarize_1")).to_be_visible()
    expect(heard(canvas)).to_have_text("select summarize_1")


def test_cut_takes_the_card_away(canvas: Page) -> None:
    """
    Cut is copy and delete in one.
    """
    card(canvas, "tell").click()
    expect(heard(canvas)).to_have_text("select tell")
    canvas.wait_for_timeout(100)
    canvas.keyboard.press("Control+x")

    expect(card(canvas, "tell")).to_have_count(0)
    canvas.keyboard.press("Control+v")
    expect(card(canvas, "request_1")).to_be_visible()


def test_plus_on_an_open_output_asks_for_the_next_step(canvas: Page) -> None:
    """
    Only outputs without a line offer it.
    """
    expect(card(canvas, "morning").locator(".cv-plus")).to_have_count(0)
    card(canvas, "report").locator(".cv-plus").click()

    expect(card(canvas, "summarize_1")).to_be_visible()
    expect(line(canvas, "report.out->summarize_1.in")).to_have_count(1)


def test_a_line_let_go_over_nothing_asks_for_the_next_step(canvas: Page) -> None:
    """
    Dropping a line on the empty canvas is the same wish as pressing “+”.
    """
    drag(canvas, port(canvas, "tell", "error", "source"), (1300, 620))

    expect(line(canvas, "tell.error->summarize_1.in")).to_have_count(1)


def test_the_run_is_painted_on_the_canvas(canvas: Page) -> None:
    """
    States on the cards, item counts on the lines, the error's sentence instead of the sub-line.
    """
    canvas.get_by_role("button", name="paint").click()

    expect(card(canvas, "parse").locator(".is-succeeded")).to_be_visible()
    expect(card(canvas, "group").locator(".is-running")).to_be_visible()
    expect(card(canvas, "tell").locator(".cv-sub")).to_have_text("hooks.example answered 503 Service Unavailable.")
    expect(card(canvas, "parse").locator(".cv-measure")).to_have_text("1,000 items · 38 ms")
    expect(line(canvas, "parse.out->overdue.in").locator(".cv-pill text")).to_have_text("1,000")
    expect(line(canvas, "group.out->report.in").locator(".cv-pill")).to_have_count(0)


def test_problems_are_counted_on_their_card(canvas: Page) -> None:
    """
    The badge says how many, its name says which.
    """
    canvas.get_by_role("button", name="problems").click()

    badge = card(canvas, "overdue").locator(".cv-problems")
    expect(badge).to_have_text("1")
    expect(badge).to_have_attribute("aria-label", "1 problem: The field where is empty.")


def test_everything_works_by_keyboard(canvas: Page) -> None:
    """
    Arrows choose and move, C and Enter draw a line, L chooses lines, Enter opens; each is said aloud.
    """
    canvas.locator(".treadle-canvas").focus()
    canvas.keyboard.press("ArrowRight")
    expect(heard(canvas)).to_have_text("select morning")
    canvas.keyboard.press("Enter")
    expect(heard(canvas)).to_have_text("open morning")
    canvas.keyboard.press("ArrowDown")
    expect(heard(canvas)).to_have_text("ops move")
    canvas.keyboard.press("Alt+ArrowRight")
    expect(heard(canvas)).to_have_text("select read")

    card(canvas, "morning").focus()
    canvas.keyboard.press("c")
    card(canvas, "group").focus()
    canvas.keyboard.press("Enter")
    expect(line(canvas, "morning.out->group.in")).to_have_count(1)
    expect(canvas.locator(".cv-spoken")).to_contain_text("Every morning connected to Per customer.")

    card(canvas, "report").focus()
    canvas.keyboard.press("l")
    expect(heard(canvas)).to_have_text("select group.out->report.in")
    canvas.keyboard.press("Delete")
    expect(line(canvas, "group.out->report.in")).to_have_count(0)


def test_select_all_and_the_page_keys(canvas: Page) -> None:
    """
    Keys the canvas does not act on itself arrive as commands, with what is selected.
    """
    canvas.locator(".treadle-canvas").focus()
    canvas.keyboard.press("Control+a")
    expect(heard(canvas)).to_have_text("select morning read parse overdue group report tell")
    canvas.keyboard.press("d")
    expect(heard(canvas)).to_have_text("command disable morning read parse overdue group report tell")
    canvas.keyboard.press("Control+Enter")
    expect(heard(canvas)).to_contain_text("command test")


def test_a_run_page_cannot_be_changed(page: Page, demo_url: str) -> None:
    """
    Read-only: selecting and opening work, nothing else does.
    """
    run = opened(page, f"{demo_url}/run")
    card(run, "tell").click()
    expect(heard(run)).to_have_text("select tell")
    run.keyboard.press("Delete")
    x, y = middle(card(run, "group"))
    drag(run, card(run, "group"), (x - 60, y + 60))

    expect(run.locator(".cv-card")).to_have_count(7)
    expect(run.locator(".cv-plus")).to_have_count(0)
    card(run, "tell").dblclick()
    expect(heard(run)).to_have_text("open tell")


def test_an_empty_canvas_says_how_to_begin(page: Page, demo_url: str) -> None:
    """
    Its button asks for the first step.
    """
    empty = opened(page, f"{demo_url}/empty", cards=0)
    empty.get_by_role("button", name="Choose the first step").click()

    expect(empty.locator(".cv-card")).to_have_count(1)
    expect(empty.locator(".cv-empty")).to_have_count(0)


def test_tidy_up_is_one_undoable_gesture(canvas: Page) -> None:
    """
    Cards end up from left to right without lying on each other.
    """
    canvas.get_by_role("button", name="Tidy up").click()
    expect(heard(canvas)).to_have_text("ops move")

    nodes = canvas.locator(".vue-flow__node")
    assert nodes.count() > 1
    eventually(canvas, lambda: lie_apart([box.bounding_box() for box in nodes.all()]))
    canvas.keyboard.press("Control+z")
    expect(heard(canvas)).to_have_text("restored")


def test_a_long_workflow_goes_on_in_the_next_row(page: Page, demo_url: str) -> None:
    """
    Tidied up it can be read: more rows instead of a thin line, and no line back crosses a card.
    """
    page.goto(f"{demo_url}/long")
    expect(page.locator(".cv-card").first).to_be_visible()
    page.get_by_role("button", name="Tidy up").click()
    expect(heard(page)).to_have_text("ops move")
    expect(page.locator(".cv-card.is-far")).to_have_count(0)

    boxes = [box.bounding_box() for box in page.locator(".vue-flow__node").all()]
    assert 16 == len(boxes)
    assert len({round(box["y"]) for box in boxes}) > 1
    drawn = page.locator("path.cv-line").evaluate_all(
        """paths => paths.map(path => Array.from({length: 60}, (_, i) =>
            path.getPointAtLength((i + 0.5) * path.getTotalLength() / 60).matrixTransform(path.getScreenCTM())
        ).map(p => [p.x, p.y]))"""
    )
    assert 15 == len(drawn)
    for x, y in (point for points in drawn for point in points[3:-3]):
        assert not any(b["x"] < x < b["x"] + b["width"] and b["y"] < y < b["y"] + b["height"] for b in boxes)


def test_a_large_graph_mounts_only_what_is_in_sight(page: Page, demo_url: str) -> None:
    """
    1,000 cards are there, a screenful is mounted, and far away each is one plain block.
    """
    page.goto(f"{demo_url}/many?n=1000")
    expect(page.locator(".cv-card").first).to_be_visible()
    assert page.locator(".cv-card").count() < 80

    page.get_by_role("button", name="Fit the workflow").click()
    expect(page.locator(".cv-card.is-far")).to_have_count(1000)
    expect(page.locator(".cv-card.is-far .cv-title")).to_have_count(0)


def test_the_end_of_a_line_can_be_carried_elsewhere(canvas: Page) -> None:
    """
    The old line goes and the new one comes in one batch.
    """
    x, y = middle(port(canvas, "tell", "in", "target"))
    canvas.mouse.move(x - 12, y)
    canvas.mouse.down()
    end = middle(port(canvas, "report", "in", "target"))
    canvas.mouse.move(end[0] - 30, end[1] + 30, steps=8)
    canvas.mouse.move(*end, steps=3)
    canvas.mouse.up()

    expect(line(canvas, "overdue.rejected->report.in")).to_have_count(1)
    expect(line(canvas, "overdue.rejected->tell.in")).to_have_count(0)
    expect(heard(canvas)).to_have_text("ops del add")


def test_a_line_pulled_off_its_port_is_gone(canvas: Page) -> None:
    """
    Let go over nothing, it is removed.
    """
    x, y = middle(port(canvas, "tell", "in", "target"))
    canvas.mouse.move(x - 12, y)
    canvas.mouse.down()
    canvas.mouse.move(x - 60, y + 150, steps=8)
    canvas.mouse.up()

    expect(line(canvas, "overdue.rejected->tell.in")).to_have_count(0)
    expect(heard(canvas)).to_have_text("ops del")


def test_the_tools_of_a_line(canvas: Page) -> None:
    """
    Its “×” removes it, its “+” asks for a step in between.
    """
    place = line(canvas, "parse.out->overdue.in")
    place.hover(force=True)
    place.locator(".cv-line-tool").first.click()
    expect(heard(canvas)).to_have_text("select summarize_1")

    other = line(canvas, "group.out->report.in")
    other.hover(force=True)
    other.locator(".cv-line-tool.is-remove").click()
    expect(other).to_have_count(0)


def test_a_line_let_go_over_a_card_finds_its_port(canvas: Page) -> None:
    """
    Nobody has to hit the small circle.
    """
    drag(canvas, port(canvas, "tell", "out", "source"), middle(card(canvas, "report").locator(".cv-title")))

    expect(line(canvas, "tell.out->report.in")).to_have_count(1)


def test_cards_chosen_with_a_box_move_together(canvas: Page) -> None:
    """
    Shift and drag chooses; one move carries them all.
    """
    group, tell = canvas.locator(".vue-flow__node[data-id='group']"), card(canvas, "tell")
    left, top = group.bounding_box()["x"], group.bounding_box()["y"]
    canvas.keyboard.down("Shift")
    canvas.mouse.move(left - 15, top - 40)
    canvas.mouse.down()
    canvas.mouse.move(left + 60, tell.bounding_box()["y"] + 90, steps=6)
    canvas.mouse.up()
    canvas.keyboard.up("Shift")
    expect(heard(canvas)).to_contain_text("select group tell")

    before = middle(group), middle(tell)
    x, y = left + 40, top + 15
    canvas.mouse.move(x, y)
    canvas.mouse.down()
    canvas.mouse.move(x + 40, y - 100, steps=6)
    canvas.mouse.up()

    expect(heard(canvas)).to_have_text("ops move")
    after = middle(group), middle(tell)
    assert after[0][1] - before[0][1] < -60
    assert abs((after[0][1] - before[0][1]) - (after[1][1] - before[1][1])) < 2


def test_the_minimap_helps_once_something_is_out_of_sight(canvas: Page) -> None:
    """
    While everything can be seen it makes room.
    """
    minimap = canvas.locator(".cv-map")
    expect(minimap).to_have_css("opacity", "0")

    canvas.get_by_role("button", name="Zoom in").click(click_count=3)
    expect(minimap).to_have_css("opacity", "1")
