"""One run in a worker's hands: waiting for its slot, going, coming to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, TypeVar

from engine.errors import Damaged, NoPlace, StepCrashed, TimedOut
from engine.events.types import RunFinished, RunQueued, RunStarted
from engine.model.items import Batch
from engine.model.run import FINAL, Run, RunStatus
from engine.protocols import Store
from engine.steps.contract import Response

from .disk import despite_refusals, reach_disk
from .env import RunEnv
from .execution import Execution
from .executor import execute
from .meter import Meter, OverBudget
from .planner import Plan
from .queue import Place
from .recall import end_waits
from .resume import Ending, Restored
from .slots import altered
from .takeover import Answer, claim, decided, lives, read_taken, wakes

log = logging.getLogger(__name__)
T = TypeVar("T")

Reason = Literal["cancel", "stop", "lost"]
QUICK_LIVES: Final = 5
LONGEST_REST_S: Final = 300.0
NOWHERE: Final = Place("")
PARKED: Final = frozenset({RunStatus.WAITING, RunStatus.NEEDS_DECISION})


@dataclass(slots=True, eq=False)
class Flight:
    """
    A run, its plan, and those who wait for it.

    `done` gets the run once it is over or parked and that is on disk, or left open because the worker stops. `is_stored` says
    that it comes from the store and its input and journal are to be read; `restored` holds a journal that is known already.
    `is_turned_away` says that it found no place after all and still waits in the store. `claimed` is the run as it was taken
    over, from when that is on disk.
    """

    run: Run
    plan: Plan
    done: asyncio.Future[Run]
    items: Batch = field(default_factory=list)
    is_stored: bool = False
    restored: Restored | None = None
    answer: Answer | None = None
    asked: Mapping[str, Any] | None = None
    claimed: Run | None = None
    task: asyncio.Task[None] | None = None
    place: Place = NOWHERE
    has_begun: bool = False
    lives: int = 0
    is_executing: bool = False
    is_turned_away: bool = False
    reason_error: Mapping[str, Any] | None = None
    reason: Reason | None = None
    response: Response | None = None
    asking: list[asyncio.Future[Response | None]] | None = None

    def end(self, reason: Reason, error: Mapping[str, Any] | None = None) -> None:
        """
        Make it end early; `error` is what the run then says.

        A task that is cancelled before its first step would never get to say so, hence `has_begun`.
        """
        if self.reason is None:
            self.reason, self.reason_error = reason, error
            if self.has_begun and self.task is not None:
                self.task.cancel()

    def ask(self) -> asyncio.Future[Response | None]:
        """Return a future of one's own for the answer to the caller; None is its result when the run ends without one."""
        waiter: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        self.asking = [*(self.asking or ()), waiter]
        return waiter

    def _tell_askers(self) -> None:
        for waiter in self.asking or ():
            if not waiter.done():
                waiter.set_result(self.response)
        self.asking = None

    def respond(self, response: Response) -> None:
        """Hand the answer to whoever waits for it; the first one counts."""
        if self.response is None:
            self.response = response
            self._tell_askers()

    def close(self) -> None:
        """Let go of those who wait."""
        self._tell_askers()
        if not self.done.done():
            self.done.set_result(self.run)


async def carry(flight: Flight, store: Store, env: RunEnv) -> None:
    """
    Carry a run to its end and return when that is on disk.

    A run that was lost to another worker, or is left open because the worker stops, gets no end here. Being cancelled does
    not keep the last line out of the journal.
    """
    flight.has_begun = True
    try:
        ending = None if flight.reason is not None else await _run(flight, store, env)
    except asyncio.CancelledError:
        ending = None
    except NoPlace:
        if flight.reason is None:
            flight.is_turned_away = True
            return
        ending = None
    except Damaged as error:
        log.exception("a run cannot be read", extra={"run_id": flight.run.id})
        ending = Ending(status=RunStatus.FAILED, error=error.as_dict())
    except Exception as error:
        log.exception("a run broke", extra={"run_id": flight.run.id})
        crashed = StepCrashed(f"The engine broke: {type(error).__name__}: {error}.", hint="This is a bug in Treadle.")
        ending = Ending(status=RunStatus.FAILED, error=crashed.as_dict())
    if ending is None and flight.reason == "cancel":
        ending = Ending(status=RunStatus.CANCELLED, error=flight.reason_error)
    if ending is None or ending.status is RunStatus.RUNNING or flight.reason == "lost":
        return
    if flight.is_stored and flight.restored is None and ending.status is RunStatus.CANCELLED:
        # Its journal was not read yet: what it waited for is known to the store alone.
        is_idle = flight.claimed is not None or flight.run.status is RunStatus.RUNNING or not env.is_shared
        await _whole(despite_refusals(partial(_cancel_stored, flight, store, is_idle=is_idle)))
        return
    if flight.restored is not None and not flight.is_executing and ending.status in FINAL:
        end_waits(Execution(flight.run, flight.plan, env, next_seq=flight.restored.next_seq), flight.restored)
    flight.run = ended(flight.run, ending, env)
    store.journal.finish(flight.run)
    try:
        await reach_disk(store.journal)
    except asyncio.CancelledError:
        await _whole(reach_disk(store.journal))
    if ending.response is not None and env.respond is not None:
        env.respond(flight.run.id, ending.response)


async def _cancel_stored(flight: Flight, store: Store, *, is_idle: bool) -> None:
    """
    Cancel in the store; `is_idle` says that nobody else is at work at a run that stands as running there.

    It was claimed here, or a life before left it, or no other program has this store; another program that has it ends it.
    """
    flight.run = await store.write(lambda work: work.runs.request_cancel(flight.run.id, flight.reason_error, is_idle=is_idle))


def ended(run: Run, ending: Ending, env: RunEnv) -> Run:
    """Return the run as it stands at its end."""
    over = None if ending.status in PARKED else env.clock.now()
    return altered(run, status=ending.status, error=ending.error, finished_at=over)


def queued_event(run: Run, now: datetime) -> RunQueued:
    """Return what is told of a run that waits for its slot."""
    return RunQueued(at=now, run_id=run.id, workflow_id=run.workflow_id, workflow_name=run.workflow_name, is_test=run.is_test)


def finished_event(run: Run, now: datetime) -> RunFinished:
    """Return what is told of a run that is over or parked."""
    return RunFinished(
        at=now,
        run_id=run.id,
        workflow_id=run.workflow_id,
        workflow_name=run.workflow_name,
        status=run.status.value,
        error=run.error,
    )


async def _run(flight: Flight, store: Store, env: RunEnv) -> Ending | None:
    restored = flight.restored
    if flight.is_stored:
        await despite_refusals(lambda: _whole(_load(flight, store, env)))
        restored = flight.restored
        if restored is None:
            return None
        if flight.run.cancel_requested:
            return Ending(status=RunStatus.CANCELLED)
        await _rest(flight.run, flight.lives, env)
    elif flight.run.status is RunStatus.QUEUED:
        flight.run = altered(flight.run, status=RunStatus.RUNNING, started_at=env.clock.now())
        store.journal.start(flight.run)
    if env.bus is not None and env.bus.is_heard:
        env.bus.publish((RunStarted(at=env.clock.now(), run_id=flight.run.id, workflow_id=flight.run.workflow_id),))
    settings = flight.plan.document.settings
    bounds: list[tuple[float, Ending]] = []
    if (limit := settings.timeout) is not None:
        gone = env.clock.now() - (flight.run.started_at or env.clock.now())
        if gone >= limit:
            return _out_of_time(limit)
        bounds.append(((limit - gone).total_seconds(), _out_of_time(limit)))
    if (budget := settings.budget) is not None and budget.minutes is not None:
        meter = Meter(budget, ())
        meter.restore(restored.facts if restored is not None else ())
        spent = OverBudget("minutes", f"more than {budget.minutes:g} minutes of work", f"{budget.minutes:g}")
        bounds.append((meter.seconds_left or 0.0, Ending(status=RunStatus.FAILED, error=spent.as_dict())))
    flight.is_executing = True
    if not bounds:
        return await execute(flight.run, flight.plan, env, items=flight.items, restored=restored)
    seconds, ending = min(bounds, key=lambda bound: bound[0])
    try:
        async with asyncio.timeout(seconds) as waiting:
            return await execute(flight.run, flight.plan, env, items=flight.items, restored=restored)
    except TimeoutError:
        if not waiting.expired():
            raise
        return ending


def _out_of_time(limit: timedelta) -> Ending:
    error = TimedOut(
        f"The run took longer than {limit.total_seconds():g} s, which is all its workflow allows.",
        hint="Allow more under “Settings”, or make it do less at a time.",
    )
    return Ending(status=RunStatus.FAILED, error=error.as_dict())


def rest_before(lived: int) -> timedelta:
    """
    Return how long a run waits before it goes on when it was interrupted so many times.

    A run that takes all memory ends the program, which goes on with it at its next start, and so on for ever. After five lives
    each next one leaves more time to look at the run and to cancel it.
    """
    return timedelta(seconds=min(2.0 ** min(lived - QUICK_LIVES, 20), LONGEST_REST_S)) if lived >= QUICK_LIVES else timedelta()


async def _rest(run: Run, lived: int, env: RunEnv) -> None:
    task = asyncio.current_task()
    if not (rest := rest_before(lived)) or task is None:
        return
    log.warning("a run that was interrupted again and again rests", extra={"run_id": run.id, "seconds": rest.total_seconds()})
    env.pausing.add(task)
    try:
        await env.pause_until(env.clock.now() + rest)
    finally:
        env.pausing.discard(task)


async def _load(flight: Flight, store: Store, env: RunEnv) -> None:
    """Take a stored run over and read into the flight what its journal knows; nothing when it is over by now."""
    run_id, now = flight.run.id, env.clock.now()
    was_running = flight.run.status is RunStatus.RUNNING
    limits, is_shared = flight.plan.document.settings.limits, env.is_shared and not was_running
    if limits is None and not is_shared:
        assert env.takers is not None
        taken = await env.takers.take(run_id)
    elif (claimed := flight.claimed or await claim(store, run_id, now=now, limits=limits, is_shared=is_shared)) is None:
        taken = None
    else:
        flight.claimed = claimed  # should the reading be refused, it is not claimed once more
        taken = await read_taken(store, claimed)
    if taken is None:
        flight.run = await store.read(lambda work: work.runs.get(run_id))
        return
    flight.run, flight.items, facts = taken.run, taken.items, taken.facts
    if taken.damage is not None:
        raise taken.damage
    if flight.run.start_node is None:
        flight.run = altered(flight.run, start_node=flight.plan.choose_start())
    if flight.answer is not None:
        answers = decided(taken, flight.answer, flight.asked, now=now)
        for fact in answers:
            store.journal.append(fact, epoch=flight.run.epoch)
        facts = [*facts, *answers]
    if taken.woken:
        for fact in (noted := wakes(replace(taken, facts=facts), now=now)):
            store.journal.append(fact, epoch=flight.run.epoch)
        facts = [*facts, *noted]
    flight.lives = lives(facts, flight.run.epoch) if was_running else 0
    flight.restored = Restored(facts)


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Do this to its end, also when cancelled in the middle; the cancellation comes through afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


def too_late(waiter: asyncio.Future[Response | None]) -> None:
    """End somebody's waiting for an answer with `TimeoutError`."""
    if not waiter.done():
        waiter.set_exception(TimeoutError())
