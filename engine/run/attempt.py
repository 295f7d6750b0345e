"""
One step from its first try to a settled outcome.

A try is a pipeline of stages; each takes the `Attempt` and returns a fuller copy, and one that meets a settled outcome lets it
pass. A step with effects is journalled before it calls out and again when it settles, so a crash in between can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from engine.errors import BadInput, NotFound, TreadleError
from engine.model.items import Batch, Outputs
from engine.model.run import FactKind
from engine.steps.contract import ItemFailures, StopRun, Wait

from .calling import Calling, Calls, call_batch, call_each
from .dry import describe_step
from .execution import CALL, Execution
from .ledger import Ledger
from .logs import NODE
from .outcomes import Again, Done, Ended, Failed, Outcome, as_treadle_error, join_items, outputs_of, with_errors
from .planner import PlanNode
from .proof import Proof
from .retry import next_try

_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One try at one step.

    `done` and `failed` are the items of an each-action that are settled, `skipped` those that are left out. `first_at` is when
    the first try began. `told` is the item whose intent stands with the beginning of this try.
    """

    planned: PlanNode
    ports: Mapping[str, Batch]
    first_at: datetime
    number: int = 1
    done: Mapping[int, Mapping[str, Batch]] = field(default_factory=dict)
    failed: Mapping[int, TreadleError] = field(default_factory=dict)
    skipped: frozenset[int] = frozenset()
    told: int | None = None
    calling: Calling | None = None
    ledger: Ledger | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """
    What the journal of a resumed run knows about a step that had not settled.

    The number of the next try and when it is due, and by item what is done, failed for good, or left out.
    """

    number: int = 1
    first_at: datetime | None = None
    due_at: datetime | None = None
    done: Mapping[int, Mapping[str, Batch]] = field(default_factory=dict)
    failed: Mapping[int, TreadleError] = field(default_factory=dict)
    skipped: frozenset[int] = frozenset()


async def run_step(
    planned: PlanNode, ports: Mapping[str, Batch], execution: Execution, earlier: Earlier | None = None
) -> tuple[Outcome, int]:
    """Try a step until it settles, pausing between tries; return the outcome and the number of the last try."""
    earlier = earlier or Earlier()
    node = NODE.set(planned.id)
    try:
        if earlier.due_at is not None:
            await execution.pause_until(earlier.due_at)
        attempt = Attempt(
            planned=planned,
            ports=ports,
            number=earlier.number,
            first_at=earlier.first_at or execution.env.clock.now(),
            done=earlier.done,
            failed=earlier.failed,
            skipped=earlier.skipped,
        )
        while True:
            attempt = await attempt_step(attempt, execution)
            assert attempt.outcome is not None
            if not isinstance(attempt.outcome, Again):
                return attempt.outcome, attempt.number
            if execution.is_ending:
                return Failed(error=attempt.outcome.error), attempt.number
            await execution.pause_until(attempt.outcome.at)
            attempt = replace(attempt, number=attempt.number + 1, calling=None, ledger=None, outcome=None)
    finally:
        NODE.reset(node)


async def attempt_step(attempt: Attempt, execution: Execution) -> Attempt:
    """Carry one try at one step from start to an outcome."""
    if execution.is_dry and (attempt.planned.writes or attempt.planned.node.use == CALL):
        return replace(attempt, outcome=describe_step(attempt.planned, attempt.ports, execution))
    attempt = record_start(attempt, execution)
    attempt = resolve_action(attempt, execution)
    attempt = await unlock_connection(attempt, execution)
    attempt = await hold_for_disk(attempt, execution)
    attempt = await call_action(attempt, execution)
    attempt = decide_retry(attempt, execution)
    attempt = decide_failure(attempt, execution)
    return record_pause(attempt, execution)


def record_start(attempt: Attempt, execution: Execution) -> Attempt:
    """
    Write down that an effect is about to be tried: the intent.

    Where the ledger counts by item (`begun`), it is that of the first item; else of all that arrived.
    """
    planned = attempt.planned
    execution.on_started(planned, attempt.number)
    if not planned.has_effect:
        return attempt
    summary: dict[str, Any] = {"in": sum(len(batch) for batch in attempt.ports.values())}
    if planned.counts_items:
        attempt = replace(attempt, told=_first_open(attempt))
        summary["begun"] = [] if attempt.told is None else [attempt.told]
    execution.record(FactKind.STEP_STARTED, planned, attempt=attempt.number, summary=summary)
    return attempt


def _first_open(attempt: Attempt) -> int | None:
    items = range(len(attempt.ports.get(attempt.planned.first_in) or ()))
    settled = (attempt.done, attempt.failed, attempt.skipped)
    return next((index for index in items if not any(index in known for known in settled)), None)


def resolve_action(attempt: Attempt, execution: Execution) -> Attempt:
    """Find the function that does the work."""
    planned = attempt.planned
    if planned.spec is None:
        return replace(
            attempt,
            outcome=Failed(
                error=NotFound("step", planned.node.use, hint="Install the connector it belongs to, or replace the step.")
            ),
        )
    if planned.call is None:
        error = BadInput("use", f"“{planned.node.use}” starts a workflow and cannot be a step in the middle of it.")
        return replace(attempt, outcome=Failed(error=error))
    return replace(attempt, calling=Calling(planned=planned, ports=attempt.ports, attempt=attempt.number))


async def unlock_connection(attempt: Attempt, execution: Execution) -> Attempt:
    """Open the connection that the node names."""
    name = attempt.planned.node.connection
    if attempt.outcome is not None or name is None or attempt.calling is None:
        return attempt
    if execution.env.unlock is None:
        error = BadInput("connection", f"The connection “{name}” cannot be opened here.", hint="Run it in the studio.")
        return replace(attempt, outcome=Failed(error=error))
    try:
        connection = await execution.env.unlock(execution.run.workflow_id, name)
    except TreadleError as error:
        return replace(attempt, outcome=Failed(error=error))
    return replace(attempt, calling=replace(attempt.calling, connection=connection))


async def hold_for_disk(attempt: Attempt, execution: Execution) -> Attempt:
    """Wait before an effect until all that led to it, and the intent, are on disk."""
    if attempt.outcome is None and attempt.planned.has_effect:
        await execution.reach_disk()
    return attempt


async def call_action(attempt: Attempt, execution: Execution) -> Attempt:
    """Call the action on the batch, or on each item that is not done yet."""
    calling = attempt.calling
    if attempt.outcome is not None or calling is None:
        return attempt
    proof = Proof.of(calling.ports) if execution.env.proves_batches else None
    try:
        if calling.planned.spec is not None and calling.planned.spec.mode == "each":
            calls = Calls(done=dict(attempt.done), failed=dict(attempt.failed), skipped=attempt.skipped)
            ledger = Ledger(calling, execution, calls, told=attempt.told)
            attempt = replace(attempt, ledger=ledger)
            stops = calling.planned.node.on_error == "stop"
            await call_each(calling, execution, calls, ledger, stops_at_failure=stops)
            attempt = _after_items(attempt, calls)
        else:
            outputs, response = await call_batch(calling, execution)
            done = outputs if isinstance(outputs, Wait) else Done(outputs=outputs, response=response)
            attempt = replace(attempt, outcome=done)
    except StopRun as ended:
        return replace(attempt, outcome=Ended.by(ended))
    except Exception as error:
        return replace(attempt, outcome=Failed(error=as_treadle_error(error, calling.label)))
    if proof is not None and (changed := proof.broken_by(calling.ports, calling.label)):
        return replace(attempt, outcome=Failed(error=changed))
    return attempt


def _after_items(attempt: Attempt, calls: Calls) -> Attempt:
    attempt = replace(attempt, done=calls.done, failed=calls.failed)
    if calls.failed:
        return replace(attempt, outcome=Failed(error=_worst(calls.failed)))
    return replace(attempt, outcome=Done(outputs=_joined(attempt), response=calls.response, ignored=len(calls.skipped)))


def _worst(failed: Mapping[int, TreadleError]) -> TreadleError:
    """Return the first failure, with the item it belongs to in `where`."""
    index = min(failed)
    error = failed[index]
    error.where = {**error.where, "item": index}
    return error


def decide_retry(attempt: Attempt, execution: Execution) -> Attempt:
    """Turn a failure into another try, where the node wants one and it can help."""
    if not isinstance(attempt.outcome, Failed):
        return attempt
    node = attempt.planned.node
    failures = list(attempt.failed.values()) or [attempt.outcome.error]
    hopeful = [error for error in failures if error.retryable]
    if not hopeful or (node.on_error == "stop" and len(hopeful) < len(failures)):
        return attempt
    error = max(hopeful, key=lambda one: getattr(one, "retry_after", None) or _NO_TIME)
    at = next_try(
        node.retry,
        error,
        attempt=attempt.number,
        first_at=attempt.first_at,
        now=execution.env.clock.now(),
        chance=execution.env.chance,
    )
    if at is None:
        return attempt
    kept = {index: failure for index, failure in attempt.failed.items() if not failure.retryable}
    return replace(attempt, failed=kept, outcome=Again(error=error, at=at, done=attempt.done))


def decide_failure(attempt: Attempt, execution: Execution) -> Attempt:
    """Let a failure pass by the node's `on_error`: stop, leave by the `error` port, or be dropped and counted."""
    if not isinstance(attempt.outcome, Failed):
        return attempt
    error, on_error = attempt.outcome.error, attempt.planned.node.on_error
    if on_error == "stop":
        if isinstance(error, ItemFailures):
            return replace(attempt, outcome=Failed(error=_worst(error.failed)))
        return attempt
    calling = attempt.calling
    if calling is None:
        calling = Calling(planned=attempt.planned, ports=attempt.ports)
    failed: Mapping[int, TreadleError]
    if attempt.failed:
        failed, outputs = attempt.failed, _joined(attempt)
    elif isinstance(error, ItemFailures):
        failed, outputs = error.failed, outputs_of(error.outputs, calling.ports, calling.label)
    else:
        failed, outputs = dict.fromkeys(range(len(calling.batch)), error), {}
    if on_error == "route":
        routed = with_errors(outputs, calling.batch, failed, calling.port_in)
        return replace(attempt, outcome=Done(outputs=routed, routed=len(failed), ignored=len(attempt.skipped)))
    return replace(attempt, outcome=Done(outputs=outputs, ignored=len(failed) + len(attempt.skipped)))


def record_pause(attempt: Attempt, execution: Execution) -> Attempt:
    """Write down when the next try is due, and what came of the items so far, so that both survive a restart."""
    if isinstance(attempt.outcome, Again):
        if attempt.ledger is not None:
            attempt.ledger.write_receipts()
        execution.on_again(attempt.planned, attempt.outcome, attempt=attempt.number)
    return attempt


def _joined(attempt: Attempt) -> Outputs:
    assert attempt.planned.spec is not None
    ports = [port.name for port in attempt.planned.spec.outs(attempt.planned.node.fields)]
    return join_items(attempt.done, ports, attempt.planned.first_in)
