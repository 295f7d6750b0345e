"""Waiting for a time or for a signal, and sending one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from engine.errors import BadInput
from engine.expressions.values import to_json_value
from engine.model.items import SAME, Batch, Output
from engine.steps.builtin.parts import Failures, finish, part, values_of
from engine.steps.contract import BatchCall, Computed, Wait
from engine.steps.define import ADVANCED, Label, step
from engine.steps.spec import PortSpec

LATE = "late"
LONGEST_NAME = 200


def wait_ports(fields: Mapping[str, Any]) -> tuple[PortSpec, ...]:
    """Return `out`, and `late` where a signal is waited for no longer than a deadline."""
    ports = (PortSpec("out"),)
    return (*ports, PortSpec(LATE, "Too late")) if fields.get("signal") and fields.get("deadline") else ports


@step(
    "flow.wait",
    "Wait",
    category="flow",
    icon="hourglass_empty",
    keywords=("delay", "sleep", "pause", "timer", "signal", "resume", "until"),
    ports_for=wait_ports,
    sample=[{}],
)
def wait(
    batch: BatchCall,
    for_: Annotated[timedelta | None, Label("For", "How long: 30s, 5m, 2h, 3d.", "5m")] = None,
    until: Annotated[datetime | None, Label("Or until", "A date or a moment.", "{{ item.due }}")] = None,
    signal: Annotated[
        str, Label("Or for a signal", "The name of a signal; the link run.links.… sends it as well.", "paid")
    ] = "",
    key: Annotated[str, Label("Key", "Which one of that name: only a signal with this key counts.", "{{ item.order }}")] = "",
    deadline: Annotated[
        timedelta | None, Label("At most", "How long to wait for the signal; then the items leave by “late”.", "2d")
    ] = None,
) -> Mapping[str, Output] | Wait:
    """
    Waits for as long as it takes, over restarts too; meanwhile the run costs some rows and no memory.

    All items wait together. After a time they pass on; when a signal brought items, those leave in their place.
    """
    woken = batch.ctx.woken
    if woken is not None:
        if woken.wait.kind != "signal":
            return {"out": Output(batch.items)}
        if woken.how == "due":
            return {"out": Output([]), LATE: Output(batch.items)}
        return {"out": brought(woken.items, batch.items) if woken.items else Output(batch.items)}
    now = batch.ctx.now
    chosen = [name for name, value in (("for", for_), ("until", until), ("signal", signal or None)) if value is not None]
    if len(chosen) != 1:
        told = f"both {' and '.join(chosen)}" if chosen else "nothing"
        raise BadInput(chosen[-1] if chosen else "for", f"This waits for {told}.", hint="Give one of: for, until, signal.")
    if signal:
        due = now + deadline if deadline is not None else None
        return Wait(kind="signal", name=checked(signal, "signal"), key=checked(key, "key"), due_at=due)
    moment = until if until is not None else later(now, for_ or timedelta())
    return Wait(kind="timer", due_at=moment) if moment > now else {"out": Output(batch.items)}


@step(
    "flow.signal",
    "Send a signal",
    category="flow",
    icon="podcasts",
    keywords=("notify", "wake", "event"),
    sample=[{}],
)
def send_signal(
    batch: BatchCall,
    signal: Annotated[Computed, Label("Signal", "Its name.", '"paid"')],
    key: Annotated[Computed | None, Label("Key", "Only runs that wait with this key are woken.", "item.order")] = None,
    data: Annotated[Computed | None, Label("Data", "An object or a list of them; the item itself when empty.", "item")] = None,
    keep: Annotated[
        timedelta | None,
        Label("Keep it", "For how long, when nobody waits for it yet: the first that will gets it. Not kept when empty.", "1d"),
        ADVANCED,
    ] = None,
) -> Mapping[str, Output]:
    """Wakes every run that waits for a signal of this name and key, once per item, and passes the items on."""
    failed: Failures = {}
    items, until = batch.items, later(batch.ctx.now, keep) if keep is not None else None
    columns = [values_of(column, items, failed) if column else [None] * len(items) for column in (signal, key, data)]
    ready: list[tuple[str, str, Batch]] = []
    for index, (name, one_key, value) in enumerate(zip(*columns, strict=True)):
        if index not in failed:
            try:
                given = to_json_value(value) if data is not None else items[index]
                ready.append((checked(name, "signal"), checked(one_key, "key"), batch_of(given)))
            except BadInput as error:
                failed[index] = error
    assert batch.ctx.send is not None
    for name, one_key, brings in ready:
        batch.ctx.send(name, one_key, brings, keep_until=until)
    return finish({"out": part(items, [True] * len(items), failed)[0]}, failed)  # type: ignore[no-any-return]


def later(now: datetime, by: timedelta) -> datetime:
    """Return the moment so much later; raises `BadInput` beyond the year 9999."""
    try:
        return now + by
    except OverflowError:
        raise BadInput("for", "That is longer than the calendar goes.", hint="Wait for less.") from None


def checked(value: Any, field: str) -> str:
    """Return the name or key of a signal; raises `BadInput` for one that is no short text."""
    text = "" if value is None else str(value) if isinstance(value, str | int | float) else None
    if text is None or len(text) > LONGEST_NAME or "\0" in text or (field == "signal" and not text.strip()):
        raise BadInput(field, f"The {field} has to be a text of at most {LONGEST_NAME} characters, not {value!r:.80}.")
    return text


def batch_of(value: Any) -> Batch:
    """Return the items that a signal brings; raises `BadInput` for what is none."""
    found = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in found):
        raise BadInput("data", "A signal brings items, which are JSON objects.", hint="Such as {order: item.id}.")
    return found


def brought(items: Batch, waited: Batch) -> Output:
    """Return items that came from outside; they belong to the batch that waited, item by item where there are as many."""
    same = len(items) == len(waited)
    return Output(items, {"in": SAME if same else [list(range(len(waited)))] * len(items)})


WAIT = (wait, send_signal)
