"""
What the engine asks of the things that keep its data.

`Store` has two verbs. `write` queues a plain function of a unit of work on the one writer thread; it commits together with
whatever else piled up (natural batching), then its events go out. `read` runs a function beside it on a snapshot.
`Journal` is the hot path of running: facts are appended without waiting, `barrier` waits until they are on disk.
`engine.store` implements all of this; nobody else needs to know how.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from engine.events.types import Event
from engine.ids import FiringId, NodeId, RunId, VersionId, WorkflowId
from engine.model.causes import Cause
from engine.model.failures import (
    Failure,
    FailureFilter,
    FailureGroup,
    FailureState,
    ItemState,
    Replay,
    ReplayItem,
    ReplayState,
)
from engine.model.limits import Concurrency
from engine.model.run import Fact, Run, RunStatus
from engine.model.waits import Signal, Waiting, WaitKind, Waking
from engine.model.workflow import Document, Version, Workflow

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRow:
    """One line of the workflow list."""

    workflow: Workflow
    last_run: Run | None
    trigger_kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """
    Which runs to list; None means any. `before` is the cursor: the id of the last run of the page before.

    `search` are words in the data, errors and logs of runs that are over; `key` is the key of the event that started the run.
    """

    workflow_id: WorkflowId | None = None
    statuses: tuple[RunStatus, ...] = ()
    is_test: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    before: RunId | None = None
    limit: int = 50
    search: str = ""
    trigger: str = ""
    key: str = ""
    took_at_least: timedelta | None = None
    took_at_most: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """
    One trigger of an active version, as the store keeps it.

    `kind` is the step's name (`trigger.schedule`); `fields` what stands under `with`. `path` and `methods` are the route of a
    webhook; `next_due` the next slot of a schedule; `cursor` what a polling trigger has seen.
    """

    workflow_id: WorkflowId
    workflow_name: str
    version_id: VersionId
    node: NodeId
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    path: str | None = None
    methods: tuple[str, ...] = ()
    next_due: datetime | None = None
    cursor: Any = None
    is_paused: bool = False


Line = tuple[RunId, int, str, NodeId, str, int, int, str | None, int, bytes | None]
"""
A fact written out: run, seq, kind, node, scope, attempt, microseconds since 1970, summary as JSON, 0, payload.

What the hot path hands over instead of a `Fact`: the same, ready to be kept.
"""

FiringState = Literal["held", "queued", "started", "discarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """
    One event that a trigger accepted: stored first, then turned into exactly one run.

    `key` makes it unique within its trigger: a firing with a known key is the same firing. `payload` is the encoded batch
    that the trigger hands to the run.
    """

    id: FiringId
    workflow_id: WorkflowId
    version_id: VersionId
    node: NodeId
    key: str
    payload: bytes
    accepted_at: datetime
    state: FiringState = "queued"
    run_id: RunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token without its secret: only the hash is kept."""

    id: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWish:
    """
    What is wanted of a line's queue.

    `wanted` runs that may start, going on behind the key `cursor`; of each key as many as `room` says are left for it.
    `known` (by key) are passed over.
    """

    line: str
    wanted: int
    room: Callable[[str], int]
    cursor: str = ""
    known: Mapping[str, Collection[RunId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueuedRuns:
    """Who is next; `is_all` says that nobody else could start now, `has_rest` that others wait who cannot."""

    runs: Sequence[Run]
    is_all: bool
    has_rest: bool


class Workflows(Protocol):
    """Workflows and their versions."""

    def add(self, workflow: Workflow) -> None:
        """Keep a new workflow; raises `Conflict` when the name is taken."""

    def get(self, workflow_id: WorkflowId) -> Workflow:
        """Return it; raises `NotFound`."""

    def find_by_name(self, name: str) -> Workflow | None:
        """Return the workflow of that exact name."""

    def update(self, workflow: Workflow, *, expected_revision: int | None = None) -> None:
        """Write all columns; raises `Conflict` when `expected_revision` is given and no longer true."""

    def delete(self, workflow_id: WorkflowId) -> None:
        """Remove the workflow, its versions, triggers and firings; its runs stay readable."""

    def list_rows(self, *, text: str = "", limit: int = 200, offset: int = 0) -> list[WorkflowRow]:
        """Return the list page: by name, filtered by text, each with its last run that was no test."""

    def add_version(self, version: Version) -> None:
        """Keep a version; one that is known already stays as it is."""

    def get_version(self, version_id: VersionId) -> Version:
        """Return it; raises `NotFound`."""

    def list_versions(self, workflow_id: WorkflowId, *, limit: int = 50) -> list[Version]:
        """Return the newest versions first."""

    def find_version(self, workflow_id: WorkflowId, beginning: str) -> Version:
        """Return the workflow's version whose id begins so; raises `NotFound`, `BadRequest` where several do."""

    def describe_version(self, workflow_id: WorkflowId, version_id: VersionId, message: str) -> None:
        """Give a version another message."""


class Runs(Protocol):
    """Runs and their journals, for reading and for the rare writes; running itself goes through the `Journal`."""

    def add(self, run: Run, *, input: bytes, document: Document | None = None) -> None:
        """Queue a run. `input` is the encoded batch of its start node; `document` is given for a test of a draft."""

    def get(self, run_id: RunId) -> Run:
        """Return it; raises `NotFound`."""

    def get_input(self, run_id: RunId) -> bytes:
        """Return the encoded batch the run started with."""

    def get_document(self, run_id: RunId) -> Document:
        """Return the document the run executes: its version's, or the draft kept with a test."""

    def find_by_firing(self, firing_id: FiringId) -> Run | None:
        """Return the run that a firing became."""

    def list_page(self, filter: RunFilter) -> list[Run]:
        """Return runs, newest first."""

    def count_by_status(self, workflow_id: WorkflowId | None = None) -> Mapping[RunStatus, int]:
        """Return how many runs stand where."""

    def list_open(self, *, limit: int = 10_000) -> list[Run]:
        """Return the runs that are not final, oldest first."""

    def list_running(self) -> list[Run]:
        """Return the runs that hold a lease, oldest first."""

    def list_ready(self, *, interrupted: bool = False, limit: int = 10_000) -> list[Run]:
        """Return the runs that are queued, oldest first; with `interrupted` also those that stand as running."""

    def facts(
        self, run_id: RunId, *, after_seq: int = -1, with_payload: bool = False, node: NodeId | None = None
    ) -> list[Fact]:
        """Return the journal of a run in order; payloads are left out unless asked for."""

    def payload(self, run_id: RunId, seq: int) -> bytes | None:
        """Return the payload of one fact."""

    def take_facts(self, source: RunId, target: RunId, seqs: Sequence[int], *, rewritten: Mapping[int, bytes]) -> int:
        """
        Make facts of one run those of another, new one, numbered from 0 in the order of `seqs`; returns how many.

        They are taken as they stand, bytes that are kept outside are shared. `rewritten` gives some of them, by their number in
        the old run, another payload.
        """

    def request_cancel(self, run_id: RunId, error: Mapping[str, Any] | None = None, *, is_idle: bool = False) -> Run:
        """
        Mark the run; a queued or parked run becomes `cancelled` at once, with this error. Returns the run as it then is.

        `is_idle` says that nobody is at work at a run that stands as running: it ends at once, too.
        """

    def claim(self, run_id: RunId, *, now: datetime, limits: Concurrency | None = None, is_shared: bool = False) -> Run | None:
        """
        Take a run over: status `running`, epoch grown by one; None when it is final.

        A run that was not running takes a lease with that. Raises `NoPlace` when `limits` are reached, and where the store is
        shared when another program has taken the run.
        """

    def count_queued(self) -> Mapping[str, tuple[int, int]]:
        """Return, for each line in which runs are queued, how many and the highest priority among them."""

    def set_lease_key(self, run_id: RunId, key: str) -> None:
        """Give a queued run the key its workflow's limit counts it by."""

    def next_queued(self, wish: QueueWish) -> QueuedRuns:
        """Return who is next in a line: the keys in turn, of each key the highest priority and the oldest first."""

    def claim_many(self, run_ids: Sequence[RunId], *, now: datetime) -> list[Run]:
        """Take runs over as `claim` does, in one statement; returns those that are not final."""

    def inputs_of(self, run_ids: Sequence[RunId]) -> dict[RunId, bytes]:
        """Return the encoded batches that runs started with."""

    def facts_of(self, run_ids: Sequence[RunId]) -> dict[RunId, list[Fact]]:
        """Return the journals of runs, with their payloads, each in order."""

    def has(self, run_id: RunId) -> bool:
        """Tell whether there is such a run."""

    def add_all(self, runs: Sequence[tuple[Run, bytes]], *, document: Document | None = None) -> None:
        """Queue many runs of one document at once, each with its encoded input."""

    def list_children(self, parent: RunId, *, step: str | None = None, limit: int = 1000) -> list[Run]:
        """Return the runs that a run called, in the order it did; with `step` those that this call waits for."""

    def add_facts(self, facts: Sequence[Fact]) -> None:
        """Give a run that is queued in the same transaction what it knows from the start."""

    def prune(self, *, before: datetime, limit: int = 500) -> int:
        """Remove up to `limit` final runs that ended before a moment, oldest first, with their journals; returns how many."""


class Triggers(Protocol):
    """The triggers of active versions; replaced as a whole when a workflow is switched on."""

    def replace(self, workflow_id: WorkflowId, triggers: Sequence[TriggerState]) -> None:
        """Make these the triggers of the workflow; cursors and due times of unchanged nodes are kept. `[]` switches it off."""

    def list_all(self, kind: str | None = None) -> list[TriggerState]:
        """Return the triggers of all active versions."""

    def get(self, workflow_id: WorkflowId, node: NodeId) -> TriggerState:
        """Return one; raises `NotFound`."""

    def set_next_due(self, workflow_id: WorkflowId, node: NodeId, due: datetime | None) -> None:
        """Remember the next slot of a schedule."""

    def set_cursor(self, workflow_id: WorkflowId, node: NodeId, cursor: Any) -> None:
        """Remember what a polling trigger has seen."""

    def set_paused(self, workflow_id: WorkflowId, node: NodeId, is_paused: bool) -> None:
        """Hold a trigger's firings, or let them go again."""


class Firings(Protocol):
    """The inbox."""

    def accept(self, firing: Firing) -> tuple[Firing, bool]:
        """Keep the firing unless its key is known; returns the stored one and whether it is new."""

    def get(self, firing_id: FiringId) -> Firing:
        """Return it; raises `NotFound`."""

    def mark_started(self, firing_id: FiringId, run_id: RunId) -> None:
        """Remember which run it became."""

    def set_state(self, firing_id: FiringId, state: FiringState) -> None:
        """Hold a firing, let it go, or discard it; one that became a run stays as it is."""

    def list_waiting(self, *, limit: int = 1000, states: Collection[FiringState] = ("held", "queued")) -> list[Firing]:
        """Return firings that were accepted and never became a run, oldest first; `states` narrows it to some."""

    def list_keys(
        self, workflow_id: WorkflowId, node: NodeId, first: str, end: str, *, limit: int = 200_000
    ) -> list[tuple[str, FiringState, RunId | None, RunStatus | None]]:
        """Return the firings of a trigger whose keys lie from `first` up to `end`, in order, with the states of their runs."""


class Tokens(Protocol):
    """API tokens."""

    def add(self, token: Token) -> None: ...
    def find_by_hash(self, hash: str) -> Token | None: ...
    def list_all(self) -> list[Token]: ...
    def revoke(self, token_id: str, *, at: datetime) -> None:
        """End a token; raises `NotFound`."""

    def touch(self, token_id: str, *, at: datetime) -> None:
        """Remember that it was used."""


class Waits(Protocol):
    """Steps that wait: a projection of the facts `step_waiting`, and what woke them until their run takes note."""

    def find(self, run_id: RunId, node: NodeId, scope: str = "") -> Waiting | None:
        """Return the step that waits there."""

    def of_run(self, run_id: RunId) -> list[Waiting]:
        """Return all that waits in a run."""

    def woken(self, run_ids: Collection[RunId]) -> list[Waiting]:
        """Return what was woken in these runs and has not been taken note of."""

    def list_for(self, kind: WaitKind, name: str | None = None, key: str | None = None, *, limit: int = 1000) -> list[Waiting]:
        """Return what sleeps for a kind of thing, of one name and key where they are given, the longest waiting first."""

    def next_wake(self) -> datetime | None:
        """Return the earliest moment at which something has to be looked at."""

    def count(self, kind: WaitKind | None = None) -> int:
        """Return how many steps wait."""

    def wake(self, run_id: RunId, node: NodeId, scope: str, waking: Waking) -> bool:
        """
        Wake a step; False when nothing sleeps there (any more), so that nobody is woken twice.

        A run that was parked is queued in the same transaction; tell the worker (`Worker.woken`) once that is committed.
        """

    def wake_due(self, now: datetime, *, limit: int = 1000) -> list[RunId]:
        """Wake what is due, the longest due first; returns the runs, each once."""

    def forget(self, run_id: RunId) -> None:
        """Let nothing wait in a run any more: it is over."""


class Signals(Protocol):
    """Signals that nobody waited for yet."""

    def send(self, signal: Signal) -> list[RunId]:
        """
        Wake every step that waits for a signal; returns their runs, those that were parked are queued now.

        Where nobody waits, one with `expires_at` is kept until then for the first that will. Tell the worker (`Worker.woken`)
        of the runs once this is committed.
        """

    def list_kept(self, *, limit: int = 1000) -> list[Signal]:
        """Return the signals that are kept, oldest first."""

    def drop_expired(self, now: datetime) -> int:
        """Forget the signals whose time is over; returns how many."""


class Retention(Protocol):
    """Taking things away: the data of runs, then the runs; only of those that are over and that no open run needs."""

    def find_over(
        self,
        *,
        before: datetime | None = None,
        workflow_id: WorkflowId | None = None,
        not_of: Collection[WorkflowId] = (),
        statuses: Collection[RunStatus] = (),
        older_than: RunId | None = None,
        with_data: bool = False,
        limit: int = 200,
    ) -> list[RunId]:
        """Return runs that are over and that no open run needs, oldest first."""

    def nth_newest(self, workflow_id: WorkflowId, count: int) -> RunId | None:
        """Return the oldest of the newest `count` runs of a workflow that are over; None when there are not as many."""

    def workflow_ids(self) -> list[WorkflowId]:
        """Return the workflows there are."""

    def documents(self) -> Mapping[WorkflowId, Document]:
        """Return what each workflow that is on and names a policy says."""

    def drafts(self) -> Mapping[WorkflowId, str]:
        """Return the drafts of workflows that are off and whose text speaks of what is kept."""

    def drop_data(self, run_ids: Sequence[RunId], *, at: datetime) -> int:
        """Take away the data of these runs, leaving their steps, errors and logs; returns how many had some."""

    def remove(self, run_ids: Sequence[RunId]) -> int:
        """Remove these runs with everything that belongs to them alone; returns how many there were."""

    def removed_at(self, run_id: RunId) -> datetime | None:
        """Return when the data of a run was taken away, None while it is there."""

    def removed_among(self, run_ids: Collection[RunId]) -> Mapping[RunId, datetime]:
        """Return those of some runs whose data was taken away, with the moment."""

    def drop_orphans(self, *, limit: int = 200) -> int:
        """
        Remove what belongs to nothing any more; returns how many of these there were.

        Versions of deleted workflows that no run executed, and replays that are over and whose failures are all gone.
        """

    def give_back(self, pages: int) -> int:
        """Give so many free pages of a SQLite file back to the disk; returns how many are free still (0 on a server)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A run on its way into the search."""

    run_id: RunId
    workflow: str
    status: str
    words: str


class Search(Protocol):
    """What the search's indexer reads and writes; searching itself is `Runs.list_page`."""

    def cursor(self) -> RunId:
        """Return the run up to which all are known or remembered as late."""

    def find_new(self, after: RunId, *, limit: int) -> list[Run]:
        """Return runs behind `after` that the search does not know, in order, open ones included."""

    def find_late(self, *, limit: int) -> list[Run]:
        """Return runs that were open when they were passed, and are over now."""

    def words_of(self, runs: Sequence[Run]) -> Mapping[RunId, str]:
        """Return the words of runs: bounded parts of input and outputs, errors and log; one without data is left out."""

    def keep(
        self, found: Sequence[Found], *, late: Collection[RunId], settled: Collection[RunId], cursor: RunId | None
    ) -> None:
        """Make runs findable, remember the open ones, forget those that are settled, and note how far it came."""


class Values(Protocol):
    """Small settings of this installation, by key, as JSON."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...
    def drop(self, key: str) -> None: ...


class Failures(Protocol):
    """The failure desk: a projection of the runs that failed, written in the transaction that ends them."""

    def add(self, failures: Sequence[tuple[Failure, Cause]]) -> None:
        """Put failures on the desk, each into the group of its cause; one that stands there already stays as it is."""

    def find(self, run_id: RunId) -> Failure | None:
        """Return the failure of a run."""

    def get(self, run_id: RunId) -> Failure:
        """Return the failure of a run; raises `NotFound`."""

    def list_page(self, filter: FailureFilter, *, before: RunId | None = None) -> list[Failure]:
        """Return failures one by one, newest run first; `before` is the run id of the last one of the page before."""

    def list_groups(self, filter: FailureFilter) -> list[FailureGroup]:
        """Return the groups that have failures of this kind, the latest failure first."""

    def count(self, filter: FailureFilter) -> int:
        """Return how many failures there are of this kind."""

    def put_away(
        self, filter: FailureFilter, run_ids: Collection[RunId] | None, *, action: str, reason: str, by: str, at: datetime
    ) -> int:
        """Discard the open failures that are meant; returns how many those were."""

    def bring_back(self, filter: FailureFilter, run_ids: Collection[RunId] | None) -> int:
        """Undo a discard: what was put away is open again; returns how many those were."""

    def on_replayed(self, run_id: RunId, new_run_id: RunId) -> None:
        """Note which run repeats a failure."""

    def on_replay_ended(self, run_id: RunId, new_run_id: RunId, state: FailureState, *, at: datetime) -> None:
        """Note how the run came out that repeats a failure: `resolved`, `replaced` by its own failure, or `open` again."""

    def open_again(self, replay_id: str, run_id: RunId | None = None) -> None:
        """Let failures wait for somebody again that a replay will not come to: all that are left, or one."""

    def note_alerts(self, alerts: Mapping[RunId, Sequence[Mapping[str, Any]]]) -> None:
        """Note whom failures were told."""


class Replays(Protocol):
    """Orders to repeat failures, and how far each is."""

    def add(self, replay: Replay, run_ids: Collection[RunId] | None) -> int:
        """Keep a replay of the open failures of its group, or of these runs; returns how many. Nothing is kept for none."""

    def get(self, replay_id: str) -> Replay:
        """Return it with its counts; raises `NotFound`."""

    def list_page(self, *, group_id: str | None = None, running: bool = False, limit: int = 50) -> list[Replay]:
        """Return replays, newest first: of a group, or only those that are not over."""

    def items(self, replay_id: str, *, states: Collection[ItemState] = (), limit: int = 50) -> list[ReplayItem]:
        """Return some of what it is about, in the order it is worked off."""

    def find_item(self, replay_id: str, run_id: RunId) -> ReplayItem | None:
        """Return where one failure of a replay stands."""

    def set_item(
        self, replay_id: str, run_id: RunId, state: ItemState, *, new_run_id: RunId | None = None, note: str | None = None
    ) -> None:
        """Say where one failure of a replay stands."""

    def on_ended(self, new_run_id: RunId, state: ItemState) -> None:
        """Say how the run came out that repeats a failure."""

    def end(self, replay_id: str, state: ReplayState, *, at: datetime) -> bool:
        """Close a replay: what it had not come to counts as cancelled; False when it was over already."""


class UnitOfWork(Protocol):
    """One transaction; a function of it cannot await, so it stays short."""

    workflows: Workflows
    runs: Runs
    triggers: Triggers
    firings: Firings
    tokens: Tokens
    values: Values
    waits: Waits
    signals: Signals
    retention: Retention
    search: Search
    failures: Failures
    replays: Replays

    def settle_missed(self, limit: int = 1000) -> int:
        """
        Wake calls that wait for children of which none is on its way, and let a held one begin; returns how many calls.

        The journal tells the worker once that is committed.
        """

    def ring(self) -> None:
        """Say that a run was queued, so that the worker looks for it once the transaction is committed."""

    def publish(self, event: Event) -> None:
        """Tell this event once the transaction is committed."""


Settle = Callable[[UnitOfWork, Sequence[Run]], None]
"""Does what belongs to the end of runs, in the transaction that ends them."""


class Journal(Protocol):
    """
    The append-only records of running, written in order by the writer thread.

    All methods but `barrier` return at once and may only be called on the event loop. Records of one run reach the disk in the
    order they were given; the disk always holds a prefix. Records of an `epoch` that is no longer the run's are dropped, and
    `lost` tells which runs that happened to: set it to a function, it is called on the loop. `waits` is told in the same way
    which runs were woken while they parked, and the earliest moment at which something that has just begun to wait is due.
    `rung` is called after a transaction that queued a run, `cancelled` with the running runs that one wants to end.
    """

    lost: Callable[[tuple[RunId, ...]], None]
    waits: Callable[[tuple[RunId, ...], datetime | None], None]
    rung: Callable[[], None]
    cancelled: Callable[[tuple[RunId, ...]], None]

    @property
    def committed(self) -> int:
        """How many records and changes are on disk since the start."""

    @property
    def is_full(self) -> bool:
        """Whether more waits for the disk than should; who records much then waits at a `barrier` before going on."""

    def start(
        self, run: Run, *, input: bytes | None = None, document: Document | None = None, firing: Firing | None = None
    ) -> None:
        """Record a run that is starting now (status `running`). `input` is given when the run is not in the store yet."""

    def append(self, fact: Fact, *, epoch: int) -> None:
        """Record one fact."""

    def whole(
        self, run: Run, lines: list[Line], size: int, *, input: bytes, document: Document | None, firing: Firing | None
    ) -> None:
        """Record a run that is over already, with its whole journal: `lines`, whose payloads have `size` bytes together."""

    def when_kept(self, told: Callable[[], None]) -> None:
        """Call `told` on the loop once everything recorded so far is committed, however long the disk refuses."""

    def finish(self, run: Run) -> None:
        """Record the run's final or parked status, error and times."""

    async def barrier(self) -> None:
        """Return when everything recorded so far is committed; raises `StoreError` when the disk refused it."""


class Store(Protocol):
    """The database and the writer thread."""

    @property
    def journal(self) -> Journal:
        """The hot path of running."""

    async def write(self, change: Callable[[UnitOfWork], T]) -> T:
        """Run `change` in the writer's next transaction and return its result once that is committed."""

    async def read(self, query: Callable[[UnitOfWork], T]) -> T:
        """Run `query` on a snapshot in a reader thread."""

    def settle_with(self, settle: Settle) -> None:
        """Call `settle` with the runs that end in a transaction, inside it; runs nobody else is touched by are left out."""

    def emit_to(self, publish: Callable[[Iterable[Event]], None]) -> None:
        """Hand events of committed transactions to `publish`, on the event loop."""
