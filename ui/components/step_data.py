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
from ..passes import Passes, numbers_of
from .origins import show_origins
from .parts import Tabs, banner, box, icon_button, row, text
from .port_data import PortData, Source

if TYPE_CHECKING:
    from engine.service.runs import RunService
    from engine.steps.spec import StepSpec


class StepData:
    """
    A row of tabs (one per port, and the log), and below it what the chosen one holds.

    `lead` draws what stands before the tabs, `tail` what stands at the end of their row; `nothing` draws what is said while
    there is no step to show. `on_choose` hears which input item was clicked; `label` names a step, `on_step` goes to one in
    a pass. A step that ran in several passes of a loop is shown as it was in one of them, and a picker leads to the others.
    """

    def __init__(
        self,
        runs: RunService,
        *,
        nothing: Callable[[], Any],
        lead: Callable[[], Any] | None = None,
        tail: Callable[[], Any] | None = None,
        on_choose: Callable[[int], Any] | None = None,
        label: Callable[[str], str] = str,
        on_step: Callable[[str, str], Any] | None = None,
    ) -> None:
        self._label, self._on_step = label, on_step
        self._ran: Passes | None = None
        self._node: Node | None = None
        self._spec: StepSpec | None = None
        self._scope: str | None = None
        self._runs, self._nothing = runs, nothing
        self._client = ui.context.client
        self._run_id = ""
        self._step: Step | None = None
        with box("tr-panel__head"):
            if lead:
                lead()
            self._picker = row("tr-passes").mark("passes")
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

    async def show(
        self, run_id: str, node: Node | None, spec: StepSpec | None, ran: Passes | None, *, scope: str | None = None
    ) -> None:
        """
        Show this step in the pass `scope`; without a step, say what `nothing` says.

        Without a pass, the one that a person chose for this step stays, else it is the one that failed, else the last.
        """
        if scope is not None or (run_id, node and node.id) != (self._run_id, self._node and self._node.id):
            self._scope = scope
        self._run_id, self._node, self._spec, self._ran = run_id, node, spec, ran
        await self._show_pass()

    async def _show_pass(self) -> None:
        node, ran = self._node, self._ran
        step = self._step = ran.choose(self._scope) if ran else None
        with self._client:
            self._paint_picker()
            tabs, counts = tabs_of(node, self._spec, step) if node is not None and step is not None else ({}, {})
            self._tabs.offer(tabs, counts)
            await self._show_tab()

    def _paint_picker(self) -> None:
        self._picker.clear()
        ran, step = self._ran, self._step
        self._picker.set_visibility(ran is not None and len(ran) > 1)
        if ran is None or step is None or len(ran) < 2:
            return
        at = ran.steps.index(step)
        with self._picker:
            before = icon_button("chevron_left", words.PASS_BEFORE, lambda: self._go(at - 1), small=True, mark="pass-before")
            text(words.PASS, "tr-muted tr-small")
            number = ui.number(value=at + 1, min=1, max=len(ran), step=1, format="%d")
            number.on_value_change(lambda event: self._go(int(event.value) - 1) if event.value else None)
            number.props("outlined dense debounce=300").classes("tr-input tr-passes__no").mark("pass")
            number.props["aria-label"] = words.PASS
            text(words.of_passes(len(ran), ran.failed), "tr-muted tr-small tr-num").mark("pass-count")
            if len(numbers_of(step.scope)) > 1:
                text(words.in_pass(numbers_of(step.scope)), "tr-muted tr-small tr-num").mark("pass-nested")
            after = icon_button("chevron_right", words.PASS_AFTER, lambda: self._go(at + 1), small=True, mark="pass-after")
            before.set_enabled(at > 0)
            after.set_enabled(at + 1 < len(ran))
            failed = ran.failed_after(at)
            if failed is not None and failed != at:
                icon_button("error", words.PASS_FAILED, lambda: self._go(failed), small=True, mark="pass-failed")

    async def _go(self, at: int) -> None:
        if self._ran is not None and 0 <= at < len(self._ran):
            self._scope = self._ran.steps[at].scope
            await self._show_pass()

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
            Source(
                lambda offset, limit: page(run_id, node_id, port, offset=offset, limit=limit, scope=step.scope),
                nothing,
                hint,
                marked,
                trace=lambda item, path: self._trace(step, way, port, item, path),
            )
        )

    async def _trace(self, step: Step, way: str, port: str, item: int, path: str) -> None:
        with self._client:
            await show_origins(
                lambda: self._runs.lineage(
                    str(step.run_id), step.node, item, port=port, path=path, scope=step.scope, arrived=way == "in"
                ),
                run=str(step.run_id),
                label=self._label,
                on_step=self._on_step,
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
