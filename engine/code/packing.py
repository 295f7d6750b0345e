"""Items on their way into the cage and back: files become numbers, and only files that went in can come out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson

from engine.model.items import Batch, File

from .frames import FILE, FileHandle

_ENCODER: Final = msgspec.msgpack.Encoder()


class _HasFiles(Exception):
    """Raised by the quick look when there is more in the items than JSON."""


def pack(items: Batch) -> tuple[bytes, list[File]]:
    """
    Return items as msgpack, with each file replaced by its number, and the files.

    Whether there are any files is asked of the JSON encoder, which looks ten times as fast as Python could.
    """
    try:
        orjson.dumps(items, default=_meet, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except TypeError:
        files: dict[File, int] = {}
        return _ENCODER.encode(_numbered(items, files)), list(files)
    return _ENCODER.encode(items), []


def unpack(data: bytes | bytearray, files: Sequence[File], made: Sequence[File], mark: str) -> Batch:
    """
    Return the items of an answer; with `mark`, objects of that one field become the files they stand for.

    Raises `ValueError` when it is no list of objects, or names a file that is none of these.
    """
    items = orjson.loads(data)
    if type(items) is not list or not all(type(item) is dict for item in items):
        raise ValueError("no items")
    return _restored(items, files, made, mark) if mark else items


def handles(files: Sequence[File]) -> list[FileHandle]:
    """Return what the code sees of these files."""
    return [FileHandle(file.name, file.media_type, file.size, file.hash) for file in files]


def _meet(value: Any) -> Any:
    raise _HasFiles


def _numbered(value: Any, files: dict[File, int]) -> Any:
    if isinstance(value, File):
        number = files.setdefault(value, len(files))
        return msgspec.msgpack.Ext(FILE, number.to_bytes(4, "big"))
    if isinstance(value, Mapping):
        return {name: _numbered(entry, files) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_numbered(entry, files) for entry in value]
    return value


def _restored(value: Any, files: Sequence[File], made: Sequence[File], mark: str) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and mark in value:
            number = value[mark]
            if type(number) is not int or not -1 - len(made) <= number < len(files) or number == -1:
                raise ValueError("no such file")
            return files[number] if number >= 0 else made[-2 - number]
        return {name: _restored(entry, files, made, mark) for name, entry in value.items()}
    if isinstance(value, list):
        return [_restored(entry, files, made, mark) for entry in value]
    return value
