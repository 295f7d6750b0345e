"""
What the engine and a caged process say to each other: frames of a 4-byte length and msgpack.

What comes out of a cage is data of these shapes or nothing: it is decoded with their types and never unpickled. The items in
`Done` are JSON text, so that whatever they hold, it is JSON.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec

HEAD: Final = struct.Struct(">I")
FILE: Final = 1
"""The extension type that stands for a file in the items on their way in; its data is the number of the file."""


class Hello(msgspec.Struct, tag_field="frame", tag="hello"):
    """
    The first frame to a cage, from which it puts up its walls.

    `temp` is its own folder, `readable` folders it may read beside the standard library, `paths` go in front of `sys.path`.
    `cpu_s` bounds the processor time of its whole life.
    """

    temp: str
    memory_mb: int
    disk_mb: int
    cpu_s: int
    network: bool = False
    threads: bool = False
    readable: list[str] = []
    paths: list[str] = []


class FileHandle(msgspec.Struct):
    """What code sees of a file before it asks for its bytes."""

    name: str
    type: str
    size: int
    hash: str


class Work(msgspec.Struct, tag_field="frame", tag="work"):
    """
    Code and the items to run it on; `mark` is the name that files bear in the answer, new for each call.

    `inputs` holds values from elsewhere: one object for all, or one per item.
    """

    source: str
    per: str
    items: msgspec.Raw
    files: list[FileHandle]
    mark: str
    limit_s: float
    memory_mb: int = 512
    first: int = 0
    inputs: Any = None
    stops_at_failure: bool = False


class Prove(msgspec.Struct, tag_field="frame", tag="prove"):
    """Asks the cage to run against its own walls and tell which of them held."""


class Bytes(msgspec.Struct, tag_field="frame", tag="bytes"):
    """The answer to `Need`; empty at the end of the file."""

    data: bytes


class Ready(msgspec.Struct, tag_field="frame", tag="ready"):
    """The walls are up; `up` names them, `down` says why others are not."""

    up: list[str]
    down: dict[str, str]


class Proven(msgspec.Struct, tag_field="frame", tag="proven"):
    """For each attempt whether the wall held."""

    held: dict[str, bool]


class Printed(msgspec.Struct, tag_field="frame", tag="printed"):
    """One line that the code printed."""

    text: str
    is_error: bool = False


class Need(msgspec.Struct, tag_field="frame", tag="need"):
    """The code wants bytes of the file with this number."""

    file: int
    offset: int
    length: int


class Made(msgspec.Struct, tag_field="frame", tag="made"):
    """A file that the code made; the next one has the next number."""

    name: str
    type: str
    data: bytes


class Trouble(msgspec.Struct):
    """What went wrong in the code, and where in it: lines count from 1, columns from 1, 0 where it is not known."""

    message: str
    kind: str = ""
    hint: str = ""
    line: int = 0
    column: int = 0
    source: str = ""
    caret: str = ""
    trail: list[str] = []


class Done(msgspec.Struct, tag_field="frame", tag="done"):
    """
    The call is over.

    `size` bytes follow the frame, outside of it so that they are not copied: the JSON text of all that came back, in order,
    which whoever reads them puts into `items`. `counts` says how many each item gave (None: one each, none failed),
    `origins` which item each came from, where that is known of a batch. `failed` lists item numbers with their trouble;
    `trouble` is set when the call failed as a whole. `files` says that marks of files stand in the items.
    """

    items: bytes = b""
    size: int = 0
    counts: list[int] | None = None
    origins: list[int] | None = None
    failed: list[tuple[int, Trouble]] = []
    trouble: Trouble | None = None
    is_out_of_time: bool = False
    files: bool = False
    cpu_s: float = 0.0


ToCage = Hello | Work | Prove | Bytes
FromCage = Ready | Proven | Printed | Need | Made | Done
