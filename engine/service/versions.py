"""Versions: what was published when and by whom, what changed in between, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.access import Actor, require
from engine.errors import BadRequest
from engine.ids import VersionId
from engine.model.changes import Replace
from engine.model.diff import DocumentDiff, diff_documents
from engine.model.workflow import Document, Version, Workflow
from engine.protocols import Store, UnitOfWork
from engine.service.drafts import OpenDrafts
from engine.service.workflows import find_workflow

DRAFT: Final = "draft"
"""Stands for what is being edited, wherever a version's id may stand."""

LONGEST_MESSAGE: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two documents of one workflow and everything that differs."""

    before: Document
    after: Document
    diff: DocumentDiff


class VersionService:
    """The published versions of workflows; `ref` is a workflow's id or name, `version` an id or the beginning of one."""

    def __init__(self, *, store: Store, drafts: OpenDrafts, actor: Actor) -> None:
        self._store, self._drafts, self._actor = store, drafts, actor

    async def list_page(self, ref: str, *, limit: int = 50) -> Sequence[Version]:
        """Return the newest versions first; raises `NotFound`."""
        require(self._actor, "read", "read workflows")
        return await self._store.read(lambda work: work.workflows.list_versions(find_workflow(work, ref).id, limit=limit))

    async def get(self, ref: str, version: str) -> Version:
        """Return one version; raises `NotFound`, and `BadRequest` for a beginning that several ids have."""
        require(self._actor, "read", "read workflows")
        return await self._store.read(lambda work: work.workflows.find_version(find_workflow(work, ref).id, version))

    async def compare(self, ref: str, before: str, after: str = DRAFT) -> Comparison:
        """Return what changed from one version to another; `draft` names what is being edited. Raises as `get`."""
        require(self._actor, "read", "read workflows")
        workflow = await self._store.read(lambda work: find_workflow(work, ref))
        first, second = [await self._document(workflow, name) for name in (before, after)]
        return Comparison(before=first, after=second, diff=diff_documents(first, second))

    async def restore(self, ref: str, version: str) -> None:
        """
        Make a version the draft again, which can be undone there; what is switched on stays as it is.

        The workflow keeps its name. Raises as `get`.
        """
        require(self._actor, "write", "change workflows")
        found = await self._store.read(lambda work: work.workflows.find_version(find_workflow(work, ref).id, version))
        draft = await self._drafts.open(found.workflow_id)
        await draft.apply(Replace(replace(found.document, name=draft.document.name)), self._actor.name)

    async def describe(self, ref: str, version: str, message: str) -> Version:
        """Give a version another message (its name for people), at most 2,000 characters; returns it. Raises as `get`."""
        require(self._actor, "write", "change workflows")
        message = message.strip()
        if len(message) > LONGEST_MESSAGE:
            raise BadRequest(f"The message is longer than {LONGEST_MESSAGE:,} characters.")

        def change(work: UnitOfWork) -> Version:
            found = work.workflows.find_version(find_workflow(work, ref).id, version)
            work.workflows.describe_version(found.workflow_id, found.id, message)
            return replace(found, message=message)

        return await self._store.write(change)

    async def _document(self, workflow: Workflow, name: str) -> Document:
        if name == DRAFT:
            return (await self._drafts.open(workflow.id)).document
        return (await self._store.read(lambda work: work.workflows.find_version(workflow.id, name))).document


def short_id(version: VersionId) -> str:
    """Return the beginning of a version's id by which people call it."""
    return version.removeprefix("sha256:")[:10]
