"""
One history: a program with a few workflows lives, dies and lives again, and at the end a small model judges.

What is promised, and checked here:
- what was accepted becomes exactly one run, which comes to the end the model expects, with the outputs it expects;
- what was told to somebody as done stays so;
- a change outside is made once, but for those whose receipt a power cut kept from the disk;
- an effect happens only after all that led to it is on disk; the journal of a run has no gap;
- no more runs of a workflow, or of one group of its events, are at work at a time than it allows, and only where it says so is
  a run turned away;
- what loops, breaks and tries give, also inside one another, is what the model says;
- in the end nothing is left over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from unittest.mock import patch

from engine.errors import Conflict, StoreError, TreadleError
from engine.events.bus import EventBus
from engine.ids import NodeId, RunId, VersionId, WorkflowId
from engine.model.codec import write_document
from engine.model.run import FINAL, Fact, FactKind, Run, RunStatus
from engine.model.waits import Waking
from engine.model.workflow import Document, Version, Workflow
from engine.protocols import RunFilter, TriggerState
from engine.run.folders import OneFolder
from engine.run.worker import Worker
from engine.service.views import RunData
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.store.blobs import BlobStore
from engine.store.sqlite import SqliteDatabase
from engine.triggers.inbox import Inbox

from .disk import Disk, VirtualStore, empty
from .loop import VirtualClock, VirtualLoop
from .model import Expected, a_workflow, expect
from .world import Life, World, simulated_steps

LOOKS = 600
"""How often the last life is looked at before it counts as stuck; the looks lie further and further apart, up to a minute."""


class Broken(AssertionError):
    """A promise was broken."""


@dataclass
class Wish:
    """One event that a client sent: under a key it may be sent again."""

    key: str
    workflow: int
    items: list[dict[str, Any]]
    run_id: RunId | None = None
    is_acknowledged: bool = False
    told: RunStatus | None = None
    was_cancelled: bool = False


@dataclass
class Figures:
    """What a history was made of, so that a test can see that none of it was missing."""

    lives: int = 0
    cuts: int = 0
    runs: int = 0
    changes: int = 0
    repeated: int = 0
    refused: int = 0
    jumps: int = 0
    decisions: int = 0
    wakings: int = 0
    passes: int = 0
    caught: int = 0
    turned_away: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Sum up."""
        for name, count in vars(other).items():
            if name != "statuses":
                setattr(self, name, getattr(self, name) + count)
        self.statuses.update(other.statuses)


class Program:
    """One life: a store, a worker and an inbox."""

    def __init__(self, history: History, disk: Disk) -> None:
        self.life = Life(history.world)
        self.store = VirtualStore(history.database, history.loop, disk, clock=history.clock, blobs=history.blobs)
        catalog = Catalog([*builtin_steps(), *simulated_steps(self.life)])
        folders = OneFolder(history.blobs.folder)
        self.worker = Worker(
            self.store, catalog, history.clock, EventBus(), files=history.blobs, http=None, folders=folders,  # type: ignore[arg-type]
            slots=history.chance.choice((2, 5, 1_000)),
        )  # fmt: skip
        self.worker.env.chance = history.chance.random
        self.inbox = Inbox(self.store, self.worker, history.clock)

    async def start(self, documents: dict[VersionId, Document]) -> None:
        """Begin to live, on what the life before left."""
        await self.store.start()
        self.inbox.learn(documents)
        await self.worker.start()
        await self.inbox.recover()

    async def stop(self) -> None:
        """End in good order."""
        await self.worker.stop()
        await self.store.stop()
        self.life.end()

    def lose_power(self) -> None:
        """End at once."""
        self.life.end()
        self.store.lose_power()


class History:
    """Everything that lasts from the first life to the last."""

    def __init__(self, seed: int, loop: VirtualLoop, database: SqliteDatabase, blobs: BlobStore) -> None:
        self.seed, self.loop, self.database, self.blobs = seed, loop, database, blobs
        self.chance = loop.chance
        self.clock = VirtualClock(loop)
        self.world = World(self.chance)
        self.workflows = [a_workflow(self.chance, f"W{number}") for number in range(self.chance.randint(1, 2))]
        self.triggers = [self._trigger(number) for number in range(len(self.workflows))]
        self.wishes: list[Wish] = []
        self.excused: Counter[str] = Counter()
        self.figures = Figures()

    async def run(self) -> Figures:
        """Live through it all and judge; raises `Broken`."""
        try:
            for number in range(self.chance.randint(1, 3)):
                await self._live(is_first=number == 0)
            await self._last_life()
        except BaseException:
            with contextlib.suppress(Broken):
                await self._bury()
            raise
        return self.figures

    # — lives —

    async def _live(self, *, is_first: bool) -> None:
        chance = self.chance
        disk = Disk(chance, slowness=chance.choice((0.001, 0.01, 0.2)), refusal=chance.choice((0, 0, 0.2)))
        try:
            program = await self._begin(disk, is_first=is_first)
        except StoreError:  # the disk refused at the start; somebody starts the program again
            await self._bury()
            return
        waker = asyncio.create_task(self._wake_now_and_then(program))
        clients = [waker, *(asyncio.create_task(self._client(program)) for _ in range(chance.randint(1, 2)))]
        await asyncio.sleep(chance.expovariate(5))
        if chance.random() < 0.3:
            self.figures.jumps += 1
            self.clock.jump(timedelta(seconds=chance.uniform(-4000, 4000)))
            await asyncio.sleep(chance.expovariate(5))
        if chance.random() < 0.75:
            self.figures.cuts += 1
            program.lose_power()
            self._excuse_what_was_cut(program)
        else:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            await program.stop()
        self.figures.refused += disk.refused
        await self._bury()

    async def _last_life(self) -> None:
        program = await self._begin(Disk(self.chance, slowness=0.001, refusal=0.0), is_first=False)
        for wish in self.wishes:
            if not wish.is_acknowledged and wish.run_id is None and self.chance.random() < 0.5:
                await self._send(program, wish)
        for look in range(LOOKS):
            open_runs = program.store.look(lambda work: work.runs.list_open())
            for run in open_runs:
                if run.status is RunStatus.NEEDS_DECISION:
                    with contextlib.suppress(Conflict):  # decided at the last look, and by now on its way
                        await program.worker.decide(run.id, "retry")
                        self.figures.decisions += 1
            if not (open_runs or program.worker.running or program.worker.waiting):
                break
            await self._wake(program)
            await asyncio.sleep(min(0.05 * 1.1**look, 60))
        else:
            raise Broken(f"runs that never end: {open_runs}")
        self._judge(program)
        if program.worker.running or program.worker.waiting or program.life.inside:
            raise Broken("something is still at work although every run is over")
        if left := program.store.look(lambda work: work.waits.count()):
            raise Broken(f"{left} steps still wait although every run is over")
        await program.stop()
        await self._bury()

    async def _begin(self, disk: Disk, *, is_first: bool) -> Program:
        self.figures.lives += 1
        program = Program(self, disk)
        if is_first:
            refusal, disk.refusal = disk.refusal, 0.0
            await program.store.start()
            await program.store.write(self._keep_workflows)
            disk.refusal = refusal
        try:
            await program.start({t.version_id: document for t, document in zip(self.triggers, self.workflows, strict=True)})
        except StoreError:
            program.lose_power()
            raise
        return program

    async def _bury(self) -> None:
        """End every task of a life that is over; nothing that they still try has any effect."""
        for _ in range(100):
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.01)
        raise Broken(f"tasks that cannot be ended: {left}")

    # — clients —

    async def _client(self, program: Program) -> None:
        chance = self.chance
        for _ in range(chance.randint(1, 4)):
            await asyncio.sleep(chance.expovariate(20))
            again = [wish for wish in self.wishes if not wish.is_acknowledged and wish.key]
            if again and chance.random() < 0.5:
                wish = chance.choice(again)
            else:
                group = chance.choice("ab")
                items = [{"n": chance.randrange(100), "g": group, "via": ""} for _ in range(chance.choice((1, 1, 2, 7)))]
                key = f"key {len(self.wishes)}" if chance.random() < 0.7 else ""
                wish = Wish(key, chance.randrange(len(self.workflows)), items)
                self.wishes.append(wish)
            with contextlib.suppress(TreadleError):  # the disk refused; the client was told so
                await self._send(program, wish)
                if wish.run_id is not None and chance.random() < 0.4:
                    await self._follow(program, wish)

    async def _wake_now_and_then(self, program: Program) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(10))
            with contextlib.suppress(TreadleError):
                await self._wake(program)

    async def _wake(self, program: Program) -> None:
        """Send everybody the signal that they wait for."""
        now = self.clock.now()

        def wake(work: Any) -> list[RunId]:
            return [
                waiting.run_id
                for waiting in work.waits.list_for("signal")
                if work.waits.wake(waiting.run_id, waiting.node, waiting.scope, Waking(how="signal", at=now))
            ]

        run_ids = await program.store.write(wake)
        self.figures.wakings += len(run_ids)
        program.worker.woken(run_ids)

    async def _send(self, program: Program, wish: Wish) -> None:
        trigger = self.triggers[wish.workflow]
        if wish.key:
            accepted = await program.inbox.accept(trigger, wish.items, key=wish.key)
            wish.run_id = accepted.run_id or wish.run_id
        else:
            wish.run_id = program.inbox.start_now(trigger, wish.items)
            await program.store.journal.barrier()
        wish.is_acknowledged = True

    async def _follow(self, program: Program, wish: Wish) -> None:
        assert wish.run_id is not None
        if self.chance.random() < 0.3:
            wish.was_cancelled = True
            run = await program.worker.cancel(wish.run_id)
        else:
            run = await program.worker.wait(wish.run_id, timedelta(seconds=30))
        if run.status in FINAL and not program.life.is_over:
            stored = program.store.look(lambda work: work.runs.get(run.id))
            if stored.status is not run.status:
                raise Broken(f"{run.id} was told to be {run.status}, and on the disk it is {stored.status}")
            wish.told = run.status

    # — judging —

    def _excuse_what_was_cut(self, program: Program) -> None:
        """Note which changes were made and have no receipt on the disk: only these may be made once more."""
        receipts = Found(program.store).receipts
        for key, times in self.world.changes.items():
            if not receipts.holds(key):
                self.excused[key] = times

    def _judge(self, program: Program) -> None:
        found = Found(program.store)
        runs = {run.id: run for run in found.runs}
        firings = Counter(run.firing_id for run in found.runs)
        if firings and max(firings.values()) > 1:
            raise Broken("a firing became two runs")
        by_key = {found.keys[str(run.firing_id)]: run.id for run in found.runs}
        for wish in self.wishes:
            run_id = by_key.get(wish.key) if wish.key else wish.run_id
            if run_id is None or run_id not in runs:
                if wish.is_acknowledged:
                    raise Broken(f"{wish} was acknowledged and is lost")
                continue
            self._judge_run(program, wish, runs.pop(run_id), found.facts[run_id])
        if runs:
            raise Broken(f"{len(runs)} runs that nobody asked for")
        for (name, group), most in self.world.crowds.items():
            limits = self.workflows[int(name[1:])].settings.limits
            limit = limits and (limits.of_key if group else limits.of_workflow)
            if limit is not None and most > limit:
                raise Broken(f"{most} runs of {name} {group} at work at a time, which allows {limit}")

    def _judge_run(self, program: Program, wish: Wish, run: Run, facts: list[Fact]) -> None:
        document = self.workflows[wish.workflow]
        expected = expect(document, wish.items)
        self.figures.runs += 1
        self.figures.statuses[run.status.value] += 1
        self.figures.passes += sum(fact.kind is FactKind.SCOPE_DONE for fact in facts)
        self.figures.caught += sum(fact.kind is FactKind.SCOPE_FAILED for fact in facts)
        self.figures.turned_away += run.error is not None and run.error.get("code") in ("dropped", "superseded")
        if wish.told is not None and wish.told is not run.status:
            raise Broken(f"{run.id} was told to be {wish.told} and is {run.status}")
        allowed = {RunStatus.FAILED if expected.fails else RunStatus.SUCCEEDED}
        limits = document.settings.limits
        turned_away = limits is not None and limits.when_full != "queue"
        if wish.was_cancelled or turned_away:
            allowed.add(RunStatus.CANCELLED)
        if run.status not in allowed:
            raise Broken(f"{run.id} is {run.status}, expected {allowed}: {run.error}\n{shown(facts)}")
        if [fact.seq for fact in facts] != list(range(len(facts))):
            raise Broken(f"the journal of {run.id} has a gap")
        if run.status is RunStatus.SUCCEEDED:
            outputs = program.store.look(lambda work: RunData(work, run.id, document).last_outputs())
            told = {node: {port: found for port, found in ports.items() if found} for node, ports in outputs.items()}
            if plain(told) != plain(expected.outputs):
                raise Broken(f"{run.id} gave {plain(told)}, expected {plain(expected.outputs)}")
        self._judge_changes(run, expected)

    def _judge_changes(self, run: Run, expected: Expected) -> None:
        wanted = {f"{run.id}:{path}:{index}" for path, index in expected.changes}
        made = {key for key in self.world.changes if key.startswith(f"{run.id}:")}
        if made - wanted or (run.status is RunStatus.SUCCEEDED and wanted - made):
            raise Broken(f"{run.id} changed {sorted(made)}, expected {sorted(wanted)}")
        for key in made:
            times = self.world.changes[key]
            self.figures.changes += 1
            self.figures.repeated += times > 1
            if times > self.excused[key] + 1:
                raise Broken(f"{key} was done {times} times, although its receipt was on the disk")

    # — making —

    def _trigger(self, number: int) -> TriggerState:
        return TriggerState(
            workflow_id=WorkflowId(f"wf_{number}"),
            workflow_name=f"W{number}",
            version_id=VersionId(f"v{number}"),
            node=NodeId("start"),
            kind="trigger.manual",
        )

    def _keep_workflows(self, work: Any) -> None:
        now = self.clock.now()
        for trigger, document in zip(self.triggers, self.workflows, strict=True):
            text = write_document(document)
            work.workflows.add(
                Workflow(
                    id=trigger.workflow_id, name=trigger.workflow_name, draft=text, revision=1,
                    active_version=trigger.version_id, created_at=now, updated_at=now,
                )
            )  # fmt: skip
            version = Version(
                id=trigger.version_id, workflow_id=trigger.workflow_id, document=document, created_at=now, author="sim"
            )
            work.workflows.add_version(version)


class Found:
    """Everything a judge reads from the disk: the runs, their facts, and the keys of their firings, by id."""

    def __init__(self, store: VirtualStore) -> None:
        self.runs: list[Run] = []
        self.facts: dict[str, list[Fact]] = {}
        self.keys: dict[str, str] = {}
        store.look(self._read)
        self.receipts = Receipts(self.facts)

    def _read(self, work: Any) -> None:
        self.runs = work.runs.list_page(RunFilter(limit=10_000))
        for run in self.runs:
            self.facts[run.id] = work.runs.facts(run.id)
            self.keys[run.firing_id] = work.firings.get(run.firing_id).key


class Receipts:
    """Which changes outside the disk knows to have been made, item by item."""

    def __init__(self, facts: Mapping[str, list[Fact]]) -> None:
        self._steps: set[tuple[str, str]] = set()
        self._items: set[tuple[str, str, int]] = set()
        for fact in (fact for found in facts.values() for fact in found):
            if fact.kind is FactKind.STEP_SUCCEEDED:
                self._steps.add((fact.run_id, path_of(fact)))
            elif fact.kind is FactKind.EFFECTS:
                self._items |= {(fact.run_id, path_of(fact), index) for index in fact.summary.get("done", ())}

    def holds(self, key: str) -> bool:
        """Tell whether the change of this idempotency key has a receipt."""
        run_id, _, rest = key.partition(":")
        path, _, index = rest.rpartition(":")
        return (run_id, path) in self._steps or (run_id, path, int(index)) in self._items


def path_of(fact: Fact) -> str:
    """Return where a step stands, as idempotency keys say it."""
    return f"{fact.scope}/{fact.node}" if fact.scope else str(fact.node)


def shown(facts: list[Fact]) -> str:
    """Return a journal as a person reads it."""
    return "\n".join(f"{fact.seq} {fact.at:%H:%M:%S.%f} {fact.node} {fact.scope} {fact.kind} {fact.summary}" for fact in facts)


def plain(outputs: Any) -> Any:
    """Return outputs without what an error says; its item stands for it."""
    if isinstance(outputs, dict):
        return {key: plain(value) for key, value in outputs.items() if key != "error" or isinstance(value, list)}
    return [plain(value) for value in outputs] if isinstance(outputs, list) else outputs


@contextlib.contextmanager
def made_up_time(loop: VirtualLoop) -> Iterator[None]:
    """Make everything that asks the machine for the time, or for chance, ask the loop."""
    draw = Random(loop.chance.random())
    with (
        patch("engine.run.executor.perf_counter", loop.time),
        patch("engine.run.frames.perf_counter", loop.time),
        patch("engine.run.framing.perf_counter", loop.time),
        patch("engine.run.passes.perf_counter", loop.time),
        patch("engine.run.calling.perf_counter", loop.time),
        patch("engine.run.env.monotonic", loop.time),
        patch("engine.ids._chance", lambda: draw.getrandbits(48)),
    ):
        yield


def live_through(seed: int, database: SqliteDatabase, blobs: BlobStore) -> Figures:
    """
    Live through the history that a seed stands for; the same seed is the same history.

    Raises whatever breaks, with the seed in a note.
    """
    loop = VirtualLoop(Random(seed))
    asyncio.set_event_loop(loop)
    try:
        with made_up_time(loop):
            empty(database)
            return loop.run_until_complete(History(seed, loop, database, blobs).run())
    except BaseException as error:
        error.add_note(f"Live through it again: python -m tests.simulation --seed {seed}")
        raise
    finally:
        asyncio.set_event_loop(None)
        loop.close()
