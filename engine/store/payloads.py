"""
How encoded batches lie in the database: as they are, compressed, or kept outside.

The form stands in a column of its own, so that reading never guesses. Small payloads are left alone (compressing 200 bytes
gains nothing), from 4 KB zstd level 1 takes about a fifth at the speed of the disk, and what is 256 KB or more even then goes
into the content-addressed store, where equal bytes lie once and the journal's pages stay small.
"""

from __future__ import annotations

import re
import threading
from typing import Final

import zstandard

from engine.errors import Damaged
from engine.model.items import FILE_KEY

from .blobs import BlobStore

PLAIN: Final = 0
COMPRESSED: Final = 1
KEPT: Final = 2
KEPT_COMPRESSED: Final = 3

COMPRESS_FROM: Final = 4 * 1024
KEEP_FROM: Final = 256 * 1024

Packed = tuple[int, bytes | None]
"""The two columns `payload_form` and `payload`."""

NOTHING: Final[Packed] = (PLAIN, None)
_HANDLE_MARK: Final = b'"' + FILE_KEY.encode()
_HANDLE: Final = re.compile(re.escape(_HANDLE_MARK) + rb'(?::[0-9a-f]+)?"\s*:\s*\[?"([0-9a-f]{64})"')
"""A file handle in an encoded batch, in the plain form (`File.as_json`) and in the one of `engine.run.payloads`."""


def is_plain(payload: bytes | None) -> bool:
    """Whether a payload is kept as it is and names no file, which is all there is to know about most of them."""
    return payload is None or (len(payload) < COMPRESS_FROM and _HANDLE_MARK not in payload)


class Payloads:
    """Packs and unpacks; one is shared by the writer and the readers of a store."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._own = threading.local()

    def pack(self, payload: bytes | None, owned: set[str]) -> Packed:
        """
        Return the payload in the form it is kept in; hashes of files it needs are added to `owned`.

        A large one is on disk, synced, when this returns, so that no row ever names bytes that a power cut took.
        """
        if payload is None:
            return NOTHING
        if _HANDLE_MARK in payload:
            owned.update(match.decode() for match in _HANDLE.findall(payload))
        size = len(payload)
        if size < COMPRESS_FROM:
            return PLAIN, payload
        small = self._compressor().compress(payload)
        form, data = (COMPRESSED, small) if len(small) < size else (PLAIN, payload)
        if len(data) < KEEP_FROM:
            return form, data
        name = self._blobs.keep_bytes(data)
        owned.add(name)
        return form + KEPT, name.encode()

    def beginning(self, digest: str, most: int) -> bytes:
        """Return the first bytes of what is kept outside, as they lie there; nothing when they are gone."""
        return self._blobs.read_beginning(digest, most)

    def unpack(self, form: int, data: bytes | None) -> bytes | None:
        """Return the payload as it was given; raises `Damaged` when its bytes are gone or damaged."""
        if data is None:
            return None
        data = bytes(data)
        if form >= KEPT:
            data = self._blobs.read_bytes(data.decode())
            form -= KEPT
        if form == PLAIN:
            return data
        try:
            return self._decompressor().decompress(data)
        except zstandard.ZstdError as error:
            raise Damaged("A stored batch is damaged and cannot be read.", hint="Run `treadle db check`.") from error

    def _compressor(self) -> zstandard.ZstdCompressor:
        found: zstandard.ZstdCompressor | None = getattr(self._own, "compressor", None)
        if found is None:
            found = self._own.compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)
        return found

    def _decompressor(self) -> zstandard.ZstdDecompressor:
        found: zstandard.ZstdDecompressor | None = getattr(self._own, "decompressor", None)
        if found is None:
            found = self._own.decompressor = zstandard.ZstdDecompressor()
        return found
