"""A run as a stream of server-sent events: its state first, then what happens, at the end the finished run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from app.api.errors import dump
from app.api.forms import moment, run_form, step_form
from engine.events.types import Event, RunFinished, RunStarted, StepFinished, StepRetrying, StepStarted
from engine.ids import RunId
from engine.service import Studio

MOST_WAITING = 1000
"""How many events wait for a slow reader; after that it gets the state anew instead."""

HEARTBEAT = 15.0
"""Seconds of silence after which a comment shows that the line is alive."""

KINDS = (RunStarted, StepStarted, StepFinished, StepRetrying, RunFinished)


async def follow(studio: Studio, run_id: RunId) -> AsyncIterator[bytes]:
    """Yield the events of a run until it is over, or is parked and told so."""
    waiting: deque[Event] = deque()
    has_gap = False
    bell = asyncio.Event()

    def hear(event: Event) -> None:
        nonlocal has_gap
        if getattr(event, "run_id", None) != run_id:
            return
        if len(waiting) >= MOST_WAITING:
            waiting.clear()
            has_gap = True
        waiting.append(event)
        bell.set()

    unsubscribe = studio.bus.subscribe(hear, *KINDS)  # before the state is read, so that nothing falls in between
    try:
        yield await _state(studio, run_id)
        while True:
            run = await studio.runs.get(run_id)
            if run.status.is_final:
                while waiting and not has_gap:
                    if told := _told(waiting.popleft()):
                        yield told
                yield _event("finished", await studio.runs.finished(run_id))
                return
            if not waiting:
                bell.clear()
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await bell.wait()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
            if has_gap:
                has_gap = False
                waiting.clear()
                yield await _state(studio, run_id)
                continue
            while waiting:
                if told := _told(waiting.popleft()):
                    yield told
    finally:
        unsubscribe()


async def _state(studio: Studio, run_id: RunId) -> bytes:
    run, steps = await studio.runs.get(run_id), await studio.runs.steps(run_id)
    return _event("state", {"run": run_form(run), "steps": [step_form(step) for step in steps]})


def _told(event: Event) -> bytes | None:
    match event:
        case StepStarted():
            return _event("step", {"node": event.node, "status": "running", "attempt": event.attempt, "at": moment(event.at)})
        case StepFinished():
            form = {
                "node": event.node,
                "status": event.status,
                "ports": dict(event.ports),
                "duration_ms": event.duration_ms,
                "error": event.error,
                "at": moment(event.at),
            }
            return _event("step", form)
        case StepRetrying():
            form = {"node": event.node, "attempt": event.attempt, "retry_at": moment(event.retry_at), "error": event.error}
            return _event("retrying", {**form, "at": moment(event.at)})
        case RunFinished() if event.status in {"waiting", "needs_decision"}:
            return _event("parked", {"status": event.status, "error": event.error, "at": moment(event.at)})
    return None


def _event(name: str, data: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + dump(data) + b"\n\n"
