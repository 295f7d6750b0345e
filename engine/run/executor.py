"""
The loop that carries a run from its first step to its last.

Ready nodes wait in a queue. A plain step (pure, whole batches) is called on the spot: no task, no await. Other steps are
awaited in place while nothing else is ready, and become tasks when branches really go side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

from engine.errors import TreadleError
from engine.ids import NodeId
from engine.model.items import Batch, Output, Outputs
from engine.model.run import FINAL, Run, RunStatus
from engine.model.workflow import DEFAULT_OUT
from engine.steps.contract import StopRun, Wait

from .attempt import Attempt, Earlier, decide_failure, run_step
from .calling import BIG, SLICE, StepCall, read_result
from .env import RunEnv
from .execution import Execution, Written
from .frames import reach
from .framing import catch, die
from .going import Going, Settled
from .logs import NODE, RUN
from .outcomes import Done, Ended, Failed, Outcome, as_treadle_error
from .passes import Pass
from .planner import Plan, PlanNode
from .recall import Recall, end_waits
from .resume import Ending, Restored
from .undoing import bury, recall_undos


async def execute(run: Run, plan: Plan, env: RunEnv, *, items: Batch, restored: Restored | None = None) -> Ending:
    """
    Carry a run to its end, or to where it must wait for a person.

    `items` is the batch of the start node; `restored` what the journal knows of a run that was interrupted. Every step is in
    the journal when this returns (though perhaps not yet on disk); the run's own status is the caller's to record. When it is
    cancelled, the steps that were at work are recorded as cancelled, unless the worker is stopping.
    """
    RUN.set(run.id)
    execution = Execution(run, plan, env, next_seq=restored.next_seq if restored else 0)
    if restored is not None and execution.meter is not None:
        execution.meter.restore(restored.facts)
    recall: Recall | None = None
    going = Going(_settle_outcome)
    if restored is not None:
        ending = restored.bring_to(execution)
        if plan.bodies:
            recall = Recall(restored.facts, plan)
            ending = recall.ending(ending)
            recall_undos(execution, recall)
            execution.has_responded = execution.has_responded or recall.has_responded
        if ending is not None and not (ending.status is RunStatus.FAILED and execution.undos):
            if ending.status in FINAL:
                end_waits(execution, restored, recall)
            return ending
        if ending is not None:
            die(execution, going, partial(_the_same, ending))
    try:
        await _work_off(execution, going, items, restored, recall)
    except BaseException:
        await _abandon(execution, going)
        raise
    finally:
        if execution.pending is not None:
            execution.pending.close()
    ending = going.ending or _rest_of(execution, going)
    if execution.pending is not None and ending.status in FINAL:
        execution.pending.leave_all()
    if execution.response is None:
        return ending
    return Ending(status=ending.status, error=ending.error, response=execution.response)


def _the_same(ending: Ending) -> Ending:
    return ending


def _rest_of(execution: Execution, going: Going) -> Ending:
    """Return how a run stands that has nothing more to do now."""
    is_open = bool(execution.frames or going.failing or going.undoing)
    if execution.env.is_stopping and (execution.progress.ready or is_open):
        return Ending(status=RunStatus.RUNNING)
    if execution.pending is not None and execution.pending.waits:
        return Ending(status=RunStatus.WAITING)
    if is_open:
        raise RuntimeError(f"nothing is at work, and these have not ended: {sorted(execution.frames)}")
    return Ending(status=RunStatus.SUCCEEDED)


async def _work_off(execution: Execution, going: Going, items: Batch, restored: Restored | None, recall: Recall | None) -> None:
    env, scope, scopes = execution.env, execution, going.scopes
    given = _given(execution, items)
    turn = began = perf_counter()
    while True:
        progress, nodes = scope.progress, scope.plan.nodes
        ready, skipped, gather = progress.ready, progress.skipped, progress.gather
        earlier = scope.earlier if isinstance(scope, Pass) else restored.earlier if restored else None
        while ready and going.ending is None and not env.is_stopping:
            index = ready.popleft()
            planned = nodes[index]
            ports = given.pop(index) if given and scope is execution and index in given else gather(planned)
            outcome = _on_the_spot(scope, planned, ports)
            if type(outcome) is dict:
                ending = _settle(scope, planned, ports, outcome, began)
                if ending is not None:
                    going.ending = catch(scope, going, planned, ports, ending)
            elif outcome is not None:
                assert not isinstance(outcome, Mapping)
                going.ending = await _take(scope, going, Settled(planned, ports, outcome, 1, began))
                turn = perf_counter()
            elif planned.frame is not None:
                going.ending = reach(scope, going, planned, ports, recall)
            else:
                step = _step(scope, planned, ports, earlier.get(index) if earlier else None)
                waits = execution.pending is not None and execution.pending.waits
                if ready or scopes or going.tasks or waits:
                    going.tasks[asyncio.create_task(step, name=f"{scope.run.id} {planned.id}")] = (scope, planned)
                else:
                    going.here = (scope, planned)
                    going.ending = await _take(scope, going, await step)
                    going.here = None
                    turn = perf_counter()
            if skipped:
                _tell_skipped(scope)
            began = perf_counter()
            if began - turn > SLICE:
                await scope.let_others()
                turn = began = perf_counter()
        if skipped:
            _tell_skipped(scope)
        if going.failing and going.ending is None and not env.is_stopping:
            bury(going)
        if scopes and going.ending is None and not env.is_stopping:
            scope = scopes.popleft()
            continue
        scope = execution
        if not going.tasks:
            return
        if going.ending is not None and going.ending.status is not RunStatus.RUNNING and not execution.is_ending:
            _end_the_others(execution, going)
        done = await _next_done(execution, going)
        turn = began = perf_counter()
        for task in sorted(done, key=lambda one: going.tasks[one][1].index):
            at, planned = going.tasks.pop(task)
            ending = await _collect(at, going, task, planned)
            going.ending = going.ending or ending
            if at is not execution:
                going.wake(at)


async def _next_done(execution: Execution, going: Going) -> set[asyncio.Task[Settled]]:
    """Wait until a task is done, or until a step that waits was woken: that one is ready then, and the set may be empty."""
    pending = execution.pending
    if pending is None or not pending.waits or going.ending is not None:
        done, _ = await asyncio.wait(going.tasks, return_when=asyncio.FIRST_COMPLETED)
        return done
    bell = asyncio.create_task(pending.bell.wait(), name=f"{execution.run.id} bell")
    try:
        await asyncio.wait((*going.tasks, bell), return_when=asyncio.FIRST_COMPLETED)
    finally:
        bell.cancel()
    if pending.bell.is_set():
        for waiting in await pending.collect():
            home = pending.home(waiting.scope)
            if home is not None:
                home.on_woken(waiting)
                if home is not execution:
                    going.wake(home)
    return {task for task in going.tasks if task.done()}


def _given(execution: Execution, items: Batch) -> dict[int, Mapping[str, Batch]]:
    """Return what the first nodes get: the run's input instead of what edges bring."""
    plan, start = execution.plan, execution.run.start_node
    first = plan.opening(None).ready if start is None else (plan.node(start).index,)
    given: dict[int, Mapping[str, Batch]] = {index: {plan.nodes[index].first_in: items} for index in first}
    forked = execution.forked
    if forked is not None and forked.given is not None and (index := plan.index.get(forked.at or NodeId(""))) is not None:
        given[index] = {plan.nodes[index].first_in: forked.given}
    return given


def _on_the_spot(execution: Execution, planned: PlanNode, ports: Mapping[str, Batch]) -> dict[str, Output] | Outcome | None:
    """
    Settle what needs no waiting: a plain step, a trigger, a node that is switched off.

    Returns what left it by port, or another outcome; None for a step that has to go the long way.
    """
    if planned.is_plain:
        return None if execution.env.proves_batches else _call_plain(execution, planned, ports)
    if planned.node.disabled:
        passed = ports.get(planned.first_in) or next(iter(ports.values()), [])
        return {planned.first_out: Output(passed)} if passed else {}
    if planned.is_trigger:
        return {DEFAULT_OUT: Output(next(iter(ports.values()), []), {})}
    return None


def _call_plain(execution: Execution, planned: PlanNode, ports: Mapping[str, Batch]) -> dict[str, Output] | Outcome | None:
    """Call a plain step; None when its batch is big or it wants to be awaited."""
    size = 0
    for batch in ports.values():
        size += len(batch)
    if size >= BIG:
        return None
    if (bus := execution.env.bus) is not None and bus.is_heard:
        execution.on_started(planned, 1)
    assert planned.call is not None
    NODE.set(planned.id)
    try:
        call = StepCall(ports, lambda: execution.context(planned))
        result = planned.call(call, **execution.plain_fields(planned, ports))
        if type(result) is Output:
            return {DEFAULT_OUT: result}
        if isinstance(result, Awaitable):
            planned.is_plain = False
            _close(result)
            return None
        if isinstance(result, Wait):
            return result
        outputs, response = read_result(result, ports, planned.node.label)
    except StopRun as ended:
        return Ended.by(ended)
    except Exception as error:
        failed = Failed(error=as_treadle_error(error, planned.node.label))
        attempt = Attempt(planned=planned, ports=ports, first_at=execution.run.queued_at, outcome=failed)
        return decide_failure(attempt, execution).outcome
    return dict(outputs) if response is None else Done(outputs=outputs, response=response)


async def _step(execution: Execution, planned: PlanNode, ports: Mapping[str, Batch], earlier: Earlier | None) -> Settled:
    began = perf_counter()
    outcome, attempt = await run_step(planned, ports, execution, earlier)
    return Settled(planned, ports, outcome, attempt, began)


async def _take(execution: Execution, going: Going, settled: Settled) -> Ending | None:
    """Record how a step came out and let the run go on; return the run's ending where this is it."""
    planned, outcome = settled.planned, settled.outcome
    if isinstance(outcome, Done) and outcome.response is not None:
        is_last = not (planned.targets or execution.progress.ready or going.tasks)
        await execution.answer(planned, outcome.response, is_last=is_last)
    written: Written | None = None
    if isinstance(outcome, Done) and sum(len(output.items) for output in outcome.outputs.values()) >= BIG:
        with suppress(TreadleError):  # which the second try, on the loop, raises again where it is dealt with
            written = await execution.write_aside(outcome.outputs)
    ending = _settle_outcome(execution, settled, written)
    return ending if ending is None else catch(execution, going, planned, settled.ports, ending)


def _settle_outcome(execution: Execution, settled: Settled, written: Written | None = None) -> Ending | None:
    planned, outcome, began = settled.planned, settled.outcome, settled.began
    items_in = sum(map(len, settled.ports.values()))
    if isinstance(outcome, Done):
        return _settle(
            execution,
            planned,
            settled.ports,
            outcome.outputs,
            began,
            attempt=settled.attempt,
            ignored=outcome.ignored,
            routed=outcome.routed,
            written=written,
            more=outcome.more,
        )
    if isinstance(outcome, Wait):
        if execution.is_ending:
            execution.on_cancelled(planned)
        else:
            execution.on_waiting(planned, outcome)
        return None
    execution.progress.settled[planned.index] = 1
    took = perf_counter() - began
    if isinstance(outcome, Ended) and outcome.error is not None:
        outcome = Failed(error=outcome.error)
    if isinstance(outcome, Ended):
        execution.on_ended(planned, outcome, items_in=items_in, took=took)
        return Ending.by_step(outcome.status, outcome.message, planned.id)
    assert isinstance(outcome, Failed)
    shown = {**outcome.error.as_dict(), "where": {"node": planned.id, **outcome.error.where}}
    execution.on_failed(planned, shown, items_in=items_in, took=took, attempt=settled.attempt)
    return Ending(status=RunStatus.FAILED, error=shown, is_catchable=not isinstance(outcome.error, StopRun))


def _settle(
    execution: Execution,
    planned: PlanNode,
    ports: Mapping[str, Batch],
    outputs: Outputs,
    began: float,
    *,
    attempt: int = 1,
    ignored: int = 0,
    routed: int = 0,
    written: Written | None = None,
    more: Mapping[str, Any] | None = None,
) -> Ending | None:
    """Record what left a step and let what follows begin; outputs that cannot be written down fail the step."""
    try:
        outputs = execution.on_done(
            planned,
            outputs,
            ports,
            took=perf_counter() - began,
            attempt=attempt,
            ignored=ignored,
            routed=routed,
            written=written,
            more=more,
        )
    except TreadleError as error:
        return _settle_outcome(execution, Settled(planned, ports, Failed(error=error), attempt, began))
    execution.progress.settle(planned.index, outputs)
    return None


def _tell_skipped(execution: Execution) -> None:
    for index in execution.progress.skipped:
        execution.on_skipped(execution.plan.nodes[index])
    execution.progress.skipped.clear()


def _end_the_others(execution: Execution, going: Going) -> None:
    """Stop what else is at work when a run ends early; a change outside that is under way comes to its own end."""
    execution.is_ending = True
    for task, (_, planned) in going.tasks.items():
        if not planned.writes or task in execution.env.pausing:
            task.cancel()


async def _collect(execution: Execution, going: Going, task: asyncio.Task[Settled], planned: PlanNode) -> Ending | None:
    if task.cancelled():
        if execution.env.is_stopping and not execution.is_ending:
            return Ending(status=RunStatus.RUNNING)
        execution.on_cancelled(planned)
        return None
    return await _take(execution, going, task.result())


async def _abandon(execution: Execution, going: Going) -> None:
    """Stop everything that is at work; what had come to its end by then is recorded as such."""
    execution.is_ending = True
    for task in going.tasks:
        task.cancel()
    if going.tasks:
        await asyncio.wait(going.tasks)
    for task, (scope, planned) in going.tasks.items():
        if not task.cancelled() and task.exception() is None:
            _settle_outcome(scope, task.result())
        elif not execution.env.is_stopping:
            scope.on_cancelled(planned)
    if going.here is not None and not execution.env.is_stopping:
        scope, planned = going.here
        scope.on_cancelled(planned)
    if execution.pending is not None and not execution.env.is_stopping:
        execution.pending.leave_all()


def _close(awaitable: Awaitable[Any]) -> None:
    close: Callable[[], None] | None = getattr(awaitable, "close", None)
    if close is not None:
        close()
