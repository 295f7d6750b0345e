"""What one step of one run took in, gave out, logged, and why it failed: the heart of the editor's panel and the run's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.model.run import Step, StepStatus
from engine.model.workflow import ERROR_PORT, Node

from .. import moments, words
from ..browser import copy_text
from ..notices import show_done
from .parts import Tabs, banner, box, row, text
from .port_data import PortData, Source

if TYPE_CHECKING:
    from engine.service.runs import RunService
    from engine.steps.spec import StepSpec


class StepData:
    """
    A row of tabs (one per port, and the log), and below it what the chosen one holds.

    `lead` draws what stands before the tabs, `tail` what stands at the end of their row; `nothing` draws what is said while
    there is no step to show. `on_choose` hears which input item was clicked.
    """

    def __init__(
        self,
        runs: RunService,
        *,
        nothing: Callable[[], Any],
        lead: Callable[[], Any] | None = None,
        tail: Callable[[], Any] | None = None,
        on_choose: Callable[[int], Any] | None = None,
    ) -> None:
        self._runs, self._nothing = runs, nothing
        self._client = ui.context.client
        self._run_id = ""
        self._step: Step | None = None
        with box("tr-panel__head"):
            if lead:
                lead()
            self._tabs = Tabs({}, "", lambda _: self._show_tab(), label=words.PORTS)
            box("tr-grow")
            self._bar = row()
            if tail:
                tail()
        self._notice = box("tr-panel__notice")
        self._log = box("tr-panel__log")
        self._data = PortData(on_choose=on_choose, on_pick=_copy)
        with self._bar:
            self._data.build_bar()

    async def show(self, run_id: str, node: Node | None, spec: StepSpec | None, step: Step | None) -> None:
        """Show this step; without one, say what `nothing` says."""
        self._run_id, self._step = run_id, step
        with self._client:
            tabs, counts = tabs_of(node, spec, step) if node is not None and step is not None else ({}, {})
            self._tabs.offer(tabs, counts)
            await self._show_tab()

    async def _show_tab(self) -> None:
        step = self._step
        self._notice.clear()
        self._log.clear()
        self._log.set_visibility(False)
        self._bar.set_visibility(False)
        if step is None:
            await self._data.show(None)
            with self._notice:
                self._nothing()
            return
        if step.error:
            with self._notice:
                show_step_error(step.error)
        if self._tabs.value == "log":
            await self._data.show(None)
            self._log.set_visibility(True)
            with self._log:
                for line in step.log:
                    log_line(line)
            return
        way, _, port = self._tabs.value.partition(":")
        if not port:
            await self._data.show(None)
            return
        self._bar.set_visibility(True)
        page = self._runs.output if way == "out" else self._runs.input_page
        run_id, node_id = self._run_id, step.node
        nothing = words.NO_FAILED_ITEMS if port == ERROR_PORT else words.NOTHING_LEFT if way == "out" else words.NOTHING_ARRIVED
        hint = words.SKIPPED_HINT if step.status == StepStatus.SKIPPED else ""
        marked = failed_item(step.error) if way == "in" else None
        await self._data.show(
            Source(lambda offset, limit: page(run_id, node_id, port, offset=offset, limit=limit), nothing, hint, marked)
        )


def tabs_of(node: Node, spec: StepSpec | None, step: Step) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tabs a step has and the counts beside them; a step that failed shows what it choked on."""
    tabs: dict[str, str] = {}
    counts: dict[str, str] = {}
    outs = list(dict.fromkeys([*_own_outs(node, spec), *step.ports]))
    if step.status != StepStatus.FAILED or step.ports:
        for port in outs:
            tabs[f"out:{port}"] = words.output_port(port, alone=len(outs) == 1)
            counts[f"out:{port}"] = f"{step.ports[port].count:,}" if port in step.ports else ""
    ins = [port.name for port in spec.ports_in] if spec else ["in"]
    for port in ins:
        tabs[f"in:{port}"] = words.input_port(port, alone=len(ins) == 1)
    if len(ins) == 1 and step.items_in:
        counts[f"in:{ins[0]}"] = f"{step.items_in:,}"
    if step.log:
        tabs["log"] = words.LOG
        counts["log"] = str(len(step.log))
    return tabs, counts


def failed_item(error: Mapping[str, Any] | None) -> int | None:
    """Return the number of the item an error is about, counted from 0."""
    item = ((error or {}).get("where") or {}).get("item")
    return item if isinstance(item, int) and item >= 0 else None


def show_step_error(error: Mapping[str, Any]) -> None:
    """Show an error's sentence, its hint, and where it happened."""
    where = error.get("where") or {}
    place = words.where(failed_item(error), where.get("field"))
    with box("tr-steperror"):
        banner(str(error.get("message", "")), error.get("hint") or None, detail=place).mark("step-error")
        if isinstance(where.get("source"), str) and where.get("source", "").strip():
            source = f"{where['source']}\n{where.get('caret') or ''}".rstrip()
            text(source, "tr-mono tr-codeline", tag="pre").mark("step-error-source")


def log_line(line: Mapping[str, Any]) -> None:
    """Show one line a step logged."""
    level = str(line.get("level", "info"))
    with row("tr-logline"):
        text(moments.clock(line.get("at")), "tr-faint tr-mono")
        text(level, f"tr-logline__level tr-logline__level--{level}")
        text(str(line.get("message", line.get("text", ""))), "tr-grow")


def _own_outs(node: Node, spec: StepSpec | None) -> list[str]:
    if spec is None:
        return ["out"]
    try:
        return [port.name for port in spec.outs(node.fields)]
    except Exception:
        return [port.name for port in spec.ports_out]  # half-typed fields; the problem is named where they are typed


def _copy(path: str) -> None:
    copy_text(path)
    show_done(words.copied(path))
