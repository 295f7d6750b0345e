"""
Going on from a run that was: what a new run takes over from an old one, and what it does itself.

Everything that stands behind the place where the two part is done by the new run, and so is everything whose definition, or
whose way in, is another one in the new document. The rest is taken over: its facts become the new run's, as they are. Changes
outside that the old run made behind that place are nobody's to repeat or to skip in silence: each step that made some needs a
choice. Trying a failed run again is the fork that changes nothing: it parts from the old run where that one failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from engine.errors import BadRequest, Conflict, NotFound
from engine.ids import NodeId, RunId, new_run_id
from engine.model.codec import document_hash
from engine.model.items import Batch, Output, Outputs
from engine.model.run import FINAL, Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document, Node
from engine.protocols import UnitOfWork
from engine.steps.catalog import Catalog

from .effects import Begun
from .forked import Forked, Place
from .payloads import Payload, Reference, StoredOutputs, encode_batch, encode_outputs

EffectChoice = Literal["ask", "reuse", "again"]

_SETTLED: Final = frozenset({FactKind.STEP_SUCCEEDED, FactKind.STEP_SKIPPED})
_OVER: Final = frozenset({*_SETTLED, FactKind.STEP_FAILED, FactKind.STEP_CANCELLED})
_LEFT: Final = frozenset(
    {FactKind.STEP_FAILED, FactKind.STEP_CANCELLED, FactKind.SCOPE_FAILED, FactKind.RESPONDED, FactKind.FORKED}
)
"""What is never taken over: how the old run failed, what it answered, and where it came from itself."""
_WAITED: Final = frozenset({FactKind.STEP_WAITING, FactKind.STEP_WOKEN})
_LEFT_OPEN: Final = _LEFT | _WAITED | {FactKind.LOGGED}
FORKABLE: Final = FINAL | {RunStatus.WAITING, RunStatus.NEEDS_DECISION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """
    How a new run is to differ from an old one.

    `at` is the first step to run again (None: where the old run failed, or where the documents differ). `items` take the place
    of what arrived there (or of what the old run began with). `effects` says what becomes of changes that the old run made
    outside: `reuse` takes their receipts over, `again` makes them once more; `otherwise` holds for steps not named. With
    `is_dry` changes outside are described and not made.
    """

    at: NodeId | None = None
    items: Batch | None = None
    document: Document | None = None
    effects: Mapping[NodeId, EffectChoice] = field(default_factory=dict)
    otherwise: EffectChoice = "ask"
    is_dry: bool = False
    is_test: bool | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether the new run is to do the same with the same."""
        return self.at is None and self.items is None and self.document is None and not self.is_dry


class EffectsToDecide(Conflict):
    """The old run made changes outside behind the place of the fork; `where` lists the steps that made them."""

    code = "effects_to_decide"

    def __init__(self, steps: Sequence[Mapping[str, object]]) -> None:
        names = ", ".join(f"“{step['title']}” ({step['done']} done)" for step in steps)
        super().__init__(
            f"These steps have changed something outside already: {names}.",
            hint="Say for each: reuse what it gave then, or do it again. Or run dry: then changes are described and not made.",
            where={"steps": [dict(step) for step in steps]},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What the new run takes over: facts by their numbers, facts with payloads of their own, and what it knows about itself."""

    seqs: Sequence[int]
    rewritten: Mapping[int, bytes]
    forked: Forked
    is_from_start: bool = False


def fork_run(work: UnitOfWork, run_id: RunId, fork: Fork, catalog: Catalog, *, now: datetime) -> tuple[Run, Document]:
    """
    Queue the new run, with all it takes over, in this transaction; return it and its document.

    Raises `NotFound` for the run or the step, `Conflict` for a run that is still at work, `EffectsToDecide` where a choice is
    missing, `BadRequest` for choices and data that fit no step.
    """
    old, before = work.runs.get(run_id), work.runs.get_document(run_id)
    if old.status not in FORKABLE:
        raise Conflict(f"The run {run_id} is {old.status.value}; wait until it is over, or end it first.")
    document = fork.document or before
    facts = work.runs.facts(run_id)
    taking = _Reading(work, old, before, document, facts, fork, catalog).take()
    new = _new_run(old, document, fork, now)
    if taking.is_from_start and fork.items is not None:
        work.runs.add(new, input=encode_batch(fork.items), document=document)
    else:
        work.runs.add(new, input=work.runs.get_input(run_id), document=document)
    count = work.runs.take_facts(run_id, new.id, taking.seqs, rewritten=taking.rewritten)
    work.runs.add_facts([taking.forked.as_fact(new.id, count, now)])
    return new, document


def run_for_retry(old: Run, *, now: datetime) -> Run:
    """Return the new run that repeats an old one as it was."""
    return _new_run(old, None, Fork(), now)


def facts_for_retry(
    facts: Sequence[Fact],
    old: RunId,
    run_id: RunId,
    *,
    now: datetime,
    keeps_keys: bool = True,
    at: NodeId | None = None,
    given: Batch | None = None,
) -> list[Fact]:
    """
    Return what a new run knows from the start when it goes on from where an old one failed: what `fork_run` would take over.

    `keeps_keys` holds as long as it does the same with the same. `given` takes the place of what arrives at the step `at`.
    """
    if any(fact.summary.get("undo") for fact in facts):
        facts = []  # what was done is undone, so it is to be done again from the start
        keeps_keys = False
    by_place = _by_place(facts)
    taken = sorted((fact for own in by_place.values() for fact in _taken(own)), key=lambda fact: fact.seq)
    forked = Forked(
        of=old,
        key_run=_root(facts, old) if keeps_keys else None,
        void=frozenset(place for place, own in by_place.items() if _is_void(own)),
        at=at,
        given=given,
    )
    numbered = [replace(fact, run_id=run_id, seq=seq) for seq, fact in enumerate(taken)]
    return [*numbered, forked.as_fact(run_id, len(numbered), now)]


def _by_place(facts: Iterable[Fact]) -> dict[Place, list[Fact]]:
    found: dict[Place, list[Fact]] = {}
    for fact in facts:
        if fact.kind is not FactKind.FORKED:
            found.setdefault((fact.node, fact.scope), []).append(fact)
    return found


def _root(facts: Iterable[Fact], old: RunId) -> RunId:
    """Return the run whose idempotency keys a run goes by: its own, or those of the run it tried again."""
    earlier = next((fact for fact in facts if fact.kind is FactKind.FORKED), None)
    return RunId(str(earlier.summary["key"])) if earlier is not None and "key" in earlier.summary else old


def _new_run(old: Run, document: Document | None, fork: Fork, now: datetime) -> Run:
    is_test = fork.is_test if fork.is_test is not None else old.is_test or fork.is_dry
    return Run(
        id=new_run_id(now),
        workflow_id=old.workflow_id,
        workflow_name=old.workflow_name,
        version_id=old.version_id if fork.document is None else document_hash(fork.document),
        status=RunStatus.QUEUED,
        trigger=old.trigger,
        start_node=old.start_node if document is None or old.start_node in document.nodes else None,
        is_test=is_test,
        retry_of=old.id,
        queued_at=now,
        priority=old.priority,
    )


class _Reading:
    """One look at an old run with the wish for a new one in mind."""

    def __init__(
        self,
        work: UnitOfWork,
        old: Run,
        before: Document,
        document: Document,
        facts: Sequence[Fact],
        fork: Fork,
        catalog: Catalog,
    ) -> None:
        self._work, self._old, self._fork, self._catalog = work, old, fork, catalog
        self._before, self._document, self._facts = before, document, facts
        self._by_place = _by_place(facts)

    def take(self) -> Taking:
        """Return what the new run takes over."""
        fork, document = self._fork, self._document
        at = self._place_of_items() if fork.at is None else fork.at
        if at is not None and at not in document.nodes:
            raise NotFound("node", at, hint=f"The nodes are: {', '.join(document.nodes)}.")
        named = {node for node, choice in fork.effects.items() if choice == "again"}
        again = behind(document, {*changed_nodes(self._before, document), *named, *({at} if at is not None else ())})
        chosen = self._choices(again)
        redone = frozenset(named | {node for node, choice in chosen.items() if choice == "again"})
        reused = {node for node in again if chosen.get(node) == "reuse"}
        kept = {
            place: facts
            for place, facts in self._by_place.items()
            if place[0] in document.nodes and place[0] not in redone and (place[0] not in again or place[0] in reused)
        }
        void = frozenset(place for place, facts in kept.items() if _is_void(facts))
        seqs = sorted(fact.seq for facts in kept.values() for fact in _taken(facts))
        is_from_start = at is not None and at == self._old.start_node
        forked = Forked(
            of=self._old.id,
            at=at,
            key_run=_root(self._facts, self._old.id) if fork.items is None and fork.document is None else None,
            again=redone,
            void=void,
            is_dry=fork.is_dry,
            given=None if is_from_start else fork.items,
        )
        rewritten = self._rewritten(reused, again)
        return Taking(seqs=seqs, rewritten=rewritten, forked=forked, is_from_start=is_from_start)

    def _place_of_items(self) -> NodeId | None:
        if self._fork.items is None:
            return None
        if self._old.start_node is None:
            raise BadRequest("The run has no one start.", hint="Name the step that the items are for.")
        return self._old.start_node

    def _choices(self, again: frozenset[NodeId]) -> dict[NodeId, EffectChoice]:
        """Return what becomes of the changes outside that the old run made in these steps."""
        fork = self._fork
        for node in fork.effects:
            if node not in self._document.nodes:
                raise NotFound("node", node, hint=f"The nodes are: {', '.join(self._document.nodes)}.")
        if fork.is_dry:
            return {}
        made = {node: found for node in self._document.nodes if node in again and (found := self._made(node))}
        chosen = {node: fork.effects.get(node, fork.otherwise) for node in made}
        if open := [node for node, choice in chosen.items() if choice == "ask"]:
            raise EffectsToDecide([self._told(node, *made[node]) for node in open])
        return chosen

    def _told(self, node: NodeId, done: int, uncertain: int) -> dict[str, object]:
        return {"node": node, "title": self._document.nodes[node].label, "done": done, "uncertain": uncertain}

    def _made(self, node: NodeId) -> tuple[int, int] | None:
        """Return how many changes a step made, and how many are uncertain; None when it made none."""
        known = self._before.nodes.get(node)
        spec = self._catalog.find(known.use) if known is not None else None
        if known is None or spec is None or known.disabled or spec.effect_of(known.fields) not in ("write", "destroy"):
            return None
        done = uncertain = 0
        for (place, _), facts in self._by_place.items():
            if place != node:
                continue
            begun = Begun.of(facts)
            over = next((fact for fact in reversed(facts) if fact.kind in _OVER), None)
            if over is not None and over.kind is FactKind.STEP_SUCCEEDED and not over.summary.get("pinned"):
                done += (int(over.summary.get("in", 1)) if spec.mode == "each" else 1) - len(begun.skipped)
                continue
            done += len(begun.settled)
            if over is None or over.kind is FactKind.STEP_CANCELLED:
                uncertain += 1 if begun.is_whole else len(begun.open)
        return (done, uncertain) if done or uncertain else None

    def _rewritten(self, reused: Iterable[NodeId], again: frozenset[NodeId]) -> dict[int, bytes]:
        """Return the payloads of reused steps that refer to batches which the new run makes anew: with the items themselves."""
        wanted = [fact for fact in self._facts if fact.node in reused and fact.kind is FactKind.STEP_SUCCEEDED]
        if not wanted:
            return {}
        opened: dict[NodeId, StoredOutputs] = {}

        def follow(reference: Reference) -> Batch:
            return opened[reference[0]][reference[1]].items

        found: dict[int, bytes] = {}
        for fact in self._work.runs.facts(self._old.id, with_payload=True):
            if fact.kind is not FactKind.STEP_SUCCEEDED or fact.payload is None:
                continue
            payload = Payload(fact.payload)
            outputs = opened[fact.node] = StoredOutputs(payload, follow)
            if fact.node in reused and any(
                reference is not None and reference[0] in again for reference in map(payload.reference, payload.ports)
            ):
                found[fact.seq] = encode_outputs(_own(outputs))[0]
        return found


def _own(outputs: Mapping[str, Output]) -> Outputs:
    return {port: Output(list(output.items), output.origins) for port, output in outputs.items()}


def _taken(facts: Sequence[Fact]) -> Iterable[Fact]:
    """Give the facts of one step that are taken over; a step that was waiting begins to wait anew."""
    left = _LEFT if any(fact.kind in _SETTLED for fact in facts) else _LEFT_OPEN
    return (fact for fact in facts if fact.kind not in left and "ends" not in fact.summary)


def _is_void(facts: Sequence[Fact]) -> bool:
    """Whether no intent of the step is open, because the step failed or waits: then every call had come back."""
    told = next((fact.kind for fact in reversed(facts) if fact.kind in _OVER or fact.kind in _WAITED), None)
    return told in (FactKind.STEP_FAILED, FactKind.STEP_WAITING, FactKind.STEP_WOKEN)


def behind(document: Document, nodes: Iterable[NodeId]) -> frozenset[NodeId]:
    """Return these nodes and all that a line leads to from them, over however many others."""
    targets: dict[NodeId, list[NodeId]] = {}
    for edge in document.edges:
        targets.setdefault(edge.source, []).append(edge.target)
    seen = {node for node in nodes if node in document.nodes}
    todo = list(seen)
    while todo:
        for target in targets.get(todo.pop(), ()):
            if target not in seen and target in document.nodes:
                seen.add(target)
                todo.append(target)
    return frozenset(seen)


def definition(node: Node) -> tuple[Any, ...]:
    """Return what makes a step give what it gives, beside its data: not its title, not its note, not how often it is tried."""
    return (node.use, node.fields, node.connection, node.disabled, node.on_error, node.run_on_empty)


def changed_nodes(before: Document, after: Document) -> frozenset[NodeId]:
    """Return the nodes of the second document that are new or other ones, by themselves or by the lines that lead to them."""

    def ways_in(document: Document) -> dict[NodeId, list[tuple[str, str, str]]]:
        ways: dict[NodeId, list[tuple[str, str, str]]] = {}
        for edge in document.edges:
            ways.setdefault(edge.target, []).append((edge.source, edge.source_port, edge.target_port))
        return ways

    if before is after:
        return frozenset()
    old, new = ways_in(before), ways_in(after)
    is_elsewhere = before.settings.timezone != after.settings.timezone
    return frozenset(
        node.id
        for node in after.nodes.values()
        if is_elsewhere
        or (known := before.nodes.get(node.id)) is None
        or definition(known) != definition(node)
        or old.get(node.id) != new.get(node.id)
    )
