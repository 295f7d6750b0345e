"""
Journal records become rows.

One segment is a stretch of records between two changes of the same flush. Everything that costs time and needs no lock is done
before the transaction begins (`prepare`: moments, JSON, compression, large payloads on disk); inside it (`write`) the records
are fenced by epoch, run rows are coalesced (a run that starts and ends here is one INSERT of the finished row) and the rows go
to the DBAPI cursor in groups.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from engine.errors import StoreError
from engine.ids import RunId
from engine.model.run import FINAL, Fact, FactKind, Run, RunStatus
from engine.model.workflow import Document
from engine.protocols import Firing, Line

from .documents import document_text
from .flush_waits import TOUCHING, WaitChange, WaitsWritten, queue_woken, wait_change, write_waits
from .payloads import PLAIN, Payloads, is_plain
from .rows import Values, fact_values, firing_values, json_text, optional_moment, run_values
from .statements import Statements

log = logging.getLogger(__name__)

FACT: Final = 0
START: Final = 1
FINISH: Final = 2
WHOLE: Final = 5

Record = tuple[int, Any, Any]
"""`(FACT, Fact, epoch)`, `(START, Run, Beginning)`, `(FINISH, Run, None)` or `(WHOLE, Run, Whole)`."""

Beginning = tuple[bytes | None, Document | None, Firing | None]
Whole = tuple[bytes, Document | None, Firing | None, list[Line]]

_FINAL_TEXTS: Final = frozenset(status.value for status in FINAL)
_BROKEN: Final = -1
_WAIT: Final = 4
_SUCCEEDED: Final = FactKind.STEP_SUCCEEDED
_FIRST: Final = frozenset({START, WHOLE})


class Segment:
    """Records on their way to the disk, in order."""

    __slots__ = ("_owned", "_payloads", "_steps", "begun", "ended", "waits")

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self.waits = WaitsWritten()
        self._steps: list[tuple[int, str, Any, Any]] = []
        self._owned: list[tuple[str, str]] = []
        self.ended: list[Run] = []
        self.begun: list[tuple[RunId, str]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def singles(self) -> Iterable[Segment]:
        """Return each record as a segment of its own, for finding the one that the database refuses."""
        owned: dict[str, list[tuple[str, str]]] = {}
        for blob in self._owned:
            owned.setdefault(blob[1], []).append(blob)
        for step in self._steps:
            single = Segment(self._payloads)
            single._steps.append(step)
            single._owned = owned.get(step[1], [])
            yield single

    @property
    def run_id(self) -> RunId:
        """The run that the first record belongs to."""
        return RunId(self._steps[0][1])

    def prepare(self, records: Iterable[Record]) -> None:
        """
        Take records in. One that cannot be encoded is a bug of its step, not of the disk: it is logged, and its run is lost.

        Raises `StoreError` when a large payload cannot be written.
        """
        take, encode = self._steps.append, self._fact
        for kind, thing, more in records:
            run_id = thing.run_id if kind == FACT else thing.id
            try:
                if kind == FACT:
                    take((FACT, run_id, more, encode(thing)))
                    if thing.kind is not _SUCCEEDED and thing.kind in TOUCHING:
                        take((_WAIT, run_id, more, wait_change(thing, self._payloads)))
                elif kind == START:
                    take((START, run_id, thing, self._beginning(thing, more)))
                elif kind == WHOLE:
                    take((WHOLE, run_id, thing, (*self._beginning(thing, more[:3]), self._lines(more[3]))))
                else:
                    take((FINISH, run_id, thing, None))
            except (StoreError, OSError):
                raise
            except Exception:
                log.exception("journal record cannot be encoded", extra={"run": run_id})
                take((_BROKEN, run_id, None, None))

    def _fact(self, fact: Fact) -> Values:
        payload = fact.payload
        if is_plain(payload):
            return fact_values(fact, (PLAIN, payload))
        owned: set[str] = set()
        values = fact_values(fact, self._payloads.pack(payload, owned))
        self._owned.extend((digest, fact.run_id) for digest in owned)
        return values

    def _lines(self, lines: list[Line]) -> Sequence[Values]:
        """Return the rows of a whole journal: the lines as they are, but for those whose payload is kept in another form."""
        for line in lines:
            if not is_plain(line[9]):
                break
        else:
            return lines
        rows: list[Values] = []
        owned: set[str] = set()
        for line in lines:
            rows.append((*line[:8], *self._payloads.pack(line[9], owned)))
        self._owned.extend((digest, lines[0][0]) for digest in owned)
        return rows

    def _beginning(self, run: Run, beginning: Beginning) -> tuple[Values | None, Values | None]:
        data, document, firing = beginning
        owned: set[str] = set()
        first = None
        if data is not None:
            text = None if document is None else document_text(document)
            first = (run.id, *self._payloads.pack(data, owned), text)
        fired = None
        if firing is not None:
            fired = (*firing_values(firing, self._payloads.pack(firing.payload, owned))[:-2], "started", run.id)
        self._owned.extend((digest, run.id) for digest in owned)
        return first, fired

    def write(self, cursor: Any, statements: Statements) -> set[RunId]:
        """
        Write everything inside the transaction that is open on the cursor; returns the runs that were fenced off.

        `ended` then holds the runs whose end this was, `begun` the calls that began to wait for their children.
        """
        steps, self.ended, self.begun = self._steps, [], []
        fresh = {step[1] for step in steps if step[0] == WHOLE or (step[0] == START and step[3][0] is not None)}
        refused = self._write_firings(cursor, statements) if fresh else frozenset()
        asked = {step[1] for step in steps} - fresh
        epochs, finals = _stored(cursor, statements, asked)

        lost: set[RunId] = set()
        new: dict[str, Run] = {}
        changed: dict[str, Run] = {}
        first_inputs: list[Values] = []
        fact_rows: list[Values] = []
        fired: list[Values] = []
        waits: list[WaitChange] = []
        parked: list[str] = []
        for kind, run_id, what, more in steps:
            epoch = epochs.get(run_id, -1)
            if kind == FACT:
                if epoch == what:
                    fact_rows.append(more)
                else:
                    lost.add(RunId(run_id))
            elif kind == WHOLE and run_id not in refused and run_id not in epochs:
                epochs[run_id], new[run_id], finals[run_id] = what.epoch, what, what.status._value_
                first_inputs.append(more[0])
                fact_rows += more[2]
                self.ended.append(what)
                if more[1] is None and what.firing_id is not None:
                    fired.append((run_id, what.firing_id))
            elif kind == START and more[0] is not None and run_id not in refused and run_id not in epochs:
                epochs[run_id], new[run_id] = what.epoch, what
                first_inputs.append(more[0])
                if more[1] is None and what.firing_id is not None:
                    fired.append((run_id, what.firing_id))
            elif kind == START and more[0] is None and 0 <= epoch <= what.epoch and run_id not in finals:
                epochs[run_id] = what.epoch
                (new if run_id in new else changed)[run_id] = what
            elif kind == FINISH and epoch == what.epoch and finals.get(run_id) in (None, what.status):
                (new if run_id in new else changed)[run_id] = what
                if what.status is RunStatus.WAITING:
                    parked.append(run_id)
                elif what.status in FINAL:
                    self.ended.append(what)
            elif kind == _WAIT:
                if epoch == what:
                    waits.append(more)
            else:
                lost.add(RunId(run_id))
                epochs.pop(run_id, None)

        if new:
            statements.runs.insert(cursor, [run_values(run) for run in new.values()])
            statements.inputs.insert(cursor, first_inputs)
        if fired:
            cursor.executemany(statements.mark_fired, fired)
        if changed:
            statements.update_runs.run(cursor, [_change(run) for run in changed.values()])
        if fact_rows:
            statements.facts.insert(cursor, fact_rows)
        if waits:
            self.begun = [
                (RunId(change.row[4]), change.row[5]) for change in waits if change.row is not None and change.row[3] == "child"
            ]
            write_waits(cursor, statements.waits, waits, self.waits)
        if parked:
            queue_woken(cursor, statements.waits, statements.id_list(parked), self.waits)
        if self._owned:
            cursor.executemany(statements.own_blob, [blob for blob in self._owned if blob[1] not in lost])
        return lost

    def _write_firings(self, cursor: Any, statements: Statements) -> frozenset[str]:
        """
        Keep the firings that came with their runs; returns the runs whose firing is known already and has its run.

        A firing that waits in the inbox is taken over by the run that names it.
        """
        firings = {step[1]: step[3][1] for step in self._steps if step[0] in _FIRST and step[3][1] is not None}
        if not firings:
            return frozenset()
        if statements.keep_firings.run(cursor, list(firings.values())) == len(firings):
            return frozenset()
        refused = set()
        for run_id, values in firings.items():
            cursor.execute(statements.find_firing, (values[1], values[3], values[4]))
            row = cursor.fetchone()
            if row is None or row[0] != run_id:
                refused.add(run_id)
        return frozenset(refused)


def _stored(cursor: Any, statements: Statements, run_ids: set[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the epochs of runs that are in the store, and the statuses of those that are final."""
    if not run_ids:
        return {}, {}
    cursor.execute(statements.epochs, (statements.id_list(run_ids),))
    epochs, finals = {}, {}
    for run_id, epoch, status in cursor.fetchall():
        epochs[run_id] = epoch
        if status in _FINAL_TEXTS:
            finals[run_id] = status
    return epochs, finals


def _change(run: Run) -> Values:
    return (
        run.status._value_,
        run.epoch,
        optional_moment(run.started_at),
        optional_moment(run.finished_at),
        None if run.error is None else json_text(run.error),
        run.id,
    )
