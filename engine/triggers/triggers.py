"""Everything that starts runs by itself, as one service: the inbox, webhooks, schedules, and what is switched on."""

from __future__ import annotations

import logging

from engine.clock import Clock
from engine.ids import NodeId, WorkflowId
from engine.protocols import Store, UnitOfWork
from engine.run.worker import Worker
from engine.steps.catalog import Catalog
from engine.triggers.activation import Activation, Active
from engine.triggers.backfill import Backfills
from engine.triggers.form import Forms
from engine.triggers.inbox import NO_LIMIT, Inbox
from engine.triggers.schedule import Schedules
from engine.triggers.webhook import Webhooks

log = logging.getLogger(__name__)


class Triggers:
    """
    Wires the triggers of one Treadle; start it after the worker, stop it before.

    `start` reads what is switched on, turns firings that an earlier life accepted into runs, and lets schedules fire. Webhooks
    are found from then on; they need no running service.
    """

    name = "triggers"

    def __init__(self, store: Store, worker: Worker, catalog: Catalog, clock: Clock, *, inbox_limit: int = NO_LIMIT) -> None:
        self._store = store
        self.activation = Activation(store, catalog, clock, worker.env.calendars)
        self.inbox = Inbox(store, worker, clock, limit=inbox_limit)
        self.webhooks = Webhooks(store, self.inbox, clock)
        self.schedules = Schedules(self.inbox, clock, worker.env.calendars)
        self.backfills = Backfills(store, self.inbox, worker, clock, worker.env.calendars)
        self.forms = Forms(self.inbox)
        self.activation.subscribe(self._learn)
        self.activation.subscribe(self.forms.load)
        self.activation.subscribe(self.webhooks.load)
        self.activation.subscribe(self.schedules.load)

    async def start(self) -> None:
        """Begin; harmless when done twice."""
        await self.activation.refresh()
        if recovered := await self.inbox.recover():
            log.info("firings of an earlier life became runs", extra={"count": recovered})
        await self.backfills.start()
        await self.schedules.start()

    async def stop(self) -> None:
        """Fire no more; harmless when done twice."""
        await self.backfills.stop()
        await self.schedules.stop()

    async def pause(self, workflow_id: WorkflowId, node: NodeId) -> None:
        """Hold the firings of a trigger from now on; raises `NotFound`."""
        await self._set_paused(workflow_id, node, True)

    async def resume(self, workflow_id: WorkflowId, node: NodeId) -> int:
        """Let a trigger start runs again, those first whose firings were held; returns how many these are."""
        await self._set_paused(workflow_id, node, False)
        return await self.inbox.release(workflow_id, node)

    async def _set_paused(self, workflow_id: WorkflowId, node: NodeId, is_paused: bool) -> None:
        def change(work: UnitOfWork) -> None:
            work.triggers.get(workflow_id, node)
            work.triggers.set_paused(workflow_id, node, is_paused)

        await self._store.write(change)
        await self.activation.refresh()

    def _learn(self, active: Active) -> None:
        self.inbox.learn(dict(active.documents))
