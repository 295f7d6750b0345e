"""Moments, table cells, palette search, templates, timelines: small functions with clear answers."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.build import load_catalog
from engine.ids import NodeId, RunId, VersionId
from engine.model.items import File
from engine.model.run import Run, RunStatus, Step, StepStatus
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from ui import moments
from ui.components.data_view import cell_of, path_of, plain, table_of
from ui.components.timeline import extent, place
from ui.editor.fields.expression_input import inside_braces
from ui.editor.palette import first_sentence, groups_of, matching

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REPORT = File(hash="ab" * 32, name="Bericht Q1.xlsx", media_type="application/pdf", size=6270)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(timedelta(seconds=5), "just now"),
        pytest.param(timedelta(minutes=12), "12 min ago"),
        pytest.param(timedelta(hours=3), "3 h ago"),
        pytest.param(timedelta(days=1, hours=2), "yesterday"),
        pytest.param(timedelta(days=6), "6 days ago"),
        pytest.param(timedelta(days=60), "24 Sep"),
        pytest.param(timedelta(days=600), "2 Apr 2025"),
    ],
)
def test_ago(before, expected):
    """
    Near things in words, far ones by their date.
    """
    assert expected == moments.ago(NOW - before, NOW)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0.04, "<1 ms"),
        (3.14, "3.1 ms"),
        (52, "52 ms"),
        (1400, "1.4 s"),
        (59_400, "59 s"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
        (None, ""),
    ],
)
def test_span(milliseconds, expected):
    """
    A duration in at most three digits.
    """
    assert expected == moments.span(milliseconds)


@pytest.mark.parametrize(
    ("count", "expected"), [(312, "312 B"), (6270, "6.3 KB"), (20_400_000, "20.4 MB"), (2_000_000_000_000, "2000 GB")]
)
def test_size(count, expected):
    """
    Bytes in words.
    """
    assert expected == moments.size(count)


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (None, "null", "null"),
        (True, "true", "boolean"),
        (12.5, "12.5", "number"),
        (Decimal("0.10"), "0.10", "number"),
        ("<b>bold</b>", "<b>bold</b>", "string"),
        (date(2026, 1, 2), "2026-01-02", "date"),
        ({"a": [1, date(2026, 1, 2)]}, '{"a": [1, "2026-01-02"]}', "object"),
        ([1, 2], "[1, 2]", "object"),
    ],
)
def test_cells_say_what_they_hold(value, text, kind):
    """
    A cell is a text and a kind; markup stays text.
    """
    assert [text, kind] == cell_of(value)[:2]


def test_a_long_value_is_cut_and_kept_for_the_tooltip():
    """
    A cell never carries megabytes into the page.
    """
    text, _, _, full = cell_of("x" * 100_000)
    assert (241, 4000) == (len(text), len(full))


def test_a_file_is_offered_for_download():
    """
    The handle alone travels; the address names hash, name and type.
    """
    text, kind, address, _ = cell_of(REPORT)
    assert ("Bericht Q1.xlsx · 6.3 KB", "file") == (text, kind)
    assert f"/_treadle/files/{'ab' * 32}?name=Bericht+Q1.xlsx&type=application%2Fpdf" == address
    assert address == plain({"report": REPORT})["report"]["$href"]
    assert {"x": 1} == plain({"x": 1, "$href": "javascript:alert(1)"}), "only we give addresses"


def test_columns_come_in_the_order_fields_first_appear():
    """
    Items need not look alike: what one lacks is an empty cell, which is not the same as null.
    """
    columns, rows = table_of([{"a": 1}, {"b": "x", "a": None}])
    assert [("a", "item.a", "number"), ("b", "item.b", "text")] == [(one.label, one.path, one.kind) for one in columns]
    assert [["1", "number"], ["", "none"]] == [cell[:2] for cell in rows[0]]
    assert [["null", "null"], ["x", "string"]] == [cell[:2] for cell in rows[1]]
    assert 'item["first name"]' == path_of("first name")


@pytest.mark.parametrize(
    ("text", "cursor", "expected"),
    [
        ("Hi {{ item.na }}!", 13, (" item.na ", 5)),
        ("Hi {{ item.", 11, (" item.", 5)),
        ("Hi {{ a }} and", 12, (None, 0)),
        ("{{ a }}{{ b }}", 11, (" b ", 9)),
        ("plain", 3, (None, 0)),
    ],
)
def test_the_expression_around_the_cursor(text, cursor, expected):
    """
    In a template only what stands between braces is completed.
    """
    assert expected == inside_braces(text, cursor)


def test_the_palette_finds_by_title_keyword_and_name():
    """
    The nearest comes first; nothing typed shows all, by families.
    """
    catalog = Catalog(builtin_steps())
    assert "data.filter" == matching(catalog, "fil")[0].name
    assert "data.filter" == matching(catalog, "where")[0].name
    assert "flow.merge" in [spec.name for spec in matching(catalog, "flow.me")]
    assert [] == matching(catalog, "xyzzy")
    assert ["triggers", "data", "flow"] == list(groups_of(catalog))[:3]
    assert {"triggers", "data", "flow", "network", "files", "code"} == set(groups_of(load_catalog()))
    assert "Lets items through" == first_sentence("Lets items through. The others leave by `rejected`.")


def a_step(node, start=None, end=None, status=StepStatus.SUCCEEDED):
    at = {
        name: NOW + timedelta(milliseconds=ms) for name, ms in (("started_at", start), ("finished_at", end)) if ms is not None
    }
    return Step(run_id=RunId("r"), node=NodeId(node), status=status, **at)


def test_bars_stand_where_their_steps_were():
    """
    Percent of the whole run; what runs still ends now; what never began has no bar.
    """
    run = Run(
        id=RunId("r"),
        workflow_id=None,
        workflow_name="w",
        version_id=VersionId("v"),
        status=RunStatus.RUNNING,
        trigger="manual",
        start_node=None,
        queued_at=NOW,
        started_at=NOW,
    )
    steps = [a_step("a", 0, 50), a_step("b", 50, None, StepStatus.RUNNING), a_step("c", status=StepStatus.SKIPPED)]
    now = NOW + timedelta(milliseconds=200)
    began, span = extent(run, steps, now)
    assert (NOW, 200.0) == (began, span)
    assert [(0.0, 25.0), (25.0, 75.0), (0.0, 0.0)] == [place(step, began, span, now) for step in steps]
