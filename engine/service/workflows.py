"""Workflows: make, read, replace, switch on and off."""

from __future__ import annotations

from dataclasses import replace

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest, InvalidDocument, NotFound
from engine.events.types import WorkflowChanged
from engine.ids import WorkflowId, new_workflow_id
from engine.model.changes import Rename
from engine.model.codec import document_hash, parse_document, write_document
from engine.model.problems import Problem
from engine.model.workflow import Document, Version, Workflow
from engine.protocols import Store, UnitOfWork, WorkflowRow
from engine.service.drafts import OpenDrafts, name_taken
from engine.service.parts import pins_key
from engine.steps.catalog import Catalog
from engine.steps.check import check_document
from engine.triggers.activation import Activation


def find_workflow(work: UnitOfWork, ref: str) -> Workflow:
    """
    Return the workflow with this id or name; raises `NotFound` with a hint.

    Ids come first, so that nobody can stand in for another workflow by taking its id for a name.
    """
    try:
        return work.workflows.get(WorkflowId(ref))
    except NotFound:
        if workflow := work.workflows.find_by_name(ref):
            return workflow
        raise NotFound("workflow", ref, hint="The list shows every name: GET /api/v1/workflows, or the start page.") from None


class WorkflowService:
    """What a person or a program may do with workflows; `ref` is an id or a name."""

    def __init__(
        self, *, store: Store, drafts: OpenDrafts, activation: Activation, catalog: Catalog, clock: Clock, actor: Actor
    ) -> None:
        self._store, self._drafts, self._activation = store, drafts, activation
        self._catalog, self._clock, self._actor = catalog, clock, actor

    async def list_rows(self, text: str = "", *, limit: int = 200, offset: int = 0) -> list[WorkflowRow]:
        """Return the workflow list, each with its last run and the kinds of its active triggers."""
        require(self._actor, "read", "list workflows")
        return await self._store.read(lambda work: work.workflows.list_rows(text=text, limit=limit, offset=offset))

    async def get(self, ref: str) -> Workflow:
        """Return one workflow; raises `NotFound`."""
        require(self._actor, "read", "read workflows")
        return await self._find(ref)

    async def get_document(self, ref: str) -> Document:
        """Return the draft of a workflow as a document."""
        workflow = await self.get(ref)
        return _read(workflow.draft)

    async def get_current(self, ref: str) -> tuple[WorkflowId, Document]:
        """Return what a run of this workflow executes now: its active version, or the draft while it is switched off."""
        require(self._actor, "read", "read workflows")

        def look(work: UnitOfWork) -> tuple[WorkflowId, Document]:
            workflow = find_workflow(work, ref)
            version = workflow.active_version
            document = _read(workflow.draft) if version is None else work.workflows.get_version(version).document
            return workflow.id, document

        return await self._store.read(look)

    def check(self, text: str | bytes) -> list[Problem]:
        """Return everything that is wrong with a document text, errors and warnings; nothing is kept."""
        require(self._actor, "read", "check documents")
        parsed = parse_document(text)
        problems = list(parsed.problems)
        if parsed.document is not None:
            problems += check_document(parsed, self._catalog)
        return problems

    async def create(self, text: str | bytes, *, with_problems: bool = False, rename: bool = False) -> Workflow:
        """
        Make a workflow from a document text; it starts switched off.

        Raises `InvalidDocument` with every error (with `with_problems` only what cannot be read at all), `Conflict` when the
        name is taken; with `rename` it gets a number behind its name instead.
        """
        require(self._actor, "write", "create workflows")
        document = self._read_checked(text, with_problems=with_problems)
        now = self._clock.now()

        def add(work: UnitOfWork) -> Workflow:
            named = _with_free_name(work, document) if rename else document
            if work.workflows.find_by_name(named.name):
                raise name_taken(named.name)
            workflow = Workflow(
                id=new_workflow_id(now),
                name=named.name,
                draft=write_document(named),
                revision=1,
                active_version=None,
                created_at=now,
                updated_at=now,
            )
            work.workflows.add(workflow)
            work.publish(WorkflowChanged(at=now, workflow_id=workflow.id, change="created", revision=1))
            return workflow

        return await self._store.write(add)

    async def replace(
        self, ref: str, text: str | bytes, *, expected_revision: int | None = None, with_problems: bool = False
    ) -> Workflow:
        """
        Make this text the draft; what is active goes on as it is.

        Raises `Conflict` when `expected_revision` is given and somebody saved since, or the new name is taken.
        """
        require(self._actor, "write", "change workflows")
        document = self._read_checked(text, with_problems=with_problems)
        draft = await self._drafts.open((await self._find(ref)).id)
        await draft.replace_text(write_document(document), self._actor.name, expected_revision=expected_revision)
        return await self._find(draft.workflow_id)

    async def rename(self, ref: str, name: str) -> Workflow:
        """Give a workflow another name; raises `Conflict` when it is taken."""
        require(self._actor, "write", "rename workflows")
        if not name.strip():
            raise BadRequest("A workflow needs a name.")
        draft = await self._drafts.open((await self._find(ref)).id)
        await draft.apply(Rename(name.strip()), self._actor.name)
        return await self._find(draft.workflow_id)

    async def delete(self, ref: str) -> None:
        """Remove a workflow, its versions and triggers; its runs stay readable."""
        require(self._actor, "write", "delete workflows")
        workflow = await self._find(ref)
        now = self._clock.now()

        def remove(work: UnitOfWork) -> None:
            work.workflows.delete(workflow.id)
            work.values.drop(pins_key(workflow.id))
            work.publish(WorkflowChanged(at=now, workflow_id=workflow.id, change="deleted"))

        await self._store.write(remove)
        self._drafts.forget(workflow.id)
        await self._activation.refresh()

    async def activate(self, ref: str, message: str = "") -> Version:
        """
        Publish the draft as a version and switch its triggers on; the version before is replaced in the same transaction.

        Raises `InvalidDocument` when the draft has errors, `BadRequest` when it has no trigger, `Conflict` when another
        workflow answers the same webhook path.
        """
        require(self._actor, "write", "switch workflows on")
        workflow = await self._find(ref)
        document = self._read_checked((await self._drafts.open(workflow.id)).write())
        now = self._clock.now()

        def publish(work: UnitOfWork) -> Version:
            current = work.workflows.get(workflow.id)
            version = self._next_version(work, current, document, message)
            work.workflows.add_version(version)
            work.workflows.update(replace(current, active_version=version.id, updated_at=now))
            self._activation.switch_on(work, current, version)
            work.publish(WorkflowChanged(at=now, workflow_id=workflow.id, change="activated", revision=current.revision))
            return version

        version = await self._store.write(publish)
        await self._activation.refresh()
        return version

    async def deactivate(self, ref: str) -> Workflow:
        """Switch the triggers off; runs that are under way go on. Harmless when they are off already."""
        require(self._actor, "write", "switch workflows off")
        workflow = await self._find(ref)
        now = self._clock.now()

        def switch_off(work: UnitOfWork) -> Workflow:
            current = replace(work.workflows.get(workflow.id), active_version=None, updated_at=now)
            work.workflows.update(current)
            self._activation.switch_off(work, workflow.id)
            work.publish(WorkflowChanged(at=now, workflow_id=workflow.id, change="deactivated", revision=current.revision))
            return current

        current = await self._store.write(switch_off)
        await self._activation.refresh()
        return current

    async def _find(self, ref: str) -> Workflow:
        return await self._store.read(lambda work: find_workflow(work, ref))

    def _next_version(self, work: UnitOfWork, workflow: Workflow, document: Document, message: str) -> Version:
        """Return the version a document is published as; one that was published before is that very version."""
        version_id = document_hash(document)
        known = work.workflows.list_versions(workflow.id, limit=1_000)
        if same := next((version for version in known if version.id == version_id), None):
            return same
        before = workflow.active_version or (known[0].id if known else None)
        return Version(
            id=version_id,
            workflow_id=workflow.id,
            document=document,
            parents=(before,) if before else (),
            created_at=self._clock.now(),
            author=self._actor.name,
            message=message,
        )

    def _read_checked(self, text: str | bytes, *, with_problems: bool = False) -> Document:
        parsed = parse_document(text)
        problems = list(parsed.problems)
        if parsed.document is not None and not with_problems:
            problems += check_document(parsed, self._catalog)
        errors = [problem for problem in problems if problem.severity == "error"]
        if parsed.document is None or errors:
            raise InvalidDocument(errors or problems)
        return parsed.document


def _read(text: str) -> Document:
    parsed = parse_document(text)
    if parsed.document is None:
        raise InvalidDocument(parsed.problems)
    return parsed.document


def _with_free_name(work: UnitOfWork, document: Document) -> Document:
    name, number = document.name, 2
    while work.workflows.find_by_name(name):
        name, number = f"{document.name} {number}", number + 1
    return replace(document, name=name)
