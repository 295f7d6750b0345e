"""The workflow document as data: nodes, edges, settings, layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from engine.ids import NodeId, VersionId, WorkflowId
from engine.model.limits import Budget, Concurrency, Rate

OnError = Literal["stop", "route", "ignore"]
OnUncertain = Literal["ask", "retry", "skip"]

DEFAULT_OUT = "out"
DEFAULT_IN = "in"
ERROR_PORT = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """
    How often and how patiently to try again: exponential pauses with full jitter.

    `attempts` counts all tries, the first included; `total` bounds the time from the first try to the last.
    """

    attempts: int = 1
    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=5)
    total: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One box on the canvas; `fields` is what stands under `with`, exactly as written."""

    id: NodeId
    use: str
    title: str | None = None
    note: str | None = None
    connection: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    on_error: OnError = "stop"
    on_uncertain: OnUncertain = "ask"
    run_on_empty: bool = False
    disabled: bool = False

    @property
    def label(self) -> str:
        """The title a person reads: the given one, else the id in words."""
        return self.title or self.id.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from one port to another; `str(edge)` is the document's grammar, with default ports left out."""

    source: NodeId
    target: NodeId
    source_port: str = DEFAULT_OUT
    target_port: str = DEFAULT_IN

    @property
    def id(self) -> str:
        """The edge with both ports named, which is unique within a document."""
        return f"{self.source}.{self.source_port}->{self.target}.{self.target_port}"

    def __str__(self) -> str:
        source = self.source if self.source_port == DEFAULT_OUT else f"{self.source}.{self.source_port}"
        target = self.target if self.target_port == DEFAULT_IN else f"{self.target}.{self.target_port}"
        return f"{source} -> {target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """
    How long runs that are over are kept; None leaves it to this Treadle's settings.

    `days` for all of them, `failed_days` for those that failed, `runs` how many at most, `payload_days` how long their data
    stays before only the summary is left.
    """

    days: int | None = None
    runs: int | None = None
    failed_days: int | None = None
    payload_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What holds for the whole workflow.

    `concurrency` counts runs at the same time, None is no limit. Of runs that wait, those of a higher `priority` go first.
    `keep` says how long runs stay, `search` whether what they worked on can be searched for.
    """

    timezone: str = "UTC"
    concurrency: int | Concurrency | None = None
    timeout: timedelta | None = None
    on_failure: str | None = None
    keep: Keep | None = None
    search: bool = True
    priority: int = 0
    budget: Budget | None = None
    rates: tuple[Rate, ...] = ()

    @property
    def limits(self) -> Concurrency | None:
        """How many runs may go at the same time, in the long form."""
        return Concurrency(limit=self.concurrency) if isinstance(self.concurrency, int) else self.concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole workflow as text would say it; `layout` is kept apart so that moving a box never conflicts with changing one."""

    name: str
    description: str | None = None
    nodes: Mapping[NodeId, Node] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    settings: Settings = Settings()
    layout: Mapping[NodeId, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A published document that never changes; its id is the hash of its canonical text without the layout."""

    id: VersionId
    workflow_id: WorkflowId
    document: Document
    parents: tuple[VersionId, ...] = ()
    created_at: datetime
    author: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """
    The thing with a name that a person owns.

    `draft` is the canonical text of what is being edited and may still have problems; `revision` grows by one with each
    saved change; `active_version` is the version whose triggers are on, None while the workflow is off.
    """

    id: WorkflowId
    name: str
    draft: str
    revision: int
    active_version: VersionId | None
    created_at: datetime
    updated_at: datetime
