"""`treadle run` and `treadle runs`: start runs and look at them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from app.build import Treadle, build
from app.cli.documents import read_checked
from app.cli.output import Exit, command, console, margin, say_json, say_table
from app.cli.session import AsJson, DataOption, at_work, settings_of
from app.config import Settings
from app.instance import find_instance
from app.starters import bring_files
from engine.access import OWNER
from engine.errors import BadRequest, StoreError
from engine.ids import RunId, WorkflowId
from engine.model.codec import read_document
from engine.model.durations import parse_duration
from engine.model.run import Run, RunStatus
from engine.protocols import RunFilter

runs = typer.Typer(help="Runs: list, show, lineage, retry, fork, decide, cancel.", no_args_is_help=True)
RunArgument = Annotated[str, typer.Argument(help="The run's id.")]

EXITS = {RunStatus.SUCCEEDED: Exit.DONE, RunStatus.WAITING: Exit.PARKED, RunStatus.NEEDS_DECISION: Exit.PARKED}


@command
async def run(
    what: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A workflow document, or the name of a workflow.")],
    given: Annotated[str, typer.Option("--input", help="Items for the start: JSON, or @FILE, or @- for standard input.")] = "",
    from_node: Annotated[str | None, typer.Option("--from", help="Start at this node instead of the trigger.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="The folder that file steps read and write.")] = None,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Run a workflow once to its end, here, and print what its last nodes gave."""
    settings = settings_of(data)
    items = read_input(given)
    path = Path(what)
    is_file = path.is_file() or path.suffix in {".yaml", ".yml", ".json"}
    document = read_document(read_checked(path)) if is_file else None
    async with one_engine(settings, folder) as (treadle, is_guest):
        studio = treadle.studio(OWNER)
        workflow_id: WorkflowId | None = None
        if document is not None and folder is None:
            bring_files(path, treadle.folders.of(None, document.name))
        elif document is None and is_guest:
            async with at_work(data, reading=True) as work:
                workflow_id, document = await work.studio.workflows.get_current(what)
        with contextlib.nullcontext() if as_json or not sys.stderr.isatty() else follow(treadle):
            if document is not None:
                started = await studio.runs.start_document(document, items, from_node=from_node, workflow_id=workflow_id)
            else:
                started = await studio.runs.start(what, items, from_node=from_node)
            ended = await studio.runs.wait(started.id, None)
        finished = await studio.runs.finished(ended.id)
    say_finished(finished, as_json=as_json)
    if is_guest and EXITS.get(ended.status) is Exit.PARKED:
        say_lost()
    return EXITS.get(ended.status, Exit.FAILED)


@contextlib.asynccontextmanager
async def one_engine(settings: Settings, folder: Path | None) -> AsyncIterator[tuple[Treadle, bool]]:
    """
    Start an engine for one run: on the store where that is free, else in memory beside the process that has it.

    Hands out the Treadle, and whether it is such a guest.
    """
    treadle = build(settings, fixed_folder=folder)
    is_guest = find_instance(settings.data) is not None
    if not is_guest:
        try:
            await treadle.start(triggers=False, resume=False)
        except StoreError as error:
            if "process" not in error.where:
                raise
            is_guest = True
    if is_guest:
        margin().print(f"Another Treadle is at work on {settings.data}: this run is not kept.", markup=False)
        treadle = build(settings, in_memory=True, fixed_folder=folder)
        await treadle.start(triggers=False, resume=False)
    try:
        yield treadle, is_guest
    finally:
        await treadle.stop()


def say_lost() -> None:
    """Say that a run which has to wait ends here, because it was in memory only."""
    margin().print(
        "The run has to wait, and it was in memory only: it ends here, nothing of it is kept.", style="bold", markup=False
    )
    margin().print(
        "Import the workflow and start it in the Treadle that is at work, or run it again once that one has ended.",
        markup=False,
    )


def follow(treadle: Treadle) -> contextlib.AbstractContextManager[Any]:
    """Return what shows on stderr which steps are at work, while a run goes on."""
    from app.cli.follow import Follow  # with rich's progress, which a pipe does without

    return Follow(treadle.bus)


def read_input(given: str) -> list[dict[str, Any]] | None:
    """Return the items that `--input` names: one object or a list of objects; None when nothing is given."""
    if not given:
        return None
    source = "--input"
    raw: str | bytes = given
    if given.startswith("@"):
        source = given[1:]
        try:
            raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        except OSError as error:
            raise BadRequest(f"The input {source} cannot be read: {error.strerror}.") from error
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{source} is no JSON: {error}.", hint="Give one object or a list of objects, or @FILE.") from error
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in items):
        raise BadRequest("Items are JSON objects.", hint='Give {"name": "value"} or a list of such objects.')
    return items


def say_finished(finished: dict[str, Any], *, as_json: bool) -> None:
    """Print a finished run: the outputs of its last nodes on stdout, how it went on stderr."""
    if as_json:
        say_json(finished)
        return
    for node, ports in finished["outputs"].items():
        for port, items in ports.items():
            if items:
                name = node if port == "out" else f"{node}.{port}"
                margin().print(f"{name}: {len(items)} {'item' if len(items) == 1 else 'items'}", style="bold", markup=False)
                for item in items:
                    sys.stdout.write(orjson.dumps(item, default=str).decode() + "\n")
    error = finished["error"]
    if error:
        where = f"{error['where']['node']}: " if error.get("where", {}).get("node") else ""
        margin().print(f"{finished['status']}: {where}{error['message']}", style="bold red", markup=False)
        if error.get("hint"):
            margin().print(error["hint"], markup=False)
    else:
        margin().print(f"{finished['status']} in {finished['duration_ms'] or 0} ms  ({finished['id']})", markup=False)


@runs.command("list")
@command
async def list_runs(
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only runs of this workflow.")] = None,
    status: Annotated[list[RunStatus] | None, typer.Option("--status", help="Only runs in this state; repeat it.")] = None,
    text: Annotated[str, typer.Option("--text", help="Only runs with this in their name, id or error.")] = "",
    search: Annotated[str, typer.Option("--search", help="Only runs with these words in their data, errors or log.")] = "",
    trigger: Annotated[str, typer.Option("--trigger", help="Only runs started so: manual, schedule, webhook …")] = "",
    key: Annotated[str, typer.Option("--key", help="Only runs started by the event with this key.")] = "",
    since: Annotated[datetime | None, typer.Option("--since", help="Only runs queued at or after this moment.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Only runs queued before this moment.")] = None,
    longer_than: Annotated[str, typer.Option("--longer-than", help="Only runs that took at least so long: 2s, 5m.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Show runs, newest first."""
    try:
        longer = parse_duration(longer_than) if longer_than else None
    except ValueError as error:
        raise BadRequest(f"“{longer_than}” is no duration.", hint="Write 2s, 5m or 1h30m.") from error
    async with at_work(data, reading=True) as work:
        workflow_id = (await work.studio.workflows.get(workflow)).id if workflow else None
        page = await work.studio.runs.list_page(
            RunFilter(
                workflow_id=workflow_id,
                statuses=tuple(status or ()),
                text=text,
                search=search,
                trigger=trigger,
                key=key,
                since=since.astimezone() if since else None,
                until=until.astimezone() if until else None,
                took_at_least=longer,
                limit=limit,
            )
        )
    if as_json:
        say_json([as_row(run) for run in page])
    else:
        say_table(
            ["Run", "Workflow", "Status", "Started", "Took", "Error"],
            [
                [
                    run.id,
                    run.workflow_name,
                    run.status.value,
                    f"{run.queued_at.astimezone():%Y-%m-%d %H:%M:%S}",
                    "" if run.duration_ms is None else f"{run.duration_ms} ms",
                    str(run.error["message"])[:80] if run.error else "",
                ]
                for run in page
            ],
            empty="No runs yet.",
        )
    return Exit.DONE


def as_row(run: Run) -> dict[str, Any]:
    """Return a run as the list shows it."""
    return {
        "id": run.id,
        "workflow": run.workflow_name,
        "version": run.version_id,
        "status": run.status.value,
        "trigger": run.trigger,
        "queued_at": run.queued_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_ms": run.duration_ms,
        "error": run.error,
    }


@runs.command("show")
@command
async def show(run_id: RunArgument, data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Show one run, its steps, and what its last nodes gave."""
    async with at_work(data, reading=True) as work:
        finished = await work.studio.runs.finished(run_id)
        steps = await work.studio.runs.steps(RunId(run_id))
    if as_json:
        say_json(finished)
        return Exit.DONE
    say_table(
        ["Step", "Status", "Tries", "In", "Out", "Error"],
        [
            [
                step.node,
                step.status.value,
                str(step.attempts),
                str(step.items_in),
                ", ".join(f"{port} {summary.count}" for port, summary in step.ports.items()),
                str(step.error["message"]) if step.error else "",
            ]
            for step in steps
        ],
        empty="No step has started yet.",
    )
    say_finished(finished, as_json=False)
    return Exit.DONE


@runs.command("lineage")
@command
async def lineage(
    run_id: RunArgument,
    step: Annotated[str, typer.Argument(help="The step that the item left.")],
    item: Annotated[int, typer.Argument(help="Its index in the batch.")] = 0,
    path: Annotated[str, typer.Option("--path", help="A field in it, such as total or customer.name.")] = "",
    port: Annotated[str, typer.Option("--port", help="The out-port it left by.")] = "out",
    scope: Annotated[str, typer.Option("--scope", help="The pass, for a step in a loop: loop:3.")] = "",
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Show where an item, or a field in it, came from: back to its sources, through loops, merges and calls."""
    async with at_work(data, reading=True) as work:
        hops = await work.studio.runs.lineage(run_id, step, item, port=port, path=path, scope=scope)
    if as_json:
        say_json([asdict(hop) for hop in hops])
        return Exit.DONE
    say_table(
        ["", "From", "Step", "Item", "Field", "Value", "How", "Run"],
        [
            [
                str(number),
                ", ".join(map(str, hop.came_from)),
                f"{hop.scope}/{hop.node}" if hop.scope else hop.node,
                f"{hop.port} {hop.index}",
                hop.path or "",
                "" if hop.path is None else orjson.dumps(hop.value, default=str).decode()[:80],
                hop.how if hop.expression is None else f"{hop.how}: {hop.expression}",
                "" if hop.run_id == run_id else hop.run_id,
            ]
            for number, hop in enumerate(hops)
        ],
        empty="",
    )
    return Exit.DONE


@runs.command("retry")
@command
async def retry(run_id: RunArgument, data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Run again from the failed step, with what the steps before it gave."""
    async with at_work(data, engine=True) as work:
        finished = await work.retry(run_id)
    say_finished(finished, as_json=as_json)
    status = RunStatus(finished["status"])
    return EXITS.get(status, Exit.FAILED if status.is_final else Exit.DONE)


@runs.command("fork")
@command
async def fork(
    run_id: RunArgument,
    at: Annotated[str | None, typer.Option("--at", help="The first step to run again; where it failed when left out.")] = None,
    given: Annotated[
        str, typer.Option("--input", help="Items that arrive there: JSON, or @FILE, or @- for standard input.")
    ] = "",
    file: Annotated[Path | None, typer.Option("--document", help="Run this document instead of the one the run had.")] = None,
    use: Annotated[
        Literal["same", "draft", "active"],
        typer.Option("--use", help="The document: the run's, the draft, the active version."),
    ] = "same",
    reuse: Annotated[list[str] | None, typer.Option("--reuse", help="Keep what this step changed outside; repeat it.")] = None,
    again: Annotated[list[str] | None, typer.Option("--again", help="Do this step's changes once more; repeat it.")] = None,
    otherwise: Annotated[
        Literal["ask", "reuse", "again"], typer.Option("--otherwise", help="For steps not named; ask refuses and lists them.")
    ] = "ask",
    dry: Annotated[bool, typer.Option("--dry", help="Describe changes outside and make none.")] = False,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Go on from a run as a new one: from any step, with other data or another document."""
    wish = {
        "at": at,
        "input": read_input(given),
        "document": read_checked(file) if file is not None else None,
        "use": use,
        "effects": {**dict.fromkeys(reuse or (), "reuse"), **dict.fromkeys(again or (), "again")},
        "otherwise": otherwise,
        "dry": dry,
    }
    async with at_work(data, engine=True) as work:
        finished = await work.fork(run_id, wish)
    say_finished(finished, as_json=as_json)
    status = RunStatus(finished["status"])
    return EXITS.get(status, Exit.FAILED if status.is_final else Exit.DONE)


@runs.command("decide")
@command
async def decide(
    run_id: RunArgument,
    decision: Annotated[
        Literal["retry", "skip"], typer.Argument(help="retry: do the uncertain step again; skip: leave it out.")
    ],
    node: Annotated[str | None, typer.Option("--step", help="Only what is asked about this step.")] = None,
    items: Annotated[list[int] | None, typer.Option("--item", min=0, help="Only this item, counted from 0; repeat it.")] = None,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Answer a run that needs a decision, and let it go on."""
    async with at_work(data, engine=True) as work:
        finished = await work.decide(run_id, decision, node=node, items=items or None)
    say_finished(finished, as_json=as_json)
    status = RunStatus(finished["status"])
    return EXITS.get(status, Exit.FAILED if status.is_final else Exit.DONE)


@runs.command("cancel")
@command
async def cancel(run_id: RunArgument, data: DataOption = None) -> Exit:
    """End a run; steps at work are told to stop."""
    async with at_work(data) as work:
        ended = await work.cancel(run_id)
    if RunStatus(ended["status"]).is_final:
        console().print(f"{run_id} is cancelled", markup=False)
    else:
        console().print(f"{run_id} ends as soon as Treadle takes it up again", markup=False)
    return Exit.DONE
