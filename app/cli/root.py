"""The commands, put together."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from app.cli import admin, documents, failures, runs, schedules, waits
from app.cli.output import Exit, command
from app.cli.session import DataOption, settings_of
from app.logs import set_up_logs

root = typer.Typer(
    name="treadle",
    help="Draw a workflow, run it durably, see what happened.",
    invoke_without_command=True,
    no_args_is_help=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PortOption = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 takes a free one.")]
HostOption = Annotated[str | None, typer.Option("--host", help="The address to listen on; loopback only in this version.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from app.version import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@root.callback()
def start(
    context: typer.Context,
    port: PortOption = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address instead of opening a window.")] = False,
    data: DataOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Open the studio."""
    if context.invoked_subcommand is None:
        _open_studio(port=port, no_open=no_open, data=data)
    elif data is not None:
        os.environ["TREADLE_DATA"] = str(data)  # `treadle --data DIR runs list`: the subcommand reads it there


@command
async def _open_studio(*, port: int | None, no_open: bool, data: DataOption) -> Exit:
    from app.serve import serve_studio

    await serve_studio(settings_of(data, port=port), window=not no_open)
    return Exit.DONE


@root.command()
@command
async def serve(port: PortOption = None, host: HostOption = None, data: DataOption = None) -> Exit:
    """Run the engine, the API and the browser studio without a window."""
    from app.serve import serve_studio

    await serve_studio(settings_of(data, port=port, host=host), window=False)
    return Exit.DONE


root.command("run")(runs.run)
root.command("check")(documents.check)
root.command("fmt")(documents.fmt)
root.command("import")(documents.import_)
root.command("export")(documents.export)
root.command("activate")(admin.activate)
root.command("deactivate")(admin.deactivate)
root.command("doctor")(admin.doctor)
root.command("sql")(admin.ask_sql)
root.command("backfill")(schedules.backfill)
root.add_typer(schedules.calendars, name="calendar")
root.command("signal")(waits.signal)
root.add_typer(waits.waiting, name="waiting")
root.add_typer(runs.runs, name="runs")
root.add_typer(failures.failures, name="failures")
root.add_typer(admin.tokens, name="token")
root.add_typer(admin.database, name="db")


def main() -> None:
    """Run the command line; what is logged meanwhile goes to standard error without secrets."""
    set_up_logs("WARNING")
    root()
