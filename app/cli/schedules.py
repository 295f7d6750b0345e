"""`treadle backfill` and `treadle calendar`: slots made up for, and the days that count."""

from __future__ import annotations

import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.output import Exit, command, console, margin, say_json, say_table
from app.cli.session import AsJson, DataOption, at_work
from engine.errors import BadRequest
from engine.model.calendar import Calendar
from engine.triggers.timetable import parse_zone

calendars = typer.Typer(help="Calendars: list, show, import, remove.", no_args_is_help=True)
CalendarArgument = Annotated[str, typer.Argument(help="The calendar's name.")]


@command
async def backfill(
    name: Annotated[str, typer.Argument(help="Name or id of a workflow that is switched on.")],
    since: Annotated[str, typer.Option("--from", help="The first day or moment: 2026-11-01 or 2026-11-01T07:00+01:00.")],
    until: Annotated[str, typer.Option("--to", help="The day or moment after the last.")],
    node: Annotated[str | None, typer.Option("--node", help="Which schedule, where the workflow has several.")] = None,
    at_a_time: Annotated[int, typer.Option("--at-a-time", min=1, max=1000, help="Runs that may be open at once.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many slots would be fired.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Fire each slot of a past window that has not run yet, once."""
    async with at_work(data, engine=True) as work:
        document = (await work.studio.workflows.get_current(name))[1]
        zone = parse_zone(document.settings.timezone)
        ask = {"from": _moment(since, zone), "to": _moment(until, zone), "node": node, "at_a_time": at_a_time}
        plan = await work.backfill(name, {**ask, "dry_run": True})
        count = plan["total"] - plan["known"]
        if dry_run:
            if as_json:
                say_json(plan)
            else:
                console().print(_told(plan, count), markup=False)
            return Exit.DONE
        margin().print(_told(plan, count), markup=False)
        if count and not yes:
            if not sys.stdin.isatty():
                raise BadRequest("Nothing was fired: nobody is here to be asked.", hint="Look at the count, then add --yes.")
            typer.confirm("Fire them?", abort=True, err=True)
        done = await work.backfill(name, ask)
    if as_json:
        say_json(done)
    else:
        console().print(f"{done['started']} runs started, {done['known']} slots had run before: {done['state']}", markup=False)
    return Exit.DONE if done["state"] == "done" else Exit.FAILED


def calendar_form(calendar: Calendar) -> dict[str, Any]:
    """Return a calendar with its name."""
    return {"name": calendar.name, **calendar.as_json()}


def _told(plan: dict[str, Any], count: int) -> str:
    slots = "slot" if plan["total"] == 1 else "slots"
    return f"{plan['workflow']}, {plan['node']}: {plan['total']} {slots}, {plan['known']} have run, {count} would be fired."


def _moment(text: str, zone: Any) -> str:
    """Read a day (its first moment in the workflow's zone) or a moment."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), zone).isoformat()
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"“{text}” is no day or moment.", hint="Write 2026-11-01 or 2026-11-01T07:00+01:00.") from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).isoformat()


@calendars.command("list")
@command
async def list_calendars(data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Show every calendar."""
    async with at_work(data, reading=True) as work:
        await work.load_calendars()
        found = work.studio.schedules.calendars()
    if as_json:
        say_json([calendar_form(one) for one in found])
    else:
        rows = [
            [one.name, " ".join(one.as_json()["working_days"]), str(len(one.holidays)), str(len(one.yearly))] for one in found
        ]
        say_table(["Name", "Working days", "Holidays", "Yearly"], rows, empty="")
    return Exit.DONE


@calendars.command("show")
@command
async def show_calendar(name: CalendarArgument, data: DataOption = None) -> Exit:
    """Print one calendar as JSON."""
    async with at_work(data, reading=True) as work:
        await work.load_calendars()
        say_json(calendar_form(work.studio.schedules.calendar(name)))
    return Exit.DONE


@calendars.command("import")
@command
async def import_calendar(
    name: CalendarArgument,
    file: Annotated[Path, typer.Argument(help="An iCalendar file (.ics), or JSON as `show` prints it.", exists=True)],
    data: DataOption = None,
) -> Exit:
    """Add the holidays of a file to a calendar, which is made where there is none; JSON takes its place."""
    text = file.read_text("utf-8", "replace")
    async with at_work(data) as work:
        brought = await work.bring_calendar(name, text)
    for line in brought["left_out"]:
        margin().print(f"Left out: {line}.", markup=False)
    calendar = brought["calendar"]
    console().print(f"{name}: {len(calendar['holidays'])} holidays, {len(calendar['yearly'])} every year", markup=False)
    return Exit.DONE


@calendars.command("remove")
@command
async def remove_calendar(name: CalendarArgument, data: DataOption = None) -> Exit:
    """Remove a calendar that no schedule uses."""
    async with at_work(data) as work:
        await work.remove_calendar(name)
    console().print(f"{name} is removed", markup=False)
    return Exit.DONE
