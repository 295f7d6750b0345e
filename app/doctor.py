"""Look an installation over: what runs on this machine, and what would hold it up."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.instance import find_instance
from engine.code.pool import try_walls
from engine.errors import TreadleError
from engine.store import check_schema

LITTLE_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `hint` says what to do when it is not `ok`."""

    what: str
    ok: bool
    text: str
    hint: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Return what was found; nothing is changed but for the data folder, which is made when it is missing."""
    return [
        _python(),
        _folder(settings.data),
        _space(settings.data),
        _database(settings),
        _canvas(),
        _code(settings),
        _running(settings.data),
    ]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, f"{platform.python_version()} on {platform.system()}", "Treadle needs Python 3.11 or newer.")


def _folder(data: Path) -> Finding:
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(
            "Data folder", False, f"{data} cannot be written: {error.strerror}", "Choose another one with --data DIR."
        )
    return Finding("Data folder", True, str(data))


def _space(data: Path) -> Finding:
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return Finding(
        "Disk", free > LITTLE_SPACE, f"{free / (1 << 30):.1f} GB free", "Runs stop when the disk is full: make room."
    )


def _database(settings: Settings) -> Finding:
    if not settings.database and not (settings.data / "treadle.db").exists():
        return Finding("Database", True, f"none yet; the first start makes it (SQLite {sqlite3.sqlite_version} on this system)")
    try:
        problems = check_schema(settings.database_url)
    except TreadleError as error:
        return Finding("Database", False, error.message, error.hint or "")
    return Finding("Database", not problems, problems[0] if problems else "whole", "treadle db upgrade")


def _canvas() -> Finding:
    bundle = Path(__file__).parents[1] / "ui" / "editor" / "canvas" / "dist" / "index.js"
    return Finding("Canvas", bundle.exists(), "built" if bundle.exists() else "not built", "Install again: pip install .")


def _code(settings: Settings) -> Finding:
    if not settings.allow_code:
        return Finding("Code steps", True, "switched off")
    missing = [wall for wall in try_walls(settings.cages) if not wall.is_up]
    if not missing:
        return Finding("Code steps", True, "every wall of the cage is up")
    hint = "Let only people you trust write code steps, or switch them off: allow_code = false."
    return Finding("Code steps", missing[0].name != "code", " ".join(wall.text for wall in missing), hint)


def _running(data: Path) -> Finding:
    instance = find_instance(data)
    return Finding("Running", True, f"at {instance.url} (process {instance.pid})" if instance else "not running")
