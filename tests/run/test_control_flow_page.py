"""The page on control flow says what is true: every document on it runs, and gives what it should."""

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.model.codec import read_document
from engine.model.run import RunStatus
from tests.run.test_waiting import over
from tests.run.workshop import a_document, a_node
from tests.service.workbench import a_treadle, owner_of

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
    "09-structured-discriminator.yaml": {
        "quick_came": {"out": [{"by": "quick"}]},
        "slow_came": {"out": [{"by": "slow"}]},
        "after": {"out": [{"after": "quick"}]},
    },
    "11-implicit-termination.yaml": {"a": {"out": [{"x": 1}]}, "c": {"out": [{"x": 3}]}},
    "12-multiple-instances-without-synchronization.yaml": {"each": {"done": [{"passes": 3, "failed": 0}]}},
    "13-multiple-instances-with-a-priori-design-time-knowledge.yaml": {
        "each": {"done": [{"n": 0, "x": 0}, {"n": 1, "x": 2}, {"n": 2, "x": 4}]}
    },
    "14-multiple-instances-with-a-priori-run-time-knowledge.yaml": {"each": {"done": [{"n": 1, "of": 2}, {"n": 2, "of": 2}]}},
    "15-multiple-instances-without-a-priori-run-time-knowledge.yaml": {"each": {"done": [{"n": 3}, {"n": 9}, {"n": 27}]}},
    "19-cancel-task.yaml": {"withdrawn": {"out": [{"withdrawn": True}]}, "beside": {"out": [{"ok": True}]}},
    "20-cancel-case.yaml": "failed: No more",
    "21-structured-loop.yaml": {"each": {"done": [{"n": 32}]}},
    "23-transient-trigger.yaml": {
        "in_time": {"out": [{"early": "lost"}]},
        "heard": {"out": [{"in_time": "heard"}]},
    },
    "24-persistent-trigger.yaml": {"after": {"out": [{"kept": True, "after": True}]}},
    "25-cancel-region.yaml": {"caught": {"out": [{"code": "expression"}]}, "other": {"out": [{"ok": True}]}},
    "26-cancel-multiple-instance-task.yaml": {"caught": {"out": [{"n": 2}]}},
    "27-complete-multiple-instance-task.yaml": {"after": {"out": [{"n": 0, "kept": True}, {"n": 1, "kept": True}]}},
    "30-structured-partial-join.yaml": {
        "a_came": {"out": [{"by": "a"}]},
        "b_came": {"out": [{"by": "b"}]},
        "c_came": {"out": [{"by": "c"}]},
        "after": {"out": [{"enough": True}]},
    },
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
CHOICE = "16-deferred-choice.yaml"
CALLED = "one-at-a-time.yaml"
CALLS = {
    "17-interleaved-parallel-routing.yaml": (
        [{}],
        [{"did": "read blood", "steps": 5000}, {"did": "take picture", "steps": 5000}],
        {"take blood", "read blood", "take picture"},
    ),
    "39-critical-section.yaml": (
        [{}],
        [{"did": "left", "steps": 5000}, {"did": "right", "steps": 5000}],
        {"left", "right"},
    ),
}
"""Documents that call others: what goes in, what comes out of `after`, what was done one at a time."""
RECURSION = "22-recursion.yaml"


def the_document(name):
    return read_document((PAGE.parent / "control-flow" / name).read_text())


@pytest.fixture
async def treadle(tmp_path, outside):
    treadle = a_treadle(tmp_path, outside, clock=SystemClock())
    await treadle.start(triggers=False)
    yield treadle
    await treadle.stop()


@pytest.mark.parametrize("name", EXPECTED)
async def test_documents(shop, name):
    """
    The run ends as the pattern says: with these outputs, or so.
    """
    expected = EXPECTED[name]
    run = shop.start(the_document(name))
    await over(shop, run)
    finished = await shop.finished(run.id)
    if isinstance(expected, str):
        error = f": {finished['error']['message']}" if finished["error"] else ""
        assert expected == finished["status"] + error
    else:
        assert (None, expected) == (finished["error"], finished["outputs"])


async def test_those_who_wait_go_on_before_the_slow_end(shop):
    """
    A discriminator and a partial join start what follows before the last branch has come.
    """
    for name, last in (("09-structured-discriminator.yaml", "slowly"), ("30-structured-partial-join.yaml", "c")):
        run = shop.start(the_document(name))
        await over(shop, run)
        steps = await shop.steps(run.id)
        assert steps["after"].finished_at < steps[last].started_at


async def test_a_deferred_choice_is_made_by_what_comes_first(shop):
    """
    The same document takes the one branch when the answer comes, and the other when the time is over before.
    """
    answered, silent = (shop.start(the_document(CHOICE), [{"letter": letter}]) for letter in ("a", "b"))
    for run in (answered, silent):
        assert RunStatus.WAITING == (await shop.worker.wait(run.id)).status
    await shop.run(the_signal("answer", "a"), [{"said": "yes"}])

    for run, outputs in (
        (answered, {"read": {"out": [{"said": "yes", "way": "read"}]}}),
        (silent, {"remind": {"out": [{"letter": "b", "way": "reminded"}]}}),
    ):
        await over(shop, run)
        assert outputs == (await shop.finished(run.id))["outputs"]


def the_signal(name, key):
    nodes = [a_node("start", "trigger.manual"), a_node("tell", "flow.signal", signal=f"'{name}'", key=f"'{key}'")]
    return a_document(nodes, "start -> tell")


async def to_the_end(treadle, name, input):
    """Run a stored workflow to its end, over all its waiting, and return its outputs."""
    studio = owner_of(treadle)
    run = await studio.runs.start(name, input)
    await studio.runs.wait(run.id, timedelta(seconds=20))
    finished = await studio.runs.finished(run.id)
    assert finished["error"] is None
    return run, finished["outputs"]


@pytest.mark.parametrize("name", CALLS)
async def test_called_one_at_a_time(treadle, name):
    """
    The branches do what they should, and no called run begins before the one before it has ended.
    """
    given, expected, did = CALLS[name]
    studio = owner_of(treadle)
    for each in (CALLED, name):
        await studio.workflows.create((PAGE.parent / "control-flow" / each).read_text())
    run, outputs = await to_the_end(treadle, the_document(name).name, given)

    assert {"after": {"out": expected}} == outputs
    children = await treadle.store.read(lambda work: work.runs.list_children(run.id))
    assert {"one at a time"} == {child.workflow_name.lower() for child in children}
    assert len(did) == len(children)
    spans = sorted((child.started_at, child.finished_at) for child in children)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize(("n", "product"), [(1, 1), (5, 120)])
async def test_recursion(treadle, n, product):
    """
    A workflow calls itself until there is nothing left: the factorial, and a run for each call.
    """
    await owner_of(treadle).workflows.create((PAGE.parent / "control-flow" / RECURSION).read_text())
    _, outputs = await to_the_end(treadle, "Recursion", [{"n": n}])
    assert {"times" if n > 1 else "one": {"out": [{"product": product}]}} == outputs
    assert n == sum((await owner_of(treadle).runs.count_by_status()).values())


def test_the_page_names_all_patterns_and_all_documents():
    """
    43 rows, each supported with a document or not with a reason.
    """
    rows = re.findall(
        r"^\| (\d+) \| [^|]+ \| (yes|no): [^|]+ \| (.*) \|$|^\| (\d+) \| [^|]+ \| (no): [^|]+ \| \|$", PAGE.read_text(), re.M
    )
    assert list(range(1, 44)) == [int(row[0] or row[3]) for row in rows]
    linked = {name for row in rows for name in re.findall(r"control-flow/([^)]+)", row[2])}
    assert (
        linked
        == {*EXPECTED, *CALLS, CHOICE, CALLED, RECURSION}
        == {path.name for path in (PAGE.parent / "control-flow").iterdir()}
    )
