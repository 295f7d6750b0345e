"""The page on control flow says what is true: every document on it runs, and gives what it should."""

import re
from pathlib import Path

import pytest

from engine.model.codec import read_document

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parents[2] / "docs/reference/control-flow.md"
EXPECTED = {
    "01-sequence.yaml": {"b": {"out": [{"x": 1, "y": 2}]}},
    "02-parallel-split.yaml": {"a": {"out": [{"x": 1}]}, "b": {"out": [{"x": 2}]}},
    "03-synchronization.yaml": {"after": {"out": [{"x": 2, "done": True}]}},
    "04-exclusive-choice.yaml": {"yes": {"out": [{"n": 5, "way": "yes"}]}},
    "05-simple-merge.yaml": {"after": {"out": [{"n": 5, "way": "yes", "done": True}]}},
    "06-multi-choice.yaml": {
        "even": {"out": [{"n": 6}], "rejected": []},
        "third": {"out": [{"n": 6}], "rejected": []},
        "fifth": {"out": [], "rejected": [{"n": 6}]},
    },
    "07-structured-synchronizing-merge.yaml": {"after": {"out": [{"n": 6, "by": "two", "done": True}]}},
    "11-implicit-termination.yaml": {"a": {"out": [{"x": 1}]}, "c": {"out": [{"x": 3}]}},
    "12-multiple-instances-without-synchronization.yaml": {"each": {"done": [{"passes": 3, "failed": 0}]}},
    "13-multiple-instances-with-a-priori-design-time-knowledge.yaml": {
        "each": {"done": [{"n": 0, "x": 0}, {"n": 1, "x": 2}, {"n": 2, "x": 4}]}
    },
    "14-multiple-instances-with-a-priori-run-time-knowledge.yaml": {"each": {"done": [{"n": 1, "of": 2}, {"n": 2, "of": 2}]}},
    "15-multiple-instances-without-a-priori-run-time-knowledge.yaml": {"each": {"done": [{"n": 3}, {"n": 9}, {"n": 27}]}},
    "20-cancel-case.yaml": "failed: No more",
    "21-structured-loop.yaml": {"each": {"done": [{"n": 32}]}},
    "25-cancel-region.yaml": {"caught": {"out": [{"code": "expression"}]}, "other": {"out": [{"ok": True}]}},
    "26-cancel-multiple-instance-task.yaml": {"caught": {"out": [{"n": 2}]}},
    "27-complete-multiple-instance-task.yaml": {"after": {"out": [{"n": 0, "kept": True}, {"n": 1, "kept": True}]}},
    "33-generalized-and-join.yaml": {"each": {"done": [{"n": 0, "x": 1, "y": 2}, {"n": 1, "x": 1, "y": 2}]}},
    "35-cancelling-partial-join-for-multiple-instances.yaml": {
        "each": {"done": [{"n": 0, "x": 1}, {"n": 1, "x": 1}, {"n": 2, "x": 1}]}
    },
    "36-dynamic-partial-join-for-multiple-instances.yaml": {"each": {"done": [{"n": 2}, {"n": 3}, {"n": 4}]}},
    "37-local-synchronizing-merge.yaml": {"after": {"out": [{"n": 6, "by": "two", "done": True}]}},
    "38-general-synchronizing-merge.yaml": {"after": {"out": [{"n": 6, "by": "e", "done": True}]}},
    "40-interleaved-routing.yaml": {"each": {"done": [{"task": "bill", "did": "billed"}, {"task": "pack", "did": "packed"}]}},
    "41-thread-merge.yaml": {"after": {"out": [{"n": 3, "merged": True}]}},
    "42-thread-split.yaml": {"after": {"out": [{"n": 0, "x": 1}, {"n": 1, "x": 2}, {"n": 2, "x": 3}]}},
    "43-explicit-termination.yaml": "succeeded",
}


@pytest.mark.parametrize("name", EXPECTED)
async def test_documents(shop, name):
    """
    The run ends as the pattern says: with these outputs, or so.
    """
    expected = EXPECTED[name]
    finished = await shop.run(read_document((PAGE.parent / "control-flow" / name).read_text()))
    if isinstance(expected, str):
        error = f": {finished['error']['message']}" if finished["error"] else ""
        assert expected == finished["status"] + error
    else:
        assert (None, expected) == (finished["error"], finished["outputs"])


def test_the_page_names_all_patterns_and_all_documents():
    """
    43 rows, each supported with a document or not with a reason.
    """
    rows = re.findall(
        r"^\| (\d+) \| [^|]+ \| (yes|no): [^|]+ \| (.*) \|$|^\| (\d+) \| [^|]+ \| (no): [^|]+ \| \|$", PAGE.read_text(), re.M
    )
    assert list(range(1, 44)) == [int(row[0] or row[3]) for row in rows]
    linked = {name for row in rows for name in re.findall(r"control-flow/([^)]+)", row[2])}
    assert linked == set(EXPECTED) == {path.name for path in (PAGE.parent / "control-flow").iterdir()}
