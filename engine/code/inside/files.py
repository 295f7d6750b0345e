"""Files as people's code sees them: bytes when asked for, and new ones to hand on."""

from __future__ import annotations

import io
import mimetypes
import os
import tempfile
from typing import Any, Final

from engine.code.frames import FileHandle, Made

from .channel import Channel

_CHUNK: Final = 1 << 20
_channel: Channel | None = None
_made: list[File] = []


def connect(channel: Channel | None) -> None:
    """Say where bytes come from, and forget the files of the last call."""
    global _channel
    _channel = channel
    _made.clear()


class File:
    """
    A file of an item: `name`, `type`, `size`, `hash`, and its bytes by `read()`, `text()`, `open()` or as a `path`.

    `File("report.csv", data)` makes a new one of bytes or text, which an item can carry on to the next step.
    """

    def __init__(self, name: str, data: bytes | str, type: str | None = None) -> None:
        content = data.encode() if isinstance(data, str) else bytes(data)
        self.name = str(name)
        self.type = type or mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        self.size = len(content)
        self.hash = ""
        self._number = -1
        self._data: bytes | None = content
        self._path: str | None = None

    @classmethod
    def arrived(cls, number: int, handle: FileHandle) -> File:
        """Return the file with this number that came with the items."""
        file = cls.__new__(cls)
        file.name, file.type, file.size, file.hash = handle.name, handle.type, handle.size, handle.hash
        file._number, file._data, file._path = number, None, None
        return file

    def read(self) -> bytes:
        """Return all of its bytes."""
        if self._data is not None:
            return self._data
        return b"".join(self._chunks())

    def text(self, encoding: str = "utf-8") -> str:
        """Return its bytes as text."""
        return self.read().decode(encoding)

    def open(self) -> io.BytesIO:
        """Return its bytes as something to read from."""
        return io.BytesIO(self.read())

    @property
    def path(self) -> str:
        """A copy in the temp folder, for libraries that want a path; it is gone after the call."""
        if self._path is None or not os.path.exists(self._path):
            folder = tempfile.mkdtemp()
            name = os.path.basename(self.name.replace("\\", "/")).lstrip(".") or "file"
            self._path = os.path.join(folder, name[-100:])
            with open(self._path, "wb") as copy:
                if self._data is not None:
                    copy.write(self._data)
                else:
                    for chunk in self._chunks():
                        copy.write(chunk)
        return self._path

    def number(self) -> int:
        """Return what stands for it in the answer; a new file gets the next number and is sent before it."""
        if self._number < 0:
            assert self._data is not None
            assert _channel is not None
            _made.append(self)
            self._number = -1 - len(_made)
            _channel.send(Made(self.name, self.type, self._data))
        return self._number

    def _chunks(self) -> Any:
        if _channel is None:
            raise OSError(f"the file “{self.name}” belongs to an earlier call")
        offset = 0
        while chunk := _channel.ask(self._number, offset, _CHUNK):
            yield bytes(chunk)
            offset += len(chunk)

    def __repr__(self) -> str:
        return f"File({self.name!r}, {self.type}, {self.size:,} bytes)"
