"""The data of a run, page by page: what left a port, what arrived at one, and the steps folded from a journal."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import NotFound
from engine.ids import NodeId, RunId, VersionId
from engine.model.run import Fact, FactKind, Run, RunStatus, StepStatus
from engine.service.views import fold_steps, settle_open
from tests.service.workbench import run_to_end

pytestmark = pytest.mark.anyio

JOINING = """treadle: 1
name: Joining
nodes:
  start:
    use: trigger.manual
  many:
    use: data.generate
    with: {count: 1200, item: {n: index}}
  even:
    use: data.filter
    with: {where: item.n % 2 == 0}
  same:
    use: test.pass
  joined:
    use: data.set
    with: {fields: {seen: "true"}}
edges:
  - start -> many
  - many -> even
  - many -> same
  - even -> joined
  - even.rejected -> joined
  - same -> joined
"""
ORDER = [*range(0, 1200, 2), *range(1, 1200, 2), *range(1200)]
"""What arrives at `joined`: the even ones, the odd ones, and all of them, in the order of the edges."""


@pytest.fixture
async def run(studio):
    await studio.workflows.create(JOINING)
    return await run_to_end(studio, "Joining")


async def test_pages_of_what_left_a_port(studio, run):
    """
    A page is a window of the port's items, with the total beside it; beyond the end it is empty.
    """
    page = await studio.runs.output(run.id, "even", offset=510, limit=5)
    assert ([1020, 1022, 1024, 1026, 1028], 600, 510) == ([item["n"] for item in page.items], page.total, page.offset)
    rejected = await studio.runs.output(run.id, "even", "rejected", offset=598, limit=50)
    assert ([1197, 1199], 600) == ([item["n"] for item in rejected.items], rejected.total)
    assert ([], 600) == ((await studio.runs.output(run.id, "even", offset=600)).items, page.total)
    assert 100 == len((await studio.runs.output(run.id, "many")).items)


async def test_a_batch_passed_through_is_read_where_it_lies(studio, run):
    """
    A step that hands its batch on has kept a reference; its pages are those of the step before.
    """
    page = await studio.runs.output(run.id, "same", offset=1190, limit=50)
    assert (list(range(1190, 1200)), 1200) == ([item["n"] for item in page.items], page.total)


@pytest.mark.parametrize(
    ("offset", "limit"),
    [(0, 10), (595, 10), (600, 1), (1195, 10), (1199, 2), (2390, 50), (2400, 5), (0, 1000), (500, 1000)],
)
async def test_pages_of_joined_edges(studio, run, offset, limit):
    """
    Several edges into one port are one batch in edge order, and a page may reach across their seams.
    """
    page = await studio.runs.input_page(run.id, "joined", offset=offset, limit=limit)
    assert (ORDER[offset : offset + limit], 2400) == ([item["n"] for item in page.items], page.total)


async def test_what_the_run_began_with(studio):
    """
    The node that a run started at shows what was given; a node that was never reached shows nothing.
    """
    text = JOINING.replace("nodes:\n", "nodes:\n  other:\n    use: trigger.webhook\n    with: {path: a}\n")
    await studio.workflows.create(text)
    run = await run_to_end(studio, "Joining", [{"a": 1}, {"a": 2}, {"a": 3}], from_node="start")
    page = await studio.runs.input_page(run.id, "start", offset=1, limit=1)
    assert ([{"a": 2}], 3, 1) == (page.items, page.total, page.offset)
    other = await studio.runs.input_page(run.id, "other")
    assert ([], 0) == (other.items, other.total)


async def test_asking_for_what_is_not_there(studio, run):
    """
    An unknown port is an empty page, an unknown node or run an error.
    """
    assert 0 == (await studio.runs.output(run.id, "even", "nowhere")).total
    assert 0 == (await studio.runs.input_page(run.id, "even", "nowhere")).total
    with pytest.raises(NotFound, match="nobody"):
        await studio.runs.output(run.id, "nobody")
    with pytest.raises(NotFound):
        await studio.runs.input_page("run_none", "even")


AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ERROR = {"code": "unavailable", "message": "away", "hint": None, "where": {}}


def a_fact(kind, seq=0, *, node="a", attempt=1, after=0.0, **summary):
    return Fact(
        run_id=RunId("r"),
        seq=seq,
        kind=kind,
        node=NodeId(node),
        at=AT + timedelta(seconds=after),
        attempt=attempt,
        summary=summary,
    )


def a_run(status):
    return Run(
        id=RunId("r"),
        workflow_id=None,
        workflow_name="w",
        version_id=VersionId("v"),
        status=status,
        trigger="manual",
        start_node=None,
        queued_at=AT,
        finished_at=AT + timedelta(seconds=9) if status.is_final else None,
    )


def test_a_step_with_two_tries_and_a_log():
    """
    Started, retrying, started again, logged, succeeded: one step with its first start, its tries and its lines.
    """
    retry_at = AT + timedelta(seconds=3)
    facts = [
        a_fact(FactKind.STEP_STARTED, 0),
        a_fact(FactKind.LOGGED, 1, after=0.5, level="info", message="asking"),
        a_fact(FactKind.STEP_RETRYING, 2, after=1, error=ERROR, retry_at=retry_at.isoformat()),
        a_fact(FactKind.STEP_STARTED, 3, attempt=2, after=3),
        a_fact(FactKind.STEP_SUCCEEDED, 4, attempt=2, after=4, ms=1000, ports={"out": 3}, ignored=1, **{"in": 4}),
    ]
    (waiting,) = fold_steps(facts[:3])
    assert (StepStatus.WAITING, ERROR, retry_at) == (waiting.status, waiting.error, waiting.retry_at)
    (running,) = fold_steps(facts[:4])
    assert (StepStatus.RUNNING, 2, None) == (running.status, running.attempts, running.retry_at)
    (step,) = fold_steps(facts)
    assert (StepStatus.SUCCEEDED, 2, AT, AT + timedelta(seconds=4), 4, 1, None) == (
        step.status,
        step.attempts,
        step.started_at,
        step.finished_at,
        step.items_in,
        step.ignored,
        step.error,
    )
    assert {"out": 3} == {port: summary.count for port, summary in step.ports.items()}
    assert ["asking"] == [line["message"] for line in step.log]


def test_a_plain_step_knows_when_it_began():
    """
    Where no start was written down, it follows from the end and how long it took.
    """
    (step,) = fold_steps([a_fact(FactKind.STEP_SUCCEEDED, after=2, ms=1500, ports={"out": 1})])
    assert AT + timedelta(seconds=0.5) == step.started_at


def test_other_facts_leave_a_step_as_it_is():
    """
    An answer to a webhook and a decision are no end of a step.
    """
    facts = [a_fact(FactKind.STEP_STARTED), a_fact(FactKind.RESPONDED, 1), a_fact(FactKind.STEP_DECIDED, 2)]
    assert fold_steps(facts[:1]) == fold_steps(facts)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(RunStatus.RUNNING, StepStatus.RUNNING, id="a run at work"),
        pytest.param(RunStatus.CANCELLED, StepStatus.CANCELLED, id="cancelled with its run"),
        pytest.param(RunStatus.FAILED, StepStatus.FAILED, id="failed with its run"),
    ],
)
def test_no_step_runs_longer_than_its_run(status, expected):
    """
    When the run is over, a step whose end was never written is over as well; one that ended stays as it ended.
    """
    facts = [a_fact(FactKind.STEP_SUCCEEDED, node="done", ms=1), a_fact(FactKind.STEP_STARTED, 1)]
    run = a_run(status)
    done, open_ = settle_open(fold_steps(facts), run)
    assert (StepStatus.SUCCEEDED, expected, run.finished_at) == (done.status, open_.status, open_.finished_at)
