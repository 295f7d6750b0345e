"""One run while it goes: its plan, how far it is, and the pen that writes its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.events.types import Event, StepFinished, StepRetrying, StepStarted, StepWaiting, StepWoken
from engine.ids import RunId
from engine.model.items import Batch, Outputs
from engine.model.run import FactKind, Run
from engine.model.waits import Waiting
from engine.steps.computed import OVER_ALL, ScopeAt
from engine.steps.contract import Context, Response, Wait

from .disk import reach_disk
from .env import RunEnv
from .forked import Forked, effect_key
from .lineage import Lineage
from .logs import StepLog
from .meter import Meter, MeteredHttp
from .outcomes import Again, Ended
from .payloads import Reference, encode_batch, encode_outputs
from .planner import Plan, PlanNode
from .progress import Progress
from .scope import NodesScope, run_scope
from .slots import make_fact
from .waiting import Pending

if TYPE_CHECKING:
    from .framing import OpenFrame
    from .undoing import Undo

CALL: Final = "flow.call"
_SUCCEEDED: Final = FactKind.STEP_SUCCEEDED  # looking a member up takes a fifth of a microsecond, once per step

Written = tuple[bytes, Outputs]
"""Outputs written down, and as they will be read again."""


class Execution:
    """
    The state of a run in flight.

    `known` finds batches that are in the journal already by the identity of their list; the outputs keep those lists alive,
    so an identity is never given twice. `scope` names the pass of a frame, "" at the top; `frames` are the frames at work in
    it, by the number of their node; `undos` is what is to be undone should the run fail, in the order it was done.
    `pending` is there once a step has waited; `sent_before` counts the signals that steps which are to run again sent in an
    earlier life.
    """

    __slots__ = (
        "_folder", "_scope", "_seq", "env", "forked", "frames", "has_responded", "is_ending", "known", "meter", "pending",
        "plan", "progress", "response", "run", "scope", "sent_before", "undos",
    )  # fmt: skip

    outer: Execution | None = None
    is_apart: bool = False

    def __init__(self, run: Run, plan: Plan, env: RunEnv, *, next_seq: int = 0) -> None:
        self.run = run
        self.plan = plan
        self.env = env
        self.progress = Progress(plan, run.start_node)
        self.known: dict[int, Reference] = {}
        self.has_responded = False
        self.response: Response | None = None
        self.is_ending = False
        self.pending: Pending | None = None
        settings = plan.document.settings
        self.meter = Meter(settings.budget, settings.rates) if settings.budget is not None or settings.rates else None
        self.forked: Forked | None = None
        self.scope = ""
        self.frames: dict[int, OpenFrame] = {}
        self.undos: list[Undo] | None = None
        self.sent_before: dict[int, int] = {}
        self._seq = next_seq
        self._scope: dict[str, Any] | None = None
        self._folder: Path | None = None

    # — what steps see —

    @property
    def lineage(self) -> Lineage:
        """Where the items of this run came from."""
        return Lineage(self.plan, self.progress.outputs)

    @property
    def folder(self) -> Path:
        """The workflow's own folder."""
        if self._folder is None:
            self._folder = self.env.folders.of(self.run.workflow_id, self.run.workflow_name)
        return self._folder

    def context(
        self,
        planned: PlanNode,
        *,
        attempt: int = 1,
        index: int = 0,
        connection: Mapping[str, Any] | None = None,
        log: StepLog | None = None,
    ) -> Context:
        """Return what an action may lean on; the idempotency key is the same for every try, also after a restart."""
        env, run = self.env, self.run
        calls = None
        if planned.node.use == CALL and env.calls is not None:
            calls = env.calls(run, f"{self.scope}/{planned.id}" if self.scope else planned.id)
        http = env.http
        if self.meter is not None and env.gate is not None:
            http = MeteredHttp(http, self.meter, env.gate, planned.id, planned.node.connection)
        return Context(
            http=http,
            clock=env.clock,
            log=log or self.step_log(planned, attempt),
            files=env.files,
            folder=self.folder,
            connection=connection,
            now=env.clock.now(),
            timezone=self.plan.document.settings.timezone,
            run_id=run.id,
            node_id=planned.id,
            workflow=run.workflow_name,
            workflow_id=run.workflow_id or "",
            item_index=index,
            attempt=attempt,
            idempotency_key=effect_key(self.key_run(planned), self.scope, planned.id, index),
            woken=self.pending.woken.get((self.scope, planned.index)) if self.pending is not None else None,
            code=env.code,
            calls=calls,
            stops_at_failure=planned.node.on_error == "stop",
            send=partial(self.send_signal, planned),
        )

    def key_run(self, planned: PlanNode) -> RunId:
        """Return the run that the idempotency keys of a step name: this one, or the one that it tries again."""
        forked = self.forked
        if forked is not None and forked.key_run is not None and forked.keeps_keys(planned.id):
            return forked.key_run
        return self.run.id

    @property
    def is_dry(self) -> bool:
        """Whether changes outside are described and not made."""
        return self.forked is not None and self.forked.is_dry

    def step_log(self, planned: PlanNode, attempt: int) -> StepLog:
        """Return the log of one step; its lines become facts."""
        return StepLog(lambda line: self.record(FactKind.LOGGED, planned, attempt=attempt, summary=line))

    def batch_scope(self, planned: PlanNode, batch: Batch, port_in: str) -> dict[str, Any]:
        """Return the names for fields that are rendered once for a whole batch."""
        return {
            **self.base_scope(),
            "items": batch,
            "item": batch[0] if batch else None,
            "index": 0,
            "nodes": self.nodes_scope(planned, port_in, OVER_ALL),
        }

    def item_scope(self, planned: PlanNode, batch: Batch, port_in: str, index: int) -> dict[str, Any]:
        """Return the names for fields that are rendered for one item."""
        return {
            **self.base_scope(),
            "items": batch,
            "item": batch[index],
            "index": index,
            "nodes": self.nodes_scope(planned, port_in, index),
        }

    def plain_fields(self, planned: PlanNode, ports: Mapping[str, Batch]) -> dict[str, Any]:
        """Return the fields of a batch action; those that nothing but the item can change are rendered once per plan."""
        ready = planned.ready_fields
        if ready is not None and ready[0] is self.env.clock:
            return ready[1]
        assert planned.spec is not None
        if not planned.spec.fields:
            return {}
        if planned.has_ready_fields is None:
            planned.has_ready_fields = planned.fields.is_of_item_alone
        if planned.has_ready_fields:
            fields = planned.fields.render(self.base_scope())
            planned.ready_fields = (self.env.clock, fields)
            return fields
        port_in = planned.first_in
        scope = self.batch_scope(planned, ports.get(port_in) or [], port_in)
        return planned.fields.render(scope, at=self.nodes_at(planned, ports))

    def nodes_at(self, planned: PlanNode, ports: Mapping[str, Batch]) -> ScopeAt:
        """Return what tells an expression of this step which item its `nodes` are seen from."""

        def at(items: Batch | None, index: int) -> Mapping[str, Any]:
            port_in = planned.first_in
            if items is not None:
                port_in = next((port for port, batch in ports.items() if batch is items), port_in)
            return {"nodes": self.nodes_scope(planned, port_in, index, items)}

        return at

    def nodes_scope(self, planned: PlanNode, port_in: str, index: int, batch: Batch | None = None) -> NodesScope:
        """Return what `nodes` means for one item of a step."""
        return NodesScope(self.plan, self.progress, planned, port_in, index, batch)

    async def pause_until(self, moment: datetime) -> None:
        """Wait for the next try; a run that ends in the meantime does not wait for it."""
        task = asyncio.current_task()
        assert task is not None
        self.env.pausing.add(task)
        try:
            await self.env.pause_until(moment)
        finally:
            self.env.pausing.discard(task)

    async def let_others(self) -> None:
        """Let other work on the event loop have its turn, and the disk catch up where too much waits for it."""
        await asyncio.sleep(0)
        if getattr(self.env.journal, "is_full", False):
            await self.reach_disk()

    def base_scope(self) -> dict[str, Any]:
        """Return the names that are the same for every step of this scope."""
        if self._scope is None:
            self._scope = {
                **run_scope(self.run, self.plan, self.env.links, self.scope),
                "$now": self.env.clock.now,
                "$calendars": self.env.calendars,
            }
        return self._scope

    # — what the journal keeps —

    def record(
        self,
        kind: FactKind,
        planned: PlanNode,
        *,
        attempt: int = 1,
        summary: Mapping[str, Any] | None = None,
        payload: bytes | None = None,
    ) -> None:
        """Write one line of the journal; it reaches the disk in its own time."""
        if self.env.journal is None:
            return
        seq, run = self._seq, self.run
        self._seq = seq + 1
        at = self.env.clock.now()
        fact = make_fact(run.id, seq, kind, planned.id, at, attempt, summary or {}, payload)
        self.env.journal.append(fact, epoch=run.epoch)

    def record_at(self, scope: str, kind: FactKind, planned: PlanNode) -> None:
        """Write one line about a step of another scope, which is not in memory."""
        if self.env.journal is not None:
            at, seq = self.env.clock.now(), self.take_seq()
            fact = make_fact(self.run.id, seq, kind, planned.id, at, 1, {}, None, scope)
            self.env.journal.append(fact, epoch=self.run.epoch)

    def take_seq(self) -> int:
        """Return the number of the next line of the journal, which is then taken."""
        seq = self._seq
        self._seq = seq + 1
        return seq

    async def reach_disk(self) -> None:
        """Return when everything written so far is on disk: the barrier before anything outside can see of it."""
        if self.env.journal is not None:
            await reach_disk(self.env.journal)

    def on_started(self, planned: PlanNode, attempt: int) -> None:
        """Tell who listens that a try begins."""
        if (bus := self.env.bus) is not None and bus.is_heard:
            self._tell(
                StepStarted(
                    at=self.env.clock.now(),
                    run_id=self.run.id,
                    workflow_id=self.run.workflow_id,
                    node=planned.id,
                    scope=self.scope,
                    attempt=attempt,
                )
            )

    async def write_aside(self, outputs: Outputs) -> Written | None:
        """Encode a big batch in a thread, so that the event loop keeps moving."""
        return await asyncio.to_thread(encode_outputs, outputs, self.known) if self.env.journal is not None else None

    def on_done(
        self,
        planned: PlanNode,
        outputs: Outputs,
        ports_in: Mapping[str, Batch],
        *,
        took: float,
        attempt: int = 1,
        ignored: int = 0,
        routed: int = 0,
        written: Written | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Outputs:
        """
        Record a step that succeeded and return its outputs as the following steps shall see them.

        `written` is given when they are encoded already, `more` joins the summary.
        Raises `StepCrashed` when something in them cannot be written down.
        """
        self.env.steps_done += 1
        if self.env.journal is not None:
            known = self.known
            payload, outputs = written or encode_outputs(outputs, known)
            items_in = 0
            for batch in ports_in.values():
                items_in += len(batch)
            ports: dict[str, int] = {}
            for port, output in outputs.items():
                if items := output.items:
                    known.setdefault(id(items), (planned.id, port))
                ports[port] = len(items)
            summary: dict[str, Any] = {"ports": ports, "in": items_in, "ms": int(took * 1e6) / 1000}
            if ignored:
                summary["ignored"] = ignored
            if routed:
                summary["routed"] = routed
            if more:
                summary.update(more)
            if (meter := self.meter) is not None:
                self._count_calls(planned, summary)
                meter.add_step(planned.id, ports, len(payload), took)
            self.record(_SUCCEEDED, planned, attempt=attempt, summary=summary, payload=payload)
        if (bus := self.env.bus) is not None and bus.is_heard:
            counts = {port: len(output.items) for port, output in outputs.items()}
            self._finished(planned, "succeeded", counts, took, None)
        return outputs

    def _count_calls(self, planned: PlanNode, summary: dict[str, Any]) -> None:
        """Add to a step's line how often it called out, where that is counted."""
        if self.meter is not None and (calls := self.meter.calls_since(planned.id)):
            summary["calls"] = calls

    def on_ended(self, planned: PlanNode, ended: Ended, *, items_in: int, took: float) -> None:
        """Record a step that ended the run."""
        summary = {"ports": {}, "in": items_in, "ms": round(took * 1000, 3), "ends": ended.status, "message": ended.message}
        self.record(FactKind.STEP_SUCCEEDED, planned, summary=summary)
        self._finished(planned, "succeeded", {}, took, None)

    def on_failed(self, planned: PlanNode, error: Mapping[str, Any], *, items_in: int, took: float, attempt: int = 1) -> None:
        """Record a step that failed for good."""
        self.env.steps_failed += 1
        summary: dict[str, Any] = {"error": error, "in": items_in, "ms": round(took * 1000, 3)}
        self._count_calls(planned, summary)
        self.record(FactKind.STEP_FAILED, planned, attempt=attempt, summary=summary)
        self._finished(planned, "failed", {}, took, error)

    def on_again(self, planned: PlanNode, again: Again, *, attempt: int) -> None:
        """Record a try that failed and the moment of the next one."""
        error = again.error.as_dict()
        summary: dict[str, Any] = {"error": error, "retry_at": again.at.isoformat(), "done": len(again.done)}
        self._count_calls(planned, summary)
        self.record(FactKind.STEP_RETRYING, planned, attempt=attempt, summary=summary)
        if (bus := self.env.bus) is not None and bus.is_heard:
            self._tell(
                StepRetrying(
                    at=self.env.clock.now(),
                    run_id=self.run.id,
                    workflow_id=self.run.workflow_id,
                    node=planned.id,
                    scope=self.scope,
                    attempt=attempt,
                    retry_at=again.at,
                    error=error,
                )
            )

    def on_skipped(self, planned: PlanNode, reason: str | None = None) -> None:
        """Record a step that nothing came to."""
        self.record(FactKind.STEP_SKIPPED, planned, summary={"reason": reason} if reason else None)
        self._finished(planned, "skipped", {}, 0.0, None)

    def on_cancelled(self, planned: PlanNode, *, attempt: int = 1) -> None:
        """Record a step that was stopped in the middle."""
        self.record(FactKind.STEP_CANCELLED, planned, attempt=attempt)
        self._finished(planned, "cancelled", {}, 0.0, None)

    # — what waits —

    def await_wakes(self) -> Pending:
        """Return the book of what waits in this run, opened when there is something to write into it."""
        if self.pending is None:
            self.pending = Pending(self.env, self.run.id)
        return self.pending

    def on_waiting(self, planned: PlanNode, wait: Wait) -> None:
        """Record a step that waits; its row stands in the table of waits with the same commit."""
        pending, wake_at = self.await_wakes(), wait.due_at
        if (limit := self.plan.document.settings.timeout) is not None and self.run.started_at is not None:
            end = self.run.started_at + limit
            wake_at = end if wake_at is None else min(wake_at, end)
        pending.begin(self, planned.index, wait)
        self.record(FactKind.STEP_WAITING, planned, summary=wait.as_summary(wake_at))
        if (bus := self.env.bus) is not None and bus.is_heard:
            shown = {**Wait(kind=wait.kind).as_summary(), "name": "", "key": "", "details": {}, **wait.as_summary()}
            self._tell(
                StepWaiting(
                    at=self.env.clock.now(),
                    run_id=self.run.id,
                    workflow_id=self.run.workflow_id,
                    node=planned.id,
                    scope=self.scope,
                    waits_for=shown,
                )
            )

    def on_woken(self, waiting: Waiting) -> None:
        """Take note that a step was woken: it is ready to go on, and its row is gone with the commit of that fact."""
        assert waiting.waking is not None
        planned = self.plan.node(waiting.node)
        if not self.await_wakes().end(self, planned.index, waiting.waking):
            return
        self.record(FactKind.STEP_WOKEN, planned, summary=waiting.waking.as_summary(), payload=waiting.waking.payload)
        self.progress.ready.append(planned.index)
        if (bus := self.env.bus) is not None and bus.is_heard:
            self._tell(
                StepWoken(
                    at=self.env.clock.now(),
                    run_id=self.run.id,
                    workflow_id=self.run.workflow_id,
                    node=planned.id,
                    scope=self.scope,
                    how=waiting.waking.how,
                )
            )

    def send_signal(self, planned: PlanNode, name: str, key: str, items: Batch, *, keep_until: datetime | None = None) -> None:
        """Send a signal with the commit of its fact; what a step sent in an earlier life is not sent again."""
        if self.is_dry:
            return
        if self.sent_before.get(planned.index):
            self.sent_before[planned.index] -= 1
            return
        summary = {"name": name, "key": key, "keep_until": keep_until.isoformat() if keep_until else None}
        self.record(FactKind.SIGNALLED, planned, summary=summary, payload=encode_batch(items) if items else None)

    async def answer(self, planned: PlanNode, response: Response, *, is_last: bool = False) -> None:
        """
        Answer the caller of the webhook, once everything up to here is on disk; a run answers once.

        With the last step of a run the answer stands in `response` and goes out with the run's end, so that the disk is waited
        for once.
        """
        if self.has_responded:
            return
        self.has_responded = True
        self.record(FactKind.RESPONDED, planned, summary={"status": response.status})
        if is_last:
            self.response = response
            return
        await self.reach_disk()
        if self.env.respond is not None:
            self.env.respond(self.run.id, response)

    def _finished(
        self, planned: PlanNode, status: str, ports: Mapping[str, int], took: float, error: Mapping[str, Any] | None
    ) -> None:
        if (bus := self.env.bus) is not None and bus.is_heard:
            self._tell(
                StepFinished(
                    at=self.env.clock.now(),
                    run_id=self.run.id,
                    workflow_id=self.run.workflow_id,
                    node=planned.id,
                    scope=self.scope,
                    status=status,
                    ports=ports,
                    duration_ms=took * 1000,
                    error=error,
                )
            )

    def _tell(self, event: Event) -> None:
        assert self.env.bus is not None
        self.env.bus.publish((event,))
