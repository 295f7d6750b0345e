"""
What follows from the end of a run, in the transaction that ends it.

A failure comes to the failure desk and is told to those who asked; a replay's outcome settles what it replayed. Runs that
succeed and repeat nothing cost nothing here: the store does not even ask.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from engine.clock import Clock
from engine.errors import NotFound
from engine.ids import NodeId, VersionId
from engine.model.causes import Cause, cause_of
from engine.model.failures import Failure, FailureState, ItemState
from engine.model.run import Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import UnitOfWork

from .alerts import Alerts

log = logging.getLogger(__name__)

REMEMBERED: Final = 50

_REPLAYED: Final[dict[RunStatus, FailureState]] = {
    RunStatus.SUCCEEDED: "resolved",
    RunStatus.FAILED: "replaced",
    RunStatus.CANCELLED: "open",
}
_ITEM: Final[dict[RunStatus, ItemState]] = {
    RunStatus.SUCCEEDED: "succeeded",
    RunStatus.FAILED: "failed",
    RunStatus.CANCELLED: "cancelled",
}


class Endings:
    """Settles ended runs; one per store, called in the writer's thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._documents: OrderedDict[VersionId, Document] = OrderedDict()
        self._alerts = Alerts(clock)

    def __call__(self, work: UnitOfWork, ended: Sequence[Run]) -> None:
        """Do what belongs to the end of these runs."""
        for run in ended:
            if run.retry_of is not None:
                self._settle_replay(work, run)
        failed = [run for run in ended if run.status is RunStatus.FAILED and not run.is_test and run.parent_step is None]
        if failed:
            self._keep_failures(work, failed)

    def _settle_replay(self, work: UnitOfWork, run: Run) -> None:
        assert run.retry_of is not None
        work.failures.on_replay_ended(run.retry_of, run.id, _REPLAYED[run.status], at=run.finished_at or self._clock.now())
        work.replays.on_ended(run.id, _ITEM[run.status])

    def _keep_failures(self, work: UnitOfWork, failed: Sequence[Run]) -> None:
        documents = [self._document(work, run) for run in failed]
        kept = [self._failure(run, document) for run, document in zip(failed, documents, strict=True)]
        work.failures.add(kept)
        self._alerts.tell(work, list(zip(failed, documents, kept, strict=True)))

    def _failure(self, run: Run, document: Document | None) -> tuple[Failure, Cause]:
        node = failed_node(run)
        known = document.nodes.get(node) if document is not None and node is not None else None
        cause = cause_of(run.error, known.use if known is not None else "")
        failure = Failure(
            run_id=run.id,
            group_id=cause.id,
            workflow_id=run.workflow_id,
            workflow_name=run.workflow_name,
            node=node,
            at=run.finished_at or self._clock.now(),
            replay_of=run.retry_of,
        )
        return failure, cause

    def _document(self, work: UnitOfWork, run: Run) -> Document | None:
        known = self._documents.get(run.version_id)
        if known is None:
            try:
                known = work.runs.get_document(run.id)
            except NotFound:
                return None
            self._documents[run.version_id] = known
            if len(self._documents) > REMEMBERED:
                self._documents.popitem(last=False)
        return known


def failed_node(run: Run) -> NodeId | None:
    """Return the node that a run's error names."""
    where = (run.error or {}).get("where")
    node = where.get("node") if isinstance(where, dict) else None
    return NodeId(str(node)) if node else None
