"""Files of the workflow's own folder: read, write, list."""

from __future__ import annotations

import asyncio
import io
import mimetypes
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import IO, Annotated, Any, Final, Literal

from engine.errors import BadInput, NotFound
from engine.model.items import File, Item
from engine.steps.builtin.folder import inside, open_inside, write_inside
from engine.steps.contract import Context
from engine.steps.define import ADVANCED, Between, Label, Options, Written, step
from engine.steps.formats.cells import to_json
from engine.steps.formats.csv_text import encode
from engine.steps.formats.source import Source

LARGEST_TEXT: Final = 50_000_000


@step(
    "file.read",
    "Read a file",
    category="file",
    icon="file_open",
    keywords=("open", "load", "disk"),
    effect="read",
    sample=[{"file": {"name": "invoices.csv", "type": "text/csv", "size": 51200}, "path": "invoices.csv"}],
)
async def read(
    ctx: Context,
    path: Annotated[str, Label("Path", "Inside the workflow's folder.", "invoices.csv")],
    as_: Annotated[
        Literal["file", "text"], Label("As"), Options.of(file="File, to be read or sent on", text="Text in a field")
    ] = "file",
    encoding: Annotated[str, Label("Encoding", "auto, utf-8, cp1252, utf-16 …"), ADVANCED] = "auto",
) -> Item:
    """Brings a file of the workflow's folder: as `{file, path}` for “Read data”, or as `{text, path}`."""
    if as_ == "text":
        return {"text": await asyncio.to_thread(_read_text, ctx.folder, path, encoding), "path": path}
    stream = await asyncio.to_thread(open_inside, ctx.folder, path)
    with stream:
        file = await ctx.files.keep(stream, name=PurePath(path).name, media_type=media_type_of(path))
    return {"file": file, "path": path}


@step(
    "file.write",
    "Write a file",
    category="file",
    icon="save",
    keywords=("save", "store", "disk", "export"),
    effect="write",
    idempotent_for=lambda fields: fields.get("mode", "overwrite") == "overwrite",
    sample=[{"path": "report.xlsx", "name": "report.xlsx", "size": 8123}],
)
async def write(
    ctx: Context,
    path: Annotated[str, Label("Path", "Inside the workflow's folder.", "reports/{{ today() }}.csv")],
    content: Annotated[
        Any,
        Label("Content", "A text, a file, or anything else, which is written as JSON.", "{{ item.file }}"),
        Written("{{ item.file ?? item.data ?? item.text ?? item }}"),
    ],
    mode: Annotated[
        Literal["overwrite", "append", "fail"],
        Label("If it is there already"),
        Options.of(overwrite="Overwrite it", append="Add to its end", fail="Fail"),
    ] = "overwrite",
    encoding: Annotated[str, Label("Encoding", "Of a text: utf-8, utf-8-sig, cp1252, utf-16 …"), ADVANCED] = "utf-8",
    make_folders: Annotated[
        bool, Label("Make folders", "Makes the folders of the path where they are missing."), ADVANCED
    ] = True,
) -> Item:
    """
    Writes one file per item into the workflow's folder and tells where; what was written hangs on the item as `file`.

    A file is put in place when it is complete: nobody ever finds half of one, whatever happens meanwhile. What was added to
    the end of a file is not handed on.
    """
    source: IO[bytes]
    name = PurePath(path).name
    if isinstance(content, File):
        written: File | None = replace(content, name=name, media_type=media_type_of(name))
        source = ctx.files.open(content)
    elif content is None:
        raise BadInput("content", "There is nothing to write.", hint="Point “Content” at a field with a text or a file.")
    else:
        data = encode(content if isinstance(content, str) else to_json(content), encoding)
        written = None if mode == "append" else await ctx.files.keep(data, name=name, media_type=media_type_of(name))
        source = io.BytesIO(data)
    with source:
        size = await asyncio.to_thread(write_inside, ctx.folder, path, source, mode, make_folders=make_folders)
    told: Item = {"path": path, "name": name, "size": size}
    return told if written is None or mode == "append" else {**told, "file": written}


@step(
    "file.list",
    "List files",
    category="file",
    icon="folder_open",
    keywords=("directory", "folder", "glob", "search"),
    effect="read",
    sample=[{"path": "in/invoices.csv", "name": "invoices.csv", "size": 51200, "changed": "2026-11-23T07:00:00Z"}],
)
async def list_(
    ctx: Context,
    folder: Annotated[str, Label("Folder", "Inside the workflow's folder; that itself when empty.", "in")] = "",
    pattern: Annotated[str, Label("Name", "* and ? stand for any letters.", "*.csv")] = "*",
    deep: Annotated[bool, Label("Folders inside too")] = False,
    most: Annotated[int, Label("At most"), Between(1, 100_000), ADVANCED] = 10_000,
) -> list[Item]:
    """Gives an item per file, ordered by path: `{path, name, size, changed}`. Hidden files and links are left out."""
    return await asyncio.to_thread(_list, ctx.folder, folder, pattern, deep, most)


def media_type_of(name: str) -> str:
    """Return the media type that a file name speaks of."""
    known = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".yaml": "application/yaml", ".yml": "application/yaml"}
    suffix = PurePath(name).suffix.lower()
    return known.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _read_text(folder: Path, path: str, encoding: str) -> str:
    with open_inside(folder, path) as stream:
        data = stream.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise BadInput("as", f"“{path}” is larger than {LARGEST_TEXT // 1_000_000} MB.", hint="Read it as a file.")
    return Source(lambda: io.BytesIO(data), path, size=len(data)).text(encoding)


def _list(root: Path, folder: str, pattern: str, deep: bool, most: int) -> list[Item]:
    top = inside(root, folder, field="folder") if folder.strip() not in ("", ".", "./") else root.resolve()
    if not top.is_dir():
        raise (
            NotFound("folder", folder, hint="Folders are made by “Write a file”.") if folder else NotFound("folder", str(root))
        )
    base = root.resolve()
    found: list[Item] = []
    for path in sorted(top.rglob("*") if deep else top.glob("*")):
        parts = path.relative_to(top).parts
        if any(part.startswith(".") for part in parts) or path.is_symlink() or not path.is_file():
            continue
        if not (fnmatch(path.name, pattern) or fnmatch("/".join(parts), pattern)):
            continue
        if not path.resolve().is_relative_to(base):
            continue
        if len(found) >= most:
            raise BadInput("most", f"There are more than {most:,} files.", hint="Narrow the name down, or raise “At most”.")
        state = path.stat()
        changed = datetime.fromtimestamp(state.st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        name = path.relative_to(base).as_posix()
        found.append({"path": name, "name": path.name, "size": state.st_size, "changed": changed})
    return found


FILES = (read, write, list_)
