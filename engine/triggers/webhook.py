"""
Webhooks: which trigger a request belongs to, what of it is kept, and what its caller is told.

This module knows no server: `app.web.hooks` reads requests and writes answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.clock import Clock
from engine.errors import NotAllowed, TreadleError
from engine.ids import NodeId, RunId, WorkflowId, new_firing_id
from engine.model.items import Item
from engine.model.run import Run, RunStatus
from engine.protocols import Store, TriggerState
from engine.triggers.activation import WEBHOOK, Active
from engine.triggers.inbox import Inbox
from engine.triggers.routes import Match, OtherMethods, RouteTable
from engine.triggers.sign import Sign, parse_sign

log = logging.getLogger(__name__)

SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token", "x-csrf-token"}
)
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Started:
    """An event was accepted: `run_id` is None while it is held. `is_new` is False for one that came before."""

    run_id: RunId | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Hook:
    """What a request needs to know of the trigger it found."""

    trigger: TriggerState
    params: Mapping[str, str]
    answer: str
    sign: Sign | None


@dataclass(slots=True)
class _Known:
    answer: str
    sign: Sign | None
    fault: TreadleError | None = None


def safe_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name for an item; those that carry secrets show that they came, not what they said."""
    kept: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1")
        value = HIDDEN if name in SECRET_HEADERS else raw_value.decode("latin-1")
        kept[name] = f"{kept[name]}, {value}" if name in kept and value != HIDDEN else value
    return kept


class Webhooks:
    """The webhooks of all active versions."""

    def __init__(self, store: Store, inbox: Inbox, clock: Clock) -> None:
        self._store, self._inbox, self._clock = store, inbox, clock
        self._table = RouteTable()
        self._known: dict[tuple[WorkflowId, NodeId], _Known] = {}

    def __len__(self) -> int:
        return self._table.count

    def load(self, active: Active) -> None:
        """Make the webhooks among these the ones that are answered. Subscribe this to the activation."""
        webhooks = [trigger for trigger in active.triggers if trigger.kind == WEBHOOK]
        self._known = {(trigger.workflow_id, trigger.node): _read(trigger) for trigger in webhooks}
        self._table = RouteTable(webhooks)

    def find(self, method: str, path: str) -> Hook | OtherMethods | None:
        """
        Return the webhook for a request; `path` is decoded and without the `/hooks/` before it.

        Raises the error that keeps this webhook from working, such as a secret that is gone from the environment.
        """
        found = self._table.find(method, path)
        if not isinstance(found, Match):
            return found
        known = self._known[found.trigger.workflow_id, found.trigger.node]
        if known.fault is not None:
            raise known.fault
        return Hook(found.trigger, found.params, known.answer, known.sign)

    def verify(self, hook: Hook, headers: Mapping[str, str], body: bytes) -> str | None:
        """Pass when the request is signed as the webhook demands; returns the message's id. Raises `NotAllowed`."""
        return hook.sign.verify(headers, body, self._clock.now()) if hook.sign is not None else None

    async def start(self, hook: Hook, item: Item, key: str | None = None) -> Started:
        """
        Turn a request into a run.

        With a `key` or on a paused trigger it is on disk when this returns; otherwise at the journal's next barrier, which the
        caller of `committed` waits for.
        """
        if key is None and not hook.trigger.is_paused:
            return Started(self._inbox.start_now(hook.trigger, [item]), True)
        accepted = await self._inbox.accept(hook.trigger, [item], key=key or new_firing_id(self._clock.now()))
        return Started(accepted.run_id, accepted.is_new)

    def check_room(self) -> None:
        """Raise `Busy` while the disk or the line of queued runs is too far behind to take one more event."""
        self._inbox.check_room()

    async def committed(self) -> None:
        """Return when everything accepted so far is on disk."""
        await self._store.journal.barrier()


def _read(trigger: TriggerState) -> _Known:
    answer = str(trigger.fields.get("answer") or "at_once")
    try:
        return _Known(answer, parse_sign(trigger.fields.get("sign")))
    except TreadleError as error:
        log.error("webhook cannot be served", extra={"workflow": trigger.workflow_id, "error": error.message})
        return _Known(answer, None, NotAllowed(error.message, hint=error.hint))


def failure_of(run: Run) -> dict[str, Any]:
    """Return what the caller of a webhook is told about a run that did not succeed: its id and no detail."""
    sentence = "was cancelled" if run.status is RunStatus.CANCELLED else "failed"
    return {
        "code": f"run_{run.status.value}",
        "message": f"The run {sentence}.",
        "hint": "Its page in the studio shows where and why.",
        "where": {"run": run.id},
    }


__all__ = ["Hook", "OtherMethods", "Started", "Webhooks", "failure_of", "safe_headers"]
