"""The facade: everything a page, the API or the command line may ask, bound to who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.access import Actor
from engine.clock import Clock
from engine.events.bus import EventBus
from engine.ids import WorkflowId
from engine.protocols import Store
from engine.run.replayer import Replayer
from engine.run.worker import Worker
from engine.service.code import CodeService
from engine.service.disk import DiskService
from engine.service.drafts import Draft, DraftService, OpenDrafts
from engine.service.failures import FailureService
from engine.service.parts import PartService
from engine.service.preview import PreviewService
from engine.service.runs import RunService
from engine.service.samples import Samples
from engine.service.schedules import ScheduleService
from engine.service.sql import SqlService
from engine.service.tokens import TokenService
from engine.service.versions import VersionService
from engine.service.waits import WaitService
from engine.service.workflows import WorkflowService
from engine.steps.catalog import Catalog
from engine.steps.code import CodeRunner
from engine.steps.contract import Files
from engine.triggers.activation import Activation
from engine.triggers.backfill import Backfills


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a studio stands on; wired once in `app/build.py` and shared by every actor."""

    store: Store
    worker: Worker
    activation: Activation
    backfills: Backfills
    replayer: Replayer
    catalog: Catalog
    clock: Clock
    bus: EventBus
    files: Files
    folders: Path
    samples: Samples
    data: Path | None = None
    quota: int | None = None
    code: CodeRunner | None = None
    allows_packages: bool = False
    open_drafts: dict[WorkflowId, Draft] = field(default_factory=dict)


class Studio:
    """
    One Treadle as one actor sees it.

    Each of its services asks `engine.access` before it acts, so page, API and command line agree on who may do what.
    """

    def __init__(self, parts: Parts, actor: Actor) -> None:
        self.actor = actor
        self.catalog, self.bus, self.files, self.clock = parts.catalog, parts.bus, parts.files, parts.clock
        self._parts = parts
        drafts = OpenDrafts(parts.open_drafts, store=parts.store, catalog=parts.catalog, clock=parts.clock)
        self.drafts = DraftService(drafts, actor)
        self.workflows = WorkflowService(
            store=parts.store,
            drafts=drafts,
            activation=parts.activation,
            catalog=parts.catalog,
            clock=parts.clock,
            actor=actor,
        )
        self.versions = VersionService(store=parts.store, drafts=drafts, actor=actor)
        self.runs = RunService(
            store=parts.store, worker=parts.worker, drafts=drafts, catalog=parts.catalog, clock=parts.clock, actor=actor
        )
        self.failures = FailureService(store=parts.store, clock=parts.clock, actor=actor, ring=parts.replayer.ring)
        self.parts = PartService(
            store=parts.store, worker=parts.worker, drafts=drafts, catalog=parts.catalog, clock=parts.clock, actor=actor
        )
        self.preview = PreviewService(
            store=parts.store,
            drafts=drafts,
            samples=parts.samples,
            clock=parts.clock,
            actor=actor,
            calendars=parts.worker.env.calendars,
        )
        self.schedules = ScheduleService(
            store=parts.store,
            activation=parts.activation,
            backfills=parts.backfills,
            calendars=parts.worker.env.calendars,
            clock=parts.clock,
            actor=actor,
        )
        self.disk = DiskService(parts.store, actor, folder=parts.data, quota=parts.quota)
        self.waits = WaitService(store=parts.store, worker=parts.worker, clock=parts.clock, actor=actor)
        self.sql = SqlService(parts.store, actor)
        self.tokens = TokenService(parts.store, parts.clock, actor)
        self.code = CodeService(parts.code, allows_packages=parts.allows_packages, actor=actor)

    def acting_as(self, actor: Actor) -> Studio:
        """Return the same Treadle for somebody else."""
        return Studio(self._parts, actor)
