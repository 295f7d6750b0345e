"""The content-addressed store of bytes."""

import hashlib
import io
import tracemalloc

import pytest

from engine.errors import NotFound, StoreError
from engine.model.items import File
from engine.store import BlobStore

pytestmark = pytest.mark.anyio

TEXT = b"Treadle keeps what it is given. " * 10_000


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path / "blobs")


async def streamed():
    for start in range(0, len(TEXT), 1000):
        yield TEXT[start : start + 1000]


async def test_bytes_paths_files_and_streams_give_the_same_handle(blobs, tmp_path):
    """
    However the bytes come, the handle names their hash and size, and they lie once.
    """
    path = tmp_path / "source.txt"
    path.write_bytes(TEXT)
    expected = File(hash=hashlib.sha256(TEXT).hexdigest(), name="a.txt", media_type="text/plain", size=len(TEXT))

    for source in (TEXT, path, io.BytesIO(TEXT), streamed()):
        assert expected == await blobs.keep(source, name="a.txt", media_type="text/plain")

    assert len(TEXT) == blobs.total_size()
    assert TEXT == blobs.path(expected).read_bytes()
    with blobs.open(expected) as opened:
        assert TEXT == opened.read()


async def test_a_source_that_breaks_leaves_nothing(blobs):
    """
    Half a file never gets a name, and no rest of it stays.
    """

    async def breaks():
        yield b"first half"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await blobs.keep(breaks(), name="a", media_type="text/plain")

    assert [] == [path for path in blobs.folder.rglob("*") if path.is_file()]


async def test_a_large_stream_takes_no_memory(blobs):
    """
    64 MB go through with less than 8 MB in use at any time.
    """

    async def large():
        for number in range(256):
            yield bytes([number]) * 256 * 1024

    tracemalloc.start()
    try:
        file = await blobs.keep(large(), name="large", media_type="application/octet-stream")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 64 * 1024 * 1024 == file.size
    assert peak < 8 * 1024 * 1024


async def test_an_empty_file_is_a_file(blobs):
    """
    Nothing is a content like any other.
    """
    file = await blobs.keep(b"", name="empty", media_type="text/plain")

    assert (0, b"") == (file.size, blobs.path(file).read_bytes())


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64, "0" * 63 + "/"])
def test_a_handle_that_was_not_made_here_opens_nothing(blobs, digest):
    """
    A hash is 64 hex digits and names a file that exists; anything else finds nothing, least of all outside the folder.
    """
    with pytest.raises(NotFound):
        blobs.open(File(hash=digest, name="x", media_type="text/plain", size=1))


async def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    """
    The sentence names the folder and what to check.
    """
    (tmp_path / "blobs").write_text("a file where the folder should be")

    with pytest.raises(StoreError, match="blobs") as caught:
        await BlobStore(tmp_path / "blobs").keep(b"x", name="x", media_type="text/plain")

    assert "permissions" in caught.value.hint
