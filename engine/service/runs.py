"""Runs: start, follow, look into, end, run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, DataRemoved, InvalidDocument, StepCrashed, TooLarge
from engine.ids import NodeId, RunId, WorkflowId, new_run_id
from engine.model.codec import document_hash
from engine.model.items import Batch
from engine.model.run import Run, RunStatus, Step
from engine.model.workflow import Document
from engine.protocols import RunFilter, Store, UnitOfWork
from engine.run.fork import EffectChoice, Fork
from engine.run.payloads import decode_batch, encode_batch, show
from engine.run.takeover import Decision
from engine.run.tracing import Origin, Traces
from engine.run.worker import Worker
from engine.service.drafts import OpenDrafts
from engine.service.receipts import ReceiptPage, read_receipts
from engine.service.views import DataPage, RunData, finished_form, fold_steps, node_of, settle_open
from engine.service.workflows import find_workflow
from engine.steps.catalog import Catalog
from engine.steps.check import check_document

A_MOMENT = timedelta(seconds=1)

Input = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class RunService:
    """What a person or a program may do with runs."""

    def __init__(
        self, *, store: Store, worker: Worker, drafts: OpenDrafts, catalog: Catalog, clock: Clock, actor: Actor
    ) -> None:
        self._store, self._worker, self._drafts = store, worker, drafts
        self._catalog, self._clock, self._actor = catalog, clock, actor

    async def start(
        self,
        ref: str,
        input: Input = None,
        *,
        from_node: str | None = None,
        is_test: bool = False,
        priority: int | None = None,
    ) -> Run:
        """
        Start a run of a workflow and return it once it is on disk.

        A test runs the draft as it is; otherwise the active version runs, or the draft while the workflow is switched off.
        `priority` goes before the workflow's own. `input` is the items of the start node: one object or a list; None takes the
        trigger's own sample. Raises
        `InvalidDocument` when the draft has errors.
        """
        require(self._actor, "run", "start runs")

        def look_up(work: UnitOfWork) -> tuple[WorkflowId, Document | None]:
            workflow = find_workflow(work, ref)
            version = workflow.active_version
            return workflow.id, None if is_test or version is None else work.workflows.get_version(version).document

        workflow_id, document = await self._store.read(look_up)
        is_draft = document is None
        if document is None:
            document = (await self._drafts.open(workflow_id)).document
        return await self._start(
            document, input, from_node, workflow_id=workflow_id, is_test=is_test, is_draft=is_draft, priority=priority
        )

    async def start_document(
        self, document: Document, input: Input = None, *, from_node: str | None = None, workflow_id: WorkflowId | None = None
    ) -> Run:
        """Start a run of a document that need not be stored as a workflow."""
        require(self._actor, "run", "start runs")
        return await self._start(document, input, from_node, workflow_id=workflow_id, is_test=False, is_draft=True)

    async def wait(self, run_id: str, timeout: timedelta | None) -> Run:  # noqa: ASYNC109 - the run goes on
        """Return the run once it is over or parked, or as it stands when the time is up; None waits without limit."""
        require(self._actor, "read", "read runs")
        return await self._worker.wait(RunId(run_id), timeout)

    async def get(self, run_id: str) -> Run:
        """Return one run; raises `NotFound`."""
        require(self._actor, "read", "read runs")
        return await self._store.read(lambda work: work.runs.get(RunId(run_id)))

    async def data_removed(self, run_ids: Sequence[str]) -> Mapping[str, datetime]:
        """Return those of these runs whose data was removed while they stay listed, and when."""
        require(self._actor, "read", "read runs")
        wanted = [RunId(run_id) for run_id in run_ids]
        found = await self._store.read(lambda work: work.retention.removed_among(wanted))
        return {str(run_id): at for run_id, at in found.items()}

    async def list_page(self, filter: RunFilter) -> list[Run]:
        """Return runs, newest first; the id of the last one is the cursor of the next page."""
        require(self._actor, "read", "list runs")
        return await self._store.read(lambda work: work.runs.list_page(filter))

    async def count_by_status(self, workflow_id: WorkflowId | None = None) -> Mapping[str, int]:
        """Return how many runs stand where."""
        require(self._actor, "read", "count runs")
        counts = await self._store.read(lambda work: work.runs.count_by_status(workflow_id))
        return {status.value: count for status, count in counts.items()}

    async def document(self, run_id: str) -> Document:
        """Return the document the run executes."""
        require(self._actor, "read", "read runs")
        return await self._store.read(lambda work: work.runs.get_document(RunId(run_id)))

    async def steps(self, run_id: str) -> list[Step]:
        """Return the steps of a run, in the order they began; raises `NotFound`."""
        require(self._actor, "read", "read runs")

        def look(work: UnitOfWork) -> list[Step]:
            run = work.runs.get(RunId(run_id))
            return settle_open(fold_steps(work.runs.facts(run.id)), run)

        return await self._store.read(look)

    async def output(
        self, run_id: str, node: str, port: str = "out", *, offset: int = 0, limit: int = 100, scope: str | None = None
    ) -> DataPage:
        """Return a page of what left a node by a port, in the pass that `scope` names (None: the last that has data)."""
        return await self._page(run_id, lambda data, node_id: data.output(node_id, port, offset, limit, scope=scope), node)

    async def input_page(
        self, run_id: str, node: str, port: str = "in", *, offset: int = 0, limit: int = 100, scope: str | None = None
    ) -> DataPage:
        """Return a page of what arrived at a node's port, in the pass that `scope` names (None: the last that has data)."""
        return await self._page(run_id, lambda data, node_id: data.input(node_id, port, offset, limit, scope=scope), node)

    async def lineage(
        self,
        run_id: str,
        node: str,
        item: int = 0,
        *,
        port: str = "out",
        path: str = "",
        scope: str = "",
        arrived: bool = False,
    ) -> list[Origin]:
        """
        Return the way back from an item that left a step, or from the field at `path` in it, to its sources.

        The item itself comes first; each names those it was made from. With `arrived`, `port` is an in-port, and the way begins
        at what arrived there. Raises `NotFound` when there is no such item.
        """
        require(self._actor, "read", "read run data")

        def look(work: UnitOfWork) -> list[Origin]:
            run = work.runs.get(RunId(run_id))
            node_id = node_of(work.runs.get_document(run.id), node)
            return Traces(work, run.id, self._catalog).back(node_id, port, item, scope=scope, path=path, arrived=arrived)

        return await self._store.read(look)

    async def finished(self, run_id: str) -> dict[str, Any]:
        """Return the run as the command line and the API tell it, with what left the nodes that nothing follows."""
        require(self._actor, "read", "read runs")

        def look(work: UnitOfWork) -> dict[str, Any]:
            run = work.runs.get(RunId(run_id))
            outputs = RunData(work, run.id, work.runs.get_document(run.id)).last_outputs()
            return finished_form(run, show(outputs))

        return await self._store.read(look)

    async def children(self, run_id: str, *, limit: int = 200) -> list[Run]:
        """Return the runs that a run called, in the order it did; raises `NotFound`."""
        require(self._actor, "read", "read runs")

        def look(work: UnitOfWork) -> list[Run]:
            return work.runs.list_children(work.runs.get(RunId(run_id)).id, limit=limit)

        return await self._store.read(look)

    async def cancel(self, run_id: str) -> Run:
        """End a run; a step at work is told to stop. Raises `Conflict` when the run is over already."""
        require(self._actor, "run", "cancel runs")
        run = await self._store.read(lambda work: work.runs.get(RunId(run_id)))
        if run.status.is_final:
            raise Conflict(f"The run is over already: {run.status.value}.", where={"run": run.id, "status": run.status.value})
        return await self._worker.cancel(RunId(run_id))

    async def decide(
        self, run_id: str, decision: Decision, *, node: str | None = None, items: Sequence[int] | None = None
    ) -> Run:
        """
        Answer a run that needs a decision: do what is uncertain again (`retry`) or leave it out (`skip`); the run goes on.

        All that it asks about is meant, or the step `node`, or these of its items; while something stays open it asks again.
        Returns it as it stands a moment later. Raises `NotFound`, `Conflict` when the run does not ask anything, `BadRequest`
        when it does not ask about that.
        """
        require(self._actor, "run", "decide about runs")
        await self._worker.decide(RunId(run_id), decision, node=NodeId(node) if node else None, items=items)
        return await self._worker.wait(RunId(run_id), A_MOMENT)

    async def receipts(self, run_id: str, node: str, *, scope: str = "", offset: int = 0, limit: int = 100) -> ReceiptPage:
        """Return a page of what a step changed outside, item by item; raises `NotFound`."""
        require(self._actor, "read", "read runs")

        def look(work: UnitOfWork) -> ReceiptPage:
            run = work.runs.get(RunId(run_id))
            node_id = node_of(work.runs.get_document(run.id), node)
            return read_receipts(work, run, node_id, scope=scope, offset=offset, limit=limit)

        return await self._store.read(look)

    async def fork(
        self,
        run_id: str,
        *,
        at: str | None = None,
        input: Input = None,
        document: Document | Literal["same", "draft", "active"] = "same",
        effects: Mapping[str, EffectChoice] | None = None,
        otherwise: EffectChoice = "ask",
        is_dry: bool = False,
    ) -> Run:
        """
        Go on from a run, as a new one, from any of its steps, with other data or another document; returns the new run.

        `at` is the first step to run again (None: where it failed, or where the documents differ), `input` the items that
        arrive there. Changes that the old run made outside behind that place are chosen about by step: `reuse` what they gave,
        or do them `again`; `otherwise` holds for the steps not named. A dry run describes changes outside and makes none.

        Raises `EffectsToDecide` where a choice is missing, `NotFound`, `Conflict` for a run at work, `BadRequest`, and
        `InvalidDocument` for a document with errors.
        """
        require(self._actor, "run", "fork runs")
        wanted = await self._document_for(RunId(run_id), document)
        items = None if input is None else decode_batch(payload_of(input) or b"")
        fork = Fork(
            at=NodeId(at) if at else None,
            items=items,
            document=wanted,
            effects={NodeId(node): choice for node, choice in (effects or {}).items()},
            otherwise=otherwise,
            is_dry=is_dry,
        )
        return await self._worker.fork(RunId(run_id), fork)

    async def _document_for(self, run_id: RunId, document: Document | Literal["same", "draft", "active"]) -> Document | None:
        """Return the document a fork is to execute, None for the one the run had."""
        if document == "same":
            return None
        if not isinstance(document, Document):
            run = await self._store.read(lambda work: work.runs.get(run_id))
            if run.workflow_id is None:
                raise BadRequest("The run belongs to no workflow.", hint="Give the document itself, or run the same again.")
            workflow = await self._store.read(lambda work: find_workflow(work, run.workflow_id or ""))
            if document == "active" and (version := workflow.active_version) is not None:
                return (await self._store.read(lambda work: work.workflows.get_version(version))).document
            document = (await self._drafts.open(workflow.id)).document
        errors = [problem for problem in check_document(document, self._catalog) if problem.severity == "error"]
        if errors:
            raise InvalidDocument(errors)
        return document

    async def retry(self, run_id: str) -> Run:
        """
        Run again from the failed step, with what the steps before it gave; returns the new run.

        The document is the one the run had. Raises `Conflict` when the run is not over, or succeeded.
        """
        require(self._actor, "run", "retry runs")
        return await self._worker.retry(RunId(run_id))

    async def _start(
        self,
        document: Document,
        input: Input,
        from_node: str | None,
        *,
        workflow_id: WorkflowId | None,
        is_test: bool,
        is_draft: bool,
        priority: int | None = None,
    ) -> Run:
        if is_draft:
            errors = [problem for problem in check_document(document, self._catalog) if problem.severity == "error"]
            if errors:
                raise InvalidDocument(errors)
        now = self._clock.now()
        run = Run(
            id=new_run_id(now),
            workflow_id=workflow_id,
            workflow_name=document.name,
            version_id=document_hash(document),
            status=RunStatus.QUEUED,
            trigger="manual",
            start_node=node_of(document, from_node) if from_node else None,
            is_test=is_test,
            queued_at=now,
        )
        run = self._worker.submit(run, document, payload=payload_of(input), keeps_document=is_draft, priority=priority)
        await self._store.journal.barrier()
        return run

    async def _page(self, run_id: str, read: Any, node: str) -> DataPage:
        require(self._actor, "read", "read runs")

        def look(work: UnitOfWork) -> DataPage:
            run = work.runs.get(RunId(run_id))
            if (at := work.retention.removed_at(run.id)) is not None:
                raise DataRemoved(run.id, at)
            document = work.runs.get_document(run.id)
            page: DataPage = read(RunData(work, run.id, document), node_of(document, node))
            return page

        return await self._store.read(look)


def payload_of(input: Input) -> bytes | None:
    """
    Return the items a caller gave as they are stored; None leaves the choice to the start node.

    The run reads them from there, so that it sees the same in its first life and in a later one.
    """
    if input is None:
        return None
    given: Any = [input] if isinstance(input, Mapping) else input
    if not isinstance(given, Sequence) or not all(isinstance(item, Mapping) for item in given):
        raise BadRequest("A run starts with items, which are JSON objects.", hint='Give {"name": "value"} or a list of such.')
    items: Batch = [dict(item) for item in given]
    if not items:
        raise BadRequest("An empty list starts nothing.", hint="Give at least one item, or leave the input out.")
    try:
        return encode_batch(items)
    except (StepCrashed, TooLarge) as error:
        cause = f": {error.__cause__}" if isinstance(error, StepCrashed) else f". {error.message}"
        raise BadRequest(f"The input cannot be stored{cause}".rstrip(".") + ".", hint="It has to be JSON.") from error
