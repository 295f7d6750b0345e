"""Taking runs out of the store: those that were left open, those that wait for a decision, those to be tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from engine.errors import BadRequest, Damaged
from engine.ids import NodeId, RunId
from engine.model.items import Batch
from engine.model.limits import Concurrency
from engine.model.run import Fact, FactKind, Run
from engine.model.waits import Waiting
from engine.protocols import Store, UnitOfWork

from .payloads import decode_batch

Decision = Literal["retry", "skip"]


@dataclass(frozen=True, slots=True)
class Taken:
    """
    A run from the store, taken over: what it began with, what its journal knows, what woke its steps since.

    `damage` says that this cannot be read any more.
    """

    run: Run
    items: Batch
    facts: list[Fact]
    woken: list[Waiting] = field(default_factory=list)
    damage: Damaged | None = None


def find_interrupted(work: UnitOfWork, known: Collection[RunId]) -> list[Run]:
    """Return the runs that stand as running, oldest first; `known` are passed over."""
    return [run for run in work.runs.list_running() if run.id not in known]


async def claim(
    store: Store, run_id: RunId, *, now: datetime, limits: Concurrency | None = None, is_shared: bool = False
) -> Run | None:
    """
    Claim a run; None when it is over by now. Whoever had it before writes nothing more.

    Raises `NoPlace` when the run would be one more than `limits` allow.
    """
    return await store.write(lambda work: work.runs.claim(run_id, now=now, limits=limits, is_shared=is_shared))


async def read_taken(store: Store, claimed: Run) -> Taken:
    """Read what a run that was claimed began with, and what is known of it since."""
    try:
        payload, facts, woken = await store.read(
            lambda work: (
                work.runs.get_input(claimed.id),
                work.runs.facts(claimed.id, with_payload=True),
                work.waits.woken((claimed.id,)),
            )
        )
        return Taken(replace(claimed, error=None), decode_batch(payload), facts, woken)
    except Damaged as error:
        return Taken(claimed, [], [], damage=error)


def wakes(taken: Taken, *, now: datetime) -> list[Fact]:
    """Return the facts that take note of what woke the steps of a run while it was parked."""
    first = taken.facts[-1].seq + 1 if taken.facts else 0
    return [
        Fact(
            run_id=taken.run.id,
            seq=seq,
            kind=FactKind.STEP_WOKEN,
            node=waiting.node,
            scope=waiting.scope,
            at=now,
            summary=waiting.waking.as_summary(),
            payload=waiting.waking.payload,
        )
        for seq, waiting in enumerate(taken.woken, first)
        if waiting.waking is not None
    ]


def lives(facts: Sequence[Fact], epoch: int) -> int:
    """Return how often a run was taken over because its worker was gone, and not because a step of it was woken."""
    return max(0, epoch - sum(fact.kind is FactKind.STEP_WOKEN for fact in facts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person says to a run that needs a decision: of all that it asks about, of the step `node`, or of these items."""

    decision: Decision
    node: NodeId | None = None
    items: tuple[int, ...] | None = None


def check_answer(answer: Answer, asked: Mapping[str, Any] | None) -> None:
    """Raise `BadRequest` unless this answers the question `asked` (the run's error while it is parked)."""
    questions = _questions(asked)
    if answer.node is None:
        if answer.items is not None and len(questions) > 1:
            raise BadRequest("Several steps are asked about.", hint=f"Name one of them: {', '.join(questions)}.")
    elif answer.node not in questions:
        raise BadRequest(f"“{answer.node}” is not asked about.", hint=f"The question is about {', '.join(questions)}.")
    if answer.items is None:
        return
    known = questions.get(answer.node) if answer.node is not None else next(iter(questions.values()), None)
    if wrong := sorted(set(answer.items).difference(known or ())):
        hint = "The question is about the step as a whole." if known is None else f"Asked about are {_listed(known)}."
        raise BadRequest(f"There is no question about {_listed(wrong)}.", hint=hint)


def decided(taken: Taken, answer: Answer, asked: Mapping[str, Any] | None, *, now: datetime) -> list[Fact]:
    """Return the facts that answer the question `asked`, one for each step that is meant."""
    begun = {_place(fact.scope, fact.node): fact for fact in taken.facts if fact.kind is FactKind.STEP_STARTED}
    nodes = [answer.node] if answer.node is not None else list(_questions(asked)) or list(begun)[:1]
    seq = taken.facts[-1].seq + 1 if taken.facts else 0
    summary = {"decision": answer.decision, **({} if answer.items is None else {"items": sorted(answer.items)})}
    return [
        Fact(
            run_id=taken.run.id,
            seq=seq + number,
            kind=FactKind.STEP_DECIDED,
            node=NodeId(node.rpartition("/")[2]),
            scope=node.rpartition("/")[0],
            at=now,
            attempt=begun[node].attempt if node in begun else 1,
            summary=summary,
        )
        for number, node in enumerate(nodes)
    ]


def _questions(asked: Mapping[str, Any] | None) -> dict[NodeId, list[int] | None]:
    """Return the steps a parked run asks about, each with its items; None means the step as a whole."""
    where: Mapping[str, Any] = (asked or {}).get("where", {})
    steps = where.get("steps") or ([where] if where.get("node") else [])
    return {_place(str(step.get("scope", "")), str(step["node"])): step.get("items") for step in steps}


def _place(scope: str, node: str) -> NodeId:
    """Return how a step is named in an answer: its node, in the body of a frame behind the scope (`each:3/send`)."""
    return NodeId(f"{scope}/{node}" if scope else node)


def _listed(items: Sequence[int]) -> str:
    shown = ", ".join(map(str, items[:20]))
    return f"item {shown}" if len(items) == 1 else f"items {shown}{', …' if len(items) > 20 else ''}"
