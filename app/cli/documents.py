"""`treadle check`, `fmt`, `import`, `export`: documents."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from app.build import load_catalog
from app.cli.output import Exit, command, console, margin, problem_line, say_json
from app.cli.session import AsJson, DataOption, at_work
from app.starters import bring_files
from engine.errors import BadRequest, InvalidDocument
from engine.model.codec import parse_document, read_document, write_document
from engine.model.problems import Problem
from engine.steps.check import check_document

FilesArgument = Annotated[list[Path], typer.Argument(help="Workflow documents, YAML or JSON.", show_default=False)]


def read_file(path: Path) -> str:
    """Return the text of a file; raises `BadRequest` when it cannot be read."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.y*ml")], n=1)
        raise BadRequest(f"There is no file {path}.", hint=f"Did you mean {path.parent / near[0]}?" if near else None) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}.", hint="A workflow document is a text file in UTF-8.") from error


def problems_of(text: str) -> list[Problem]:
    """Return everything that is wrong with a document text."""
    parsed = parse_document(text)
    problems = list(parsed.problems)
    if parsed.document is not None:
        problems += check_document(parsed, load_catalog())
    return problems


def read_checked(path: Path) -> str:
    """Return the text of a file that holds a document without errors; raises `InvalidDocument` with every one."""
    text = read_file(path)
    errors = [problem for problem in problems_of(text) if problem.severity == "error"]
    if errors:
        raise InvalidDocument(errors)
    return text


@command
async def check(files: FilesArgument, as_json: AsJson = False) -> Exit:
    """Say what is wrong with workflow documents, all of it, with line and node. Exits 2 when there is an error."""
    found = {path: problems_of(read_file(path)) for path in files}
    if as_json:
        say_json([{"file": str(path), "problems": [problem.as_dict() for problem in found[path]]} for path in files])
    else:
        for path, problems in found.items():
            console().print(f"{path}: {'ok' if not problems else ''}", markup=False)
            for problem in problems:
                console().print(problem_line(problem.as_dict()), markup=False)
    wrong = any(problem.severity == "error" for problems in found.values() for problem in problems)
    return Exit.WRONG_USE if wrong else Exit.DONE


@command
async def fmt(
    files: FilesArgument,
    only_check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 when a file would change.")] = False,
) -> Exit:
    """Write documents in the one canonical form."""
    changed = 0
    for path in files:
        before = read_file(path)
        after = write_document(read_document(before))
        if after != before:
            changed += 1
            margin().print(f"{path}: {'would change' if only_check else 'written'}", markup=False)
            if not only_check:
                path.write_text(after, "utf-8", newline="\n")
    return Exit.FAILED if only_check and changed else Exit.DONE


@command
async def import_(
    files: FilesArgument,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the workflow of the same name.")] = False,
    data: DataOption = None,
    as_json: AsJson = False,
) -> Exit:
    """Bring documents in as workflows, switched off; files in `<name>.files` beside a document come along."""
    texts = {path: read_checked(path) for path in files}
    made = []
    async with at_work(data) as work:
        for path, text in texts.items():
            workflow = await work.bring_in(text, replace=replace)
            brought = bring_files(path, work.folder(workflow["id"], workflow["name"]))
            made.append(workflow | {"file": str(path), "files": brought})
    if as_json:
        say_json(made)
    for workflow in [] if as_json else made:
        extra = f" with {len(workflow['files'])} files" if workflow["files"] else ""
        console().print(f"{workflow['name']}{extra}", markup=False)
    return Exit.DONE


@command
async def export(
    name: Annotated[str, typer.Argument(help="Name or id of a workflow.")],
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Write into this file instead of printing.")] = None,
    data: DataOption = None,
) -> Exit:
    """Print a workflow's draft as its document."""
    async with at_work(data, reading=True) as work:
        text = (await work.studio.workflows.get(name)).draft
    if to:
        to.write_text(text, "utf-8", newline="\n")
        margin().print(f"{to} written", markup=False)
    else:
        typer.echo(text, nl=False)
    return Exit.DONE
