"""The failure desk: look at failures by their cause, replay them, put them away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, NotFound
from engine.ids import RunId, new_id
from engine.model.failures import (
    EVERY_STATE,
    Failure,
    FailureFilter,
    FailureGroup,
    Replay,
    ReplayFrom,
    ReplayItem,
    ReplayVersion,
)
from engine.protocols import Store, UnitOfWork
from engine.run.replayer import failed_step

from .runs import Input, payload_of

MOST_AT_ONCE: Final = 200


class FailureService:
    """What a person or a program may do with failures."""

    def __init__(self, *, store: Store, clock: Clock, actor: Actor, ring: Callable[[], None]) -> None:
        self._store, self._clock, self._actor, self._ring = store, clock, actor, ring

    async def groups(self, filter: FailureFilter | None = None) -> list[FailureGroup]:
        """Return the groups of failures, the latest first; without a filter those that wait for somebody."""
        require(self._actor, "read", "read failures")
        return await self._store.read(lambda work: work.failures.list_groups(filter or FailureFilter()))

    async def list_page(self, filter: FailureFilter | None = None, *, before: str | None = None) -> list[Failure]:
        """
        Return failures one by one, newest first; `before` is the run of the last one of the page before.

        Raises `NotFound` for a group that has no failure at all.
        """
        require(self._actor, "read", "read failures")
        wanted = filter or FailureFilter()

        def look(work: UnitOfWork) -> list[Failure]:
            found = work.failures.list_page(wanted, before=RunId(before) if before else None)
            every = FailureFilter(states=EVERY_STATE, group_id=wanted.group_id)
            if not found and wanted.group_id is not None and not work.failures.count(every):
                raise NotFound("group of failures", wanted.group_id)
            return found

        return await self._store.read(look)

    async def count(self, filter: FailureFilter | None = None) -> int:
        """Return how many failures there are; without a filter those that wait for somebody."""
        require(self._actor, "read", "read failures")
        return await self._store.read(lambda work: work.failures.count(filter or FailureFilter()))

    async def get(self, run_id: str) -> Failure:
        """Return the failure of a run; raises `NotFound`."""
        require(self._actor, "read", "read failures")
        return await self._store.read(lambda work: work.failures.get(RunId(run_id)))

    async def replay(
        self,
        *,
        group: str | None = None,
        runs: Sequence[str] | None = None,
        start: ReplayFrom = "failed_step",
        version: ReplayVersion = "same",
        input: Input = None,
        at_once: int = 10,
    ) -> Replay:
        """
        Repeat the open failures of a group, or of these runs, `at_once` at a time; returns the stored order.

        From the failed step a run goes on with what the steps before it gave; from the start it does everything again. With
        `input` a single run gets other items: at the failed step in place of those that arrived there, or at its start.
        `newest` runs the active version, else the newest one. Raises `BadRequest`, `NotFound`, `Conflict` when nothing of it
        waits to be replayed.
        """
        require(self._actor, "run", "replay failures")
        self._check_meant(group, runs)
        if input is not None and (runs is None or len(runs) != 1):
            raise BadRequest("Other data is for one run at a time.", hint="Name one run, or leave the data as it was.")
        if not 1 <= at_once <= MOST_AT_ONCE:
            raise BadRequest(f"Between 1 and {MOST_AT_ONCE} runs go at a time.")
        now = self._clock.now()
        replay = Replay(
            id=new_id("replay", now),
            group_id=group,
            start=start,
            version=version,
            input=payload_of(input),
            at_once=at_once,
            created_at=now,
            created_by=self._actor.name,
        )

        def keep(work: UnitOfWork) -> Replay:
            if input is not None and start == "failed_step" and runs is not None:
                failed_step(work, RunId(runs[0]))
            count = work.replays.add(replay, None if runs is None else [RunId(run) for run in runs])
            if not count:
                raise Conflict("Nothing of this waits to be replayed.", hint="Look at the desk: it may be settled.")
            return work.replays.get(replay.id)

        stored = await self._store.write(keep)
        self._ring()
        return stored

    async def replays(self, *, group: str | None = None, running: bool = False, limit: int = 50) -> list[Replay]:
        """Return replays, newest first, each with how far it is."""
        require(self._actor, "read", "read replays")
        return await self._store.read(lambda work: work.replays.list_page(group_id=group, running=running, limit=limit))

    async def get_replay(self, replay_id: str) -> Replay:
        """Return a replay with how far it is; raises `NotFound`."""
        require(self._actor, "read", "read replays")
        return await self._store.read(lambda work: work.replays.get(replay_id))

    async def replay_items(self, replay_id: str, *, limit: int = 100) -> list[ReplayItem]:
        """Return the failures that a replay is about, with the runs that repeat them."""
        require(self._actor, "read", "read replays")
        return await self._store.read(lambda work: work.replays.items(replay_id, limit=limit))

    async def cancel_replay(self, replay_id: str) -> Replay:
        """Begin nothing more of a replay; runs that have begun go on. Raises `Conflict` when it is over."""
        require(self._actor, "run", "cancel replays")

        def end(work: UnitOfWork) -> Replay:
            found = work.replays.get(replay_id)
            if not work.replays.end(replay_id, "cancelled", at=self._clock.now()):
                raise Conflict(f"The replay is over already: {found.state}.")
            work.failures.open_again(replay_id)
            return work.replays.get(replay_id)

        return await self._store.write(end)

    async def discard(self, *, group: str | None = None, runs: Sequence[str] | None = None, reason: str) -> tuple[str, int]:
        """
        Put the open failures of a group, or of these runs, away; returns the name of this act, for `undo`, and how many.

        Raises `BadRequest` without a reason, and `Conflict` when there is nothing to put away.
        """
        require(self._actor, "run", "discard failures")
        self._check_meant(group, runs)
        if not reason.strip():
            raise BadRequest("A failure is put away with a reason.", hint="Say why nothing has to be done about it.")
        action = new_id("discard", self._clock.now())
        filter = FailureFilter(states=("open",), group_id=group)
        ids = None if runs is None else [RunId(run) for run in runs]
        count = await self._store.write(
            lambda work: work.failures.put_away(
                filter, ids, action=action, reason=reason.strip(), by=self._actor.name, at=self._clock.now()
            )
        )
        if not count:
            raise Conflict("Nothing of this waits to be put away.")
        return action, count

    async def undo(self, *, discard: str | None = None, runs: Sequence[str] | None = None) -> int:
        """Bring back what a discard put away, all of it or these runs; returns how many failures came back."""
        require(self._actor, "run", "bring failures back")
        if discard is None and runs is None:
            raise BadRequest("Name the discard to undo, or runs.")
        ids = None if runs is None else [RunId(run) for run in runs]
        filter = FailureFilter(action=discard)
        return await self._store.write(lambda work: work.failures.bring_back(filter, ids))

    @staticmethod
    def _check_meant(group: str | None, runs: Sequence[Any] | None) -> None:
        if (group is None) == (runs is None):
            raise BadRequest("Name a group of failures, or runs.", hint="Not both, and not none.")
        if runs is not None and len(runs) > 1000:
            raise BadRequest("Up to 1,000 runs can be named.", hint="Take the whole group.")
