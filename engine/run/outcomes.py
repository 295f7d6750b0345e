"""How a try at a step can end, and what becomes of items that failed."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.errors import StepCrashed, TreadleError
from engine.model.items import SAME, Batch, Item, Origins, Output, Outputs
from engine.model.workflow import DEFAULT_OUT, ERROR_PORT
from engine.steps.contract import Multi, Response, StopRun, Wait

from .payloads import Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    The step got its work done.

    `ignored` counts items that failed and were dropped, `routed` those that left by `error`; `more` is for the journal.
    """

    outputs: Outputs
    ignored: int = 0
    routed: int = 0
    response: Response | None = None
    more: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The step did not get its work done, and trying again is not wanted or cannot help."""

    error: TreadleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The try failed and another one follows at `at`; `done` holds the items that need no second try."""

    error: TreadleError
    at: datetime
    done: Mapping[int, Mapping[str, Batch]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The step asked to end the run here, as `succeeded` or `failed`; `error` is there when it was not the step's own wish."""

    status: str
    message: str
    error: TreadleError | None = None

    @classmethod
    def by(cls, stop: StopRun) -> Ended:
        """Return the outcome that was raised."""
        return cls(status=stop.status, message=stop.message, error=None if type(stop) is StopRun else stop)


Outcome = Done | Failed | Again | Ended | Wait
"""`Wait` is what the action itself hands back: the step goes on when it is woken."""


def as_treadle_error(error: Exception, label: str) -> TreadleError:
    """Return the error itself where it was foreseen, else a `StepCrashed` that says what went wrong in which step."""
    if isinstance(error, TreadleError):
        return error
    text = str(error).strip()
    crashed = StepCrashed(
        f"“{label}” broke: {type(error).__name__}{f': {text}' if text else ''}.",
        hint="This is a bug in the step, not in your workflow; its log has the details.",
    )
    crashed.__cause__ = error
    return crashed


def error_item(item: Item, error: TreadleError) -> Item:
    """Return what leaves by the `error` port: the item that failed, with `error: {code, message, hint, where}`."""
    return {**item, ERROR_PORT: error.as_dict()}


def with_errors(outputs: Outputs, batch: Batch, failed: Mapping[int, TreadleError], port: str) -> Outputs:
    """Return the outputs with the failed items of `batch` at the `error` port; `port` is the in-port they had come by."""
    indexes = array("i", sorted(failed))
    items = [error_item(batch[index], failed[index]) for index in indexes]
    return {**outputs, ERROR_PORT: Output(items, {port: indexes})}


def outputs_of(result: Any, ports: Mapping[str, Batch], label: str) -> Outputs:
    """
    Read what a batch action returned: outputs by port, one output, or a list of items for port `out`.

    Raises `StepCrashed` for anything else.
    """
    if isinstance(result, Output):
        return {DEFAULT_OUT: result}
    if isinstance(result, list):
        check_items(result, label)
        for port, batch in ports.items():
            if result is batch:
                return {DEFAULT_OUT: Output(result, {port: SAME})}
        return {DEFAULT_OUT: Output(result, {port: Whole(len(batch), len(result)) for port, batch in ports.items() if batch})}
    if isinstance(result, Mapping) and all(isinstance(output, Output) for output in result.values()):
        return result
    raise _wrong_result(result, label, "outputs by port, one Output, or a list of items")


def ports_of_item(result: Any, label: str) -> Mapping[str, Batch]:
    """Read what an each-action returned for one item: an item, a list of items, or `Multi` by port."""
    if isinstance(result, dict):
        return {DEFAULT_OUT: [result]}
    if isinstance(result, list):
        check_items(result, label)
        return {DEFAULT_OUT: result}
    if isinstance(result, Multi):
        found = {port: list(items) for port, items in result.ports.items()}
        for items in found.values():
            check_items(items, label)
        return found
    if result is None:
        return {DEFAULT_OUT: []}
    raise _wrong_result(result, label, "an item, a list of items, or Multi")


def join_items(done: Mapping[int, Mapping[str, Batch]], ports: Sequence[str], port_in: str) -> Outputs:
    """
    Put together what became of each item, in the order of the items; `ports` are named even when nothing left by them.

    The lineage is SAME where every item gave one, else one index per item.
    """
    names = dict.fromkeys([*ports, *(port for parts in done.values() for port in parts)])
    outputs: dict[str, Output] = {}
    for name in names:
        items: Batch = []
        came_from = array("i")
        for index in sorted(done):
            if found := done[index].get(name):
                items += found
                came_from.extend([index] * len(found) if len(found) > 1 else (index,))
        is_same = len(came_from) == len(done) and all(at == index for at, index in enumerate(came_from))
        origin: Origins = SAME if is_same else came_from
        outputs[name] = Output(items, {port_in: origin})
    return outputs


def check_items(items: Sequence[Any], label: str) -> None:
    """Raise `StepCrashed` unless every one of these is a JSON object."""
    for item in items:
        if type(item) is not dict and not isinstance(item, dict):
            raise _wrong_result(item, label, "items, which are JSON objects")


def _wrong_result(result: Any, label: str, wanted: str) -> StepCrashed:
    return StepCrashed(
        f"“{label}” handed back a value of the type {type(result).__name__}; it must be {wanted}.",
        hint="This is a bug in the step.",
    )
