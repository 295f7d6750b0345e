"""How a step behaves beside its work: what happens when it fails, how long it may take, a note for people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.model.durations import format_duration, parse_duration
from engine.model.workflow import Node, RetryPolicy

from .. import words
from ..components.parts import box, row, text
from ..notices import guarded
from .desk import Desk

if TYPE_CHECKING:
    from engine.steps.spec import StepSpec


class Conduct:
    """The last sections of a step's form."""

    def __init__(self, desk: Desk, node_id: str, spec: StepSpec | None) -> None:
        self._desk, self._node_id = desk, node_id
        self._is_trigger = bool(spec and spec.is_trigger)
        self._settling = False
        node = self._node
        if not self._is_trigger:
            changed = node.retry is not None or node.timeout is not None or node.on_error != "stop" or node.run_on_empty
            with (
                ui.expansion(words.WHEN_IT_FAILS, value=changed)
                .classes("tr-fold")
                .props("dense switch-toggle-side expand-icon=o_expand_more")
                .mark("conduct")
            ):
                self._build_failing(node)
        with (
            ui.expansion(words.NOTE, value=bool(node.note))
            .classes("tr-fold")
            .props("dense switch-toggle-side expand-icon=o_expand_more")
        ):
            self._note = ui.textarea(value=node.note or "", placeholder=words.NOTE_HINT, on_change=self._write_note)
            self._note.props("outlined dense autogrow debounce=400").classes("tr-input").mark("note")
            self._note.props["aria-label"] = words.NOTE

    @property
    def _node(self) -> Node:
        return self._desk.draft.document.nodes[self._node_id]  # type: ignore[index]

    def follow(self) -> None:
        """Show what the document says now."""
        node = self._node
        self._settling = True
        _put(self._note, node.note or "")
        if not self._is_trigger:
            _put(self._on_error, node.on_error)
            _put(self._attempts, node.retry.attempts if node.retry else 1)
            _put(self._first, _text(node.retry.first if node.retry else None))
            _put(self._longest, _text(node.retry.longest if node.retry else None))
            _put(self._timeout, _text(node.timeout))
            _put(self._on_empty, node.run_on_empty)
            self._pauses.set_visibility(bool(node.retry and node.retry.attempts > 1))
        self._settling = False

    def _build_failing(self, node: Node) -> None:
        with _labelled(words.ON_ERROR):
            self._on_error = ui.select(
                words.ON_ERROR_CHOICES, value=node.on_error, on_change=lambda event: self._set(on_error=event.value)
            )
            self._on_error.props("outlined dense options-dense dropdown-icon=o_expand_more").classes("tr-input").mark(
                "on-error"
            )
            self._on_error.props["aria-label"] = words.ON_ERROR
        with row("tr-pair"):
            with _labelled(words.RETRY_ATTEMPTS):
                attempts = node.retry.attempts if node.retry else 1
                self._attempts = ui.number(value=attempts, min=1, max=100, step=1, format="%d", on_change=self._write_retry)
                self._attempts.props("outlined dense debounce=300").classes("tr-input").mark("attempts")
                self._attempts.props["aria-label"] = words.RETRY_ATTEMPTS
            with _labelled(words.TIMEOUT):
                self._timeout = _duration_input(words.TIMEOUT, node.timeout, "30s", self._write_timeout).mark("timeout")
        self._pauses = row("tr-pair")
        with self._pauses:
            with _labelled(words.RETRY_FIRST):
                self._first = _duration_input(
                    words.RETRY_FIRST, node.retry.first if node.retry else None, "1s", self._write_retry
                )
            with _labelled(words.RETRY_LONGEST):
                longest = node.retry.longest if node.retry else None
                self._longest = _duration_input(words.RETRY_LONGEST, longest, "5m", self._write_retry)
        self._pauses.set_visibility(bool(node.retry and node.retry.attempts > 1))
        self._on_empty = ui.switch(
            words.RUN_ON_EMPTY, value=node.run_on_empty, on_change=lambda event: self._set(run_on_empty=bool(event.value))
        )
        self._on_empty.classes("tr-switch").mark("run-on-empty")

    @guarded
    async def _set(self, **values: Any) -> None:
        if not self._settling:
            await self._desk.set_node(self._node_id, **values)

    async def _write_note(self, event: Any) -> None:
        await self._set(note=(event.value or "").strip() or None)

    async def _write_timeout(self, event: Any) -> None:
        duration = _read(event.value)
        if duration is not False:
            await self._set(timeout=duration)

    async def _write_retry(self, _: Any) -> None:
        if self._settling:
            return
        attempts = int(self._attempts.value or 1)
        first, longest = _read(self._first.value), _read(self._longest.value)
        if first is False or longest is False:
            return
        base = self._node.retry or RetryPolicy()
        policy = replace(base, attempts=attempts, first=first or RetryPolicy().first, longest=longest or RetryPolicy().longest)
        await self._set(retry=policy if attempts > 1 else None)


def _labelled(label: str) -> Any:
    made = box("tr-field tr-grow")
    with made:
        text(label, "tr-label")
    return made


def _duration_input(label: str, value: timedelta | None, placeholder: str, on_change: Any) -> ui.input:
    made = ui.input(value=_text(value), placeholder=placeholder, on_change=on_change, validation=_wrong)
    made.props("outlined dense debounce=300 hide-bottom-space").classes("tr-input")
    made.props["aria-label"] = label
    return made


def _wrong(value: str | None) -> str | None:
    if not (value or "").strip():
        return None
    try:
        parse_duration(value or "")
    except ValueError as error:
        return str(error)
    return None


def _read(value: str | None) -> timedelta | bool | None:
    """Return the duration, None for an empty text, False for one that cannot be read."""
    if not (value or "").strip():
        return None
    try:
        return parse_duration(value or "")
    except ValueError:
        return False


def _text(value: timedelta | None) -> str:
    return format_duration(value) if value is not None else ""


def _put(element: Any, value: Any) -> None:
    if element.value != value:
        element.value = value
