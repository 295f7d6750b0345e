"""`treadle signal` and `treadle waiting`: send signals, see what waits for whom, decide approvals."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from app.cli.output import Exit, command, console, say_json, say_table
from app.cli.runs import read_input
from app.cli.session import AsJson, DataOption, at_work
from engine.errors import BadRequest
from engine.model.durations import parse_duration
from engine.service.waits import row_form

waiting = typer.Typer(help="What waits: list it, decide approvals.", no_args_is_help=True)


@command
async def signal(
    name: Annotated[str, typer.Argument(help="The name of the signal.")],
    key: Annotated[str, typer.Option("--key", help="Only runs that wait with this key are woken.")] = "",
    given: Annotated[str, typer.Option("--input", help="Items it brings: JSON, or @FILE, or @- for standard input.")] = "",
    keep: Annotated[str, typer.Option("--keep", help="Keep it so long when nobody waits for it yet, such as 1h.")] = "",
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Wake every run that waits for a signal of this name and key."""
    items = read_input(given)
    try:
        seconds = parse_duration(keep).total_seconds() if keep else None
    except ValueError as error:
        raise BadRequest(f"--keep: {error}", hint="Such as 30s, 5m, 2h, 1d.") from error
    async with at_work(data) as work:
        woken = await work.signal(name, key, items, seconds)
    if as_json:
        say_json({"woken": woken})
    else:
        runs = "1 run" if len(woken) == 1 else f"{len(woken)} runs"
        console().print(f"{runs} woken" + (", kept for who comes" if keep and not woken else ""), markup=False)
    return Exit.DONE


@waiting.command("list")
@command
async def list_waiting(
    kind: Annotated[Literal["approval", "form", "signal", "timer", "child", "limit"], typer.Option("--kind")] = "approval",
    person: Annotated[str, typer.Option("--person", help="Only approvals that ask this person, or nobody by name.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Show what waits, the longest waiting first."""
    async with at_work(data, reading=True) as work:
        rows = await work.studio.waits.list_rows(kind, person=person, limit=limit)
    if as_json:
        say_json([{name: value for name, value in row_form(row).items() if name != "link"} for row in rows])
    else:
        say_table(
            ["Run", "Step", "Workflow", "What", "Since", "Until"],
            [
                [
                    row.run_id,
                    row.node,
                    row.workflow,
                    row.name or row.kind,
                    f"{row.since.astimezone():%Y-%m-%d %H:%M}",
                    f"{row.due_at.astimezone():%Y-%m-%d %H:%M}" if row.due_at else "",
                ]
                for row in rows
            ],
            empty="Nothing waits.",
        )
    return Exit.DONE


@waiting.command("decide")
@command
async def decide(
    run_id: Annotated[str, typer.Argument(help="The run's id.")],
    step: Annotated[str, typer.Argument(help="The step that waits.")],
    decision: Annotated[str, typer.Argument(help="The button, such as approve.")],
    note: Annotated[str, typer.Option("--note", help="What goes with it.")] = "",
    given: Annotated[str, typer.Option("--input", help="The fields to fill in, as one JSON object, or @FILE.")] = "",
    data: DataOption = None,
) -> Exit:
    """Decide an approval; the run goes on."""
    items = read_input(given) or [{}]
    async with at_work(data) as work:
        await work.decide_approval(run_id, step, decision, note, items[0])
    console().print(f"{run_id}: {step} is decided: {decision}", markup=False)
    return Exit.DONE
