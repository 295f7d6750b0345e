"""Forms that start runs: which page shows which fields, and the durable inbox that its answers go into."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from engine.errors import TreadleError
from engine.ids import RunId
from engine.model.items import Item
from engine.protocols import TriggerState
from engine.steps.form_fields import FormField, parse_fields
from engine.triggers.activation import FORM, Active
from engine.triggers.inbox import Inbox

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormTrigger:
    """One form as its page shows it."""

    trigger: TriggerState
    title: str
    text: str
    button: str
    thanks: str
    fields: tuple[FormField, ...]


class Forms:
    """The forms of all active versions."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._by_path: dict[str, FormTrigger] = {}

    def __len__(self) -> int:
        return len(self._by_path)

    def load(self, active: Active) -> None:
        """Make the forms among these the ones that are shown. Subscribe this to the activation."""
        found: dict[str, FormTrigger] = {}
        for trigger in active.triggers:
            if trigger.kind != FORM or trigger.path is None:
                continue
            try:
                found[trigger.path] = form_of(trigger)
            except TreadleError as error:
                log.error("form cannot be shown", extra={"workflow": trigger.workflow_id, "error": error.message})
        self._by_path = found

    def find(self, path: str) -> FormTrigger | None:
        """Return the form at a path (without the `/forms/` before it)."""
        return self._by_path.get(path.strip("/"))

    async def start(self, form: FormTrigger, answers: Item, once: str) -> RunId | None:
        """
        Keep the answers, which are on disk when this returns, and start their run; None while the trigger is paused.

        The same `once` is the same page sent twice, and starts one run.
        """
        accepted = await self._inbox.accept(form.trigger, [answers], key=f"form:{once}")
        return accepted.run_id


def form_of(trigger: TriggerState) -> FormTrigger:
    """Return the form that a trigger describes; raises `BadInput` for fields that make no sense."""
    fields = trigger.fields
    return FormTrigger(
        trigger=trigger,
        title=str(fields.get("title") or trigger.workflow_name),
        text=str(fields.get("text") or ""),
        button=str(fields.get("button") or "Send"),
        thanks=str(fields.get("thanks") or ""),
        fields=parse_fields(fields.get("fields")),
    )
