"""What a run knows about the run it goes on from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.ids import NodeId, RunId
from engine.model.items import Batch
from engine.model.run import Fact, FactKind

from .payloads import Payload, encode_batch

Place = tuple[NodeId, str]
"""A node and the scope of the pass in which it stands."""


def effect_key(run_id: RunId, scope: str, node: NodeId, index: int) -> str:
    """Return the idempotency key of one change outside: the same for every try and every life of the program."""
    return f"{run_id}:{f'{scope}/' if scope else ''}{node}:{index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """
    What a forked run knows about itself (the fact `forked`).

    `key_run` is the run whose idempotency keys it keeps for changes that are not made `again`; None: it has its own. `given` is
    the batch that takes the place of what arrives at `at`. `void` are the steps of which no intent is open, whatever the facts
    that were taken over say.
    """

    of: RunId
    at: NodeId | None = None
    key_run: RunId | None = None
    again: frozenset[NodeId] = frozenset()
    void: frozenset[Place] = frozenset()
    is_dry: bool = False
    given: Batch | None = None

    def as_fact(self, run_id: RunId, seq: int, now: datetime) -> Fact:
        """Return it as a line of the journal."""
        summary: dict[str, Any] = {"of": self.of}
        if self.key_run is not None:
            summary["key"] = self.key_run
        if self.again:
            summary["again"] = sorted(self.again)
        if self.void:
            summary["void"] = sorted(self.void)
        if self.is_dry:
            summary["dry"] = True
        return Fact(
            run_id=run_id,
            seq=seq,
            kind=FactKind.FORKED,
            node=self.at or NodeId(""),
            at=now,
            summary=summary,
            payload=None if self.given is None else encode_batch(self.given),
        )

    def keeps_keys(self, node: NodeId) -> bool:
        """Whether changes that a step makes outside are known there by the keys of the run that was gone on from."""
        return self.key_run is not None and node not in self.again

    @classmethod
    def of_fact(cls, fact: Fact) -> Forked:
        """Read it from the journal."""
        summary = fact.summary
        return cls(
            of=RunId(str(summary.get("of", ""))),
            at=fact.node or None,
            key_run=RunId(str(summary["key"])) if "key" in summary else None,
            again=frozenset(map(NodeId, summary.get("again", ()))),
            void=frozenset((NodeId(node), scope) for node, scope in summary.get("void", ())),
            is_dry=bool(summary.get("dry")),
            given=Payload(fact.payload).items("out") if fact.payload is not None else None,
        )
