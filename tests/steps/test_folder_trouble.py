"""The workflow's folder when things go wrong: odd names, things that are no files, a full disk, two who write at once."""

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import BadInput, Refused, TreadleError
from engine.steps.builtin import folder
from engine.steps.builtin.folder import open_inside, write_inside


class Interrupted(io.RawIOBase):
    """A source that gives something and then breaks, as a write does on a disk that fills up."""

    def __init__(self) -> None:
        self._is_begun = False

    def read(self, size: int = -1) -> bytes:
        if self._is_begun:
            raise OSError(28, "No space left on device")
        self._is_begun = True
        return b"half of it"


@pytest.mark.parametrize("name", ["loop", "\ud800", "ring/a"])
def test_names_no_system_takes(tmp_path: Path, name: str):
    """
    A link that leads to itself and a text that is no name are told as what they are, not as a bug.
    """
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "ring").symlink_to("ring")
    for use in (lambda: open_inside(tmp_path, name), lambda: write_inside(tmp_path, name, io.BytesIO(b"x"), "overwrite")):
        with pytest.raises(TreadleError):
            use()


@pytest.mark.skipif(os.name == "nt", reason="pipes have no names in folders there")
def test_a_pipe_is_no_file(tmp_path: Path):
    """
    Reading a pipe would wait for ever, and writing too: it is refused.
    """
    os.mkfifo(tmp_path / "pipe")
    for use in (lambda: open_inside(tmp_path, "pipe"), lambda: write_inside(tmp_path, "pipe", io.BytesIO(b"x"), "append")):
        caught: list[BaseException] = []

        def tried(use=use, caught=caught) -> None:
            try:
                use()
            except (BadInput, Refused) as error:
                caught.append(error)

        thread = threading.Thread(target=tried, daemon=True)
        thread.start()
        thread.join(5)
        assert 1 == len(caught)


def test_an_append_that_breaks_leaves_the_file_as_it_was(tmp_path: Path):
    """
    The next try appends all of it again, so nothing of the broken one may stay.
    """
    (tmp_path / "log").write_bytes(b"before\n")
    with pytest.raises(Refused, match="No space left"):
        write_inside(tmp_path, "log", Interrupted(), "append")  # type: ignore[arg-type]
    assert b"before\n" == (tmp_path / "log").read_bytes()
    with pytest.raises(Refused, match="No space left"):
        write_inside(tmp_path, "new", Interrupted(), "append")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists() or not (tmp_path / "new").read_bytes()


def test_two_who_append_at_once(tmp_path: Path):
    """
    What several branches append stands one after the other, each in one piece.
    """
    parts = [bytes([65 + number]) * 3_000_000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: write_inside(tmp_path, "all", io.BytesIO(part), "append"), parts))
    written = (tmp_path / "all").read_bytes()
    assert sorted(parts) == sorted(written[at : at + 3_000_000] for at in range(0, 12_000_000, 3_000_000))


@pytest.mark.skipif(os.name == "nt", reason="needs files that are opened from folders")
def test_what_was_checked_is_what_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    A folder that becomes a link out between the check and the opening is not followed.
    """
    mine, secret = tmp_path / "mine", tmp_path / "secret"
    (mine / "in").mkdir(parents=True)
    secret.mkdir()
    (mine / "in" / "key").write_text("mine")
    (secret / "key").write_text("hidden")
    real = folder.inside

    def slow(root: Path, name: str, **options: str) -> Path:
        path = real(root, name, **options)
        (mine / "in").rename(mine / "was")
        (mine / "in").symlink_to(secret)
        return path

    monkeypatch.setattr(folder, "inside", slow)
    with pytest.raises((Refused, BadInput)):
        open_inside(mine, "in/key")
    (mine / "in").unlink()
    (mine / "was").rename(mine / "in")
    with pytest.raises((Refused, BadInput)):
        write_inside(mine, "in/key", io.BytesIO(b"x"), "append")
    assert "hidden" == (secret / "key").read_text()
