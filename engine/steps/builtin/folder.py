"""The workflow's own folder: paths that stay inside it, and writing that is whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Final

from engine.errors import BadInput, NotFound, Refused

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_DEVICES: Final = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})

_appending = threading.Lock()
"""One after the other: what two branches append to one file stands there in two pieces, not in many."""


def inside(folder: Path, name: str, *, field: str = "path") -> Path:
    """
    Return the real path of `name` in the folder.

    Raises `BadInput` for an absolute path, one with `..`, one that names a device, or one that leaves the folder by a symbolic
    link.
    """
    text = name.strip()
    if not text:
        raise BadInput(field, "The path is empty.", hint="Write it like reports/today.csv.")
    if "\x00" in text or len(text) > 1000:
        raise BadInput(field, "The path is no path.")
    parts = re.split(r"[\\/]" if os.name == "nt" else "/", text)
    if text.startswith(("/", "\\", "~")) or _DRIVE.match(text):
        raise BadInput(
            field, f"“{name}” is not inside the workflow's folder.", hint="Write a path without the folder before it."
        )
    if ".." in parts:
        raise BadInput(field, f"“{name}” climbs out of the workflow's folder.", hint="Write a path without “..”.")
    if any(part.split(".")[0].lower() in _DEVICES for part in parts):
        raise BadInput(field, f"“{name}” names a device of Windows.", hint="Choose another name.")
    root = folder.resolve()
    try:
        path = (root / text).resolve()
        if path.is_symlink():  # Python 3.13 leaves a link that leads to itself as it is; older ones raise RuntimeError
            raise RuntimeError("a link that leads to itself")
    except (OSError, RuntimeError, ValueError):  # or what no file system can name
        raise BadInput(field, f"“{name.encode('utf-8', 'replace').decode()}” is no path that can be followed.") from None
    if path != root and not path.is_relative_to(root):
        raise BadInput(field, f"“{name}” leads out of the workflow's folder through a link.")
    return path


def open_inside(folder: Path, name: str) -> IO[bytes]:
    """Open a file of the folder for reading; raises `NotFound` with the nearest hint, `Refused` when the system says no."""
    path = inside(folder, name)
    try:
        return os.fdopen(_open_below(folder, path, os.O_RDONLY), "rb")
    except FileNotFoundError:
        there = ", ".join(sorted(entry.name for entry in path.parent.glob("*"))[:12]) if path.parent.is_dir() else ""
        raise NotFound("file", name, hint=f"The folder holds: {there}." if there else f"The folder is {folder}.") from None
    except IsADirectoryError:
        raise BadInput("path", f"“{name}” is a folder, not a file.") from None
    except OSError as error:
        raise refused(name, error) from None


def write_inside(folder: Path, name: str, source: IO[bytes], mode: str, *, make_folders: bool = True) -> int:
    """
    Write a file of the folder and return its size; what is written is on the disk when this returns.

    `overwrite` and `fail` put a finished file in place, so nobody ever sees half of one; `fail` raises `Refused` when there is
    one already. `append` adds to the end.
    """
    path = inside(folder, name)
    try:
        if make_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        if mode == "append":
            _append(folder, path, source)
        else:
            _put(path, name, source, replaces=mode == "overwrite")
        return path.stat().st_size
    except FileNotFoundError:
        raise NotFound("folder", str(Path(name).parent), hint="Switch “Make folders” on.") from None
    except IsADirectoryError:
        raise BadInput("path", f"“{name}” is a folder, not a file.") from None
    except OSError as error:
        raise refused(name, error) from None


def refused(name: str, error: OSError) -> Refused:
    """Return what the system said about a path, in a sentence."""
    return Refused(f"“{name}” cannot be used: {error.strerror or type(error).__name__}.", where={"path": name})


def _append(folder: Path, path: Path, source: IO[bytes]) -> None:
    """Add to the end of a file; when that breaks, the file is as long as it was, so that another try begins anew."""
    with _appending, os.fdopen(_open_below(folder, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab", buffering=0) as target:
        size = os.fstat(target.fileno()).st_size
        try:
            _copy(source, target)
        except BaseException:
            os.ftruncate(target.fileno(), size)
            raise


def _open_below(folder: Path, path: Path, flags: int) -> int:
    """
    Open a file at a path that `inside` gave; what was checked is what is opened.

    Goes down from the folder name by name and follows no link, since the path has none left: one that is there now was put
    there meanwhile. Raises `IsADirectoryError`, and `OSError` for what is neither file nor folder, such as a pipe.
    """
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if os.open not in os.supports_dir_fd:
        return os.open(path, flags, 0o666)
    *folders, last = path.relative_to(folder.resolve()).parts or ("",)
    if not last:
        raise IsADirectoryError
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in folders:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = below
        opened = os.open(last, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=handle)
    finally:
        os.close(handle)
    kind = os.fstat(opened).st_mode
    if not stat.S_ISREG(kind):
        os.close(opened)
        raise IsADirectoryError if stat.S_ISDIR(kind) else OSError(errno.EINVAL, "It is no file")
    return opened


def _put(path: Path, name: str, source: IO[bytes], *, replaces: bool) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".treadle-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as target:
            _copy(source, target)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        if path.is_dir():
            raise IsADirectoryError
        if replaces:
            os.replace(temporary, path)
        else:
            _link(temporary, path, name)
        _sync_folder(path.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _link(temporary: str, path: Path, name: str) -> None:
    """Give the finished file its name unless that is taken, in one step where the file system knows hard links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise Refused(f"There is a file “{name}” already.", hint="Choose another name, or let it be overwritten.") from None
    except OSError:
        if path.exists():
            raise Refused(f"There is a file “{name}” already.", hint="Choose another name, or let it be overwritten.") from None
        os.replace(temporary, path)


def _copy(source: IO[bytes], target: IO[Any]) -> None:
    while chunk := source.read(1 << 20):
        left = memoryview(chunk)
        while left:
            left = left[target.write(left) :]
    target.flush()
    os.fsync(target.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
