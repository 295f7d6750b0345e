"""
Calling an action: on a whole batch, or once per item.

Plain functions are called as such, in a thread when the batch is big or a time-out is to be kept; what they return is awaited
only if it can be. A time-out holds for one call: for the batch, or for each item.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from inspect import isawaitable, iscoroutinefunction, unwrap
from time import perf_counter
from typing import Any, Final

from engine.errors import TimedOut, TreadleError
from engine.model.items import Batch
from engine.steps.contract import BatchCall, Context, Respond, Response, StopRun, Wait

from .execution import Execution
from .ledger import Ledger
from .logs import StepLog
from .outcomes import as_treadle_error, outputs_of, ports_of_item
from .planner import PlanNode
from .rates import PATIENCE

BIG: Final = 10_000
"""From how many items on a plain function is called in a thread."""
SLICE: Final = 0.005
"""How many seconds plain work may hold the event loop before others get their turn."""


_set_ports: Final[Callable[[BatchCall, Mapping[str, Batch]], None]] = BatchCall.__dict__["ports"].__set__


class StepCall(BatchCall):
    """A `BatchCall` that makes its context only when the action asks for it; most pure steps never do."""

    __slots__ = ("_context", "_make")
    _make: Callable[[], Context]

    def __init__(self, ports: Mapping[str, Batch], make: Callable[[], Context]) -> None:
        # The slots' own setters, because a frozen dataclass pays dearly for each `object.__setattr__`.
        _set_ports(self, ports)
        _set_make(self, make)

    @property
    def ctx(self) -> Context:
        """The context."""
        context: Context | None = getattr(self, "_context", None)
        if context is None:
            context = self._make()
            object.__setattr__(self, "_context", context)
        return context


_set_make: Final[Callable[[StepCall, Callable[[], Context]], None]] = StepCall.__dict__["_make"].__set__


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """What a call is made of: the node, what arrived, which try it is."""

    planned: PlanNode
    ports: Mapping[str, Batch]
    attempt: int = 1
    connection: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """The node's title."""
        return self.planned.node.label

    @property
    def timeout(self) -> timedelta | None:
        """How long one call may take."""
        spec = self.planned.spec
        return self.planned.node.timeout or (spec.timeout if spec else None)

    @property
    def port_in(self) -> str:
        """The in-port whose items `item` and `index` mean."""
        return self.planned.first_in

    @property
    def batch(self) -> Batch:
        """The items at that port."""
        return self.ports.get(self.port_in) or []


async def call_batch(calling: Calling, execution: Execution) -> tuple[Any, Response | None]:
    """
    Call a batch action and return its outputs, or the `Wait` it asks for, with the answer for the caller where there is one.

    Raises what the action raises, as a `TreadleError`; `ItemFailures` and `StopRun` come through as they are.
    """
    planned = calling.planned
    fields = execution.plain_fields(planned, calling.ports)
    make = partial(execution.context, planned, attempt=calling.attempt, connection=calling.connection)
    assert planned.call is not None
    call = partial(planned.call, StepCall(calling.ports, make), **fields)
    size = sum(len(batch) for batch in calling.ports.values())
    result = await _call(call, planned, calling.timeout, is_big=size >= BIG)
    return read_result(result, calling.ports, calling.label)


def read_result(result: Any, ports: Mapping[str, Batch], label: str) -> tuple[Any, Response | None]:
    """Return the outputs by port (or the `Wait`) that a batch action handed back, and the answer for the caller, if any."""
    if isinstance(result, Respond):
        return outputs_of(result.outputs, ports, label), result.response
    if isinstance(result, Wait):
        return result, None
    return outputs_of(result, ports, label), None


@dataclass(slots=True, kw_only=True)
class Calls:
    """
    What became of the items of an each-action so far: what they gave, or why they failed; and the answer for the caller.

    `skipped` are those that nobody wants done: uncertain ones that were left out.
    """

    done: dict[int, Mapping[str, Batch]]
    failed: dict[int, TreadleError]
    skipped: frozenset[int] = frozenset()
    response: Response | None = None

    def is_settled(self, index: int) -> bool:
        """Whether there is nothing to do for this item any more."""
        return index in self.done or index in self.failed or index in self.skipped


async def call_each(calling: Calling, execution: Execution, calls: Calls, ledger: Ledger, *, stops_at_failure: bool) -> None:
    """
    Call an action for every item that is not settled yet, as many at a time as its `concurrency` field says.

    `calls` is filled in as items settle, so that what is done stays done when this is cancelled; `ledger` keeps the journal's
    account of it. With `stops_at_failure` no further item is begun once one failed in a way that trying again cannot help.
    Raises `StopRun` when an item ends the run.
    """
    try:
        await _call_items(calling, execution, calls, ledger, stops_at_failure)
    finally:
        ledger.close()


async def _call_items(calling: Calling, execution: Execution, calls: Calls, ledger: Ledger, stops_at_failure: bool) -> None:
    batch = calling.batch
    pending = iter([index for index in range(len(batch)) if not calls.is_settled(index)])
    first = next(pending, None)
    if first is None:
        return
    one = _OneItem(calling, execution, calls, ledger)
    concurrency = min(await one.run(first), len(batch))
    if stops_at_failure and one.is_hopeless:
        return

    async def work_off() -> None:
        for index in pending:
            await one.run(index)
            if stops_at_failure and one.is_hopeless:
                return

    if concurrency <= 1:
        await work_off()
        return
    ledger.is_shared = True
    ended: StopRun | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(concurrency):
                group.create_task(work_off(), name=f"{calling.planned.id} {number}")
    except* StopRun as stops:
        ended = _first(stops)
    if ended is not None:  # outside of except*, which would wrap it into a group again
        raise ended
    if ledger.is_stopped:  # which a group takes for the end of one task, not of the step
        raise asyncio.CancelledError("no further item is begun")


class _OneItem:
    """Calls the action for one item after the other and keeps what comes of it."""

    def __init__(self, calling: Calling, execution: Execution, calls: Calls, ledger: Ledger) -> None:
        self.calling = calling
        self.execution = execution
        self.calls = calls
        self.ledger = ledger
        self.is_hopeless = False
        self._log: StepLog = execution.step_log(calling.planned, calling.attempt)
        self._fields: dict[str, Any] | None = None
        self._turn = perf_counter()

    async def run(self, index: int) -> int:
        """Settle one item; return how many may be under way at a time."""
        calling, calls, concurrency = self.calling, self.calls, 1
        try:
            fields = self._render(index)
            wanted = fields.get("concurrency")
            concurrency = wanted if isinstance(wanted, int) and wanted > 0 else 1
            ctx = self.execution.context(
                calling.planned, attempt=calling.attempt, index=index, connection=calling.connection, log=self._log
            )
            assert calling.planned.call is not None
            call = partial(calling.planned.call, ctx, **fields)
            await self.ledger.begin(index)
            result = await _call(call, calling.planned, calling.timeout)
            if isinstance(result, Respond):
                calls.response, result = result.response, result.outputs
            calls.done[index] = ports_of_item(result, calling.label)
        except StopRun:
            raise
        except Exception as error:
            found = as_treadle_error(error, calling.label)
            self.is_hopeless = self.is_hopeless or not found.retryable
            calls.failed[index] = found
        self.ledger.settle(index)
        if perf_counter() - self._turn > SLICE:
            await asyncio.sleep(0)
            self._turn = perf_counter()
        return concurrency

    def _render(self, index: int) -> dict[str, Any]:
        planned, calling = self.calling.planned, self.calling
        if self._fields is not None:
            return dict(self._fields)
        scope = self.execution.item_scope(planned, calling.batch, calling.port_in, index)
        fields = planned.fields.render(scope, at=self.execution.nodes_at(planned, calling.ports))
        if not planned.fields.varies:
            self._fields = fields
        return fields


async def _call(call: Callable[[], Any], planned: PlanNode, longest: timedelta | None, *, is_big: bool = False) -> Any:
    if not is_async(planned.call) and (is_big or longest is not None):
        work: Any = asyncio.to_thread(call)
    else:
        work = call()
        if not isawaitable(work):
            return work
    if longest is None:
        return await work
    try:
        async with asyncio.timeout(longest.total_seconds()) as limit:
            PATIENCE.set(limit)
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimedOut(
            f"“{planned.node.label}” took longer than {longest.total_seconds():g} s.",
            hint="Give it more time under “Timeout”, or let it try again under “Retry”.",
        ) from error


def is_async(function: Callable[..., Any] | None) -> bool:
    """Tell whether a function is a coroutine function, beneath whatever it was wrapped in."""
    return function is not None and iscoroutinefunction(unwrap(function))


def _first(group: BaseExceptionGroup[StopRun]) -> StopRun:
    found = next(leaf for leaf in _leaves(group) if isinstance(leaf, StopRun))
    return found.with_traceback(None)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
