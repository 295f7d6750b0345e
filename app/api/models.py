"""
The API's bodies as pydantic models: what comes in is checked by them, what goes out is described by them in OpenAPI.

Unknown keys of what comes in are errors, so that a typing mistake is never silently ignored.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["queued", "running", "waiting", "needs_decision", "succeeded", "failed", "cancelled"]


class In(BaseModel):
    """Something a caller sends."""

    model_config = ConfigDict(extra="forbid")


class StartRun(In):
    """What a run starts with."""

    input: dict[str, Any] | list[dict[str, Any]] | None = Field(
        None, description="The items of the start node: one object or a list. Left out, the trigger's own sample is taken."
    )
    from_node: str | None = Field(None, alias="from", description="The node to start at; its trigger when left out.")
    test: bool = Field(False, description="Run the draft as it is, as a test.")
    priority: int | None = Field(
        None, ge=-100, le=100, description="Of runs that wait, the higher goes first; the workflow's own when left out."
    )


class Activate(In):
    """What is noted about a version when it is published."""

    message: str = Field("", max_length=2000, pattern=r"^[^\x00]*$")


class Describe(In):
    """What a version is called."""

    message: str = Field(max_length=2000, pattern=r"^[^\x00]*$")


class Decide(In):
    """
    What becomes of changes of which nobody knows whether they took place: all that the run asks about, or a part of it.

    `items` are numbers from 0, as the run's error lists them.
    """

    decision: Literal["retry", "skip"]
    node: str | None = Field(None, max_length=200, pattern=r"^[^\x00]*$", description="Only what is asked about this step.")
    items: list[Annotated[int, Field(ge=0, le=1_000_000_000)]] | None = Field(None, min_length=1, max_length=10_000)


class ForkRun(In):
    """
    How the new run is to differ from the old one.

    Steps that changed something outside behind the place of the fork need a choice: `reuse` what they gave, or do them `again`.
    """

    at: str | None = Field(
        None, max_length=200, pattern=r"^[^\x00]*$", description="The first step to run again; where it failed when left out."
    )
    input: dict[str, Any] | list[dict[str, Any]] | None = Field(
        None, description="The items that arrive there, in place of those that did."
    )
    document: dict[str, Any] | str | None = Field(None, description="A whole document, as JSON or as text, to run instead.")
    use: Literal["same", "draft", "active"] = Field(
        "same", description="The document the run had, the workflow's draft, or its active version."
    )
    effects: dict[str, Literal["reuse", "again"]] = Field(default_factory=dict, description="By step.")
    otherwise: Literal["ask", "reuse", "again"] = Field("ask", description="For the others; `ask` is a 409 that lists them.")
    dry: bool = Field(False, description="Describe changes outside and make none.")


class EffectRow(BaseModel):
    """What became of one change outside."""

    item: int | None
    state: Literal["done", "failed", "skipped", "uncertain", "under_way"]
    at: str
    attempt: int
    error: dict[str, Any] | None
    output: list[dict[str, Any]]
    key: str


class EffectPage(BaseModel):
    """Some of the changes a step made outside, in the order of the items."""

    effects: list[EffectRow]
    total: int
    offset: int
    counts: dict[str, int]


class Problem(BaseModel):
    """What went wrong, what to do about it, and where it is."""

    code: str
    message: str
    hint: str | None
    where: dict[str, Any]


class ProblemAnswer(BaseModel):
    """The form of every answer that is no success."""

    error: Problem


class RunRow(BaseModel):
    """A run without its outputs."""

    id: str
    workflow: str
    workflow_id: str | None
    version: str
    status: Status
    trigger: str
    start_node: str | None
    is_test: bool
    retry_of: str | None
    parent_run: str | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    error: Problem | None


class FinishedRun(BaseModel):
    """A run with the outputs of the nodes that nothing follows: node → port → items."""

    id: str
    workflow: str
    version: str
    status: Status
    trigger: str
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    error: Problem | None
    outputs: dict[str, dict[str, list[dict[str, Any]]]]


class RunPage(BaseModel):
    """Some runs, newest first; `next` is the cursor of the following page, null on the last one."""

    runs: list[RunRow]
    next: str | None


class ChildList(BaseModel):
    """The runs that a run called, in the order it did."""

    runs: list[RunRow]


class StepRow(BaseModel):
    """One node of a run; `ports` counts the items that left by each port."""

    node: str
    scope: str
    status: Literal["running", "waiting", "succeeded", "failed", "skipped", "cancelled"]
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    items_in: int
    ports: dict[str, int]
    ignored: int
    error: Problem | None
    retry_at: datetime | None
    log: list[dict[str, Any]]


class StepList(BaseModel):
    """The steps of a run, in the order they began."""

    steps: list[StepRow]


class LineageHop(BaseModel):
    """
    One item on the way back; `came_from` are the positions in the list of those it was made from.

    `run_id` is another run than the one that was asked about where the way leads through a call.
    """

    run_id: str
    node: str
    scope: str
    port: str
    index: int
    came_from: list[int]
    path: str | None
    value: Any
    how: Literal["source", "copied", "computed"]
    expression: str | None


class LineageList(BaseModel):
    """The way back from a value: the item itself first, then what it came from."""

    hops: list[LineageHop]


class DataPage(BaseModel):
    """Some of the items at a port; `total` counts all of them."""

    items: list[dict[str, Any]]
    total: int
    offset: int


class WorkflowHead(BaseModel):
    """A workflow without its document. `revision` grows with each saved change."""

    id: str
    name: str
    revision: int
    is_active: bool
    active_version: str | None
    created_at: datetime
    updated_at: datetime


class WorkflowLine(WorkflowHead):
    """A line of the workflow list."""

    triggers: list[str]
    last_run: RunRow | None


class WorkflowList(BaseModel):
    """Workflows by name."""

    workflows: list[WorkflowLine]


class WorkflowFull(WorkflowHead):
    """A workflow with the text of its draft."""

    document: str


class VersionHead(BaseModel):
    """A published version; its name is the hash of its content."""

    version: str
    parents: list[str]
    created_at: datetime
    author: str
    message: str


class VersionFull(VersionHead):
    """A version with its document as text."""

    document: str


class VersionList(BaseModel):
    """Versions, the newest first."""

    versions: list[VersionHead]


class Difference(BaseModel):
    """A value before and after; where it was not written there is no member."""

    path: list[str]
    before: Any = None
    after: Any = None


class VersionDiff(BaseModel):
    """What changed from one version to another: steps, their fields, lines, and what the workflow as a whole says."""

    added: list[str]
    removed: list[str]
    changed: dict[str, list[Difference]]
    added_edges: list[str]
    removed_edges: list[str]
    workflow: list[Difference]
    moved: list[str]
    reordered: bool


class Port(BaseModel):
    """A place where lines attach."""

    name: str
    label: str
    kind: Literal["items", "error"]


class FieldForm(BaseModel):
    """One field of a step."""

    name: str
    type: str
    label: str
    help: str
    required: bool
    default: Any
    choices: list[dict[str, str]]
    is_advanced: bool
    allows_expressions: bool
    minimum: float | None
    maximum: float | None
    show_when: dict[str, list[Any]]


class StepKind(BaseModel):
    """A kind of step and everything there is to know to use it."""

    name: str
    title: str
    help: str
    category: str
    icon: str
    keywords: list[str]
    is_trigger: bool
    mode: Literal["each", "batch"]
    effect: Literal["none", "read", "write", "destroy"]
    fields: list[FieldForm]
    ports_in: list[Port]
    ports_out: list[Port]
    sample: Any


class CatalogList(BaseModel):
    """Every kind of step there is."""

    steps: list[StepKind]
