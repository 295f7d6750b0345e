"""
One pass through the body of a frame: a scope of its own, with its own progress, inside the run.

A pass shares run, journal and answer with the run and knows the pass (or the run) around it. Its steps see the nodes around the
frame through the items that the pass was given.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from engine.ids import NodeId
from engine.model.items import Batch, Origins, Output
from engine.model.run import FactKind
from engine.steps.computed import OVER_ALL
from engine.steps.contract import Response

from .attempt import Earlier
from .execution import Execution
from .lineage import Place
from .planner import ENTRY, Plan, PlanNode
from .progress import Progress
from .scope import NodesScope
from .slots import make_fact
from .waiting import Pending

if TYPE_CHECKING:
    from .framing import OpenFrame

Sources = int | Sequence[int]
"""The index, or the indexes, in the batch that arrived at a frame that an item was made from; -1 is none."""


class Pass(Execution):
    """
    A scope of a run: pass `number` of the frame `owner`, in the scope `outer`.

    `came_from` tells for each item that the pass was given which items it was made from, counted in the batch that arrived at
    the frame. `is_dead` says that something in it failed and was caught: what is still at work comes to its end, nothing
    begins. `is_apart` is true of undoing, which goes on while what it undoes has ended.
    """

    __slots__ = ("began", "came_from", "earlier", "given", "has_broken", "is_apart", "is_dead", "number",
                 "outer", "owner", "top")  # fmt: skip

    def __init__(
        self, owner: OpenFrame, number: int, given: Batch, came_from: Sequence[Sources], *, is_apart: bool = False
    ) -> None:
        outer = owner.home
        self.owner, self.number = owner, number
        self.outer: Execution = outer
        self.top: Execution = outer.top if isinstance(outer, Pass) else outer
        self.scope = scope_of(outer.scope, owner.planned.id, number)
        self.run, self.env = outer.run, outer.env
        self.plan: Plan = owner.body
        self.progress = Progress(self.plan, None)
        self.sent_before = {}
        self.known = {}
        self.given, self.came_from = given, came_from
        self.has_broken = self.is_dead = False
        self.is_apart = is_apart
        self.earlier: Mapping[int, Earlier] = {}
        self.began = perf_counter()
        self.frames = {}
        self.forked = self.top.forked
        self.pending = self.top.pending
        self.meter = self.top.meter
        self._scope = None
        self.progress.ready.clear()
        origins = cast(Origins, came_from)
        self.progress.settle(ENTRY, {owner.body_port: Output(given, {owner.in_port: origins})})

    # — what is the run's —

    @property
    def is_ending(self) -> bool:  # type: ignore[override]
        """Whether no further try is to begin here."""
        return self.is_dead or (not self.is_apart and self.outer.is_ending)

    @property
    def has_responded(self) -> bool:
        """Whether the run has answered its caller."""
        return self.top.has_responded

    @has_responded.setter
    def has_responded(self, value: bool) -> None:
        self.top.has_responded = value

    @property
    def folder(self) -> Path:
        """The workflow's own folder."""
        return self.top.folder

    def await_wakes(self) -> Pending:
        """Return the book of what waits in the run."""
        self.pending = self.top.await_wakes()
        return self.pending

    async def answer(self, planned: PlanNode, response: Response, *, is_last: bool = False) -> None:
        """Answer the caller of the webhook; the step of a body is never the last of its run."""
        await self.top.answer(planned, response)

    def record(
        self,
        kind: FactKind,
        planned: PlanNode,
        *,
        attempt: int = 1,
        summary: Mapping[str, Any] | None = None,
        payload: bytes | None = None,
    ) -> None:
        """Write one line of the journal, in this scope."""
        if self.env.journal is None:
            return
        at, seq = self.env.clock.now(), self.top.take_seq()
        fact = make_fact(self.run.id, seq, kind, planned.id, at, attempt, summary or {}, payload, self.scope)
        self.env.journal.append(fact, epoch=self.run.epoch)

    # — what steps see —

    def nodes_scope(self, planned: PlanNode, port_in: str, index: int, batch: Batch | None = None) -> NodesScope:
        """Return what `nodes` means for one item of a step: the body's own nodes, then those around the frame."""
        return NodesScope(self.plan, self.progress, planned, port_in, index, batch, outside=self._outside)

    def _outside(self, view: NodesScope) -> NodesScope:
        around = self.outer.nodes_scope(self.owner.planned, self.owner.in_port, OVER_ALL)
        around.given_places = lambda: self.places_outside(view.places())
        return around

    def places_outside(self, places: Iterator[Place]) -> Iterator[Place]:
        lineage = self.outer.lineage
        for index in self.sources(places):
            if (place := lineage.arrived_from(self.owner.planned, self.owner.in_port, index)) is not None:
                yield place

    def sources(self, places: Iterator[Place]) -> Iterator[int]:
        """Give the indexes, in the batch that arrived at the frame, of the items that these came from; each once."""
        seen: set[int] = set()
        for _, _, at in self.lineage.walk(places, ENTRY):
            found = self.came_from[at]
            for index in (found,) if isinstance(found, int) else found:
                if index >= 0 and index not in seen:
                    seen.add(index)
                    yield index

    def base_scope(self) -> dict[str, Any]:
        """Return the names around the frame, with those of the pass."""
        if self._scope is None:
            around = self.outer.base_scope()
            self._scope = {**around, **self.owner.names(self, around)}
        return self._scope

    # — how it ends —

    def leaving(self) -> Output:
        """Return what came back to the frame, each item with the items of the frame's batch that it was made from."""
        leave = self.plan.nodes[-1]
        port = leave.ins[0][0]
        items = self.progress.gather(leave)[port]
        lineage = self.lineage
        found: list[Sources] = []
        for at in range(len(items)):
            place = lineage.arrived_from(leave, port, at)
            indexes = tuple(self.sources(iter(() if place is None else (place,))))
            found.append(indexes[0] if len(indexes) == 1 else indexes or -1)
        return Output(items, {self.owner.in_port: origins_of(found)})


def scope_of(outer: str, node: NodeId, number: int) -> str:
    """Return the name of a pass's scope."""
    return f"{outer}/{node}:{number}" if outer else f"{node}:{number}"


def origins_of(found: Sequence[Sources]) -> Origins:
    """Return sources in the form that outputs have: plain numbers where no item has several."""
    if all(isinstance(one, int) for one in found):
        return array("i", cast(Sequence[int], found))
    return [(() if one < 0 else (one,)) if isinstance(one, int) else one for one in found]
