"""One transaction, with the repositories that speak the model's language."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.clock import Clock
from engine.events.types import Event
from engine.protocols import Firings, Retention, Runs, Signals, Tokens, Triggers, Values, Waits, Workflows

from .firings import SqlFirings
from .payloads import Payloads
from .retention import SqlRetention
from .runs import SqlRuns
from .tokens import SqlTokens
from .triggers import SqlTriggers
from .values import SqlValues
from .waits import SqlSignals, SqlWaits
from .workflows import SqlWorkflows


class SqlUnitOfWork:
    """Implements `engine.protocols.UnitOfWork` on one connection; the store begins and ends the transaction."""

    def __init__(self, connection: Connection, payloads: Payloads, clock: Clock) -> None:
        self.events: list[Event] = []
        self.workflows: Workflows = SqlWorkflows(connection)
        self.runs: Runs = SqlRuns(connection, payloads, clock)
        self.triggers: Triggers = SqlTriggers(connection)
        self.firings: Firings = SqlFirings(connection, payloads)
        self.tokens: Tokens = SqlTokens(connection)
        self.values: Values = SqlValues(connection)
        self.waits: Waits = SqlWaits(connection, payloads)
        self.signals: Signals = SqlSignals(connection, payloads)
        self.retention: Retention = SqlRetention(connection)

    def publish(self, event: Event) -> None:
        """Tell this event once the transaction is committed."""
        self.events.append(event)
