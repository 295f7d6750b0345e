"""What holds for the whole workflow, shown while no step is selected."""

from __future__ import annotations

import zoneinfo
from dataclasses import replace
from datetime import timedelta
from typing import Any

from nicegui import ui

from engine.model.changes import Describe, SetSettings
from engine.model.durations import format_duration, parse_duration
from engine.model.limits import Concurrency
from engine.model.workflow import Document, Settings

from .. import words
from ..components.parts import box, icon, row, text
from ..notices import guarded
from .desk import Desk


class WorkflowForm:
    """The form of the workflow's own settings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._settling = False
        document = desk.draft.document
        with box("tr-inspector__head"):
            text(words.NOTHING_SELECTED, "tr-h2 tr-grow", tag="h2")
        with box("tr-inspector__form"):
            with _labelled(words.DESCRIPTION):
                self._description = ui.textarea(
                    value=document.description or "", placeholder=words.DESCRIPTION_PLACEHOLDER, on_change=self._describe
                )
                self._description.props("outlined dense autogrow debounce=400").classes("tr-input").mark("description")
                self._description.props["aria-label"] = words.DESCRIPTION
            with _labelled(words.TIMEZONE):
                zones = [name for name in sorted(zoneinfo.available_timezones()) if "/" in name or name == "UTC"]
                value = document.settings.timezone
                self._timezone = ui.select(
                    zones if value in zones else [value, *zones], value=value, with_input=True, on_change=self._write
                )
                self._timezone.props("outlined dense options-dense fill-input hide-selected dropdown-icon=o_expand_more")
                self._timezone.classes("tr-input").mark("timezone")
                self._timezone.props["aria-label"] = words.TIMEZONE
            with row("tr-pair"):
                with _labelled(words.CONCURRENCY):
                    self._concurrency = ui.number(
                        value=_limit(document.settings), min=1, step=1, format="%d", on_change=self._write
                    )
                    self._concurrency.props("outlined dense debounce=400").classes("tr-input").mark("concurrency")
                    self._concurrency.props["aria-label"] = words.CONCURRENCY
                with _labelled(words.RUN_TIMEOUT):
                    self._timeout = ui.input(value=_text(document.settings.timeout), placeholder="1h", on_change=self._write)
                    self._timeout.props("outlined dense debounce=400").classes("tr-input")
                    self._timeout.props["aria-label"] = words.RUN_TIMEOUT
            with _labelled(words.ON_FAILURE, words.ON_FAILURE_HINT):
                self._on_failure = ui.input(value=document.settings.on_failure or "", on_change=self._write)
                self._on_failure.props("outlined dense debounce=400").classes("tr-input")
                self._on_failure.props["aria-label"] = words.ON_FAILURE
            with box("tr-tips"):
                text(words.TIPS, "tr-label")
                for tip in words.TIP_LIST:
                    with row("tr-tips__row"):
                        icon("chevron_right")
                        text(tip, "tr-grow")

    def follow(self) -> bool:
        """Show what the document says now; the form never has to be drawn anew."""
        document: Document = self._desk.draft.document
        self._settling = True
        for element, value in (
            (self._description, document.description or ""),
            (self._timezone, document.settings.timezone),
            (self._concurrency, _limit(document.settings)),
            (self._timeout, _text(document.settings.timeout)),
            (self._on_failure, document.settings.on_failure or ""),
        ):
            if element.value != value:
                element.value = value
        self._settling = False
        return True

    @guarded
    async def _describe(self, event: Any) -> None:
        wanted = (event.value or "").strip() or None
        if not self._settling and wanted != self._desk.draft.document.description:
            await self._desk.apply(Describe(description=wanted))

    @guarded
    async def _write(self, _: Any) -> None:
        if self._settling:
            return
        before = self._desk.draft.document.settings
        try:
            timeout = parse_duration(self._timeout.value) if (self._timeout.value or "").strip() else None
        except ValueError:
            timeout = before.timeout  # half-typed
        after = replace(
            before,
            timezone=self._timezone.value or before.timezone,
            concurrency=_concurrency(before, self._concurrency.value),
            timeout=timeout,
            on_failure=(self._on_failure.value or "").strip() or None,
        )
        if after != before:
            await self._desk.apply(SetSettings(settings=after))


def _labelled(label: str, hint: str = "") -> Any:
    made = box("tr-field tr-grow")
    with made:
        text(label, "tr-label")
        if hint:
            text(hint, "tr-hint").style("order: 3")
    return made


def _text(value: timedelta | None) -> str:
    return format_duration(value) if value is not None else ""


def _limit(settings: Settings) -> int | None:
    limits = settings.limits
    return None if limits is None else limits.limit


def _concurrency(before: Settings, value: float | None) -> int | Concurrency | None:
    """Return the limit with another number; a key and what belongs to it stay as they are written."""
    if not value:
        return None
    longer = before.concurrency
    return replace(longer, limit=int(value)) if isinstance(longer, Concurrency) else int(value)
