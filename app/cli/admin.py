"""`treadle activate`, `deactivate`, `token`, `db`, `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.output import Exit, command, console, margin, say_json, say_table
from app.cli.session import AsJson, DataOption, at_work, settings_of
from app.doctor import examine
from engine.access import ALL_SCOPES
from engine.clock import SystemClock
from engine.errors import BadRequest
from engine.model.durations import parse_duration
from engine.store import check_schema, upgrade_schema

NameArgument = Annotated[str, typer.Argument(help="Name or id of a workflow.")]
tokens = typer.Typer(help="API tokens: create, list, revoke.", no_args_is_help=True)
database = typer.Typer(help="The database: upgrade, check.", no_args_is_help=True)


@command
async def activate(
    name: NameArgument,
    message: Annotated[str, typer.Option("--message", "-m", help="What changed, for the list of versions.")] = "",
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Publish the draft and switch its triggers on."""
    async with at_work(data) as work:
        version = await work.activate(name, message)
    if as_json:
        say_json(version)
    else:
        console().print(f"{name} is on, version {version['version'][:12]}", markup=False)
        if not work.is_remote:
            margin().print("Triggers fire while Treadle runs: start it with “treadle” or “treadle serve”.")
    return Exit.DONE


@command
async def deactivate(name: NameArgument, data: DataOption = None) -> Exit:
    """Switch a workflow's triggers off; runs under way go on."""
    async with at_work(data) as work:
        await work.deactivate(name)
    console().print(f"{name} is off", markup=False)
    return Exit.DONE


@tokens.command("create")
@command
async def create_token(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help=f"One of {', '.join(ALL_SCOPES)}; repeat it.")] = None,
    expires: Annotated[str, typer.Option("--expires", help="Its life, such as 90d; empty: no end.")] = "",
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Make an API token. The secret is printed once and kept nowhere."""
    try:
        life = parse_duration(expires) if expires else None
    except ValueError as error:
        raise BadRequest(f"“{expires}” is no duration.", hint="Write it like 12h, 90d or 1h30m.") from error
    async with at_work(data, reading=True) as work:
        token, secret = await work.studio.tokens.create(name, tuple(scope or ("read", "run")), life)
    if as_json:
        say_json(
            {"id": token.id, "name": token.name, "scopes": list(token.scopes), "expires_at": token.expires_at, "secret": secret}
        )
    else:
        margin().print(f"Token {token.id} with the scopes {', '.join(token.scopes)}. It is shown only now:")
        console().print(secret, markup=False)
    return Exit.DONE


@tokens.command("list")
@command
async def list_tokens(data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Show every token, without its secret."""
    async with at_work(data, reading=True) as work:
        rows = await work.studio.tokens.list_all()
    if as_json:
        say_json(
            [
                {
                    "id": token.id,
                    "name": token.name,
                    "scopes": list(token.scopes),
                    "created_at": token.created_at,
                    "expires_at": token.expires_at,
                    "revoked_at": token.revoked_at,
                    "last_used_at": token.last_used_at,
                }
                for token in rows
            ]
        )
    else:
        say_table(
            ["Id", "Name", "Scopes", "Created", "Ended"],
            [
                [
                    token.id,
                    token.name,
                    ", ".join(token.scopes),
                    f"{token.created_at:%Y-%m-%d}",
                    f"{token.revoked_at or token.expires_at or ''}",
                ]
                for token in rows
            ],
            empty="There are no tokens yet: treadle token create NAME",
        )
    return Exit.DONE


@tokens.command("revoke")
@command
async def revoke_token(token_id: Annotated[str, typer.Argument(help="The token's id.")], data: DataOption = None) -> Exit:
    """End a token at once."""
    async with at_work(data, reading=True) as work:
        await work.studio.tokens.revoke(token_id)
    console().print(f"{token_id} is revoked")
    return Exit.DONE


@database.command("upgrade")
@command
async def upgrade(data: DataOption = None) -> Exit:
    """Bring the database to this version's tables, after a snapshot of the file."""
    left = upgrade_schema(settings_of(data).database_url, clock=SystemClock())
    for problem in left:
        console().print(problem, markup=False)
    if not left:
        console().print("The database has this version's tables.")
    return Exit.FAILED if left else Exit.DONE


@database.command("check")
@command
async def check(data: DataOption = None) -> Exit:
    """Say whether the database is whole and has this version's tables."""
    findings = check_schema(settings_of(data).database_url)
    for finding in findings:
        console().print(finding, markup=False)
    if not findings:
        console().print("The database is whole.")
    return Exit.FAILED if findings else Exit.DONE


@command
async def ask_sql(
    sql: Annotated[str, typer.Argument(help="One SELECT over the views v_runs, v_steps, v_failures, v_logs …")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 1000,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=30, help="Seconds.")] = 5.0,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Ask in SQL; nothing can be changed."""
    async with at_work(data, reading=True) as work:
        answer = await work.studio.sql.ask(sql, limit=limit, timeout=timedelta(seconds=timeout))
    if as_json:
        say_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    else:
        say_table(
            list(answer.columns), [["" if one is None else str(one) for one in row] for row in answer.rows], empty="No rows."
        )
    if answer.is_cut:
        margin().print(f"There are more than these {len(answer.rows)} rows.", markup=False)
    return Exit.DONE


@database.command("disk")
@command
async def disk(data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Say what fills the disk, by kind and by workflow."""
    async with at_work(data, reading=True) as work:
        usage = await work.studio.disk.usage()
    if as_json:
        shares = [{**asdict(one), "total": one.total} for one in usage.workflows]
        say_json({**asdict(usage), "workflows": shares})
        return Exit.DONE
    say_table(["Part", "Size"], [[name, _size(size)] for name, size in usage.parts.items() if size], empty="Nothing yet.")
    say_table(
        ["Workflow", "Runs", "Data", "Journal", "Files"],
        [[one.name, str(one.runs), _size(one.data), _size(one.journal), _size(one.files)] for one in usage.workflows[:50]],
        empty="No runs yet.",
    )
    limit = f" of {_size(usage.quota)}" if usage.quota else ""
    room = f"; {_size(usage.room)} left on the disk" if usage.room is not None else ""
    console().print(f"In all {_size(usage.total)}, runs take {_size(usage.used)}{limit}{room}.", markup=False)
    return Exit.DONE


def _size(count: int) -> str:
    amount, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


@command
async def doctor(data: DataOption = None, as_json: AsJson = False) -> Exit:
    """Look the installation over and say what to do about what is not as it should be."""
    findings = examine(settings_of(data))
    if as_json:
        say_json([{"what": finding.what, "ok": finding.ok, "text": finding.text, "hint": finding.hint} for finding in findings])
    else:
        for finding in findings:
            console().print(f"{'✓' if finding.ok else '✗'} {finding.what}: {finding.text}", markup=False)
            if not finding.ok and finding.hint:
                console().print(f"    {finding.hint}", markup=False)
    return Exit.DONE if all(finding.ok for finding in findings) else Exit.FAILED
