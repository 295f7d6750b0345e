"""What waits for whom: the inbox of approvals and forms, decisions, signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest
from engine.ids import NodeId, RunId
from engine.model.waits import Waiting, WaitKind
from engine.protocols import Store, UnitOfWork
from engine.run.answers import Answers
from engine.run.links import Place
from engine.run.worker import Worker
from engine.steps.builtin.wait import LONGEST_NAME

MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRow:
    """One step that waits, as an inbox shows it; `link` is the public page that answers it, empty for a timer."""

    run_id: RunId
    workflow: str
    node: NodeId
    scope: str
    kind: WaitKind
    name: str
    key: str
    since: datetime
    due_at: datetime | None
    details: Mapping[str, Any]
    link: str = ""


class WaitService:
    """What a person or a program may do about things that wait."""

    def __init__(self, *, store: Store, worker: Worker, clock: Clock, actor: Actor) -> None:
        self._store, self._worker, self._actor = store, worker, actor
        self._answers = Answers(store, worker, clock)

    async def list_rows(self, kind: WaitKind = "approval", *, person: str = "", limit: int = 100) -> list[WaitRow]:
        """Return what waits, the longest waiting first; with `person` only approvals that ask them, or nobody by name."""
        require(self._actor, "read", "see what waits")

        def look(work: UnitOfWork) -> list[tuple[Waiting, str]]:
            found = work.waits.list_for(kind, limit=MOST if person else min(limit, MOST))
            found = [waiting for waiting in found if not person or _asks(waiting, person)][:limit]
            return [(waiting, work.runs.get(waiting.run_id).workflow_name) for waiting in found]

        return [self._row(waiting, name) for waiting, name in await self._store.read(look)]

    async def count(self, kind: WaitKind = "approval") -> int:
        """Return how many steps wait for that kind of thing."""
        require(self._actor, "read", "see what waits")
        return await self._store.read(lambda work: work.waits.count(kind))

    async def decide(
        self,
        run_id: str,
        node: str,
        decision: str,
        *,
        note: str = "",
        answers: Mapping[str, Any] | None = None,
        by: str = "",
        scope: str = "",
    ) -> None:
        """
        Press a button of an approval; the run goes on. `by` is the actor's name where nobody is named.

        Raises `NotFound`, `Conflict` when it is answered or over already, `BadRequest` for a button that is not there or fields
        that are not filled in.
        """
        require(self._actor, "run", "decide approvals")
        waiting = await self._answers.find(RunId(run_id), NodeId(node), scope)
        await self._answers.decide(waiting, decision, by=by or self._actor.name, note=note, answers=answers)

    async def signal(
        self,
        name: str,
        *,
        key: str = "",
        data: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        keep: timedelta | None = None,
    ) -> list[RunId]:
        """
        Send a signal: wakes every run that waits for this name and key, and returns them.

        `data` is the items it brings. Where nobody waits it is kept for `keep` for the first that will, and lost without.
        """
        require(self._actor, "run", "send signals")
        for what, text in (("name", name), ("key", key)):
            if len(text) > LONGEST_NAME or "\0" in text or (what == "name" and not text.strip()):
                raise BadRequest(f"The {what} of a signal is a text of at most {LONGEST_NAME} characters.")
        items = [] if data is None else [dict(data)] if isinstance(data, Mapping) else [dict(item) for item in data]
        return await self._answers.signal(name, key, items, keep=keep, by=self._actor.name)

    def _row(self, waiting: Waiting, workflow: str) -> WaitRow:
        wait, links = waiting.wait, self._worker.env.links
        has_page = wait.kind in ("signal", "approval", "form") and links is not None and "run" in self._actor.scopes
        place = Place(waiting.run_id, waiting.node, waiting.scope)
        return WaitRow(
            run_id=waiting.run_id,
            workflow=workflow,
            node=waiting.node,
            scope=waiting.scope,
            kind=wait.kind,
            name=wait.name,
            key=wait.key,
            since=waiting.since,
            due_at=wait.due_at,
            details=wait.details,
            link=links.url(place) if has_page and links is not None else "",
        )


def _asks(waiting: Waiting, person: str) -> bool:
    people = [str(one).casefold() for one in waiting.wait.details.get("people", ())]
    return not people or person.casefold() in people


def row_form(row: WaitRow) -> dict[str, Any]:
    """Return a row as the command line and the API tell it."""

    def moment(value: datetime | None) -> str | None:
        return value.isoformat().replace("+00:00", "Z") if value else None

    return {
        "run": row.run_id,
        "workflow": row.workflow,
        "step": row.node,
        "scope": row.scope,
        "kind": row.kind,
        "name": row.name,
        "key": row.key,
        "since": moment(row.since),
        "due_at": moment(row.due_at),
        "details": dict(row.details),
        "link": row.link,
    }
