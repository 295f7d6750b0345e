"""What a person at a terminal sees while a run goes on."""

from __future__ import annotations

from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.cli.output import margin
from engine.events.bus import EventBus
from engine.events.types import Event, StepFinished, StepRetrying, StepStarted


class Follow:
    """Show on stderr which steps are at work, while a run goes on."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=margin(), transient=True
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Follow:
        self._unsubscribe = self._bus.subscribe(self._on_event, StepStarted, StepFinished, StepRetrying)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._unsubscribe()
        self._progress.stop()

    def _on_event(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._tasks[event.node] = self._progress.add_task(event.node, total=None)
            case StepRetrying():
                if event.node in self._tasks:
                    self._progress.update(
                        self._tasks[event.node], description=f"{event.node} (try {event.attempt + 1} is coming)"
                    )
            case StepFinished() if event.node in self._tasks:
                self._progress.remove_task(self._tasks.pop(event.node))
                counts = ", ".join(f"{count} {port}" for port, count in event.ports.items())
                self._progress.console.print(f"  {event.node}: {event.status} {counts}", markup=False)
