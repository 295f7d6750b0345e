"""Where the bytes of a text or file come from, and which characters they are."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

from engine.errors import BadInput

ENCODINGS: Final = ("auto", "utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp437", "cp850", "mac-roman")
SAMPLE: Final = 65_536
_CHUNK: Final = 1 << 20
_NO_ENCODINGS: Final = frozenset({"punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape"})
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that can be read from the start as often as needed, with the name and media type they came under."""

    open: Callable[[], IO[bytes]]
    name: str = ""
    media_type: str = ""
    size: int = 0

    @classmethod
    def of_text(cls, text: str, name: str = "") -> Source:
        """Return a source of a text; a byte order mark at its start is dropped."""
        data = text.removeprefix("\ufeff").encode("utf-8", "surrogatepass")
        return cls(lambda: io.BytesIO(data), name, "text/plain; charset=utf-8", len(data))

    def head(self, size: int = SAMPLE) -> bytes:
        """Return the first bytes."""
        with self.open() as stream:
            return stream.read(size)

    def text(self, encoding: str = "auto") -> str:
        """Return all of it as text; raises `BadInput` when the bytes are not of that encoding."""
        with self.open() as stream:
            data = stream.read()
        chosen = self.encoding(encoding)
        try:
            return data.decode(chosen)
        except UnicodeDecodeError as error:
            raise not_encoded(chosen, error) from None

    def lines(self, encoding: str = "auto") -> io.TextIOWrapper:
        """Return a text stream that leaves line ends as they are; the caller closes it."""
        return io.TextIOWrapper(self.open(), self.encoding(encoding), newline="")

    def encoding(self, asked: str = "auto") -> str:
        """
        Return the encoding to read with: the one asked for, else what the bytes tell.

        A byte order mark decides; bytes that are valid UTF-8 from end to end are UTF-8; every second byte zero is UTF-16;
        anything else is taken for Windows-1252, in which every office of the West has written its CSV files.
        """
        if asked and asked != "auto":
            if (known := encoding_named(asked)) is None:
                raise BadInput("encoding", f"There is no encoding “{asked}”.", hint="Try utf-8, cp1252 or utf-16.")
            return "utf-8-sig" if known == "utf-8" else asked
        head = self.head()
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        if wide := _wide(head):
            return wide
        return "utf-8" if self._is_utf8() else "cp1252"

    def _is_utf8(self) -> bool:
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self.open() as stream:
            try:
                while chunk := stream.read(_CHUNK):
                    if not chunk.isascii() or decoder.getstate()[0]:
                        decoder.decode(chunk)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return False
        return True


def encoding_named(name: str) -> str | None:
    """
    Return Python's own name of an encoding of texts, None when there is none of that name.

    What Python has beside encodings is none: compression, escapes, and the spellings of host names (punycode, idna), whose time
    grows with the square of the text.
    """
    try:
        known = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    return known.name if getattr(known, "_is_text_encoding", True) and known.name not in _NO_ENCODINGS else None


def not_encoded(encoding: str, error: UnicodeDecodeError) -> BadInput:
    """Return the error for bytes that are not of the encoding they were said to be in."""
    found = error.object[error.start : error.start + 1].hex() if isinstance(error.object, bytes) else "?"
    text = f"The text is not {encoding}: the byte {found} at place {error.start} stands for nothing there."
    return BadInput("encoding", text, hint="Set the encoding to auto, or to the one the file was written in.")


def _wide(head: bytes) -> str | None:
    if len(head) < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) * 0.3 and even < odd / 4:
        return "utf-16-le"
    if even > len(head) * 0.3 and odd < even / 4:
        return "utf-16-be"
    return None
