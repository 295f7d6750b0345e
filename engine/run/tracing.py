"""
Where a value of a stored run came from: the way back from one item to its sources, through loops, merges, sums and calls.

The scopes of the run are built again from its journal, as a run that goes on would, and nothing in them is begun.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.clock import Clock, SystemClock
from engine.errors import NotFound, TreadleError
from engine.ids import NodeId, RunId
from engine.model.items import Item
from engine.model.run import FactKind, RunStatus
from engine.model.workflow import Node
from engine.protocols import UnitOfWork
from engine.steps.catalog import Catalog

from .calls import MOST, last_counts, number_of_child
from .compiling import compile_plan
from .env import RunEnv
from .execution import CALL, Execution
from .folders import OneFolder
from .frames import reach as _carries_out  # noqa: F401 - the kinds of frames are known once their modules are
from .framing import LEFT
from .lineage import Hop
from .loops import LoopFrame
from .passes import Pass, scope_of
from .payloads import show
from .planner import ENTRY
from .recall import Recall
from .resume import Restored

Place = tuple[str, int, str, int]
"""A scope, the number of a node in it, one of its out-ports, and an index in the batch that left by it."""
_OF_ITEM: Final = re.compile(r"(?<![\w.])item\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?!\w*\()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """
    One item on the way back from a value.

    `run_id` is the run it was in: calls lead into the runs that were called, and out of them to who called. `came_from` are the
    positions, in the same answer, of those it was made from; a source names none. Where a field was asked
    for, `path` is where it stands in this item and `value` what stands there; `how` says `copied` (it stands so in an item
    before), `computed` (by `expression`, where the step wrote it with one), or `source`.
    """

    run_id: RunId
    node: NodeId
    scope: str
    port: str
    index: int
    came_from: tuple[int, ...]
    path: str | None = None
    value: Any = None
    how: str = "source"
    expression: str | None = None


class Traces:
    """Answers where the items of one stored run came from; raises `NotFound` for a run that is not there."""

    def __init__(
        self,
        work: UnitOfWork,
        run_id: RunId,
        catalog: Catalog,
        clock: Clock | None = None,
        known: dict[RunId, Traces] | None = None,
    ) -> None:
        self._work, self._catalog = work, catalog
        self._known: dict[RunId, Traces] = {} if known is None else known
        self._known[run_id] = self
        self._children: dict[str, list[tuple[RunId, NodeId, str, int]]] = {}
        run, facts = work.runs.get(run_id), work.runs.facts(run_id, with_payload=True)
        plan = compile_plan(work.runs.get_document(run_id), catalog)
        env = RunEnv(clock=clock or SystemClock(), http=None, files=None, folders=OneFolder(Path()))  # type: ignore[arg-type]
        self._top = Execution(run, plan, env)
        self._recall = Recall(facts, plan)
        kept = [fact for fact in facts if fact.kind in (FactKind.STEP_SUCCEEDED, FactKind.STEP_SKIPPED) and not fact.scope]
        Restored(kept).bring_to(self._top)

    def back(
        self,
        node: NodeId,
        port: str,
        index: int,
        *,
        scope: str = "",
        path: str = "",
        most: int = 1_000,
        arrived: bool = False,
    ) -> list[Origin]:
        """
        Return the way back from an item, or from the field at `path` in it, to its sources: the item itself first.

        Each item comes once, and at most `most` of them. With `arrived` the item is the one that came to the
        in-port. Raises `NotFound` when there is no such item.
        """
        here = self._top.plan.at(scope)
        if here is None or node not in here.index:
            raise NotFound("step", f"{scope}/{node}" if scope else node)
        start: Place = (scope, here.index[node], port, index)
        if arrived:
            execution = self._scope(scope)
            before = execution.lineage.arrived_from(execution.plan.nodes[start[1]], port, index) if index >= 0 else None
            if before is None:
                raise NotFound("item", f"{node}.{port}[{index}]")
            start = (scope, *before)
        if self._item(start) is None:
            raise NotFound("item", f"{node}.{port}[{index}]")
        found: list[tuple[Spot, str]] = [((self, start), path)]
        position = {found[0]: 0}
        origins: list[Origin] = []
        while len(origins) < len(found):
            (traces, place), asked = found[len(origins)]
            parents = list(traces._before(place))
            how, expression, paths = traces._how(place, asked, parents)
            came_from: list[int] = []
            for parent in parents:
                for further in paths(parent):
                    entry = (parent, further)
                    if entry not in position and len(found) < most:
                        position[entry] = len(found)
                        found.append(entry)
                    if entry in position:
                        came_from.append(position[entry])
            planned = traces._scope(place[0]).plan.nodes[place[1]]
            told = {"path": asked, "value": show(_at(traces._item(place), asked))} if asked else {}
            if not parents:
                how = "source" if how == "copied" else how
            origins.append(
                Origin(
                    run_id=traces._top.run.id,
                    node=planned.id,
                    scope=place[0],
                    port=place[2],
                    index=place[3],
                    came_from=tuple(dict.fromkeys(came_from)),
                    how=how,
                    expression=expression,
                    **told,
                )
            )
        return origins

    # — one step back —

    def _before(self, place: Place) -> list[Spot]:
        """Return what an item was made from, also where that is in another run."""
        if (inside := self._in_child(place)) is not None:
            return [inside]
        parents: list[Spot] = [(self, parent) for parent in self._parents(place)]
        return parents or self._at_caller(place)

    def _in_child(self, place: Place) -> Spot | None:
        """Return where an item that came back from a call left the run that was called; None where none of its runs is kept."""
        scope, number, port, index = place
        planned = self._scope(scope).plan.nodes[number]
        if planned.is_rim or planned.node.use != CALL or port != "out":
            return None
        key = f"{scope}/{planned.id}" if scope else planned.id
        if key not in self._children:
            self._children[key] = list(self._given_back(key))
        for run_id, node, left_by, count in self._children[key]:
            if index < count:
                child = self._traces(run_id)
                return None if child is None else (child, ("", child._top.plan.index[node], left_by, index))
            index -= count
        return None

    def _given_back(self, key: str) -> Iterator[tuple[RunId, NodeId, str, int]]:
        """Give the batches that the runs of a call gave, in the order in which they left the call."""
        for run in self._work.runs.list_children(self._top.run.id, step=key, limit=MOST):
            if run.status is RunStatus.SUCCEEDED:
                facts = self._work.runs.facts(run.id, with_payload=True)
                for node, port, count in last_counts(self._work.runs.get_document(run.id), facts):
                    yield run.id, node, port, count

    def _at_caller(self, place: Place) -> list[Spot]:
        """Return what came to the step that called this run, where an item is what was handed over."""
        run, (scope, number, _, index) = self._top.run, place
        if run.parent_run_id is None or run.parent_step is None or scope:
            return []
        if self._top.plan.nodes[number].id != run.start_node or (caller := self._traces(run.parent_run_id)) is None:
            return []
        outer, _, node = run.parent_step.rpartition("/")
        here = caller._scope(outer)
        planned = here.plan.nodes[here.plan.index[NodeId(node)]]
        if planned.node.fields.get("per") == "item":
            index = number_of_child(run.id)
        arrived = here.lineage.arrived_from(planned, planned.first_in, index)
        return [] if arrived is None else [(caller, (outer, *arrived))]

    def _traces(self, run_id: RunId) -> Traces | None:
        """Return another run of the same family; None where it is gone or cannot be read any more."""
        if run_id not in self._known:
            try:
                return Traces(self._work, run_id, self._catalog, self._top.env.clock, self._known)
            except TreadleError:
                return None
        return self._known[run_id]

    def _parents(self, place: Place) -> Iterator[Place]:
        scope, number, port, index = place
        here = self._scope(scope)
        planned = here.plan.nodes[number]
        if isinstance(here, Pass) and number == ENTRY:
            yield from self._before_pass(here, index)
        elif isinstance(here, Pass) and number == len(here.plan.nodes) - 1:
            arrived = here.lineage.arrived_from(planned, LEFT, index)
            if arrived is not None:
                yield (scope, *arrived)
        elif planned.frame is not None and (inside := self._in_pass(here, number, port, index)) is not None:
            yield inside
        else:
            for parent in here.lineage.parents((number, port, index)):
                yield (scope, *parent)

    def _before_pass(self, one: Pass, index: int) -> Iterator[Place]:
        """Give what an item that a frame gave a pass was made from: the frame's batch, or the pass before."""
        owner = one.owner
        if isinstance(owner, LoopFrame) and owner.course.size is None and one.number:
            before = scope_of(one.outer.scope, owner.planned.id, one.number - 1)
            yield (before, len(one.plan.nodes) - 1, LEFT, index)
            return
        sources = one.came_from[index]
        for source in (sources,) if isinstance(sources, int) else sources:
            arrived = one.outer.lineage.arrived_from(owner.planned, owner.in_port, source) if source >= 0 else None
            if arrived is not None:
                yield (one.outer.scope, *arrived)

    def _in_pass(self, here: Execution, number: int, port: str, index: int) -> Place | None:
        """Return the item that came back from a pass and then left the frame; None where it left otherwise."""
        planned = here.plan.nodes[number]
        outputs = here.progress.outputs[number]
        if port not in ("done", "finally") or outputs is None or planned.frame is None or planned.frame.body is None:
            return None
        counts: list[tuple[int, int]] = []
        for at in range(self._recall.passes_of(here.scope, planned.id)):
            ended = self._recall.ended(scope_of(here.scope, planned.id, at))
            if ended is not None and ended.kind is FactKind.SCOPE_DONE:
                counts.append((at, int((ended.summary.get("ports") or {}).get(LEFT, 0))))
        keep, total = planned.node.fields.get("keep", "all"), len(outputs[port].items)
        kept = counts if keep == "all" else counts[-1:] if keep == "last" else []
        if sum(count for _, count in kept) != total:
            return None
        for at, count in kept:
            if index < count:
                return (scope_of(here.scope, planned.id, at), len(planned.frame.body.nodes) - 1, LEFT, index)
            index -= count
        return None

    # — one field —

    def _how(self, place: Place, path: str, parents: list[Spot]) -> tuple[str, str | None, Any]:
        """Return how a field came to be, by which expression, and what paths to follow in an item before."""
        if not path:
            return ("copied" if parents else "source"), None, lambda _: ("",)
        node = self._scope(place[0]).plan.nodes[place[1]]
        value = _at(self._item(place), path)
        written = None if node.is_rim else _expression(node.node, path)
        if written is None:
            old = _renamed(node.node, path) if not node.is_rim else path
            same = {parent for parent in parents if _at(_item_of(parent), old) == value and _has(_item_of(parent), old)}
            if same:
                return "copied", None, lambda parent: (old,) if parent in same else ()
            return ("computed" if parents else "source"), None, lambda _: ("",)
        asked = tuple(dict.fromkeys(_OF_ITEM.findall(written))) or ("",)
        return "computed", written, lambda parent: tuple(p if _has(_item_of(parent), p) else "" for p in asked)

    # — the run as it was —

    def _scope(self, scope: str) -> Execution:
        return self._recall.scope_at(self._top, scope)

    def _item(self, place: Place) -> Item | None:
        scope, number, port, index = place
        here = self._scope(scope)
        if isinstance(here, Pass) and number == len(here.plan.nodes) - 1:
            items = here.progress.gather(here.plan.nodes[number]).get(port, [])
        else:
            outputs = here.progress.outputs[number]
            output = outputs.get(port) if outputs is not None else None
            items = output.items if output is not None else []
        return items[index] if 0 <= index < len(items) else None


Spot = tuple[Traces, Place]
"""A place in one of several runs."""


def _item_of(spot: Spot) -> Item | None:
    return spot[0]._item(spot[1])


def trace(
    work: UnitOfWork, run_id: RunId, catalog: Catalog, node: NodeId, port: str, index: int, *, most: int = 1_000
) -> tuple[Hop, ...]:
    """
    Return the way back from one item that left a step to its sources: the item itself first, each item once.

    Raises `NotFound` when the step has no such item.
    """
    found = Traces(work, run_id, catalog).back(node, port, index, most=most)
    return tuple(Hop(hop.node, hop.port, hop.index, hop.came_from) for hop in found)


def _expression(node: Node, path: str) -> str | None:
    """Return the expression that a step wrote a field with."""
    for name in ("fields", "values", "by"):
        written = node.fields.get(name)
        if not isinstance(written, Mapping):
            continue
        for key, source in written.items():
            if path == key or path.startswith(f"{key}.") or str(key).startswith(f"{path}."):
                return str(source)
    return None


def _renamed(node: Node, path: str) -> str:
    names = node.fields.get("names")
    if node.use == "data.rename" and isinstance(names, Mapping):
        return next((str(old) for old, new in names.items() if new == path), path)
    return path


def _at(item: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        item = item.get(part) if isinstance(item, Mapping) else None
    return item


def _has(item: Any, path: str) -> bool:
    for part in path.split(".") if path else ():
        if not isinstance(item, Mapping) or part not in item:
            return False
        item = item[part]
    return True
