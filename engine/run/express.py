"""
The express way: a short run of plain steps, carried from its first step to its last in one go.

Most runs of a busy trigger are a handful of pure steps in a row. Such a run needs no task, no queue of ready nodes, no facts as
objects: its document is compiled into a straight list of calls, each of which leaves one finished line of the journal, and run,
input and lines go to the writer as one record. Nothing of it is on its way to the disk before the last step is done.

That makes giving up free: whenever anything is out of the ordinary (a step fails or wants to wait, a batch is big, a value is
not plain JSON, the time is up) everything is forgotten and the run goes the long way from its beginning. Pure steps may be done
twice. So this module knows no errors, no retries, no lineage beyond “item i from item i”: `engine.run.executor` knows them.

What is here runs once per step of the busiest workflows. Whoever adds to it measures (`make bench ARGS="--only durable"`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from time import perf_counter_ns
from typing import Any, Final

import orjson

from engine.clock import SystemClock
from engine.ids import NodeId, RunId
from engine.model.items import Batch, Output
from engine.model.run import FactKind, Run
from engine.model.workflow import DEFAULT_OUT
from engine.protocols import Line
from engine.steps.contract import Context, Response

from .calling import StepCall, read_result
from .env import RunEnv
from .execution import Execution
from .logs import NODE, RUN
from .payloads import MAGIC, OPTIONS, Reference, encode_outputs, simple_header
from .planner import Plan, PlanNode

MOST_ITEMS: Final = 500
"""Batches of more items go the long way, where others on the event loop get their turn in between."""
MOST_NODES: Final = 200
LONGEST_NS: Final = 2_000_000
KEPT_HEADERS: Final = 1_000

_FLOW: Final = frozenset({"flow.if", "flow.switch", "flow.respond"})
# What it knows; anything else that a document comes to say sends its runs the long way until it is learnt here.
_OF_NODE: Final = frozenset({"id", "use", "title", "fields", "note", "on_error", "on_uncertain", "run_on_empty"})
_OF_SETTINGS: Final = frozenset({"timezone", "on_failure", "search"})
_OF_DOCUMENT: Final = frozenset({"name", "description", "nodes", "edges", "settings", "layout"})
_SUCCEEDED: Final = FactKind.STEP_SUCCEEDED.value
_SKIPPED: Final = FactKind.STEP_SKIPPED.value
_RESPONDED: Final = FactKind.RESPONDED.value


class LongWay(Exception):
    """This run is not as simple as that."""


@dataclass(slots=True)
class Stop:
    """
    One node on the way: where its batch comes from, what it does, and what of its journal line is known beforehand.

    `quick` makes the outgoing batch of the arriving one, item i from item i, or gives None when it cannot say; without it the
    step is called like any other. `came_by` is the place of the node before (None for the first) and its out-port.
    """

    place: int
    node: NodeId
    planned: PlanNode
    came_by: tuple[int, str] | None
    quick: Callable[[Batch], Batch | None] | None
    is_trigger: bool
    needs_items: bool
    is_of_items: bool = False
    begin: str = ""
    end: str = ""
    headers: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def header(self, count: int, length: int) -> bytes:
        """Return what stands before the body of a batch of so many items and bytes."""
        text = f'{self.begin}{count},"b":[{length}]{self.end}'.encode()
        header = b"".join((MAGIC, len(text).to_bytes(4, "little"), text))
        if len(self.headers) >= KEPT_HEADERS:
            self.headers.clear()
        self.headers[count, length] = header
        return header


@dataclass(slots=True)
class Carried:
    """A run that is over: its journal, how many bytes that is, how many steps it had, and the answer to its caller."""

    lines: list[Line]
    size: int
    steps: int
    response: Response | None


@dataclass(slots=True)
class Express:
    """
    The way of all runs of a plan that begin at one node.

    `missed` counts the runs that had to go the long way after all, `took` those that did not: a way that is mostly missed is
    given up.
    """

    plan: Plan
    stops: tuple[Stop, ...]
    skipped: tuple[NodeId, ...]
    timezone: str
    took: int = 0
    missed: int = 0

    @property
    def is_worth_trying(self) -> bool:
        """Whether more than half of the runs get to their end here."""
        return self.missed < 8 or self.missed < self.took

    def carry(self, run: Run, env: RunEnv, items: Batch, body: bytes | None) -> Carried | None:
        """
        Carry a run to its end; None when it has to go the long way, from its beginning and with nothing recorded.

        `body` is the JSON of `items` where it is known.
        """
        try:
            carried = self._carry(run, env, items, body)
        except Exception:  # whatever it is: the long way does it again and says what is wrong with which step
            carried = None
        if carried is None:
            self.missed += 1
        else:
            self.took += 1
        return carried

    def _carry(self, run: Run, env: RunEnv, items: Batch, body: bytes | None) -> Carried | None:
        run_id, dumps = run.id, orjson.dumps
        batches: list[Mapping[str, Output] | Batch | None] = []
        known: dict[int, Reference] = {}
        lines: list[Line] = []
        execution: Execution | None = None
        response: Response | None = None
        seq = size = steps = 0
        # One look at the clock per run: the steps' own moments follow from the counter that their durations need anyway.
        clock = env.clock
        at = round(clock.now().timestamp() * 1_000_000)
        drifts = type(clock) is SystemClock
        begin = before = perf_counter_ns()
        for stop in self.stops:
            source = stop.came_by
            if source is not None:
                found = batches[source[0]]
                if type(found) is list:
                    items = found if source[1] == DEFAULT_OUT else []
                else:
                    output = found.get(source[1]) if found is not None else None  # type: ignore[union-attr]
                    items = [] if output is None else output.items
                if not items and stop.needs_items:
                    lines.append((run_id, seq, _SKIPPED, stop.node, "", 1, at, None, 0, None))
                    seq += 1
                    batches.append(None)
                    continue
            count = len(items)
            if (quick := stop.quick) is not None:
                made = quick(items)
                if made is None:
                    return None
                body = dumps(made, None, OPTIONS)
                batches.append(made)
                key = (count, len(body))
                payload = (stop.headers.get(key) or stop.header(*key)) + body
                ports = f'"{DEFAULT_OUT}":{count}'
                if made:
                    known[id(made)] = (stop.node, DEFAULT_OUT)
            elif stop.is_trigger:
                if body is None:
                    body = dumps(items, None, OPTIONS)
                batches.append(items)
                key = (count, len(body))
                payload = (stop.headers.get(key) or stop.header(*key)) + body
                ports = f'"{DEFAULT_OUT}":{count}'
                if items:
                    known[id(items)] = (stop.node, DEFAULT_OUT)
            else:
                if stop.is_of_items:
                    scope = {"item": items[0] if items else None, "items": items, "index": 0, "$timezone": self.timezone}
                    outputs, answer = _call(stop, run_id, items, stop.planned.fields.render(scope))
                else:
                    if execution is None:
                        execution = self._execution(run, env, batches)
                    ports_in = {stop.planned.first_in: items}
                    outputs, answer = _call(stop, run_id, items, execution.plain_fields(stop.planned, ports_in))
                if answer is not None and response is None:
                    response = answer  # its line stands before the step's own, as on the long way
                    summary = f'{{"status":{answer.status}}}'
                    lines.append((run_id, seq, _RESPONDED, stop.node, "", 1, at, summary, 0, None))
                    seq += 1
                payload, outputs = encode_outputs(outputs, known)
                batches.append(outputs)
                counts = {}
                for port, output in outputs.items():
                    if output.items:
                        known.setdefault(id(output.items), (stop.node, port))
                    counts[port] = len(output.items)
                ports = dumps(counts).decode()[1:-1]
                if max(counts.values(), default=0) > MOST_ITEMS:
                    return None
            if execution is not None:
                execution.progress.outputs[stop.planned.index] = _as_outputs(batches[-1], is_first=stop.is_trigger)
            now = perf_counter_ns()
            took = (now - before) // 1000
            before = now
            summary = f'{{"ports":{{{ports}}},"in":{count},"ms":{took / 1000}}}'
            moment = at + (now - begin) // 1000 if drifts else at
            lines.append((run_id, seq, _SUCCEEDED, stop.node, "", 1, moment, summary, 0, payload))
            seq += 1
            steps += 1
            size += len(payload)
            if not steps & 7 and now - begin > LONGEST_NS:
                return None
            body = None
            if steps == 1:
                for node in self.skipped:
                    lines.append((run_id, seq, _SKIPPED, node, "", 1, at, None, 0, None))
                    seq += 1
        return Carried(lines, size, steps, response)

    def _execution(self, run: Run, env: RunEnv, batches: list[Any]) -> Execution:
        """Return what steps that are called like any other lean on, with what left the nodes so far."""
        execution = Execution(run, self.plan, env)
        for stop, batch in zip(self.stops, batches, strict=False):
            execution.progress.outputs[stop.planned.index] = _as_outputs(batch, is_first=stop.is_trigger)
        return execution


def _as_outputs(batch: Any, *, is_first: bool) -> Mapping[str, Output] | None:
    if type(batch) is not list:
        return batch  # type: ignore[no-any-return]
    return {DEFAULT_OUT: Output(batch, {}) if is_first else Output(batch)}


def _no_context() -> Context:
    raise LongWay


def _call(stop: Stop, run_id: RunId, items: Batch, fields: Mapping[str, Any]) -> tuple[Mapping[str, Output], Response | None]:
    planned = stop.planned
    ports = {planned.first_in: items}
    assert planned.call is not None
    run, node = RUN.set(run_id), NODE.set(stop.node)
    try:
        result = planned.call(StepCall(ports, _no_context), **fields)
        if type(result) is Output:
            return {DEFAULT_OUT: result}, None
        return read_result(result, ports, planned.node.label)
    finally:
        NODE.reset(node)
        RUN.reset(run)


def _is_usual(thing: Any, known: frozenset[str]) -> bool:
    """Whether everything about a node, a document or its settings that the express way does not know is left as it was."""
    for one in fields(thing):
        if one.name not in known:
            usual = (
                one.default if one.default is not MISSING else one.default_factory() if callable(one.default_factory) else None
            )
            if getattr(thing, one.name) != usual:
                return False
    return True


def find_express(plan: Plan, start: NodeId | None) -> Express | None:
    """Return the express way of a plan from one start, None when its nodes or settings ask for more than it can do."""
    if start not in plan.express:
        plan.express[start] = _compile(plan, start)
    way: Express | None = plan.express[start]
    return way


def _compile(plan: Plan, start: NodeId | None) -> Express | None:
    document = plan.document
    if start is None or not _is_usual(document, _OF_DOCUMENT) or not _is_usual(document.settings, _OF_SETTINGS):
        return None
    opening = plan.opening(start)
    first = plan.node(start)
    if opening.ready != (first.index,):
        return None
    stops: list[Stop] = []
    todo: list[tuple[PlanNode, tuple[int, str] | None]] = [(first, None)]
    for planned, came_by in todo:
        stop = _stop(planned, came_by, len(stops), document.settings.timezone)
        if stop is None or len(todo) > MOST_NODES:
            return None
        stops.append(stop)
        todo.extend((plan.nodes[target], (stop.place, port)) for port, target in planned.targets)
    return Express(plan, tuple(stops), tuple(plan.nodes[index].id for index in opening.skipped), document.settings.timezone)


def _stop(planned: PlanNode, came_by: tuple[int, str] | None, place: int, timezone: str) -> Stop | None:
    spec, node = planned.spec, planned.node
    if spec is None or planned.frame is not None or planned.is_rim or not _is_usual(node, _OF_NODE):
        return None
    is_trigger = planned.is_trigger and came_by is None
    if not is_trigger:
        is_known = spec.name.startswith("data.") or spec.name in _FLOW
        if not planned.is_plain or not is_known or (came_by is not None and planned.single is None):
            return None
    quick = None
    if spec.quick is not None and not is_trigger:
        try:
            quick = spec.quick(planned.fields.render({"$timezone": timezone})) if planned.fields.is_of_item_alone else None
        except Exception:  # the step itself says what is wrong with its fields, each time it is called
            return None
    begin, end = simple_header(DEFAULT_OUT, None if is_trigger else planned.first_in)
    return Stop(
        place=place,
        node=planned.id,
        planned=planned,
        came_by=came_by,
        quick=quick,
        is_trigger=is_trigger,
        needs_items=not node.run_on_empty,
        is_of_items=not is_trigger and quick is None and planned.fields.is_of_items(),
        begin=begin,
        end=end,
    )
