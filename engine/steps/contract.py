"""
What an action receives and what it may hand back.

A **batch** action is `def call(batch: BatchCall, **fields) -> Outputs | Output | list[Item]` (or `async def`): it sees whole
batches and says where each item came from. A bare list means port `out` with no lineage claim beyond "from this batch".
One that cannot go on now hands back a `Wait`: the run parks, and the step is called again, with `ctx.woken`, when it is over.
An **each** action is `async def call(ctx: Context, **fields) -> Item | list[Item] | Multi`: it sees one item's fields, already
rendered; the engine calls it once per item, `concurrency` at a time, and knows the lineage by itself.
Fields arrive converted to their type; expression fields arrive as `Computed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from logging import LoggerAdapter
from pathlib import Path
from typing import IO, Any, Protocol

from engine.clock import Clock
from engine.errors import TreadleError
from engine.model.items import Batch
from engine.model.items import File as File  # connectors take these from here
from engine.model.items import Item as Item
from engine.model.items import Output as Output
from engine.model.waits import Wait as Wait
from engine.steps.code import CodeRunner


class Computed(Protocol):
    """An expression bound to its step: the action says for which item, the engine knows the rest of the scope."""

    source: str

    def value(self, item: Item | None = None, index: int = 0, **names: Any) -> Any:
        """Return the value for one item; `names` adds local names. Raises `ExpressionError` with the place in the source."""

    def values(self, items: Batch, positions: Sequence[int] | None = None) -> list[Any]:
        """
        Return the value for each item of a batch, faster than asking one by one; raises the error of the first that has none.

        `positions` are the indexes in the arrived batch where `items` is only a selection of it.
        """

    def value_over(self, items: Batch, **names: Any) -> Any:
        """Return one value computed over `items` (aggregates)."""


class Files(Protocol):
    """The content-addressed store as steps see it; bytes go in as streams and come out as streams."""

    async def keep(self, source: bytes | Path | AsyncIterator[bytes] | IO[bytes], *, name: str, media_type: str) -> File:
        """Store the bytes and return the handle."""

    def open(self, file: File) -> IO[bytes]:
        """Open the bytes for reading; raises `NotFound` when they are gone."""

    def path(self, file: File) -> Path:
        """Return where the bytes lie, for reading only."""


class Http(Protocol):
    """The one way out: retries on 429 and 5xx honour `Retry-After`; failures are raised by meaning."""

    async def request(self, method: str, url: str, **options: Any) -> Any:
        """Send one request and return the `httpx.Response`-like answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """
    What a step that had waited is called with: `how` (`due`, `signal`, `decided` …), when, `note` (small JSON: who, which
    button), the `items` that came with it, and the `wait` it had asked for, as it had asked for it.
    """

    how: str
    at: datetime
    note: Mapping[str, Any] = field(default_factory=dict)
    items: Batch = field(default_factory=list)
    wait: Wait


class SendSignal(Protocol):
    """Sends a signal in the transaction that writes the step's own end, so that it goes out exactly once."""

    def __call__(self, name: str, key: str, items: Batch, *, keep_until: datetime | None) -> None:
        """Wake every step that waits for it; where none does and `keep_until` is given, keep it for the first that will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildResult:
    """What became of a run that a step had called: what it gave, or why it did not."""

    run_id: str
    workflow: str
    error: TreadleError | None = None
    items: Batch = field(default_factory=list)


class ChildRuns(Protocol):
    """Runs of other workflows, started by one step; `key` names the call within its run."""

    @property
    def key(self) -> str:
        """The name of this call, stable over restarts."""

    async def start(self, workflow: str, batches: Sequence[Batch], *, waits: bool, concurrency: int | None = None) -> None:
        """Start a run of the workflow for each batch, once; with `waits` the step is woken when the last one is over."""

    async def results(self) -> list[ChildResult]:
        """Return what became of them, in the order of their batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    What an action may lean on, and nothing else.

    `woken` is there when the step had waited (it had handed back a `Wait`) and is called again because that is over.
    `send` is for the step that sends signals.

    `folder` is the workflow's own folder: file steps never leave it. `idempotency_key` is stable over retries and restarts.
    `deadline` is when the engine will stop waiting. `respond` answers the webhook that started the run. `code` runs people's
    code, `calls` the runs of other workflows. With `stops_at_failure` the node ends at the first item that fails.
    """

    http: Http
    clock: Clock
    log: LoggerAdapter[Any]
    files: Files
    folder: Path
    connection: Mapping[str, Any] | None = None
    cursor: Any = None
    now: datetime
    timezone: str = "UTC"
    run_id: str = ""
    node_id: str = ""
    workflow: str = ""
    workflow_id: str = ""
    item_index: int = 0
    attempt: int = 1
    idempotency_key: str = ""
    woken: Woken | None = None
    code: CodeRunner | None = None
    calls: ChildRuns | None = None
    stops_at_failure: bool = False
    send: SendSignal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCall:
    """The batches that arrived, port by port, and the context."""

    ports: Mapping[str, Batch]
    ctx: Context

    @property
    def items(self) -> Batch:
        """The batch at port `in`."""
        return self.ports.get("in", [])


@dataclass(frozen=True, slots=True)
class Multi:
    """What an *each* action returns when its items leave by ports other than `out`."""

    ports: Mapping[str, Sequence[Item]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to the webhook that started the run; `body` is JSON, text, bytes or a `File`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """Returned by `flow.respond`: pass `outputs` on and answer the caller."""

    response: Response
    outputs: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """
    Returned by `flow.loop`: how its passes go.

    `size` items go into each pass; None means that a pass gets what came back from the one before, for as long as
    `condition` holds. `break_when` is asked after each pass over what came back. `ceiling` is how many passes there may be,
    None any number.
    """

    size: int | None = 1
    condition: Computed | None = None
    break_when: Computed | None = None
    concurrency: int = 1
    ceiling: int | None = None
    keep: str = "all"


class StopRun(TreadleError):
    """Raised by `flow.stop`: end the run here, as `succeeded` or `failed`, for the reason given."""

    code = "stopped"

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class ItemFailures(TreadleError):
    """
    Raised by a batch action when some items failed and the others did not.

    `failed` maps the index in the `in` batch to the error; `outputs` holds what came of the others. What becomes of it is
    the node's `on_error`: stop at the first, route the failed items to `error`, or ignore them.
    """

    code = "items_failed"

    def __init__(self, failed: Mapping[int, TreadleError], outputs: Any) -> None:
        first = next(iter(failed.values()))
        super().__init__(f"{len(failed)} items failed. The first: {first.message}", hint=first.hint)
        self.failed = dict(failed)
        self.outputs = outputs
