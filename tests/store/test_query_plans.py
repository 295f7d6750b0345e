"""Lists stay fast when there are many runs: their queries walk an index and never read a whole table."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from engine.clock import SystemClock
from engine.ids import NodeId, RunId, WorkflowId
from engine.model.run import RunStatus
from engine.protocols import RunFilter
from engine.store import open_store

pytestmark = pytest.mark.anyio

PAST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            lambda work: work.runs.list_page(RunFilter()), ["SCAN runs USING INDEX sqlite_autoindex_runs_1"], id="newest"
        ),
        pytest.param(
            lambda work: work.runs.list_page(RunFilter(before=RunId("run_1"))),
            ["SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id<?)"],
            id="next page",
        ),
        pytest.param(
            lambda work: work.runs.list_page(RunFilter(workflow_id=WorkflowId("wf"), before=RunId("run_1"))),
            ["SEARCH runs USING INDEX runs_workflow_id_id_status (workflow_id=? AND id<?)"],
            id="of a workflow",
        ),
        pytest.param(
            lambda work: work.runs.list_page(RunFilter(statuses=(RunStatus.FAILED,))),
            ["SCAN runs USING INDEX runs_failed"],
            id="failed ones",
        ),
        pytest.param(
            lambda work: work.runs.list_page(RunFilter(statuses=(RunStatus.QUEUED, RunStatus.RUNNING))),
            ["SCAN runs USING INDEX runs_ready"],
            id="those at work",
        ),
        pytest.param(
            lambda work: work.runs.list_page(RunFilter(statuses=(RunStatus.QUEUED, RunStatus.WAITING))),
            ["SCAN runs USING INDEX runs_open"],
            id="open ones",
        ),
        pytest.param(lambda work: work.runs.list_ready(), ["SCAN runs USING INDEX runs_ready"], id="to take"),
        pytest.param(
            lambda work: work.waits.next_wake(),
            ["SEARCH waits USING INDEX waits_wake_at (wake_at>?)"],
            id="the next moment",
        ),
        pytest.param(
            lambda work: work.waits.wake_due(PAST),
            ["SEARCH waits USING INDEX waits_wake_at (wake_at>? AND wake_at<?)"],
            id="what is due",
        ),
        pytest.param(
            lambda work: work.waits.list_for("signal", "paid", "7"),
            [
                "SEARCH waits USING INDEX waits_kind_name_key (kind=? AND name=? AND key=?)",
                "USE TEMP B-TREE FOR ORDER BY",
            ],
            id="who waits for a signal",
        ),
        pytest.param(lambda work: work.runs.list_open(), ["SCAN runs USING INDEX runs_open"], id="to resume"),
        pytest.param(
            lambda work: work.runs.facts(RunId("run_1"), after_seq=7),
            ["SEARCH facts USING INDEX sqlite_autoindex_facts_1 (run_id=? AND seq>?)"],
            id="a journal",
        ),
        pytest.param(
            lambda work: work.runs.facts(RunId("run_1"), node=NodeId("n")),
            ["SEARCH facts USING INDEX sqlite_autoindex_facts_1 (run_id=? AND seq>?)"],
            id="a step",
        ),
        pytest.param(lambda work: work.firings.list_waiting(), ["SCAN firings USING INDEX firings_waiting"], id="the inbox"),
        pytest.param(
            lambda work: work.runs.count_by_status(WorkflowId("wf")),
            ["SEARCH runs USING COVERING INDEX runs_workflow_id_id_status (workflow_id=?)", "USE TEMP B-TREE FOR GROUP BY"],
            id="counts of a workflow",
        ),
        pytest.param(
            lambda work: work.runs.prune(before=PAST),
            [
                "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id<?)",
                "CORRELATED SCALAR SUBQUERY 1",
                "SEARCH other USING INDEX sqlite_autoindex_runs_1 (id=?)",
                "CORRELATED SCALAR SUBQUERY 2",
                "SEARCH other USING INDEX runs_parent (parent_run_id=?)",
            ],
            id="old runs",
        ),
        pytest.param(
            lambda work: work.workflows.list_rows(),
            [
                "SCAN workflows USING INDEX sqlite_autoindex_workflows_1",
                "SEARCH last_run USING INDEX sqlite_autoindex_runs_1 (id=?) LEFT-JOIN",
                "CORRELATED SCALAR SUBQUERY 1",
                "SEARCH newest USING INDEX runs_workflow_id_id_status (workflow_id=?)",
                "USE TEMP B-TREE FOR ORDER BY",
            ],
            id="workflows with their last run",
        ),
    ],
)
async def test_a_list_walks_an_index(tmp_path, query, expected):
    """
    SQLite's own plan for the first statement of each list names the index it walks.
    """
    seen = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if not seen and statement.startswith("SELECT"):
            seen.append(
                [row[3] for row in connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            )

    async with open_store(tmp_path / "a.db", clock=SystemClock(), blobs_dir=tmp_path) as store:
        event.listen(store.database.reader, "before_cursor_execute", explain)
        await store.read(query)

    assert [expected] == seen
