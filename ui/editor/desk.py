"""One editor in one tab: the shared draft, what is selected, and the test run that is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import StoreError
from engine.events.types import Event, RunFinished, RunStarted, StepFinished, StepRetrying, StepStarted
from engine.model.changes import ABSENT, Change, SetField, SetNode
from engine.model.run import FINAL, Run, RunStatus, Step
from engine.model.workflow import Node
from engine.service.runs import RunFilter

from .. import words
from ..passes import Passes, fold_passes, is_own_pass, says_most

if TYPE_CHECKING:
    from engine.model.problems import Problem
    from engine.service import Studio
    from engine.service.drafts import Draft
    from engine.steps.spec import StepSpec

log = logging.getLogger(__name__)
PARKED = (RunStatus.WAITING, RunStatus.NEEDS_DECISION)


@dataclass(slots=True)
class Live:
    """How one node stands in the run that is shown."""

    state: str
    ports: dict[str, int] = field(default_factory=dict)
    ms: float | None = None
    error: dict[str, Any] | None = None
    attempt: int = 1
    passes: str = ""
    """How many passes of loops ran it, in words; empty where there is but one."""

    @property
    def items(self) -> int | None:
        """Items that left the node, all ports together."""
        return sum(self.ports.values()) if self.ports or self.state == "succeeded" else None


class Desk:
    """
    What the parts of an editor share, and how they hear of each other.

    Parts subscribe to a topic: `document` (the draft changed), `selection`, `run` (another run is shown, or its state changed),
    `steps` (a step of the shown run moved). Every change of the document goes through `apply`.
    """

    def __init__(self, studio: Studio, draft: Draft) -> None:
        self.studio, self.draft = studio, draft
        self.author = studio.actor.name
        self.selected: tuple[str, ...] = ()
        self.is_saved = True
        self.run: Run | None = None
        self.steps: dict[str, Live] = {}
        self._in_passes: dict[str, dict[str, Live]] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    def on(self, topic: str, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the topic moves."""
        self._listeners.setdefault(topic, []).append(listener)

    def tell(self, topic: str) -> None:
        """Let everybody who listens to the topic know."""
        for listener in tuple(self._listeners.get(topic, ())):
            listener()

    @property
    def node(self) -> Node | None:
        """The one selected node, None when none or several are."""
        return self.draft.document.nodes.get(self.selected[0]) if len(self.selected) == 1 else None  # type: ignore[call-overload]

    def spec(self, node: Node) -> StepSpec | None:
        """Return what kind of step the node is, None when nobody knows it."""
        return self.studio.catalog.find(node.use)

    def problems_of(self, node_id: str) -> list[Problem]:
        """Return what is wrong with a node."""
        return [problem for problem in self.draft.problems if problem.node == node_id]

    def select(self, nodes: tuple[str, ...]) -> None:
        """Remember what is selected and tell it, unless nothing changed."""
        nodes = tuple(node for node in nodes if node in self.draft.document.nodes)
        if nodes != self.selected:
            self.selected = nodes
            self.tell("selection")

    async def apply(self, change: Change) -> None:
        """Change the document as one step of undo; what the disk refused is said in the bar until a later save succeeds."""
        try:
            await self.draft.apply(change, self.author)
        except StoreError:
            self.is_saved = False
            self.tell("document")
            raise
        if not self.is_saved:
            self.is_saved = True
            self.tell("document")

    async def set_field(self, node_id: str, name: str, value: Any) -> None:
        """Write one field of a node; `ABSENT` takes it out. Nothing happens when it is so already."""
        node = self.draft.document.nodes.get(node_id)  # type: ignore[call-overload]
        if node is None or (node.fields.get(name, ABSENT) == value and type(node.fields.get(name, ABSENT)) is type(value)):
            return
        await self.apply(SetField(node=node.id, field=name, value=value))

    async def set_node(self, node_id: str, **values: Any) -> None:
        """Write what stands beside the fields: title, note, retry, timeout, ..."""
        node = self.draft.document.nodes.get(node_id)  # type: ignore[call-overload]
        if node is None or all(getattr(node, name) == value for name, value in values.items()):
            return
        await self.apply(SetNode(node=node.id, values=values))

    # ------------------------------------------------------------------ the run that is shown
    async def show_run(self, run: Run | None) -> None:
        """Show this run on the canvas and in the data panel."""
        self.run, self.steps, self._in_passes = run, {}, {}
        if run is not None:
            await self._read_steps()
        self.tell("run")

    async def show_last_run(self) -> None:
        """Show the newest run of this workflow, as far as there is one."""
        newest = await self.studio.runs.list_page(RunFilter(workflow_id=self.draft.workflow_id, limit=1))
        if newest:
            await self.show_run(newest[0])

    async def _read_steps(self) -> None:
        if self.run is None:
            return
        self._in_passes = {}
        for node, ran in fold_passes(await self.studio.runs.steps(self.run.id)).items():
            self._in_passes[node] = {step.scope: live_of(step) for step in ran.steps}
            self.steps[node] = live_of_passes(ran)

    def concerns(self, event: Event) -> bool:
        """Whether an event belongs to the run that is shown."""
        return self.run is not None and getattr(event, "run_id", None) == self.run.id

    async def hear(self, events: Any) -> None:
        """Take in events of the shown run, a lot at a time."""
        is_over, moved = False, set()
        for event in events:
            if not self.concerns(event):
                continue
            match event:
                case StepStarted() | StepFinished() | StepRetrying():
                    if not is_own_pass(event.node, event.scope):
                        self._in_passes.setdefault(event.node, {})[event.scope] = _live_of_event(event)
                        moved.add(event.node)
                case RunStarted() | RunFinished():
                    is_over = is_over or isinstance(event, RunFinished)
        for node in moved:
            self.steps[node] = together(list(self._in_passes[node].values()))
        self.tell("steps")
        if is_over and self.run is not None:
            self.run = await self.studio.runs.get(self.run.id)
            await self._read_steps()
            self.tell("run")
            self.tell("over")

    @property
    def is_running(self) -> bool:
        """Whether the shown run is under way."""
        return self.run is not None and self.run.status not in FINAL and self.run.status not in PARKED


def live_of(step: Step) -> Live:
    """Return a stored step in the form the live events have."""
    ms = None
    if step.started_at and step.finished_at:
        ms = (step.finished_at - step.started_at).total_seconds() * 1000
    return Live(
        str(step.status),
        {name: port.count for name, port in step.ports.items()},
        ms,
        dict(step.error) if step.error else None,
        step.attempts,
    )


def live_of_passes(ran: Passes) -> Live:
    """Return a step with all its passes as one."""
    live = live_of(ran.whole)
    live.passes = words.passes(len(ran), ran.failed)
    return live


def together(passes: list[Live]) -> Live:
    """Return what is known of a step in its passes (at least one) as one."""
    if len(passes) == 1:
        return passes[0]
    failed = [live for live in passes if live.state == "failed"]
    ports: dict[str, int] = {}
    for live in passes:
        for port, count in live.ports.items():
            ports[port] = ports.get(port, 0) + count
    return Live(
        says_most({live.state for live in passes}),
        ports,
        sum(live.ms or 0.0 for live in passes),
        failed[0].error if failed else None,
        max(live.attempt for live in passes),
        words.passes(len(passes), len(failed)),
    )


def _live_of_event(event: StepStarted | StepFinished | StepRetrying) -> Live:
    match event:
        case StepStarted():
            return Live("running", attempt=event.attempt)
        case StepRetrying():
            return Live("waiting", error=dict(event.error), attempt=event.attempt)
        case _:
            return Live(event.status, dict(event.ports), event.duration_ms, dict(event.error) if event.error else None)
