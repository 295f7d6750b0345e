"""One transaction, with the repositories that speak the model's language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from engine.clock import Clock
from engine.events.types import Event
from engine.ids import RunId
from engine.model.run import Run, RunStatus
from engine.protocols import (
    Failures,
    Firings,
    Replays,
    Retention,
    Runs,
    Search,
    Settle,
    Signals,
    Tokens,
    Triggers,
    Values,
    Waits,
    Workflows,
)

from .children import Call, calls_of, cancel_children, missed_calls, wake_callers
from .failures import SqlFailures
from .firings import SqlFirings
from .payloads import Payloads
from .replays import SqlReplays
from .retention import SqlRetention
from .runs import SqlRuns
from .searching import SqlSearch
from .tokens import SqlTokens
from .triggers import SqlTriggers
from .values import SqlValues
from .waits import SqlSignals, SqlWaits
from .workflows import SqlWorkflows


class SqlUnitOfWork:
    """Implements `engine.protocols.UnitOfWork` on one connection; the store begins and ends the transaction."""

    def __init__(self, connection: Connection, payloads: Payloads, clock: Clock, *, settle: Settle | None = None) -> None:
        self.events: list[Event] = []
        self.has_rung = False
        self.woken: set[RunId] = set()
        self.cancelled: set[RunId] = set()
        self._connection, self._clock, self._settle = connection, clock, settle
        self.workflows: Workflows = SqlWorkflows(connection)
        self.runs: Runs = SqlRuns(connection, payloads, clock, on_ended=self.settle)
        self.triggers: Triggers = SqlTriggers(connection)
        self.firings: Firings = SqlFirings(connection, payloads)
        self.tokens: Tokens = SqlTokens(connection)
        self.values: Values = SqlValues(connection)
        self.waits: Waits = SqlWaits(connection, payloads)
        self.signals: Signals = SqlSignals(connection, payloads)
        self.retention: Retention = SqlRetention(connection)
        self.search: Search = SqlSearch(connection, payloads)
        self.failures: Failures = SqlFailures(connection)
        self.replays: Replays = SqlReplays(connection, payloads)

    def settle(self, ended: Sequence[Run], begun: Sequence[Call] = ()) -> None:
        """Do what belongs to the end of these runs, and for calls that have just begun to wait."""
        concerned = [run for run in ended if concerns_others(run)]
        if concerned:
            self.cancelled |= cancel_children(self._connection, self.runs, concerned)
        calls = calls_of(concerned)
        if calls or begun:
            woken, has_queued = wake_callers(self._connection, self.waits, calls, begun, now=self._clock.now())
            self.woken |= woken
            self.has_rung = self.has_rung or has_queued
        if concerned and self._settle is not None:
            self._settle(self, concerned)

    def settle_missed(self, limit: int = 1000) -> int:
        """
        Wake calls that wait for children of which none is on its way, and let a held one begin; returns how many calls.

        The journal tells the worker once that is committed.
        """
        missed = missed_calls(self._connection, limit)
        if missed:
            woken, has_queued = wake_callers(
                self._connection, self.waits, Counter(dict.fromkeys(missed, 1)), (), now=self._clock.now()
            )
            self.woken |= woken
            self.has_rung = self.has_rung or has_queued
        return len(missed)

    def ring(self) -> None:
        """Say that a run was queued, so that the worker looks for it once the transaction is committed."""
        self.has_rung = True

    def begin(self) -> None:
        """Forget what an earlier change said."""
        self.events.clear()
        self.woken.clear()
        self.cancelled.clear()
        self.has_rung = False

    def publish(self, event: Event) -> None:
        """Tell this event once the transaction is committed."""
        self.events.append(event)


def concerns_others(run: Run) -> bool:
    """Whether the end of a run means something to anything but the run itself; for most it does not."""
    if run.status is RunStatus.SUCCEEDED:
        return run.retry_of is not None or run.parent_step is not None
    return run.status.is_final
