"""Runs and their journals in the database, for reading and for the rare writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Select,
    column,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from engine.clock import Clock
from engine.errors import Conflict, DataRemoved, NoPlace, NotFound
from engine.ids import FiringId, NodeId, RunId, WorkflowId
from engine.model.limits import Concurrency
from engine.model.run import FINAL, Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import QueuedRuns, QueueWish, RunFilter

from . import tables
from .documents import document_of, document_text
from .firings import own_blobs
from .lines import check_place, count_queued, next_queued
from .payloads import NOTHING, Payloads
from .retention import SqlRetention
from .rows import fact_of, fact_values, moment, run_of, run_values
from .search import contains
from .search_index import match_of, number_of

_RUN = tables.runs.c
_FACT = tables.facts.c
_RUN_NAMES: Final = tuple(_RUN.keys())
_FACT_HEAD: Final = tuple(column for column in _FACT if not column.name.startswith("payload"))
_OPEN: Final = frozenset(RunStatus) - FINAL
_READY: Final = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
TAKEN_AT_ONCE: Final = 500


class SqlRuns:
    """Implements `engine.protocols.Runs`."""

    def __init__(
        self,
        connection: Connection,
        payloads: Payloads,
        clock: Clock,
        *,
        on_ended: Callable[[Sequence[Run]], None] = lambda runs: None,
    ) -> None:
        self._connection, self._payloads, self._clock = connection, payloads, clock
        self._on_ended = on_ended

    def add(self, run: Run, *, input: bytes, document: Document | None = None) -> None:
        """
        Queue a run. `input` is the encoded batch of its start node; `document` is given for a test of a draft.

        Raises `Conflict` when the run is known, or its firing has become a run already.
        """
        owned: set[str] = set()
        form, data = self._payloads.pack(input, owned)
        try:
            self._connection.execute(insert(tables.runs), dict(zip(_RUN_NAMES, run_values(run), strict=True)))
        except IntegrityError as error:
            raise Conflict(f"The run {run.id} is known already, or its firing has its run.") from error
        self._connection.execute(
            insert(tables.inputs),
            {
                "run_id": run.id,
                "payload_form": form,
                "payload": data,
                "document": None if document is None else document_text(document),
            },
        )
        own_blobs(self._connection, owned, run.id)

    def get(self, run_id: RunId) -> Run:
        """Return it; raises `NotFound`."""
        return self._one(select(tables.runs).where(_RUN.id == run_id), run_id)

    def get_input(self, run_id: RunId) -> bytes:
        """Return the encoded batch the run started with."""
        columns = tables.inputs.c
        row = self._connection.execute(select(columns.payload_form, columns.payload).where(columns.run_id == run_id)).first()
        if row is None:
            raise NotFound("run", run_id)
        if row[1] is None and (at := SqlRetention(self._connection).removed_at(run_id)) is not None:
            raise DataRemoved(run_id, at)
        return self._payloads.unpack(row[0], row[1]) or b""

    def get_document(self, run_id: RunId) -> Document:
        """Return the document the run executes: its version's, or the draft kept with a test."""
        run = self.get(run_id)
        kept = self._connection.execute(select(tables.inputs.c.document).where(tables.inputs.c.run_id == run_id)).scalar()
        if kept is None:
            versions = tables.versions.c
            kept = self._connection.execute(
                select(versions.document)
                .where(versions.id == run.version_id)
                .order_by((versions.workflow_id == (run.workflow_id or "")).desc())
                .limit(1)
            ).scalar()
        if kept is None:
            raise NotFound("version", run.version_id, hint=f"The run {run_id} executed it, but it is no longer kept.")
        return document_of(kept)

    def find_by_firing(self, firing_id: FiringId) -> Run | None:
        """Return the run that a firing became; a run that repeats it is not meant."""
        row = self._connection.execute(select(tables.runs).where(_RUN.firing_id == firing_id, _RUN.retry_of.is_(None))).first()
        return None if row is None else run_of(row)

    def list_page(self, filter: RunFilter) -> list[Run]:
        """Return runs, newest first."""
        statement = self._searched(filter) if filter.search else select(tables.runs).order_by(_RUN.id.desc())
        statement = statement.limit(filter.limit)
        if filter.trigger:
            statement = statement.where(_RUN.trigger == filter.trigger)
        if filter.key:
            fired = select(tables.firings.c.id).where(tables.firings.c.key == filter.key)
            statement = statement.where(_RUN.firing_id.in_(fired))
        for took, is_least in ((filter.took_at_least, True), (filter.took_at_most, False)):
            if took is not None:
                length = _RUN.finished_at - _RUN.started_at
                bound = took // timedelta(microseconds=1)
                statement = statement.where(length >= bound if is_least else length <= bound)
        if filter.workflow_id is not None:
            statement = statement.where(_RUN.workflow_id == filter.workflow_id)
        if filter.statuses and filter.search:
            statement = statement.where(_RUN.status.in_([status.value for status in filter.statuses]))
        elif filter.statuses:
            statement = _with_statuses(statement, filter.statuses)
        if filter.is_test is not None:
            statement = statement.where(_RUN.is_test.is_(filter.is_test))
        if filter.since is not None:
            statement = statement.where(_RUN.queued_at >= moment(filter.since))
        if filter.until is not None:
            statement = statement.where(_RUN.queued_at < moment(filter.until))
        if filter.before is not None and not filter.search:
            statement = statement.where(_RUN.id < filter.before)
        if filter.text:
            statement = statement.where(contains(self._connection, filter.text, _RUN.workflow_name, _RUN.error, _RUN.id))
        return [run_of(row) for row in self._connection.execute(statement)]

    def _searched(self, filter: RunFilter) -> Select[Any]:
        """Return the runs that have the words, walking down from the newest; bounds of time are bounds of the walk."""
        statuses = [status.value for status in filter.statuses]
        match, given = match_of(self._connection, filter.search, workflow=filter.workflow_id, statuses=statuses)
        number: ColumnClause[Any] = column("rowid" if self._connection.dialect.name == "sqlite" else "doc")
        words = table("search_words", number)
        conditions: list[ColumnElement[bool]] = [text(match).bindparams(**given)]  # type: ignore[list-item]
        searched = tables.searched.c
        if filter.before is not None:
            before = self._connection.execute(select(searched.doc).where(searched.run_id == filter.before)).scalar()
            conditions.append(number < int(before or number_of(filter.before)))
        if filter.since is not None:
            conditions.append(number >= int(filter.since.timestamp() * 1000) << 15)
        if filter.until is not None:
            conditions.append(number < (int(filter.until.timestamp() * 1000) + 1) << 15)
        source = words.join(tables.searched, searched.doc == number).join(tables.runs, _RUN.id == searched.run_id)
        return select(tables.runs).select_from(source).where(*conditions).order_by(number.desc())

    def count_by_status(self, workflow_id: WorkflowId | None = None) -> Mapping[RunStatus, int]:
        """Return how many runs stand where; statuses without a run are left out."""
        statement = select(_RUN.status, func.count()).group_by(_RUN.status)
        if workflow_id is not None:
            statement = statement.where(_RUN.workflow_id == workflow_id)
        return {RunStatus(status): count for status, count in self._connection.execute(statement)}

    def list_open(self, *, limit: int = 10_000) -> list[Run]:
        """Return the runs that are not final, oldest first."""
        statement = select(tables.runs).where(text(tables.OPEN_RUNS)).order_by(_RUN.id).limit(limit)
        return [run_of(row) for row in self._connection.execute(statement)]

    def list_running(self) -> list[Run]:
        """Return the runs that hold a lease, oldest first."""
        condition = (text(tables.READY_RUNS), _RUN.status == literal_column("'running'"))
        return [run_of(row) for row in self._connection.execute(select(tables.runs).where(*condition).order_by(_RUN.id))]

    def list_ready(self, *, interrupted: bool = False, limit: int = 10_000) -> list[Run]:
        """Return the runs that are queued, oldest first; with `interrupted` also those that stand as running."""
        statement = select(tables.runs).where(text(tables.READY_RUNS)).order_by(_RUN.id).limit(limit)
        if not interrupted:
            statement = statement.where(_RUN.status == literal_column("'queued'"))
        return [run_of(row) for row in self._connection.execute(statement)]

    def facts(
        self, run_id: RunId, *, after_seq: int = -1, with_payload: bool = False, node: NodeId | None = None
    ) -> list[Fact]:
        """Return the journal of a run in order; payloads are left out unless asked for."""
        columns = tuple(_FACT) if with_payload else _FACT_HEAD
        statement = select(*columns).where(_FACT.run_id == run_id, _FACT.seq > after_seq).order_by(_FACT.seq)
        if node is not None:
            statement = statement.where(_FACT.node == node)
        return [fact_of(row, self._payloads.unpack) for row in self._connection.execute(statement)]

    def payload(self, run_id: RunId, seq: int) -> bytes | None:
        """Return the payload of one fact."""
        row = self._connection.execute(
            select(_FACT.payload_form, _FACT.payload).where(_FACT.run_id == run_id, _FACT.seq == seq)
        ).first()
        return None if row is None else self._payloads.unpack(row[0], row[1])

    def take_facts(self, source: RunId, target: RunId, seqs: Sequence[int], *, rewritten: Mapping[int, bytes]) -> int:
        """
        Make facts of one run those of another, new one, numbered from 0 in the order of `seqs`; returns how many.

        They are taken as they stand, bytes that are kept outside are shared. `rewritten` gives some of them, by their number in
        the old run, another payload.
        """
        others = [column for column in _FACT if column.name not in ("run_id", "seq")]
        for first in range(0, len(seqs), TAKEN_AT_ONCE):
            some = seqs[first : first + TAKEN_AT_ONCE]
            numbered = (func.row_number().over(order_by=_FACT.seq) + (first - 1)).label("seq")
            chosen = select(literal(target).label("run_id"), numbered, *others)
            chosen = chosen.where(_FACT.run_id == source, _FACT.seq.in_(some))
            self._connection.execute(insert(tables.facts).from_select(["run_id", "seq", *(c.name for c in others)], chosen))
        blobs = tables.blobs.c
        shared = select(blobs.hash).where(blobs.owner == source)
        own_blobs(self._connection, self._connection.execute(shared).scalars().all(), target)
        number = {seq: place for place, seq in enumerate(seqs)}
        for seq, payload in rewritten.items():
            owned: set[str] = set()
            form, data = self._payloads.pack(payload, owned)
            changed = update(tables.facts).where(_FACT.run_id == target, _FACT.seq == number[seq])
            self._connection.execute(changed.values(payload_form=form, payload=data))
            own_blobs(self._connection, owned, target)
        return len(seqs)

    def request_cancel(self, run_id: RunId, error: Mapping[str, Any] | None = None, *, is_idle: bool = False) -> Run:
        """
        Mark the run; a queued or parked run becomes `cancelled` at once, with this error. Returns the run as it then is.

        `is_idle` says that nobody is at work at a run that stands as running (its worker is gone): it ends at once, too.
        One that ends at once gets a new epoch, so that a worker that was about to take it writes nothing.
        """
        run = self._locked(run_id)
        if run.status.is_final:
            return run
        run = replace(run, cancel_requested=True)
        if is_idle or run.status is not RunStatus.RUNNING:
            over = self._clock.now()
            run = replace(run, status=RunStatus.CANCELLED, error=error or run.error, finished_at=over, epoch=run.epoch + 1)
            self._end_waits(run)
        self._write(run)
        if run.status.is_final:
            self._on_ended([run])
        return run

    def _end_waits(self, run: Run) -> None:
        """Write down that the steps that waited in a run were cancelled with it."""
        waiting = self._connection.execute(
            select(tables.waits.c.node, tables.waits.c.scope).where(tables.waits.c.run_id == run.id)
        ).all()
        if not waiting:
            return
        last = self._connection.execute(select(func.max(_FACT.seq)).where(_FACT.run_id == run.id)).scalar()
        first = 0 if last is None else int(last) + 1
        assert run.finished_at is not None
        facts = [
            Fact(run_id=run.id, seq=seq, kind=FactKind.STEP_CANCELLED, node=NodeId(node), scope=scope, at=run.finished_at)
            for seq, (node, scope) in enumerate(waiting, first)
        ]
        rows = [dict(zip(_FACT.keys(), fact_values(fact, NOTHING), strict=True)) for fact in facts]
        self._connection.execute(insert(tables.facts), rows)
        self._connection.execute(delete(tables.waits).where(tables.waits.c.run_id == run.id))

    def claim(self, run_id: RunId, *, now: datetime, limits: Concurrency | None = None, is_shared: bool = False) -> Run | None:
        """
        Take a run over: status `running`, epoch grown by one; None when it is final.

        A run that was not running takes a lease with that. Raises `NoPlace` when `limits` are reached, and where the store is
        shared when another program has taken the run.
        """
        run = self._locked(run_id)
        if run.status.is_final:
            return None
        if is_shared and run.status is RunStatus.RUNNING:
            raise NoPlace(f"Another program has the run {run_id}.")
        if limits is not None and run.status is not RunStatus.RUNNING:
            check_place(self._connection, run, limits)
        run = replace(run, status=RunStatus.RUNNING, epoch=run.epoch + 1, started_at=run.started_at or now)
        self._write(run)
        return run

    def has(self, run_id: RunId) -> bool:
        """Tell whether there is such a run."""
        return self._connection.execute(select(_RUN.id).where(_RUN.id == run_id)).first() is not None

    def add_all(self, runs: Sequence[tuple[Run, bytes]], *, document: Document | None = None) -> None:
        """Queue many runs of one document at once, each with its encoded input."""
        text = None if document is None else document_text(document)
        rows = [dict(zip(_RUN_NAMES, run_values(run), strict=True)) for run, _ in runs]
        inputs = []
        for run, data in runs:
            owned: set[str] = set()
            form, payload = self._payloads.pack(data, owned)
            inputs.append({"run_id": run.id, "payload_form": form, "payload": payload, "document": text})
            own_blobs(self._connection, owned, run.id)
        self._connection.execute(insert(tables.runs), rows)
        self._connection.execute(insert(tables.inputs), inputs)

    def list_children(self, parent: RunId, *, step: str | None = None, limit: int = 1000) -> list[Run]:
        """Return the runs that a run called, in the order it did; with `step` those that this call waits for."""
        statement = select(tables.runs).where(_RUN.parent_run_id == parent).order_by(_RUN.id).limit(limit)
        if step is not None:
            statement = statement.where(_RUN.parent_step == step)
        return [run_of(row) for row in self._connection.execute(statement)]

    def claim_many(self, run_ids: Sequence[RunId], *, now: datetime) -> list[Run]:
        """Take runs over as `claim` does, in one statement; returns those that are not final."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(_RUN.id).where(_RUN.id.in_(run_ids)).order_by(_RUN.id).with_for_update())
        rows = self._connection.execute(
            update(tables.runs)
            .where(_RUN.id.in_(run_ids), _RUN.status.not_in([status.value for status in FINAL]))
            .values(
                status=RunStatus.RUNNING.value,
                epoch=_RUN.epoch + 1,
                started_at=func.coalesce(_RUN.started_at, moment(now)),
            )
            .returning(*_RUN)
        )
        return [run_of(row) for row in rows]

    def inputs_of(self, run_ids: Sequence[RunId]) -> dict[RunId, bytes]:
        """Return the encoded batches that runs started with."""
        columns = tables.inputs.c
        rows = self._connection.execute(
            select(columns.run_id, columns.payload_form, columns.payload).where(columns.run_id.in_(run_ids))
        )
        return {RunId(row[0]): self._payloads.unpack(row[1], row[2]) or b"" for row in rows}

    def facts_of(self, run_ids: Sequence[RunId]) -> dict[RunId, list[Fact]]:
        """Return the journals of runs, with their payloads, each in order."""
        rows = self._connection.execute(select(*_FACT).where(_FACT.run_id.in_(run_ids)).order_by(_FACT.run_id, _FACT.seq))
        found: dict[RunId, list[Fact]] = {}
        for row in rows:
            found.setdefault(RunId(row[0]), []).append(fact_of(row, self._payloads.unpack))
        return found

    def add_facts(self, facts: Sequence[Fact]) -> None:
        """Give a run that is queued in the same transaction what it knows from the start."""
        for fact in facts:
            owned: set[str] = set()
            values = fact_values(fact, self._payloads.pack(fact.payload, owned))
            self._connection.execute(insert(tables.facts), dict(zip(_FACT.keys(), values, strict=True)))
            own_blobs(self._connection, owned, fact.run_id)

    def count_queued(self) -> Mapping[str, tuple[int, int]]:
        """Return, for each line in which runs are queued, how many and the highest priority among them."""
        return count_queued(self._connection)

    def set_lease_key(self, run_id: RunId, key: str) -> None:
        """Give a queued run the key its workflow's limit counts it by."""
        self._connection.execute(
            update(tables.runs).where(_RUN.id == run_id, _RUN.status == RunStatus.QUEUED.value).values(lease_key=key)
        )

    def next_queued(self, wish: QueueWish) -> QueuedRuns:
        """Return who is next in a line: the keys in turn, of each key the highest priority and the oldest first."""
        return next_queued(self._connection, wish)

    def prune(self, *, before: datetime, limit: int = 500) -> int:
        """
        Remove up to `limit` final runs that ended before a moment, oldest first; returns how many.

        Their journals and firings go with them, their bytes in the content-addressed store with the store's next sweep.
        """
        retention = SqlRetention(self._connection)
        return retention.remove(retention.find_over(before=before, limit=limit))

    def _locked(self, run_id: RunId) -> Run:
        return self._one(select(tables.runs).where(_RUN.id == run_id).with_for_update(), run_id)

    def _one(self, statement: Select[Any], run_id: RunId) -> Run:
        row = self._connection.execute(statement).first()
        if row is None:
            raise NotFound("run", run_id)
        return run_of(row)

    def _write(self, run: Run) -> None:
        self._connection.execute(
            update(tables.runs).where(_RUN.id == run.id), dict(zip(_RUN_NAMES[1:], run_values(run)[1:], strict=True))
        )


def _with_statuses(statement: Select[Any], statuses: Sequence[RunStatus]) -> Select[Any]:
    """Narrow to some statuses, in words that let a partial index help where one can."""
    if set(statuses) == {RunStatus.FAILED}:
        return statement.where(text(tables.FAILED_RUNS))
    if _READY.issuperset(statuses):
        statement = statement.where(text(tables.READY_RUNS))
    elif _OPEN.issuperset(statuses):
        statement = statement.where(text(tables.OPEN_RUNS))
    return statement.where(_RUN.status.in_([literal_column(f"'{status.value}'") for status in statuses]))
