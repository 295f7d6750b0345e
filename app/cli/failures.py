"""`treadle failures`: the failure desk."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from app.api.failure_forms import failure_form, group_form, replay_form
from app.cli.output import Exit, command, console, margin, say_json, say_table
from app.cli.runs import read_input
from app.cli.session import AsJson, AtWork, DataOption, at_work
from engine.errors import BadRequest
from engine.model.failures import EVERY_STATE, ON_DESK, FailureFilter, FailureState

failures = typer.Typer(help="The failure desk: list, show, replay, discard.", no_args_is_help=True)
What = Annotated[list[str], typer.Argument(metavar="GROUP|RUN…", help="A group of failures (cause_…), or failed runs (run_…).")]


@failures.command("list")
@command
async def list_groups(
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only those of this workflow.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", help="open, replaying, resolved, replaced, discarded.")] = None,
    text: Annotated[str, typer.Option("--text", help="Only causes or workflows with this.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Show failures by their cause, the latest first."""
    async with at_work(data, reading=True) as work:
        found = await work.studio.failures.groups(
            FailureFilter(
                states=_states(state),
                workflow_id=(await work.studio.workflows.get(workflow)).id if workflow else None,
                text=text,
                limit=limit,
            )
        )
    if as_json:
        say_json([group_form(group) for group in found])
        return Exit.DONE
    say_table(
        ["Group", "Count", "First", "Last", "Step", "Workflows", "What it said"],
        [
            [
                group.id,
                str(group.count),
                f"{group.first_at.astimezone():%Y-%m-%d %H:%M}",
                f"{group.last_at.astimezone():%Y-%m-%d %H:%M}",
                group.cause.step,
                ", ".join(group.workflows),
                group.cause.message[:80],
            ]
            for group in found
        ],
        empty="No failures wait for anybody.",
    )
    return Exit.DONE


@failures.command("show")
@command
async def show(
    group: Annotated[str, typer.Argument(metavar="GROUP|RUN", help="A group of failures, or one failed run.")],
    state: Annotated[list[str] | None, typer.Option("--state", help="Only failures that stand so.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Show the failures of a group one by one, or one failure."""
    async with at_work(data, reading=True) as work:
        if group.startswith("cause_"):
            found = await work.studio.failures.list_page(FailureFilter(group_id=group, states=_states(state), limit=limit))
        else:
            found = [await work.studio.failures.get(group)]
    if as_json:
        say_json([failure_form(failure) for failure in found])
        return Exit.DONE
    say_table(
        ["Run", "Workflow", "Step", "When", "State", "What it said"],
        [
            [
                failure.run_id,
                failure.workflow_name,
                failure.node or "",
                f"{failure.at.astimezone():%Y-%m-%d %H:%M:%S}",
                failure.state,
                str((failure.error or {}).get("message", ""))[:100],
            ]
            for failure in found
        ],
        empty="No failures of this group wait for anybody.",
    )
    return Exit.DONE


@failures.command("replay")
@command
async def replay(
    what: What,
    start: Annotated[
        Literal["failed_step", "start"], typer.Option("--from", help="Go on at the failed step, or do everything again.")
    ] = "failed_step",
    version: Annotated[Literal["same", "newest"], typer.Option("--version", help="The version to run.")] = "same",
    given: Annotated[str, typer.Option("--input", help="Other items for one run: JSON, @FILE or @-.")] = "",
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=200, help="How many runs go at a time.")] = 10,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Repeat failures. The order is stored; the running Treadle works it off, or the next one that starts."""
    group, runs = _meant(what)
    order: dict[str, Any] = {"start": start, "version": version, "input": read_input(given), "at_once": at_once}
    async with at_work(data) as work:
        form = await _replay(work, group, runs, order)
    if as_json:
        say_json(form)
    else:
        console().print(form["id"], markup=False)
        later = "" if work.is_remote else " as soon as Treadle runs"
        margin().print(f"{form['total']} failures are repeated, {at_once} at a time{later}.", markup=False)
    return Exit.DONE


@failures.command("replays")
@command
async def list_replays(data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Show replays and how far each is."""
    async with at_work(data, reading=True) as work:
        found = [replay_form(one) for one in await work.studio.failures.replays()]
    if as_json:
        say_json(found)
    else:
        say_table(
            ["Replay", "State", "Done", "Succeeded", "Failed again", "Skipped"],
            [
                [
                    form["id"],
                    form["state"],
                    f"{form['finished']} of {form['total']}",
                    *(str(form["counts"].get(name, 0)) for name in ("succeeded", "failed", "skipped")),
                ]
                for form in found
            ],
            empty="Nothing was replayed yet.",
        )
    return Exit.DONE


@failures.command("cancel")
@command
async def cancel(replay_id: Annotated[str, typer.Argument(help="The replay's id.")], data: DataOption = None) -> Exit:
    """End a replay: nothing more of it begins."""
    async with at_work(data) as work:
        if work.remote:
            await work.remote.call("POST", f"/replays/{replay_id}/cancel")
        else:
            await work.studio.failures.cancel_replay(replay_id)
    console().print(f"{replay_id} is cancelled", markup=False)
    return Exit.DONE


@failures.command("discard")
@command
async def discard(
    what: What,
    reason: Annotated[str, typer.Option("--reason", help="Why nothing has to be done about it.")],
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Put failures away, with a reason."""
    group, runs = _meant(what)
    async with at_work(data) as work:
        if work.remote:
            body = {"group": group, "runs": runs, "reason": reason}
            form = dict(await work.remote.call("POST", "/failures/discard", json=body))
        else:
            action, count = await work.studio.failures.discard(group=group, runs=runs, reason=reason)
            form = {"discard": action, "count": count}
    if as_json:
        say_json(form)
    else:
        margin().print(f"{form['count']} put away. To bring them back: treadle failures undo {form['discard']}", markup=False)
    return Exit.DONE


@failures.command("undo")
@command
async def undo(
    discard_id: Annotated[str, typer.Argument(metavar="DISCARD|RUN", help="What `discard` printed, or one run.")],
    data: DataOption = None,
) -> Exit:
    """Bring back what was put away."""
    body = {"runs": [discard_id]} if discard_id.startswith("run_") else {"discard": discard_id}
    async with at_work(data) as work:
        if work.remote:
            count = (await work.remote.call("POST", "/failures/undo", json=body))["count"]
        else:
            count = await work.studio.failures.undo(**body)  # type: ignore[arg-type]
    margin().print(f"{count} came back.", markup=False)
    return Exit.DONE if count else Exit.FAILED


async def _replay(work: AtWork, group: str | None, runs: list[str] | None, order: dict[str, Any]) -> dict[str, Any]:
    if work.remote:
        body = {"group": group, "runs": runs, "from": order.pop("start"), **order}
        return dict(await work.remote.call("POST", "/failures/replay", json=body))
    return replay_form(await work.studio.failures.replay(group=group, runs=runs, **order))


def _meant(what: list[str]) -> tuple[str | None, list[str] | None]:
    if any(name.startswith("cause_") for name in what):
        if len(what) > 1:
            raise BadRequest("Name one group, or runs.", hint="treadle failures list shows the groups.")
        return what[0], None
    return None, what


def _states(given: list[str] | None) -> tuple[FailureState, ...]:
    if wrong := [name for name in given or () if name not in EVERY_STATE]:
        raise BadRequest(f"“{wrong[0]}” is no state of a failure.", hint=f"There are {', '.join(EVERY_STATE)}.")
    return tuple(name for name in EVERY_STATE if name in given) if given else ON_DESK
