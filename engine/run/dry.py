"""A dry run: changes outside are described and not made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import TreadleError
from engine.model.items import Batch, Item, Output

from .execution import CALL, Execution
from .outcomes import Done, Failed, Outcome
from .payloads import show
from .planner import PlanNode

WOULD = "would"
"""The field of an item that says what would have been done."""


def describe_step(planned: PlanNode, ports: Mapping[str, Batch], execution: Execution) -> Outcome:
    """
    Return what the step would do, item by item, as its outcome.

    What leaves is the step's own sample with `would: {step, effect, fields}` beside it, so that what follows has something to
    work on. A field that cannot be rendered fails the step, as it would have.
    """
    spec = planned.spec
    assert spec is not None
    batch = ports.get(planned.first_in) or []
    effect = spec.effect_of(planned.node.fields)
    try:
        if spec.mode == "each":
            all_fields = [_fields_of_item(planned, ports, execution, index) for index in range(len(batch))]
            origins: Any = range(len(batch))
        else:
            all_fields = [execution.plain_fields(planned, ports)]
            origins = [list(range(len(batch)))]
    except TreadleError as error:
        return Failed(error=error)
    if planned.node.use == CALL:
        return _call_described(planned, batch, all_fields[0])
    items = [_described(planned.node.use, effect, fields, spec.sample) for fields in all_fields]
    return Done(outputs={planned.first_out: Output(items, {planned.first_in: origins})})


def _call_described(planned: PlanNode, batch: Batch, fields: Mapping[str, Any]) -> Outcome:
    """Return what was handed over, each item with the call: what the other workflow changes outside is not known here."""
    items = [_described(CALL, "write", fields, item) for item in batch]
    return Done(outputs={planned.first_out: Output(items, {planned.first_in: range(len(items))})})


def _fields_of_item(planned: PlanNode, ports: Mapping[str, Batch], execution: Execution, index: int) -> dict[str, Any]:
    scope = execution.item_scope(planned, ports[planned.first_in], planned.first_in, index)
    return planned.fields.render(scope, at=execution.nodes_at(planned, ports))


def _described(use: str, effect: str, fields: Mapping[str, Any], sample: Any) -> Item:
    given = {name: _plain(value) for name, value in fields.items() if value is not None}
    return {**(sample if isinstance(sample, dict) else {}), WOULD: {"step": use, "effect": effect, "fields": given}}


def _plain(value: Any) -> Any:
    source = getattr(value, "source", None)
    return source if isinstance(source, str) else show(value)
