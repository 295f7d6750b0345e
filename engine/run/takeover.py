"""Taking runs out of the store: those that were left open, those that wait for a decision, those to be tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from engine.errors import NotFound
from engine.ids import NodeId, RunId, VersionId, new_run_id
from engine.model.items import Batch
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import RunFilter, Store, UnitOfWork

from .payloads import decode_batch

Decision = Literal["retry", "skip"]
MOST: Final = 1_000_000
TAKEN: Final = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


@dataclass(frozen=True, slots=True)
class Taken:
    """A run from the store, taken over: what it began with and what its journal knows."""

    run: Run
    items: Batch
    facts: list[Fact]


def find_open(work: UnitOfWork, known: Collection[RunId], *, interrupted: bool = False) -> list[tuple[Run, Document | None]]:
    """
    Return the runs that wait to be taken, oldest first, with their documents; a document that is gone is None.

    With `interrupted` also those that stand as running. `known` are passed over.
    """
    documents: dict[VersionId, Document | None] = {}
    found = []
    queued = RunFilter(statuses=(RunStatus.QUEUED,), limit=MOST)
    runs = work.runs.list_open(limit=MOST) if interrupted else reversed(work.runs.list_page(queued))
    for run in runs:
        if run.status not in TAKEN or run.id in known:
            continue
        if run.version_id not in documents or run.is_test:
            try:
                documents[run.version_id] = work.runs.get_document(run.id)
            except NotFound:
                documents[run.version_id] = None
        found.append((run, documents[run.version_id]))
    return found


async def take_over(store: Store, run_id: RunId, *, now: datetime) -> Taken | None:
    """Claim a run and read its journal; None when it is over by now. Whoever had it before writes nothing more."""
    claimed = await store.write(lambda work: work.runs.claim(run_id, now=now))
    if claimed is None:
        return None
    payload, facts = await store.read(lambda work: (work.runs.get_input(run_id), work.runs.facts(run_id, with_payload=True)))
    return Taken(replace(claimed, error=None), decode_batch(payload), facts)


def decided(taken: Taken, decision: Decision, asked: Mapping[str, Any] | None, *, now: datetime) -> Fact:
    """Return the fact that answers the question `asked` (the run's error while it was parked)."""
    begun = {fact.node: fact for fact in taken.facts if fact.kind is FactKind.STEP_STARTED}
    where: Mapping[str, Any] = (asked or {}).get("where", {})
    node = NodeId(str(where.get("node") or next(iter(begun), "")))
    return Fact(
        run_id=taken.run.id,
        seq=taken.facts[-1].seq + 1 if taken.facts else 0,
        kind=FactKind.STEP_DECIDED,
        node=node,
        at=now,
        attempt=begun[node].attempt if node in begun else 1,
        summary={"decision": decision},
    )


def run_for_retry(old: Run, *, now: datetime) -> Run:
    """Return the new run that repeats an old one."""
    return Run(
        id=new_run_id(now),
        workflow_id=old.workflow_id,
        workflow_name=old.workflow_name,
        version_id=old.version_id,
        status=RunStatus.QUEUED,
        trigger=old.trigger,
        start_node=old.start_node,
        is_test=old.is_test,
        retry_of=old.id,
        queued_at=now,
    )


def facts_for_retry(facts: Sequence[Fact], run_id: RunId) -> list[Fact]:
    """Return what a new run knows from the start when it goes on from where an old one failed: the steps that succeeded."""
    kept = [fact for fact in facts if fact.kind is FactKind.STEP_SUCCEEDED and "ends" not in fact.summary]
    return [replace(fact, run_id=run_id, seq=seq) for seq, fact in enumerate(kept)]
