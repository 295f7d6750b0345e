"""What a step changed outside, item by item: done, failed, left out, or uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from engine.ids import NodeId, RunId
from engine.model.items import Batch
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.protocols import UnitOfWork
from engine.run.forked import Forked, effect_key
from engine.run.partial import decode_partial

EffectState = Literal["done", "failed", "skipped", "uncertain", "under_way"]
STATES: Final[tuple[EffectState, ...]] = ("done", "failed", "skipped", "uncertain", "under_way")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """
    What became of one change outside.

    `item` is the number of the item that arrived, None where the step works on all of them at once. `at` is when it was
    settled, or begun as long as it is not. `output` is what the item gave; empty where the step gave it as a whole. `key` is
    the idempotency key that went with it.
    """

    item: int | None
    state: EffectState
    at: datetime
    attempt: int = 1
    error: Any = None
    output: Batch = field(default_factory=list)
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPage:
    """Some of the receipts of a step, in the order of the items; `counts` says how many there are in each state."""

    receipts: Sequence[Receipt]
    total: int
    counts: dict[EffectState, int]
    offset: int = 0


def read_receipts(
    work: UnitOfWork, run: Run, node: NodeId, *, scope: str = "", offset: int = 0, limit: int = 100
) -> ReceiptPage:
    """Return a page of what a step of a run did outside; empty where it did nothing, or nothing that is written down."""
    journal = work.runs.facts(run.id)
    facts = [fact for fact in journal if fact.node == node and fact.scope == scope and fact.kind is not FactKind.FORKED]
    forked = next((Forked.of_fact(fact) for fact in journal if fact.kind is FactKind.FORKED), None)
    rows = _fold(facts, run)
    shown = [rows[key] for key in sorted(rows)[offset : offset + limit]]
    key_run = forked.key_run if forked is not None and forked.key_run and forked.keeps_keys(node) else run.id
    outputs = _outputs(work, run.id, facts, {row.item for row in shown if row.state == "done"})
    page = [
        replace(row, key=effect_key(key_run, scope, node, row.item or 0), output=outputs.get(row.item, [])) for row in shown
    ]
    counts = {state: count for state in STATES if (count := sum(row.state == state for row in rows.values()))}
    return ReceiptPage(receipts=page, total=len(rows), counts=counts, offset=offset)


def _fold(facts: Sequence[Fact], run: Run) -> dict[int, Receipt]:
    """Return the receipts by item; one that stands for the step as a whole is number -1."""
    rows: dict[int, Receipt] = {}

    def put(number: int, state: EffectState, fact: Fact, error: Any = None) -> None:
        item = None if number < 0 else number
        rows[number] = Receipt(item=item, state=state, at=fact.at, attempt=fact.attempt, error=error)

    for fact in facts:
        summary = fact.summary
        match fact.kind:
            case FactKind.STEP_STARTED:
                for index in summary.get("begun", (-1,)):
                    put(index, "under_way", fact)
            case FactKind.EFFECTS:
                for index in summary.get("begun", ()):
                    put(index, "under_way", fact)
                for index in summary.get("done", ()):
                    put(index, "done", fact)
                for text, kept in summary.get("failed", {}).items():
                    put(int(text), "failed", fact, kept.get("error"))
                for index in summary.get("skipped", ()):
                    put(index, "skipped", fact)
            case FactKind.STEP_DECIDED if summary.get("decision") == "skip":
                wanted = summary.get("items")
                for number, row in list(rows.items()):
                    if row.state == "under_way" and (wanted is None or number in wanted):
                        put(number, "skipped", fact)
            case FactKind.STEP_SUCCEEDED | FactKind.STEP_FAILED | FactKind.STEP_RETRYING:
                state: EffectState = "done" if fact.kind is FactKind.STEP_SUCCEEDED else "failed"
                for number, row in list(rows.items()):
                    if row.state == "under_way":
                        put(number, state, fact, summary.get("error"))
            case FactKind.STEP_SKIPPED:
                for number, row in list(rows.items()):
                    if row.state == "under_way":
                        put(number, "skipped", fact)
    if run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
        return rows
    return {number: replace(row, state="uncertain") if row.state == "under_way" else row for number, row in rows.items()}


def _outputs(work: UnitOfWork, run_id: RunId, facts: Sequence[Fact], wanted: set[int | None]) -> dict[int | None, Batch]:
    """Return what these items gave, all ports together, as far as their receipts say."""
    found: dict[int | None, Batch] = {}
    for fact in facts:
        if fact.kind is FactKind.EFFECTS and not wanted.isdisjoint(fact.summary.get("done", ())):
            payload = work.runs.payload(run_id, fact.seq)
            for index, parts in decode_partial(payload).items() if payload is not None else ():
                found[index] = [item for items in parts.values() for item in items]
    return found
