"""How things look in the API: plain JSON made of the model's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.model.durations import format_duration
from engine.model.run import Run, Step
from engine.model.workflow import Version, Workflow
from engine.protocols import WorkflowRow
from engine.run.payloads import show
from engine.service.receipts import Receipt
from engine.service.views import finished_form
from engine.steps.spec import FieldSpec, PortSpec, StepSpec


def moment(value: datetime | None) -> str | None:
    """Return a moment in UTC with a `Z`, as RFC 3339 writes it."""
    return value.isoformat().replace("+00:00", "Z") if value else None


def workflow_form(workflow: Workflow) -> dict[str, Any]:
    """Return a workflow without its document."""
    return {
        "id": workflow.id,
        "name": workflow.name,
        "revision": workflow.revision,
        "is_active": workflow.active_version is not None,
        "active_version": workflow.active_version,
        "created_at": moment(workflow.created_at),
        "updated_at": moment(workflow.updated_at),
    }


def row_form(row: WorkflowRow) -> dict[str, Any]:
    """Return a line of the workflow list: with its triggers and its last run."""
    last = run_form(row.last_run) if row.last_run else None
    return {**workflow_form(row.workflow), "triggers": list(row.trigger_kinds), "last_run": last}


def version_form(version: Version) -> dict[str, Any]:
    """Return a published version without its document."""
    return {
        "version": version.id,
        "parents": list(version.parents),
        "created_at": moment(version.created_at),
        "author": version.author,
        "message": version.message,
    }


def run_form(run: Run) -> dict[str, Any]:
    """Return a run without its outputs, with what lists filter by."""
    form = finished_form(run, {})
    del form["outputs"]
    return {
        **form,
        "workflow_id": run.workflow_id,
        "is_test": run.is_test,
        "retry_of": run.retry_of,
        "parent_run": run.parent_run_id,
        "start_node": run.start_node,
    }


def step_form(step: Step) -> dict[str, Any]:
    """Return one step of a run; `ports` counts the items that left."""
    return {
        "node": step.node,
        "scope": step.scope,
        "status": step.status.value,
        "attempts": step.attempts,
        "started_at": moment(step.started_at),
        "finished_at": moment(step.finished_at),
        "items_in": step.items_in,
        "ports": {name: port.count for name, port in step.ports.items()},
        "ignored": step.ignored,
        "error": dict(step.error) if step.error else None,
        "retry_at": moment(step.retry_at),
        "log": [dict(line) for line in step.log],
    }


def receipt_form(receipt: Receipt) -> dict[str, Any]:
    """Return what became of one change outside."""
    return {
        "item": receipt.item,
        "state": receipt.state,
        "at": moment(receipt.at),
        "attempt": receipt.attempt,
        "error": dict(receipt.error) if receipt.error else None,
        "output": [show(item) for item in receipt.output],
        "key": receipt.key,
    }


def spec_form(spec: StepSpec) -> dict[str, Any]:
    """Return what a step says about itself."""
    return {
        "name": spec.name,
        "title": spec.title,
        "help": spec.help,
        "category": spec.category,
        "icon": spec.icon,
        "keywords": list(spec.keywords),
        "is_trigger": spec.is_trigger,
        "mode": spec.mode,
        "effect": spec.effect,
        "fields": [_field_form(field) for field in spec.fields],
        "ports_in": _port_forms(spec.ports_in),
        "ports_out": _port_forms(spec.ports_out),
        "sample": spec.sample,
    }


def _port_forms(ports: tuple[PortSpec, ...]) -> list[dict[str, Any]]:
    return [{"name": port.name, "label": port.label, "kind": port.kind} for port in ports]


def _field_form(field: FieldSpec) -> dict[str, Any]:
    form: dict[str, Any] = {
        "name": field.name,
        "type": field.type,
        "label": field.label,
        "help": field.help,
        "required": field.required,
        "default": format_duration(field.default) if isinstance(field.default, timedelta) else field.default,
        "choices": [{"value": value, "label": label} for value, label in field.choices],
        "is_advanced": field.is_advanced,
        "allows_expressions": field.allows_expressions,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "show_when": _plain(field.show_when),
    }
    return form


def _plain(when: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(values) for name, values in when.items()}
