"""What fills the disk: read in slices, so that no reader stands in the way of the log for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, func, select, text

from . import tables
from .blobs import BlobStore

SLICE: Final = 2_000
T = TypeVar("T")


@dataclass(slots=True)
class Filled:
    """Bytes of one workflow's runs; `files` are large batches and files of its own in the content-addressed store."""

    workflow_id: str | None
    name: str
    runs: int = 0
    data: int = 0
    journal: int = 0
    files: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.data + self.journal + self.files


@dataclass(slots=True)
class Usage:
    """
    Bytes in the database and the content-addressed store.

    `database` is what the database takes on the disk, `free` the part of it that is free pages. `data` are inputs and
    outputs, `journal` everything else a run leaves, `search` the words for finding runs, `files` the needed bytes of the
    content-addressed store and `unneeded` those that the next sweep removes.
    """

    database: int = 0
    log: int = 0
    free: int = 0
    data: int = 0
    journal: int = 0
    search: int = 0
    files: int = 0
    unneeded: int = 0
    workflows: list[Filled] = field(default_factory=list)


class Reading(Protocol):
    """Runs a query on a snapshot, each time on a fresh one."""

    async def __call__(self, query: Callable[[Connection], T]) -> T: ...


async def measure(read: Reading, blobs: BlobStore, sizes: Mapping[str, int]) -> Usage:
    """Return what fills the disk; `sizes` are the files of the content-addressed store by hash."""
    usage = await read(_whole)
    by_workflow: dict[str | None, Filled] = {}
    after: str | None = ""
    while after is not None:
        after = await read(lambda connection, after=after: _slice(connection, after, by_workflow))  # type: ignore[misc]
    owners = await read(_owners)
    seen: set[str] = set()
    for digest, workflow_id in owners:
        if digest in seen:
            continue
        seen.add(digest)
        size = sizes.get(digest, 0)
        usage.files += size
        if workflow_id in by_workflow:
            by_workflow[workflow_id].files += size
    usage.unneeded = sum(size for digest, size in sizes.items() if digest not in seen)
    usage.workflows = sorted(by_workflow.values(), key=lambda one: one.total, reverse=True)
    usage.data += sum(one.data for one in usage.workflows)
    usage.journal += sum(one.journal for one in usage.workflows)
    return usage


def used_by_database(connection: Connection) -> int:
    """Return the bytes that rows take: on SQLite the pages that are not free, on a server the kept batches."""
    if connection.dialect.name == "sqlite":
        pages, free, size = (_pragma(connection, name) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size
    sizes = [func.coalesce(func.sum(func.pg_column_size(table.c.payload)), 0) for table in (tables.facts, tables.inputs)]
    return sum(int(connection.execute(select(size)).scalar() or 0) for size in sizes)


def needed_size(connection: Connection, sizes: Mapping[str, int]) -> int:
    """Return the bytes of the content-addressed store that a run or firing needs."""
    return sum(sizes.get(digest, 0) for digest in connection.execute(select(tables.blobs.c.hash).distinct()).scalars())


def _whole(connection: Connection) -> Usage:
    usage = Usage()
    if connection.dialect.name == "sqlite":
        pages, free, size = (_pragma(connection, name) for name in ("page_count", "freelist_count", "page_size"))
        usage.database, usage.free = pages * size, free * size
        usage.search = int(
            connection.execute(text("SELECT coalesce(sum(length(block)), 0) FROM search_words_data")).scalar() or 0
        )
    else:
        usage.database = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar() or 0)
        usage.search = int(connection.execute(text("SELECT pg_total_relation_size('search_words')")).scalar() or 0)
    columns = tables.firings.c
    usage.data = _sum(connection, select(func.sum(func.length(columns.payload))))
    return usage


def _slice(connection: Connection, after: str, found: dict[str | None, Filled]) -> str | None:
    """Add the runs behind `after`; returns where the next slice begins, None at the end."""
    runs, facts, inputs = tables.runs.c, tables.facts.c, tables.inputs.c
    rows = connection.execute(
        select(runs.id, runs.workflow_id, runs.workflow_name).where(runs.id > after).order_by(runs.id).limit(SLICE)
    ).all()
    if not rows:
        return None
    counts: Counter[str | None] = Counter(row[1] for row in rows)
    for row in rows:
        found.setdefault(row[1], Filled(row[1], row[2])).name = row[2]
    for workflow_id, count in counts.items():
        found[workflow_id].runs += count
    last = rows[-1][0]
    within = (runs.id > after, runs.id <= last)
    for row in connection.execute(
        select(
            runs.workflow_id,
            func.sum(func.coalesce(func.length(facts.payload), 0)),
            func.sum(func.coalesce(func.length(facts.summary), 0) + 60),
        )
        .select_from(tables.runs.join(tables.facts, facts.run_id == runs.id))
        .where(*within)
        .group_by(runs.workflow_id)
    ):
        found[row[0]].data += int(row[1] or 0)
        found[row[0]].journal += int(row[2] or 0)
    for workflow_id, size in connection.execute(
        select(runs.workflow_id, func.sum(func.coalesce(func.length(inputs.payload), 0)))
        .select_from(tables.runs.join(tables.inputs, inputs.run_id == runs.id))
        .where(*within)
        .group_by(runs.workflow_id)
    ):
        found[workflow_id].data += int(size or 0)
    return str(last)


def _owners(connection: Connection) -> list[tuple[str, str | None]]:
    runs, blobs = tables.runs.c, tables.blobs.c
    joined = tables.blobs.outerjoin(tables.runs, runs.id == blobs.owner)
    return [(row[0], row[1]) for row in connection.execute(select(blobs.hash, runs.workflow_id).select_from(joined))]


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)


def _sum(connection: Connection, statement: Any) -> int:
    return int(connection.execute(statement).scalar() or 0)
