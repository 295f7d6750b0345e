"""What can start a run from inside Treadle; `engine.triggers` does the work, here is what the forms say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from engine.steps.define import ADVANCED, PLAIN, Cron, Items, Label, LongText, Options, Timezone, trigger

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@trigger("trigger.manual", "Start by hand", icon="play_arrow", keywords=("button", "test", "start"), sample=[{}])
def manual(
    sample: Annotated[Items | None, Label("Sample items", "What a test run starts with; a real run may bring its own.")] = None,
) -> None:
    """Starts when someone presses Run, from the command line, or from the API. Without items it starts with one empty item."""


@trigger(
    "trigger.schedule",
    "On a schedule",
    icon="schedule",
    keywords=("cron", "timer", "interval", "daily", "every"),
    sample=[{"due": "2026-11-23T07:00:00+01:00", "fired": "2026-11-23T07:00:00+01:00"}],
)
def schedule(
    cron: Annotated[
        Cron | None,
        Label(
            "Times (cron)",
            "Minute, hour, day, month, weekday: 0 7 * * MON-FRI is seven o'clock on working days.",
            "0 7 * * MON-FRI",
        ),
        PLAIN,
    ] = None,
    every: Annotated[
        timedelta | None, Label("Or every", "A pause such as 15m or 2h, in the place of times.", "15m"), PLAIN
    ] = None,
    timezone: Annotated[Timezone | None, Label("Time zone", "The workflow's own when empty.", "Europe/Vienna"), PLAIN] = None,
    missed: Annotated[
        Literal["skip", "once", "all"],
        Label("Missed times", "What becomes of times that passed while Treadle was not running."),
        Options.of(skip="Skip them", once="Run once for all of them", all="Run once for each"),
        PLAIN,
    ] = "once",
    calendar: Annotated[
        str | None,
        Label(
            "Calendar", "Only its business days count: weekdays, target, or one of your own. Every day when empty.", "weekdays"
        ),
        PLAIN,
    ] = None,
    on_holiday: Annotated[
        Literal["skip", "next_business_day", "previous_business_day"],
        Label("On other days", "What becomes of a time that falls on a holiday or a weekend of the calendar."),
        Options.of(
            skip="Leave it out",
            next_business_day="On the next business day",
            previous_business_day="On the business day before",
        ),
        PLAIN,
    ] = "skip",
) -> None:
    """Starts at given times or at a steady pace. The item says when the run was due and when it really fired."""


@trigger(
    "trigger.webhook",
    "When called (webhook)",
    icon="webhook",
    keywords=("http", "endpoint", "api", "receive", "form", "callback"),
    sample=[
        {
            "method": "POST",
            "path": "/orders/17",
            "params": {"id": "17"},
            "query": {},
            "headers": {"content-type": "application/json"},
            "body": {"total": 12.5},
        }
    ],
)
def webhook(
    path: Annotated[
        str, Label("Path", "What follows /hooks/. A part in braces becomes a parameter: orders/{id}.", "orders/{id}"), PLAIN
    ],
    methods: Annotated[list[str] | None, Label("Methods", "GET, POST, PUT, PATCH, DELETE; POST when empty."), PLAIN] = None,
    answer: Annotated[
        Literal["at_once", "by_step", "when_done"],
        Label("Answer", "When the caller gets an answer."),
        Options.of(
            at_once="At once: accepted (202)", by_step="By a Respond step", when_done="When the run is done, with its output"
        ),
        PLAIN,
    ] = "at_once",
    sign: Annotated[
        dict[str, Any] | None,
        Label(
            "Signature",
            "How callers prove who they are: style (standard, github, stripe, slack, hmac) and secret, or secret_env with the "
            "name of an environment variable. Not checked when empty.",
        ),
        ADVANCED,
        PLAIN,
    ] = None,
) -> None:
    """Starts when another program calls an address of this Treadle. The item holds the request, its body read by its type."""


@trigger(
    "trigger.workflow_failed",
    "When a workflow fails",
    icon="notification_important",
    keywords=("error", "alert", "failure", "on_failure", "notify"),
    sample=[
        {
            "run": "run_0199c7a1b2c3a1b2c3d4e5f6",
            "workflow": "Overdue orders",
            "workflow_id": "wf_0199c7a1b2c3a1b2c3d4e5f6",
            "trigger": "schedule",
            "step": "fetch",
            "error": {"code": "unavailable", "message": "shop.example answered 503.", "hint": None, "where": {"node": "fetch"}},
            "message": "shop.example answered 503.",
            "group": "cause_5f0c9a3b1d2e4f60718293a4",
            "cause": "shop.example answered ‹n›.",
            "replay_of": None,
            "queued_at": "2026-11-23T07:00:00+00:00",
            "failed_at": "2026-11-23T07:00:02+00:00",
            "link": "/runs/run_0199c7a1b2c3a1b2c3d4e5f6",
        }
    ],
)
def workflow_failed(
    workflows: Annotated[
        list[str] | None, Label("Workflows", "Names of the workflows to listen to; all of them when empty."), PLAIN
    ] = None,
) -> None:
    """
    Starts when a run of a workflow fails. The item says which run, why, and to which group on the failure desk it belongs.

    It is never told of its own failures, nor of those that it brought about. A workflow can also name another one that is told
    of its failures in its own settings (`on_failure`).
    """


@trigger(
    "trigger.form",
    "When a form is sent",
    icon="dynamic_form",
    keywords=("page", "survey", "input", "public", "questions"),
    sample=[{"name": "Ada", "message": "Hello"}],
)
def form(
    path: Annotated[str, Label("Path", "The page is at /forms/ and this.", "contact"), PLAIN],
    fields: Annotated[
        Items,
        Label(
            "Fields",
            "What to fill in: name, type (text, long_text, email, number, integer, choice, date, yes_no, file), label, help, "
            "required, choices, default, minimum, maximum.",
        ),
        PLAIN,
    ],
    title: Annotated[str, Label("Title", "The workflow's name when empty."), PLAIN] = "",
    text: Annotated[LongText, Label("Text", "Shown above the fields."), PLAIN] = "",
    button: Annotated[str, Label("Button"), PLAIN] = "Send",
    thanks: Annotated[LongText, Label("Thanks", "Shown afterwards, when no further form follows."), PLAIN] = "",
) -> None:
    """
    Shows a public page with a form and starts when it is sent; the item holds the answers by the names of the fields.

    What was sent is on disk before the page says thanks. Form steps later in the run show the same person further pages.
    """


TRIGGERS = (manual, schedule, webhook, workflow_failed, form)
