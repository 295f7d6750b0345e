"""A whole Treadle behind the studio's pages, and a person who opens them: no browser, no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nicegui import ElementFilter
from nicegui.element import Element
from nicegui.testing import User, user_simulation

import ui as pages
from app.build import Treadle, build
from app.config import Settings
from engine.access import OWNER
from engine.ids import WorkflowId
from engine.model.run import Run
from engine.service import Studio
from ui.editor.canvas import Canvas

PEOPLE = """
treadle: 1
name: People
nodes:
  start:
    use: trigger.manual
    with: {sample: [{name: Ada, age: 36}, {name: Bob, age: 17}, {name: Cy, age: null}]}
  grown_up:
    title: Grown up
    use: data.filter
    with: {where: (item.age ?? 0) >= 18}
  greet:
    use: data.set
    with: {fields: {hello: '"Hello " + item.name'}}
edges:
  - start -> grown_up
  - grown_up -> greet
layout: {start: [0, 0], grown_up: [300, 0], greet: [600, 0]}
"""


class Stage:
    """The person, the Treadle behind the pages, and what the canvas on the open page was told."""

    def __init__(self, user: User, treadle: Treadle) -> None:
        self.user, self.treadle = user, treadle
        self.studio: Studio = treadle.studio(OWNER)
        self.calls: list[tuple[Any, ...]] = []

    async def a_workflow(self, text: str = PEOPLE) -> WorkflowId:
        return (await self.studio.workflows.create(text, with_problems=True)).id

    async def a_run(self, workflow_id: WorkflowId, **options: Any) -> Run:
        run = await self.studio.runs.start(workflow_id, is_test=True, **options)
        return await self.studio.runs.wait(run.id, None)

    async def open_editor(self, workflow_id: WorkflowId) -> Canvas:
        """Open the editor and let its canvas say that it is there."""
        await self.user.open(f"/workflows/{workflow_id}")
        canvas = self.one(Canvas)
        canvas.run_method = lambda *call: self.calls.append(call)  # type: ignore[assignment, method-assign]
        self.fire(canvas, "ready")
        await self.until(lambda: any(call[0] == "load" for call in self.calls), "the graph goes out")
        return canvas

    def fire(self, element: Element, event: str, arguments: object = None) -> None:
        """What the browser would send."""
        with self.user:
            for listener in list(element._event_listeners.values()):
                if listener.type == event:
                    element._handle_event({"listener_id": listener.id, "args": arguments})

    def marked(self, mark: str) -> list[Element]:
        with self.user:
            return list(ElementFilter(marker=mark))

    def one(self, kind: type[Any]) -> Any:
        with self.user:
            (found,) = ElementFilter(kind=kind)
            return found

    def texts(self, mark: str) -> list[str]:
        """The texts in and below the elements of a mark."""
        found: list[str] = []
        for element in self.marked(mark):
            for inner in (element, *element.descendants()):
                if isinstance(shown := getattr(inner, "text", None), str) and shown:
                    found.append(shown)
        return found

    async def until(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Wait for something the page will do by itself."""
        for _ in range(200):
            if answer := holds():
                return answer
            await asyncio.sleep(0.02)
        raise AssertionError(f"never came true: {what}")


@asynccontextmanager
async def a_stage(folder: Path) -> AsyncIterator[Stage]:
    treadle = build(Settings(data=folder), in_memory=True)
    await treadle.start(triggers=False)
    try:
        async with user_simulation() as user:
            pages.install(lambda: treadle.studio(OWNER), data=folder)
            yield Stage(user, treadle)
    finally:
        await treadle.stop()
