"""What an expression gives on the data at hand, while it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import InvalidDocument, NotFound, TreadleError
from engine.expressions import ExpressionError, Suggestion, compile_expression, compile_template, suggest
from engine.ids import NodeId, RunId, WorkflowId
from engine.model.calendar import Calendars
from engine.model.items import Batch
from engine.protocols import Store
from engine.run.payloads import show
from engine.service.drafts import OpenDrafts
from engine.service.samples import Sample, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """
    What an expression gave: `value`, or `error` with its sentence, its hint and the caret that points into the source.

    `total` is how many items arrive at the node and `index` which one was taken; 0 items mean that there is nothing to try
    it on yet. `run_id` is the run the data is from, None where it is a trigger's sample.
    """

    value: Any = None
    error: str | None = None
    hint: str | None = None
    caret: str | None = None
    index: int = 0
    total: int = 0
    run_id: RunId | None = None


class PreviewService:
    """Try expressions on what the last run left behind."""

    def __init__(
        self,
        *,
        store: Store,
        drafts: OpenDrafts,
        samples: Samples,
        clock: Clock,
        actor: Actor,
        calendars: Calendars | None = None,
    ) -> None:
        self._store, self._drafts, self._samples = store, drafts, samples
        self._calendars = calendars or Calendars()
        self._clock, self._actor = clock, actor

    async def expression(
        self,
        workflow_id: WorkflowId,
        node_id: NodeId,
        source: str,
        *,
        kind: Literal["expression", "template"] = "expression",
        index: int = 0,
    ) -> Preview:
        """
        Compute an expression or a template for one item that arrives at the node.

        What the source does never raises, nor a draft that cannot run as it stands; a workflow or node that is not there does.
        """
        require(self._actor, "read", "look at run data")
        draft = await self._drafts.open(workflow_id)
        try:
            sample = await self.sample(workflow_id, node_id)
        except NotFound:
            raise
        except TreadleError as error:
            return Preview(error=error.message, hint=error.hint)
        items = sample.items
        index = max(0, min(index, len(items) - 1))
        scope = {
            "item": items[index] if items else {},
            "items": items,
            "index": index,
            "nodes": sample.nodes(index),
            "run": self._run(sample),
            "workflow": {"id": workflow_id, "name": draft.document.name},
            "vars": {},
            "$now": self._clock.now,
            "$timezone": draft.document.settings.timezone,
            "$calendars": self._calendars,
        }
        total, run_id = len(items), sample.run_id
        try:
            if kind == "expression":
                value = compile_expression(source).evaluate(scope)
            else:
                value = compile_template(source).render(scope)
        except ExpressionError as error:
            caret = error.caret()
            return Preview(error=error.message, hint=error.hint, caret=caret, index=index, total=total, run_id=run_id)
        return Preview(value=show(value), index=index, total=total, run_id=run_id)

    async def suggest(self, workflow_id: WorkflowId, node_id: NodeId, source: str, cursor: int) -> Sequence[Suggestion]:
        """
        Return what could stand at the cursor: names, functions, fields of the data at hand.

        While the draft goes in circles there is no data at hand, and names and functions alone are offered.
        """
        require(self._actor, "read", "look at run data")
        items: Batch = []
        nodes: dict[str, Any] = {}
        try:
            sample = await self.sample(workflow_id, node_id)
        except InvalidDocument:
            run = self._run(None)
        else:
            items, run = sample.items, self._run(sample)
            nodes = {node: {"item": sample.first_item(node), "items": [], "ports": {}} for node in sample.before()}
        scope: dict[str, Any] = {
            "item": items[0] if items else {},
            "items": items[:1],
            "index": 0,
            "nodes": nodes,
            "run": run,
            "workflow": {"id": workflow_id, "name": ""},
            "vars": {},
        }
        return suggest(source, cursor, scope)

    async def sample(self, workflow_id: WorkflowId, node_id: NodeId) -> Sample:
        """Return the data that arrives at a node of the draft; raises `NotFound` when there is no such node."""
        require(self._actor, "read", "look at run data")
        draft = await self._drafts.open(workflow_id)
        document = draft.document
        if node_id not in document.nodes:
            raise NotFound("node", node_id)
        return await self._store.read(lambda work: self._samples.find(work, workflow_id, document, node_id))

    def _run(self, sample: Sample | None) -> dict[str, Any]:
        return {
            "id": (sample.run_id if sample else None) or "",
            "trigger": "trigger.manual",
            "is_test": True,
            "started_at": self._clock.now(),
        }
