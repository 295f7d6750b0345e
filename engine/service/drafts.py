"""Editing: one shared draft per workflow, changed by operations that know their inverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, InvalidDocument
from engine.events.types import WorkflowChanged
from engine.ids import NodeId, WorkflowId
from engine.model.changes import AddNodes, Batch, Change, RemoveEdges, Rename, Replace, apply, fresh_node_id
from engine.model.clipboard import paste
from engine.model.codec import parse_document, read_fragment, write_document, write_fragment
from engine.model.problems import Problem
from engine.model.workflow import Document, Edge, Node, Workflow
from engine.protocols import Store, UnitOfWork
from engine.service.history import History
from engine.steps.catalog import Catalog
from engine.steps.check import check_document

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftChanged:
    """A change was applied to a draft, by a gesture, an undo or a redo."""

    change: Change
    author: str
    revision: int


Listener = Callable[[DraftChanged], None]


class Draft:
    """
    What is being edited, shared by everyone in this process who has it open.

    `document` is the truth the canvas shows, `problems` everything that is wrong with it (errors and warnings), `revision`
    grows with each change. A change is applied at once and returns when it is on disk. When the disk refuses, that is raised
    and the change stays: the next one writes everything.
    """

    def __init__(self, workflow: Workflow, *, store: Store, catalog: Catalog, clock: Clock) -> None:
        parsed = parse_document(workflow.draft)
        if parsed.document is None:
            raise InvalidDocument(parsed.problems)
        self.workflow_id: WorkflowId = workflow.id
        self.document: Document = parsed.document
        self.revision = workflow.revision
        self.history = History()
        self._store, self._catalog, self._clock = store, catalog, clock
        self._listeners: list[Listener] = []
        self._saving = asyncio.Lock()
        self._saved, self._saved_name = workflow.revision, workflow.name
        self.problems: list[Problem] = check_document(self.document, catalog)

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep the draft from running."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def write(self) -> str:
        """Return the draft as canonical text."""
        return write_document(self.document)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each change; the returned function ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    async def apply(self, change: Change, author: str, *, expected_revision: int | None = None) -> None:
        """
        Apply one gesture as one undo step.

        Raises `Conflict` or `BadRequest` when it does not fit, its new name for the workflow is taken, or the draft is not at
        `expected_revision`; nothing changed then.
        """
        await self._check_name(change)
        if expected_revision is not None and self.revision != expected_revision:
            raise Conflict(
                f"The draft was changed meanwhile: it is at revision {self.revision}, not {expected_revision}.",
                hint="Read it again, put your change on top, and send it with the new revision.",
                where={"revision": self.revision},
            )
        self._change(change, author, self.history.did)
        await self._save()

    async def undo(self, author: str) -> bool:
        """Take back the author's last change; a step that no longer fits is passed over. Returns whether something changed."""
        return await self._walk(author, self.history.pop_undo, self.history.undid)

    async def redo(self, author: str) -> bool:
        """Do again what the author last took back. Returns whether something changed."""
        return await self._walk(author, self.history.pop_redo, self.history.redid)

    async def replace_text(self, text: str, author: str, *, expected_revision: int | None = None) -> None:
        """
        Make this text the draft, which can be undone.

        Raises `InvalidDocument` with every problem when it cannot be read, `Conflict` as `apply` does.
        """
        parsed = parse_document(text)
        if parsed.document is None or any(problem.severity == "error" for problem in parsed.problems):
            raise InvalidDocument(parsed.problems)
        await self.apply(Replace(parsed.document), author, expected_revision=expected_revision)

    async def add_step(
        self,
        use: str,
        at: tuple[int, int],
        *,
        author: str,
        connect_from: tuple[NodeId, str] | None = None,
        on_edge: Edge | None = None,
    ) -> NodeId:
        """
        Put a new node on the canvas and return its id.

        `connect_from` names the node and port a line comes from; `on_edge` is a line to be split by the new node.
        """
        spec = self._catalog.get(use)
        node_id = fresh_node_id(self.document, spec.title)
        fields = {field.name: field.default for field in spec.fields if field.required and field.default is not None}
        node = Node(id=node_id, use=use, fields=fields)
        edges: list[Edge] = []
        changes: list[Change] = []
        has_in = bool(spec.ports_in)
        outs = spec.outs(fields)
        if on_edge is not None and has_in:
            changes.append(RemoveEdges((on_edge,)))
            edges.append(Edge(on_edge.source, node_id, on_edge.source_port, spec.ports_in[0].name))
            if outs:
                edges.append(Edge(node_id, on_edge.target, outs[0].name, on_edge.target_port))
        elif connect_from is not None and has_in:
            edges.append(Edge(connect_from[0], node_id, connect_from[1], spec.ports_in[0].name))
        changes.append(AddNodes((node,), tuple(edges), {node_id: at}))
        await self.apply(Batch(tuple(changes)), author)
        return node_id

    def copy(self, node_ids: Sequence[NodeId]) -> str:
        """Return nodes, the edges among them and their places as document text."""
        chosen = set(node_ids)
        nodes = [node for node in self.document.nodes.values() if node.id in chosen]
        edges = [edge for edge in self.document.edges if edge.source in chosen and edge.target in chosen]
        layout = {node_id: at for node_id, at in self.document.layout.items() if node_id in chosen}
        return write_fragment(nodes, edges, layout)

    async def paste(self, text: str, at: tuple[int, int] | None, *, author: str) -> list[NodeId]:
        """
        Add the nodes of a document text under fresh ids, the whole lot moved to `at` (or a little off the originals).

        Expressions that name a pasted node keep naming it: they follow the new ids. Raises `InvalidDocument` for text that is
        no workflow, `BadRequest` for one without nodes.
        """
        fragment = read_fragment(text)
        if not fragment.nodes:
            raise BadRequest("There are no steps in what was pasted.", hint="Copy steps on a canvas, or a workflow document.")
        change = paste(self.document, fragment, at=at)
        await self.apply(change, author)
        return [node.id for node in change.nodes]

    def _change(self, change: Change, author: str, keep: Callable[[str, Change], None]) -> None:
        self.document, inverse = apply(self.document, change)
        keep(author, inverse)  # before anybody hears of it: whoever listens may ask what can be undone
        self._settle(change, author)

    def _settle(self, change: Change, author: str) -> None:
        self.revision += 1
        self.problems = check_document(self.document, self._catalog)
        told = DraftChanged(change=change, author=author, revision=self.revision)
        for listener in tuple(self._listeners):
            try:
                listener(told)
            except Exception:
                log.exception("draft listener failed")

    async def _walk(self, author: str, pop: Callable[[str], Change | None], keep: Callable[[str, Change], None]) -> bool:
        while (change := pop(author)) is not None:
            try:
                await self._check_name(change)
                self._change(change, author, keep)
            except (Conflict, BadRequest) as error:
                log.debug("an undo step no longer fits", extra={"reason": error.message})
                continue
            await self._save()
            return True
        return False

    async def _check_name(self, change: Change) -> None:
        """Refuse a name that another workflow has, before anything changes."""
        name = _name_in(change)
        if name is None or name == self._saved_name:
            return
        other = await self._store.read(lambda work: work.workflows.find_by_name(name))
        if other is not None and other.id != self.workflow_id:
            raise name_taken(name)

    async def _save(self) -> None:
        """Write the newest state; changes made meanwhile are in it, so later calls find nothing left to do."""
        wanted = self.revision
        async with self._saving:
            if self._saved >= wanted:
                return
            try:
                await self._write()
            except Conflict:  # somebody took the new name after we asked for it: the old one comes back
                self._change(Rename(self._saved_name), "treadle", lambda *_: None)
                await self._write()
                raise

    async def _write(self) -> None:
        text, revision, name, now = self.write(), self.revision, self.document.name, self._clock.now()

        def save(work: UnitOfWork) -> None:
            workflow = work.workflows.get(self.workflow_id)
            work.workflows.update(replace(workflow, draft=text, revision=revision, name=name, updated_at=now))
            work.publish(WorkflowChanged(at=now, workflow_id=self.workflow_id, change="draft", revision=revision))

        await self._store.write(save)
        self._saved, self._saved_name = revision, name


def name_taken(name: str) -> Conflict:
    """Return the error for a name that another workflow has."""
    return Conflict(
        f"There is already a workflow named “{name}”.",
        hint="Give this one another name, or replace the other.",
        where={"name": name},
    )


def _name_in(change: Change) -> str | None:
    """Return the name that a change gives the workflow, None when it leaves it alone."""
    match change:
        case Rename():
            return change.name
        case Replace():
            return change.document.name
        case Batch():
            return next((name for one in reversed(change.changes) if (name := _name_in(one)) is not None), None)
        case _:
            return None


class OpenDrafts:
    """The drafts that are open in this process, one object per workflow; asks nobody, so it stays inside the facade."""

    def __init__(self, known: dict[WorkflowId, Draft], *, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._known = known
        self._store, self._catalog, self._clock = store, catalog, clock

    async def open(self, workflow_id: WorkflowId) -> Draft:
        """Return the shared draft of the workflow; raises `NotFound`."""
        if workflow_id not in self._known:
            workflow = await self._store.read(lambda work: work.workflows.get(workflow_id))
            if workflow_id not in self._known:  # somebody may have opened it while we read
                self._known[workflow_id] = Draft(workflow, store=self._store, catalog=self._catalog, clock=self._clock)
        return self._known[workflow_id]

    def forget(self, workflow_id: WorkflowId) -> None:
        """Let go of the draft of a deleted workflow."""
        self._known.pop(workflow_id, None)


class DraftService:
    """Drafts for whoever may change them; reading one is `WorkflowService.get_document`."""

    def __init__(self, drafts: OpenDrafts, actor: Actor) -> None:
        self._drafts, self._actor = drafts, actor

    async def open(self, workflow_id: WorkflowId) -> Draft:
        """Return the shared draft of the workflow, to be changed; raises `NotFound`."""
        require(self._actor, "write", "edit workflows")
        return await self._drafts.open(workflow_id)
