"""
The content-addressed store: bytes in files named by the hash of what is in them.

A file appears under its name only when it is complete and synced, so a name that exists is a promise. Equal bytes lie once.
Handles are made here and by nobody else: `keep` is called by the engine for bytes that a step produced or received, and a
JSON object that merely looks like a handle stays an object.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from engine.errors import Damaged, NotFound, StoreError
from engine.model.items import File

CHUNK: Final = 1024 * 1024
_HEX: Final = frozenset("0123456789abcdef")


class BlobStore:
    """
    The files of one installation, under `folder`, spread over 256 folders by the first two digits of their names.

    Implements `engine.steps.contract.Files`. Every method may be called from any thread.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def keep(self, source: bytes | Path | AsyncIterator[bytes] | IO[bytes], *, name: str, media_type: str) -> File:
        """
        Store the bytes and return the handle; memory use does not grow with the size.

        Raises `StoreError` when the disk refuses, and whatever the source raises; half a file is never left under a name.
        """
        if isinstance(source, bytes | Path):
            return await asyncio.to_thread(self.keep_now, source, name=name, media_type=media_type)
        if not isinstance(source, AsyncIterator):
            return await asyncio.to_thread(self.keep_now, source, name=name, media_type=media_type)
        incoming = await asyncio.to_thread(_Incoming, self)
        try:
            async for chunk in source:
                await asyncio.to_thread(incoming.write, chunk)
            digest, size = await asyncio.to_thread(incoming.finish)
        except BaseException:
            incoming.discard()
            raise
        return File(hash=digest, name=name, media_type=media_type, size=size)

    def keep_now(self, source: bytes | Path | IO[bytes], *, name: str, media_type: str) -> File:
        """Do what `keep` does, in the caller's thread."""
        incoming = _Incoming(self)
        try:
            for chunk in _chunks(source):
                incoming.write(chunk)
            digest, size = incoming.finish()
        except BaseException:
            incoming.discard()
            raise
        return File(hash=digest, name=name, media_type=media_type, size=size)

    def keep_bytes(self, data: bytes) -> str:
        """Store bytes that have no name of their own (a large batch of the journal) and return their hash."""
        digest = hashlib.sha256(data).hexdigest()
        try:
            os.utime(self._path(digest))
        except OSError:
            self.keep_now(data, name="", media_type="")
        return digest

    def read_bytes(self, digest: str) -> bytes:
        """Return everything stored under a hash; raises `Damaged` when it is gone or not what its name says."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError as error:
            text = f"The stored bytes {digest[:12]}… cannot be read: they are gone."
            raise Damaged(text, hint="Restore the data folder from a backup.") from error
        except OSError as error:
            raise StoreError(f"The stored bytes {digest[:12]}… cannot be read: {error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged(f"The stored bytes {digest[:12]}… are damaged.", hint="Restore the data folder from a backup.")
        return data

    def read_beginning(self, digest: str, most: int) -> bytes:
        """Return the first bytes stored under a hash, unchecked; nothing when they are gone."""
        try:
            with self._path(digest).open("rb") as file:
                return file.read(most)
        except OSError:
            return b""

    def open(self, file: File) -> IO[bytes]:
        """Open the bytes for reading; raises `NotFound` when they are gone."""
        return self.path(file).open("rb")

    def path(self, file: File) -> Path:
        """Return where the bytes lie, for reading only; raises `NotFound` when they are gone."""
        path = self._path(file.hash)
        if not path.is_file():
            raise NotFound("file", file.name, hint="Its bytes were removed, most likely by the retention settings.")
        return path

    def has(self, digest: str) -> bool:
        """Return whether bytes of that hash lie here."""
        return self._path(digest).is_file()

    def total_size(self) -> int:
        """Return how many bytes all files take together."""
        return sum(path.stat().st_size for _, path in self._files())

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file by its hash."""
        found: dict[str, int] = {}
        for digest, path in self._files():
            with suppress(FileNotFoundError):
                found[digest] = path.stat().st_size
        return found

    def sweep(self, needed: Iterable[str], *, older_than: datetime) -> tuple[int, int]:
        """
        Remove files nobody needs that were kept before `older_than`; returns how many, and how many bytes.

        The age protects what a running step has kept and no committed row names yet.
        """
        keep, count, freed, limit = set(needed), 0, 0, older_than.timestamp()
        for digest, path in self._files():
            with suppress(FileNotFoundError):
                status = path.stat()
                if digest not in keep and status.st_mtime < limit:
                    path.unlink()
                    count, freed = count + 1, freed + status.st_size
        return count, freed

    def _files(self) -> Iterator[tuple[str, Path]]:
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*")):
                yield path.name, path

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not _HEX.issuperset(digest):
            raise NotFound("file", digest[:80], hint="A file's hash has 64 hex digits.")
        return self.folder / digest[:2] / digest


class _Incoming:
    """Bytes on their way in: hashed as they come, synced and renamed at the end."""

    def __init__(self, store: BlobStore) -> None:
        self._store, self._hash, self._size = store, hashlib.sha256(), 0
        try:
            store.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".incoming-", dir=store.folder)
        except OSError as error:
            raise _refused(store.folder, error) from error
        self._temporary, self._file = Path(name), os.fdopen(handle, "wb", buffering=0)

    def write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._size += len(chunk)
        view = memoryview(chunk)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _refused(self._store.folder, error) from error

    def finish(self) -> tuple[str, int]:
        digest = self._hash.hexdigest()
        target = self._store._path(digest)
        try:
            if target.exists():
                # The same bytes are in use again: a fresh time stamp keeps a sweep away from them.
                os.utime(target)
                self.discard()
                return digest, self._size
            os.fsync(self._file.fileno())
            self._file.close()
            target.parent.mkdir(exist_ok=True)
            self._temporary.replace(target)
            _sync_folder(target.parent)
            _sync_folder(self._store.folder)
        except OSError as error:
            raise _refused(self._store.folder, error) from error
        return digest, self._size

    def discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def _chunks(source: bytes | Path | IO[bytes]) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield from iter(lambda: file.read(CHUNK), b"")
    else:
        yield from iter(lambda: source.read(CHUNK), b"")


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The disk refused to keep a file in {folder}: {error.strerror or error}.",
        hint="Check the free space and the permissions of the data folder.",
    )
