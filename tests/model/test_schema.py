"""The published JSON Schema says what the reader says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.model.codec import document_as_data, document_from_data, parse_document, read_document, write_document
from engine.model.schema import document_schema, schema_text

DOCS = Path(__file__).parents[2] / "docs" / "reference"
VALIDATOR = Draft202012Validator(document_schema())
WHOLE = """
treadle: 1
name: Demo
description: Everything that can be written
nodes:
  a:
    title: First
    note: A remark
    use: http.request
    connection: shop
    with: {url: "https://x.example", query: {page: 1}}
    retry: {attempts: 3, first: 2s, factor: 1.5, max: 1h30m, total: 2d}
    timeout: 250ms
    on_error: route
    on_uncertain: skip
    run_on_empty: true
    disabled: true
  b: {use: data.set}
edges: [a -> b, a.error -> b.in]
settings: {timezone: Europe/Vienna, concurrency: 3, timeout: 1h, on_failure: Tell the team}
layout: {a: [0, -40], b: [200, 0]}
"""


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the whole document as data with one value replaced."""
    data: Any = document_as_data(read_document(WHOLE))
    *way, last = path.split("/")
    place = data
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    return data


def test_the_published_file_is_fresh():
    """`python -m engine.model.schema > docs/reference/workflow.schema.json` makes it so."""
    assert schema_text() == (DOCS / "workflow.schema.json").read_text("utf-8")


def test_the_schema_is_one():
    """It holds to the dialect it names."""
    Draft202012Validator.check_schema(json.loads(schema_text()))


def test_a_document_with_everything_passes():
    """Every key of the format is known to the schema."""
    assert [] == list(VALIDATOR.iter_errors(document_as_data(read_document(WHOLE))))


@pytest.mark.parametrize(
    ("path", "value", "is_right"),
    [
        ("treadle", 2, False),
        ("name", "", False),
        ("name", 3, False),
        ("colour", "red", False),
        ("nodes", [], False),
        ("description", None, True),
        ("nodes/a/use", "", False),
        ("nodes/a/uses", "x", False),
        ("nodes/a/with", None, True),
        ("nodes/a/with", [], False),
        ("nodes/a/title", None, True),
        ("nodes/a/on_error", "explode", False),
        ("nodes/a/on_error", None, True),
        ("nodes/a/disabled", "yes", False),
        ("nodes/a/disabled", None, True),
        ("nodes/a/retry/attempts", 0, False),
        ("nodes/a/retry/attempts", 1.5, False),
        ("nodes/a/retry/factor", 2, True),
        ("nodes/a/retry/first", "2", False),
        ("nodes/a/timeout", "1h30m", True),
        ("nodes/a/timeout", "1.5h", True),
        ("nodes/a/timeout", "30m1h", False),
        ("nodes/a/timeout", "", False),
        ("nodes/a/timeout", 30, False),
        ("nodes/no-id", {"use": "x"}, False),
        ("edges/0", "a -> b -> c", False),
        ("edges/0", "a.out->b.in", True),
        ("edges/0", "a.b.c -> b", False),
        ("settings/concurrency", 0, False),
        ("settings", None, True),
        ("layout/a", [1], False),
        ("layout/a", [1, 2.5], False),
        ("layout/a", [1, 2.0], True),
    ],
)
def test_schema_and_reader_agree(path, value, is_right):
    """What one refuses the other refuses."""
    data = changed(path, value)
    assert is_right == VALIDATOR.is_valid(data)
    assert is_right == (not parse_document(json.dumps(data)).errors)
    if is_right:
        document_from_data(data)


def test_the_examples_of_the_reference_are_documents():
    """Every YAML block of the reference page is read without a problem and stands in canonical form."""
    page = (DOCS / "workflow-document.md").read_text("utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]
    wholes = [block for block in blocks if block.startswith("treadle:")]
    assert len(wholes) >= 2
    for block in wholes:
        parsed = parse_document(block)
        assert () == parsed.problems
        assert parsed.document is not None
        assert VALIDATOR.is_valid(document_as_data(parsed.document))
        assert block == write_document(parsed.document)
