"""Steps that wait for people: an approval with buttons, a form in the middle of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from engine.errors import BadInput
from engine.model.items import SAME, Output
from engine.model.words import is_port
from engine.steps.builtin.wait import LATE, brought, later
from engine.steps.contract import BatchCall, Wait
from engine.steps.define import ADVANCED, PLAIN, Items, Label, LongText, humanize, step
from engine.steps.form_fields import parse_fields
from engine.steps.spec import PortSpec

BUTTONS = {"approve": "Approve", "reject": "Reject"}


def buttons_of(value: Any) -> dict[str, str]:
    """Return the buttons by port with their labels; approve and reject where none are written."""
    if isinstance(value, Mapping) and value:
        return {str(name): str(label or humanize(str(name))) for name, label in value.items()}
    if isinstance(value, list) and value:
        return {str(name): humanize(str(name)) for name in value}
    return dict(BUTTONS)


def approval_ports(fields: Mapping[str, Any]) -> tuple[PortSpec, ...]:
    """Return a port per button as written, and `late` where the deadline has no decision of its own."""
    ports = [PortSpec(name, label) for name, label in buttons_of(fields.get("buttons")).items() if is_port(name)]
    is_open = fields.get("deadline") and not fields.get("default")
    return (*ports, PortSpec(LATE, "Too late")) if is_open else tuple(ports)


@step(
    "flow.approval",
    "Ask for approval",
    category="flow",
    icon="how_to_reg",
    keywords=("approve", "human", "decision", "confirm", "review", "inbox"),
    ports_for=approval_ports,
    sample=[{"approval": {"decision": "approve", "by": "ada@example.org", "at": "2026-11-23T12:00:00Z", "note": ""}}],
)
def approval(
    batch: BatchCall,
    title: Annotated[str, Label("Title", "Stands in the inbox and on the page.", "Refund for {{ item.customer }}")],
    text: Annotated[LongText, Label("What it is about", "Shown above the buttons.")] = "",
    people: Annotated[list[str] | None, Label("Who is asked", "Names or addresses; they find it in the inbox.")] = None,
    buttons: Annotated[
        dict[str, str] | None, Label("Buttons", "A port and the words on it; approve and reject when empty."), PLAIN
    ] = None,
    fields: Annotated[
        Items | None, Label("Fields", "What else to fill in: name, type, label, required, choices."), PLAIN, ADVANCED
    ] = None,
    remind: Annotated[timedelta | None, Label("Remind after", "Marks it in the inbox and tells who listens.", "1d")] = None,
    deadline: Annotated[timedelta | None, Label("Deadline", "Then the items leave by “late”.", "3d")] = None,
    default: Annotated[str, Label("Or decide so", "The button that counts as pressed at the deadline."), PLAIN] = "",
) -> Mapping[str, Output] | Wait:
    """
    Waits until somebody presses a button, in the inbox or on the page behind run.links.…, which needs no sign-in.

    The items leave by the port of that button; each has who decided and when under `approval`.
    """
    ports = buttons_of(buttons)
    if wrong := [name for name in ports if not is_port(name) or name == LATE]:
        raise BadInput("buttons", f"A button cannot be called “{wrong[0]}”.", hint="Lower-case letters, digits and “_”.")
    if default and default not in ports:
        raise BadInput("default", f"There is no button “{default}”.", hint=f"The buttons are: {', '.join(ports)}.")
    woken, now = batch.ctx.woken, batch.ctx.now
    outputs = {name: Output([]) for name in ports}
    if woken is None:
        end = later(now, deadline) if deadline is not None else None
        remind_at = later(now, remind) if remind is not None else None
        details = {
            "title": title,
            "text": text,
            "people": [str(one) for one in people or ()],
            "buttons": ports,
            "fields": [field.as_json() for field in parse_fields(fields)],
            "deadline": end.isoformat() if end else None,
            "remind_at": remind_at.isoformat() if remind_at else None,
        }
        return Wait(kind="approval", name=title[:200], due_at=_first(remind_at, end), details=details)
    asked: dict[str, Any] = dict(woken.wait.details)
    if woken.how == "decided":
        return outputs | _decided(batch, str(woken.note["decision"]), woken.note, woken.at, woken.items)
    end = datetime.fromisoformat(asked["deadline"]) if asked.get("deadline") else None
    if end is None or woken.at < end:
        return Wait(kind="approval", name=woken.wait.name, due_at=end, details={**asked, "reminded_at": woken.at.isoformat()})
    if default:
        return outputs | _decided(batch, default, {"by": "", "note": "Nobody decided before the deadline."}, woken.at, [])
    return outputs | {LATE: Output(batch.items)}


@step(
    "flow.form",
    "Ask with a form",
    category="flow",
    icon="dynamic_form",
    keywords=("page", "input", "question", "survey", "next", "human"),
    ports_for=lambda fields: (PortSpec("out"), PortSpec(LATE, "Too late")) if fields.get("deadline") else (PortSpec("out"),),
    sample=[{"name": "Ada"}],
)
def form(
    batch: BatchCall,
    title: Annotated[str, Label("Title", "Stands above the form.", "A few more questions")],
    fields: Annotated[Items, Label("Fields", "What to fill in: name, type, label, required, choices."), PLAIN],
    text: Annotated[LongText, Label("Text", "Shown above the fields.")] = "",
    button: Annotated[str, Label("Button"), PLAIN] = "Send",
    thanks: Annotated[LongText, Label("Thanks", "Shown afterwards, when no further form follows.")] = "",
    deadline: Annotated[timedelta | None, Label("Deadline", "Then the items leave by “late”.", "3d")] = None,
) -> Mapping[str, Output] | Wait:
    """
    Shows a form on a public page and waits for the answers; whoever filled in the form before it gets to see it by itself.

    Anybody else finds it behind run.links.… One item leaves: the answers by the names of the fields.
    """
    woken = batch.ctx.woken
    if woken is None:
        details = {
            "title": title,
            "text": text,
            "fields": [field.as_json() for field in parse_fields(fields)],
            "button": button,
            "thanks": thanks,
        }
        due = later(batch.ctx.now, deadline) if deadline is not None else None
        return Wait(kind="form", name=title[:200], due_at=due, details=details)
    if woken.how == "due":
        return {"out": Output([]), LATE: Output(batch.items)}
    return {"out": brought(woken.items, batch.items)}


def _decided(
    batch: BatchCall, button: str, note: Mapping[str, Any], at: datetime, answers: list[dict[str, Any]]
) -> dict[str, Output]:
    told = {
        "decision": button,
        "by": note.get("by", ""),
        "at": at.isoformat(),
        "note": note.get("note", ""),
        "answers": answers[0] if answers else {},
    }
    return {button: Output([{**item, "approval": told} for item in batch.items], {"in": SAME})}


def _first(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


PEOPLE = (approval, form)
