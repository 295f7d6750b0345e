"""Switching a version on and off: its routes and due times change in the same transaction as the workflow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from engine.clock import Clock
from engine.errors import BadInput, BadRequest, InvalidDocument
from engine.ids import VersionId, WorkflowId
from engine.model.calendar import Calendars
from engine.model.problems import Problem
from engine.model.workflow import Document, Node, Version, Workflow
from engine.protocols import Store, TriggerState, UnitOfWork
from engine.steps.catalog import Catalog
from engine.steps.form_fields import parse_fields
from engine.triggers.routes import check_free, parse_methods, parse_path
from engine.triggers.sign import parse_sign
from engine.triggers.timetable import parse_timetable

log = logging.getLogger(__name__)

WEBHOOK = "trigger.webhook"
SCHEDULE = "trigger.schedule"
FORM = "trigger.form"
ANSWERS = ("at_once", "by_step", "when_done")


@dataclass(frozen=True, slots=True)
class Active:
    """Everything that is switched on: the triggers, and the documents of their versions."""

    triggers: Sequence[TriggerState] = ()
    documents: Mapping[VersionId, Document] = field(default_factory=dict)


Listener = Callable[[Active], None]


class Activation:
    """Keeps the triggers of active versions in the store, and tells those who act on them when they changed."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock, calendars: Calendars | None = None) -> None:
        self._store, self._catalog, self._clock = store, catalog, clock
        self.calendars = calendars or Calendars()
        self._listeners: list[Listener] = []
        self._documents: dict[VersionId, Document] = {}
        self._reading = asyncio.Lock()

    def subscribe(self, listener: Listener) -> None:
        """Hand `listener` all that is switched on after each `refresh`."""
        self._listeners.append(listener)

    def switch_on(self, work: UnitOfWork, workflow: Workflow, version: Version) -> list[TriggerState]:
        """
        Make the triggers of this version those of the workflow; part of the caller's transaction.

        Raises `BadRequest` when there is no trigger, `InvalidDocument` with every field of a trigger that cannot work,
        `Conflict` when another workflow answers the same webhook path.
        """
        states = build_triggers(
            version.document,
            self._catalog,
            workflow_id=workflow.id,
            workflow_name=workflow.name,
            version_id=version.id,
            now=self._clock.now(),
            calendars=self.calendars,
        )
        for kind, prefix in ((WEBHOOK, "hooks"), (FORM, "forms")):
            others = [state for state in work.triggers.list_all(kind) if state.workflow_id != workflow.id]
            check_free([state for state in states if state.kind == kind], others, prefix)
        work.triggers.replace(workflow.id, states)
        return states

    def switch_off(self, work: UnitOfWork, workflow_id: WorkflowId) -> None:
        """Take the workflow's triggers away; part of the caller's transaction. Harmless when there are none."""
        work.triggers.replace(workflow_id, [])

    async def refresh(self) -> None:
        """Read the active triggers and hand them to the listeners; call it after a change has been committed."""
        async with self._reading:
            active = await self._store.read(self._read)
            self._documents = dict(active.documents)
            for listener in self._listeners:
                listener(active)

    def _read(self, work: UnitOfWork) -> Active:
        states = work.triggers.list_all()
        known = self._documents
        versions = {state.version_id for state in states}
        return Active(states, {key: known.get(key) or work.workflows.get_version(key).document for key in versions})


def build_triggers(
    document: Document,
    catalog: Catalog,
    *,
    workflow_id: WorkflowId,
    workflow_name: str,
    version_id: VersionId,
    now: datetime,
    calendars: Calendars | None = None,
) -> list[TriggerState]:
    """
    Return the triggers of a document with their routes and first due times.

    Raises `BadRequest` when there is none, `InvalidDocument` with all that is wrong with their fields.
    """
    states: list[TriggerState] = []
    problems: list[Problem] = []
    for node in document.nodes.values():
        spec = catalog.find(node.use)
        if spec is None or not spec.is_trigger or node.disabled:
            continue
        try:
            states.append(
                _state_of(
                    node,
                    TriggerState(
                        workflow_id=workflow_id,
                        workflow_name=workflow_name,
                        version_id=version_id,
                        node=node.id,
                        kind=node.use,
                        fields=dict(node.fields),
                        timezone=document.settings.timezone,
                    ),
                    now,
                    calendars,
                )
            )
        except BadInput as error:
            problems.append(
                Problem(
                    code="bad_trigger",
                    text=f"“{node.label}”: {error.message}",
                    hint=error.hint,
                    path=("nodes", node.id, "with", error.field),
                    node=node.id,
                    field=error.field,
                )
            )
    if problems:
        raise InvalidDocument(problems)
    if not states:
        raise BadRequest(
            f"“{workflow_name}” has no trigger, so there is nothing to switch on.",
            hint="Add a schedule, a webhook, or a manual start.",
        )
    return states


def check_triggers(document: Document, catalog: Catalog, now: datetime, calendars: Calendars | None = None) -> list[Problem]:
    """Return what keeps the triggers of a document from being switched on, for the editor."""
    try:
        build_triggers(
            document,
            catalog,
            workflow_id=WorkflowId(""),
            workflow_name=document.name,
            version_id=VersionId(""),
            now=now,
            calendars=calendars,
        )
    except InvalidDocument as error:
        return list(error.problems)
    except BadRequest:
        return []
    return []


def _state_of(node: Node, state: TriggerState, now: datetime, calendars: Calendars | None) -> TriggerState:
    if node.use == WEBHOOK:
        return _webhook(node, state)
    if node.use == FORM:
        return _form(node, state)
    if node.use == SCHEDULE:
        table = parse_timetable(node.fields, state.timezone, calendars)
        return replace(state, timezone=table.zone.key, next_due=table.next_after(now, now))
    return state


def _form(node: Node, state: TriggerState) -> TriggerState:
    parse_fields(node.fields.get("fields"))
    path = parse_path(node.fields.get("path"))
    if "{" in path:
        raise BadInput("path", "The path of a form has no parameters.", hint="Ask for it with a field.")
    return replace(state, path=path, methods=("GET", "POST"))


def _webhook(node: Node, state: TriggerState) -> TriggerState:
    answer = node.fields.get("answer") or "at_once"
    if answer not in ANSWERS:
        raise BadInput("answer", f"“answer” cannot be {answer!r}.", hint=f"It is one of {', '.join(ANSWERS)}.")
    parse_sign(node.fields.get("sign"))
    return replace(state, path=parse_path(node.fields.get("path")), methods=parse_methods(node.fields.get("methods")))
