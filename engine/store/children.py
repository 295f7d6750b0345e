"""
What the end of a run means for the run that called it, and for those that it called; in the transaction that ends it.

The last child to end wakes its caller. A step that begins to wait when all its children are over already is woken at once, so
no order of ending and parking loses anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, not_, or_, select, text, update

from engine.ids import RunId
from engine.model.run import FINAL, Run, RunStatus
from engine.model.waits import Waking
from engine.protocols import Runs, Waits

from . import tables

ENDED: Final = "ended"
"""`Waking.how` of a step whose children are over."""

Call = tuple[RunId, str]
"""A run and the call in it that waits."""

_RUN: Final = tables.runs.c
_WAIT: Final = tables.waits.c


def calls_of(ended: Sequence[Run]) -> Counter[Call]:
    """Return the calls that these runs were made by and that wait for them, each with how many of them ended."""
    return Counter(
        (run.parent_run_id, run.parent_step) for run in ended if run.parent_run_id is not None and run.parent_step is not None
    )


def wake_callers(
    connection: Connection, waits: Waits, ended: Counter[Call], begun: Iterable[Call], *, now: datetime
) -> tuple[set[RunId], bool]:
    """
    Wake the calls whose children are all over, and let the next ones begin of those that go a few at a time.

    `begun` are calls that have just begun to wait. Returns the runs that were woken, and whether a child was queued.
    """
    woken: set[RunId] = set()
    has_queued = False
    for parent, step in {*ended, *begun}:
        of_call = (_RUN.parent_run_id == parent) & (_RUN.parent_step == step)
        if connection.execute(select(_RUN.id).where(of_call, text(tables.OPEN_RUNS)).limit(1)).first() is None:
            for waiting in waits.list_for("child", parent, step):
                if waits.wake(waiting.run_id, waiting.node, waiting.scope, Waking(how=ENDED, at=now)):
                    woken.add(waiting.run_id)
        elif room := ended.get((parent, step), 0):
            held = select(_RUN.id).where(of_call, _RUN.status == RunStatus.WAITING.value, _RUN.started_at.is_(None))
            queued = connection.execute(
                update(tables.runs).where(_RUN.id.in_(held.order_by(_RUN.id).limit(room))).values(status=RunStatus.QUEUED.value)
            )
            has_queued = has_queued or queued.rowcount > 0
    return woken, has_queued


def missed_calls(connection: Connection, limit: int) -> list[Call]:
    """
    Return calls that wait although none of their children is on its way: all are over, or all that are not are held back.

    There are none as long as every end is settled in its own transaction; this is the net below that.
    """
    children = tables.runs.alias("children")
    is_child = (children.c.parent_run_id == _WAIT.name) & (children.c.parent_step == _WAIT.key)
    is_over = children.c.status.in_([status.value for status in FINAL])
    is_held = (children.c.status == RunStatus.WAITING.value) & children.c.started_at.is_(None)
    on_its_way = select(children.c.id).where(is_child, not_(or_(is_over, is_held))).exists()
    waiting = select(_WAIT.name, _WAIT.key).where(_WAIT.kind == "child", _WAIT.woken_at.is_(None), not_(on_its_way))
    rows = connection.execute(waiting.distinct().limit(limit)).all()
    return [(RunId(row[0]), str(row[1])) for row in rows]


def cancel_children(connection: Connection, runs: Runs, ended: Sequence[Run]) -> set[RunId]:
    """Cancel the children that runs which ended early were waiting for; returns those that are at work and have to be told."""
    parents = [run.id for run in ended if run.status in (RunStatus.CANCELLED, RunStatus.FAILED)]
    if not parents:
        return set()
    found = connection.execute(
        select(_RUN.id).where(_RUN.parent_run_id.in_(parents), _RUN.parent_step.is_not(None), text(tables.OPEN_RUNS))
    ).scalars()
    return {run_id for run_id in map(RunId, found.all()) if not runs.request_cancel(run_id).status.is_final}
