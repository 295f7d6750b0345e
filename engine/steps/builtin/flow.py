"""Which way items go, and how a run ends or answers: if, switch, respond, stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from engine.model.items import Output
from engine.model.words import is_port
from engine.steps.builtin.parts import Failures, finish, flags, part, pick, values_of
from engine.steps.contract import BatchCall, Computed, Respond, Response, StopRun
from engine.steps.define import Between, Cases, Label, LongText, Options, humanize, step
from engine.steps.spec import PortSpec

ELSE = "otherwise"


@step(
    "flow.if",
    "If",
    category="flow",
    icon="call_split",
    keywords=("branch", "condition", "true", "false"),
    ports_out=("true", "false"),
    sample=[{"total": 120}],
)
def if_(
    batch: BatchCall, when: Annotated[Computed, Label("When", "Asked for each item.", "item.total > 100")]
) -> Mapping[str, Output]:
    """Sends each item one of two ways. What counts as false: false, null, 0, an empty text, list or object."""
    failed: Failures = {}
    yes, no = part(batch.items, flags(values_of(when, batch.items, failed)), failed)
    return finish({"true": yes, "false": no}, failed)  # type: ignore[no-any-return]


def switch_ports(fields: Mapping[str, Any]) -> tuple[PortSpec, ...]:
    """Return a port per case as written, then the one for all others; cases still being written count as none."""
    cases = fields.get("cases")
    names = [str(name) for name in cases] if isinstance(cases, Mapping) else []
    rest = fields.get("otherwise") or ELSE
    ports = [name for name in (*names, str(rest)) if is_port(name)]
    return tuple(PortSpec(name, humanize(name)) for name in dict.fromkeys(ports))


@step(
    "flow.switch",
    "Switch",
    category="flow",
    icon="alt_route",
    keywords=("branch", "route", "case", "conditions"),
    ports_out=(ELSE,),
    ports_for=switch_ports,
    sample=[{"country": "AT"}],
)
def switch(
    batch: BatchCall,
    cases: Annotated[Cases, Label("Cases", "A port and its condition; each item leaves by the first whose condition holds.")],
    otherwise: Annotated[str, Label("All others leave by", "The port for items that no case wants.")] = ELSE,
) -> Mapping[str, Output]:
    """Sends each item one of many ways: by the first case that holds, else by the port for all others."""
    items, failed = batch.items, Failures()
    taken: dict[str, list[int]] = {name: [] for name in (*cases, otherwise or ELSE)}
    left = list(range(len(items)))
    for name, condition in cases.items():
        rest: list[int] = []
        selection = items if len(left) == len(items) else [items[index] for index in left]
        for index, holds in zip(left, flags(values_of(condition, selection, failed, left)), strict=True):
            if index not in failed:
                (taken[name] if holds else rest).append(index)
        left = rest
    taken[otherwise or ELSE] = sorted(taken[otherwise or ELSE] + left)
    return finish({name: pick(items, indexes) for name, indexes in taken.items()}, failed)  # type: ignore[no-any-return]


@step(
    "flow.respond",
    "Respond",
    category="flow",
    icon="reply",
    keywords=("webhook", "answer", "http"),
    sample=[{"ok": True}],
)
def respond(
    batch: BatchCall,
    status: Annotated[int, Label("Status", "The HTTP status of the answer."), Between(200, 599)] = 200,
    headers: Annotated[dict[str, str] | None, Label("Headers")] = None,
    body: Annotated[
        Any, Label("Body", "Text, or anything JSON can hold, or a file. The first item when empty.", "{{ item }}")
    ] = None,
) -> Respond:
    """Answers the call that started the run and passes the items on; a run that was started otherwise just goes on."""
    if body is None and batch.items:
        body = batch.items[0]
    named = {name: str(value) for name, value in (headers or {}).items()}
    return Respond(response=Response(status=status, headers=named, body=body), outputs=Output(batch.items))


@step("flow.stop", "Stop", category="flow", icon="stop_circle", keywords=("end", "fail", "error", "abort"), ports_out=())
def stop(
    batch: BatchCall,
    status: Annotated[
        Literal["succeeded", "failed"], Label("The run counts as"), Options.of(succeeded="Succeeded", failed="Failed")
    ] = "failed",
    message: Annotated[LongText, Label("Reason", "Stands in the run list.", "No rate for {{ item.currency }}")] = "",
) -> None:
    """Ends the whole run here, as a success or as a failure, with a reason people will read."""
    raise StopRun(status, message or ("Stopped by the workflow." if status == "failed" else "Ended early by the workflow."))


FLOW = (if_, switch, respond, stop)
