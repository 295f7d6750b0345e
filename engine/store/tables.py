"""
The tables, once, for both databases.

Moments are whole microseconds since 1970 (UTC), small structures are JSON text, batches are bytes whose form stands beside
them (`engine.store.payloads`). Ids sort by the time they were given, so “newest first” is a walk down an index of ids.
Columns are declared in the order in which `engine.store.rows` writes them. There are no foreign keys: the writer thread is the
only one that writes, and a run outlives its workflow on purpose.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "pk": "%(table_name)s_pkey",
    }
)

Id: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Ids compare byte by byte on both databases, whatever the server's language."""

OPEN_RUNS: Final = "status NOT IN ('succeeded', 'failed', 'cancelled')"
"""Word for word the condition of the partial index: SQLite uses the index only for a query that says the same."""

READY_RUNS: Final = "status IN ('queued', 'running')"
"""Runs that a worker has to take or has in hand: what a start looks through, however many runs are parked."""

FAILED_RUNS: Final = "status = 'failed'"
SLEEPING: Final = "wake_at IS NOT NULL AND woken_at IS NULL"
WAITING_FIRINGS: Final = "state IN ('held', 'queued')"

workflows: Final = Table(
    "workflows",
    metadata,
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("draft", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("active_version", Id),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name"),
)

versions: Final = Table(
    "versions",
    metadata,
    Column("workflow_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("document", Text, nullable=False),
    Column("parents", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("workflow_id", "id"),
    Index(None, "id"),
)
"""Keyed with the workflow: two workflows of the same content share the version's id, and one may be deleted."""

triggers: Final = Table(
    "triggers",
    metadata,
    Column("workflow_id", Id, nullable=False),
    Column("node", Text, nullable=False),
    Column("version_id", Id, nullable=False),
    Column("workflow_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fields", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("path", Text),
    Column("methods", Text, nullable=False),
    Column("next_due", BigInteger),
    Column("cursor", Text),
    Column("is_paused", Boolean, nullable=False),
    PrimaryKeyConstraint("workflow_id", "node"),
    Index(None, "kind"),
)

firings: Final = Table(
    "firings",
    metadata,
    Column("id", Id, nullable=False),
    Column("workflow_id", Id, nullable=False),
    Column("version_id", Id, nullable=False),
    Column("node", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload_form", SmallInteger, nullable=False),
    Column("payload", LargeBinary),
    Column("accepted_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_id", Id),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("workflow_id", "node", "key"),
)
Index("firings_waiting", firings.c.id, sqlite_where=text(WAITING_FIRINGS))

runs: Final = Table(
    "runs",
    metadata,
    Column("id", Id, nullable=False),
    Column("workflow_id", Id),
    Column("workflow_name", Text, nullable=False),
    Column("version_id", Id, nullable=False),
    Column("status", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("start_node", Text),
    Column("firing_id", Id),
    Column("is_test", Boolean, nullable=False),
    Column("retry_of", Id),
    Column("epoch", Integer, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("error", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Column("parent_run_id", Id),
    Column("parent_step", Text),
    Column("line", Id, nullable=False, server_default=""),
    Column("lease_key", Id, nullable=False, server_default=""),
    Column("rank", SmallInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("id"),
    Index(None, "workflow_id", "id", "status"),
)
# `runs_line` is how leases are counted and who is next is found; the rank is the priority with its sign turned, so that the
# next run of a key is the first of its rows.
# What holds for SQLite here is said to PostgreSQL in `engine.store.postgresql`: naming it here would load its dialect.
Index("runs_open", runs.c.id, sqlite_where=text(OPEN_RUNS))
Index("runs_ready", runs.c.id, sqlite_where=text(READY_RUNS))
Index("runs_line", runs.c.line, runs.c.status, runs.c.lease_key, runs.c.rank, runs.c.id, sqlite_where=text(READY_RUNS))
Index("runs_failed", runs.c.id, sqlite_where=text(FAILED_RUNS))
_FIRST_OF_FIRING = text("firing_id IS NOT NULL AND retry_of IS NULL")
Index(
    "runs_parent",
    runs.c.parent_run_id,
    runs.c.parent_step,
    runs.c.status,
    sqlite_where=text("parent_run_id IS NOT NULL"),
)
Index("runs_firing", runs.c.firing_id, unique=True, sqlite_where=_FIRST_OF_FIRING)

inputs: Final = Table(
    "inputs",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("payload_form", SmallInteger, nullable=False),
    Column("payload", LargeBinary),
    Column("document", Text),
    PrimaryKeyConstraint("run_id"),
)
"""What a run started with: the batch of its start node, and the draft where it tests one."""

facts: Final = Table(
    "facts",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("seq", Integer, nullable=False, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("summary", Text),
    Column("payload_form", SmallInteger, nullable=False),
    Column("payload", LargeBinary),
    PrimaryKeyConstraint("run_id", "seq"),
)
"""The journal: rows are added and never changed; they go when their run goes."""

waits: Final = Table(
    "waits",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("node", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("wake_at", BigInteger),
    Column("details", Text),
    Column("woken_at", BigInteger),
    Column("how", Text),
    Column("note", Text),
    Column("payload_form", SmallInteger, nullable=False),
    Column("payload", LargeBinary),
    PrimaryKeyConstraint("run_id", "node", "scope"),
    Index(None, "kind", "name", "key"),
)
"""The steps that wait: a projection of the facts `step_waiting`, and what woke them until `step_woken` is written."""
Index("waits_wake_at", waits.c.wake_at, sqlite_where=text(SLEEPING))

signals: Final = Table(
    "signals",
    metadata,
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("note", Text),
    Column("payload_form", SmallInteger, nullable=False),
    Column("payload", LargeBinary),
    PrimaryKeyConstraint("id"),
    Index(None, "name", "key"),
)
"""Signals that nobody waited for yet, kept for the one who will."""
failure_groups: Final = Table(
    "failure_groups",
    metadata,
    Column("id", Id, nullable=False),
    Column("step", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("id"),
)
"""The causes that failures have (`engine.model.causes`); how many have them is counted, never kept."""

failures: Final = Table(
    "failures",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("group_id", Id, nullable=False),
    Column("workflow_id", Id),
    Column("workflow_name", Text, nullable=False),
    Column("node", Text),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("action", Id),
    Column("reason", Text),
    Column("settled_at", BigInteger),
    Column("settled_by", Text),
    Column("replay_run_id", Id),
    Column("replay_of", Id),
    Column("alerts", Text),
    PrimaryKeyConstraint("run_id"),
    Index("failures_desk", "state", "group_id", "workflow_name", "at", "run_id"),
    Index(None, "group_id", "run_id"),
    Index(None, "action"),
)
"""The failure desk: a projection of the runs that failed and were no tests, written with their end."""

replays: Final = Table(
    "replays",
    metadata,
    Column("id", Id, nullable=False),
    Column("group_id", Id),
    Column("start", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("payload_form", SmallInteger, nullable=False),
    Column("payload", LargeBinary),
    Column("at_once", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("finished_at", BigInteger),
    PrimaryKeyConstraint("id"),
)

replay_items: Final = Table(
    "replay_items",
    metadata,
    Column("replay_id", Id, nullable=False),
    Column("run_id", Id, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("new_run_id", Id),
    Column("note", Text),
    PrimaryKeyConstraint("replay_id", "run_id"),
    Index(None, "replay_id", "state", "position"),
    Index(None, "new_run_id"),
)
"""Which failures a replay repeats, and how far it is."""

blobs: Final = Table(
    "blobs",
    metadata,
    Column("hash", Text, nullable=False),
    Column("owner", Id, nullable=False),
    PrimaryKeyConstraint("hash", "owner"),
    Index(None, "owner"),
)
"""Which run or firing (`owner`) still needs which bytes of the content-addressed store."""

trimmed: Final = Table(
    "trimmed",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id"),
)
"""Runs whose data was taken away while they stay listed, and when."""

searched: Final = Table(
    "searched",
    metadata,
    Column("doc", BigInteger, nullable=False, autoincrement=False),
    Column("run_id", Id, nullable=False),
    PrimaryKeyConstraint("doc"),
    UniqueConstraint("run_id"),
)
"""Which runs the search knows; `doc` is the number of their words in `search_words`, and grows with the run's id."""

search_late: Final = Table(
    "search_late",
    metadata,
    Column("run_id", Id, nullable=False),
    PrimaryKeyConstraint("run_id"),
)
"""Runs that were not over when the search's indexer came by."""

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("hash"),
)

values: Final = Table(
    "values",
    metadata,
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("key"),
)

OF_A_RUN: Final = tuple(
    table for table in metadata.sorted_tables if "run_id" in table.c and table.name not in ("firings", "searched")
)
"""Tables whose rows belong to one run and go with it, by their column `run_id`."""
