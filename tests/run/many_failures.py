"""A failure desk with a lot on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine.ids import NodeId, VersionId, WorkflowId, new_run_id
from engine.model.causes import cause_of
from engine.model.failures import Failure
from engine.model.run import Run, RunStatus


async def put_on_desk(store: Any, clock: Any, count: int, *, groups: int) -> None:
    """Put so many failed runs of three workflows on the desk, of so many causes."""
    now = clock.now()
    words = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(groups)]

    def keep(work: Any) -> None:
        kept = []
        for n in range(count):
            error = {
                "code": "refused",
                "message": f"Order {n} is {words[n % groups]}.",
                "hint": None,
                "where": {"node": "send"},
            }
            at = now + timedelta(milliseconds=n)
            run = Run(
                id=new_run_id(at),
                workflow_id=WorkflowId(f"wf_{n % 3}"),
                workflow_name=f"Workflow {n % 3}",
                version_id=VersionId("v1"),
                status=RunStatus.FAILED,
                trigger="manual",
                start_node=None,
                queued_at=at,
                finished_at=at,
                error=error,
            )
            work.runs.add(run, input=b"[{}]")
            cause = cause_of(error, "test.send")
            failure = Failure(
                run_id=run.id,
                group_id=cause.id,
                workflow_id=run.workflow_id,
                workflow_name=run.workflow_name,
                node=NodeId("send"),
                at=at,
            )
            kept.append((failure, cause))
        work.failures.add(kept)

    await store.write(keep)
