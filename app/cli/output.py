"""How the command line speaks: words for people, JSON for machines, exit codes for both."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any, TypeVar

import typer
from rich.console import Console

from engine.errors import BadRequest, InvalidDocument, NotFound, TreadleError

T = TypeVar("T")
WIDE = 1000


class Exit(IntEnum):
    """What the exit code tells."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    PARKED = 3


def console() -> Console:
    """Return where results go."""
    return Console(soft_wrap=True, highlight=False)


def margin() -> Console:
    """Return where everything goes that is not a result: progress, notes, errors."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def say_json(value: Any) -> None:
    """Print one JSON value on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def say_table(columns: list[str], rows: list[list[str]], *, empty: str) -> None:
    """Print rows under their columns, or the sentence for none."""
    if not rows:
        margin().print(empty)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == columns[0])
    for row in rows:
        table.add_row(*row)
    out = console()
    if not out.is_terminal:
        out.width = WIDE  # somebody reads it line by line, so a row stays on one
    out.print(table)


def say_error(error: TreadleError, *, as_json: bool) -> None:
    """Tell an error: on stdout as `{"error": …}` for machines, in words on stderr for people."""
    if as_json:
        say_json({"error": error.as_dict()})
        return
    out = margin()
    if isinstance(error, InvalidDocument) and len(error.problems) > 1:
        out.print("[bold red]This document has problems:[/]")
        for problem in error.problems:
            out.print(problem_line(problem.as_dict()), markup=False)
        return
    out.print(f"Error: {error.message}", style="bold red", markup=False)
    if error.hint:
        out.print(error.hint, markup=False)


def problem_line(problem: dict[str, Any]) -> str:
    """Return a problem as one line: where, what, and what would mend it."""
    place = f"line {problem['line']}: " if problem["line"] else ""
    node = f"{problem['node']}: " if problem["node"] else ""
    hint = f" {problem['hint']}" if problem["hint"] else ""
    mark = "" if problem["severity"] == "error" else "(warning) "
    return f"  {mark}{place}{node}{problem['message']}{hint}"


_CALLERS_FAULT = {BadRequest.code, InvalidDocument.code, NotFound.code}


def exit_for(error: TreadleError) -> Exit:
    """Return the exit code for an error: 2 where the call itself was wrong, else 1."""
    return Exit.WRONG_USE if error.as_dict()["code"] in _CALLERS_FAULT else Exit.FAILED


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return how to make uvloop's event loop, None where there is none (Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def command(function: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., None]:
    """Turn a coroutine into a command: it runs on an event loop, and a `TreadleError` becomes words and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        as_json = bool(kwargs.get("as_json", False))
        try:
            with asyncio.Runner(loop_factory=fast_loop()) as runner:
                result = runner.run(function(*args, **kwargs))
        except TreadleError as error:
            say_error(error, as_json=as_json)
            raise typer.Exit(exit_for(error)) from None
        except KeyboardInterrupt:
            margin().print("Stopped.")
            raise typer.Exit(130) from None
        if isinstance(result, Exit) and result is not Exit.DONE:
            raise typer.Exit(result)

    return run
