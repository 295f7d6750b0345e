"""Files of the workflow's own folder, and nothing outside it."""

import asyncio
import os
import threading

import pytest

from engine.errors import BadInput, NotFound, Refused
from engine.steps.builtin.files import write
from engine.steps.builtin.folder import inside


def test_a_file_can_be_read_as_a_file_or_a_text(bench):
    """
    The handle knows name, type and size; the text is decoded by what its bytes tell.
    """
    (bench.folder / "in").mkdir()
    (bench.folder / "in" / "a.csv").write_bytes("n\ncafé\n".encode("cp1252"))
    read = bench.each("file.read", {"path": "in/{{ item.name }}"}, {"name": "a.csv"})
    assert ("a.csv", "text/csv", 7, "in/a.csv") == (read["file"].name, read["file"].media_type, read["file"].size, read["path"])
    assert {"text": "n\ncafé\n", "path": "in/a.csv"} == bench.each("file.read", {"path": "in/a.csv", "as": "text"})
    assert [{"n": "café"}] == bench.out("data.parse", {}, [read])


def test_what_is_not_there_is_told_with_what_is(bench):
    """
    The hint lists the folder.
    """
    (bench.folder / "b.csv").touch()
    (bench.folder / "sub").mkdir()
    with pytest.raises(NotFound, match=r"no file “a\.csv”") as caught:
        bench.each("file.read", {"path": "a.csv"})
    assert "b.csv" in caught.value.hint
    with pytest.raises(NotFound):
        bench.each("file.read", {"path": "no/a.csv"})
    with pytest.raises(BadInput, match="is a folder"):
        bench.each("file.read", {"path": "sub"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../a", "climbs out"),
        ("in/../../a", "climbs out"),
        ("/etc/passwd", "not inside"),
        ("~/a", "not inside"),
        ("C:\\a", "not inside"),
        ("\\\\host\\share", "not inside"),
        ("a\x00b", "no path"),
        ("", "empty"),
        ("  ", "empty"),
        ("nul", "device"),
        ("in/COM1.txt", "device"),
        ("x" * 2000, "no path"),
    ],
)
def test_no_path_leads_out(bench, path, expected):
    """
    Absolute paths, climbing and devices are refused, for reading and writing alike.
    """
    for name, fields in (("file.read", {}), ("file.write", {"content": "x"})):
        with pytest.raises(BadInput, match=expected):
            bench.each(name, {"path": path or "{{ '' }}", **fields})


def test_no_link_leads_out(bench, tmp_path):
    """
    Links inside the folder may be followed, links out of it not, whether file or folder.
    """
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hidden")
    (bench.folder / "real").write_text("open")
    (bench.folder / "out").symlink_to(secret)
    (bench.folder / "file").symlink_to(secret / "key")
    (bench.folder / "alias").symlink_to(bench.folder / "real")
    for path in ("out/key", "file"):
        with pytest.raises(BadInput, match="through a link"):
            bench.each("file.read", {"path": path, "as": "text"})
    for path in ("out/new", "file"):
        with pytest.raises(BadInput, match="through a link"):
            bench.each("file.write", {"path": path, "content": "x"})
    assert "open" == bench.each("file.read", {"path": "alias", "as": "text"})["text"]
    assert "hidden" == (secret / "key").read_text()
    assert ["real"] == [entry["name"] for entry in bench.each("file.list", {"deep": True})]


def test_write_takes_texts_files_and_data(bench):
    """
    A file goes in by its bytes, a text in its encoding, anything else as JSON; folders are made.
    """
    file = bench.keep(b"\x00\x01", "x.bin")
    written = bench.each("file.write", {"path": "o/x.bin"}, {"file": file})
    assert {"path": "o/x.bin", "name": "x.bin", "size": 2, "file": file} == written
    bench.each("file.write", {"path": "t.txt", "content": "{{ item.t }}", "encoding": "cp1252"}, {"t": "café"})
    bench.each("file.write", {"path": "d.json"}, {"a": [1]})
    assert [b"\x00\x01", b"caf\xe9", b'{"a":[1]}'] == [
        (bench.folder / name).read_bytes() for name in ("o/x.bin", "t.txt", "d.json")
    ]


def test_what_was_written_is_handed_on(bench):
    """
    The item has a handle to the very bytes, under the name they were written by; an addition to a file has none.
    """
    told = bench.each("file.write", {"path": "out/report.csv", "content": "a,b"})
    assert ("report.csv", "text/csv", 3) == (told["file"].name, told["file"].media_type, told["file"].size)
    assert b"a,b" == bench.bytes_of(told["file"])
    assert "file" not in bench.each("file.write", {"path": "out/report.csv", "content": "c", "mode": "append"})


def test_modes_of_writing(bench):
    """
    Overwrite replaces, append adds, fail leaves what is there.
    """
    target = bench.folder / "a.txt"
    for mode, expected in (("fail", "1"), ("append", "12"), ("overwrite", "3")):
        bench.each(
            "file.write", {"path": "a.txt", "content": {"fail": "1", "append": "2", "overwrite": "3"}[mode], "mode": mode}
        )
        assert expected == target.read_text()
    with pytest.raises(Refused, match=r"a file “a\.txt” already"):
        bench.each("file.write", {"path": "a.txt", "content": "4", "mode": "fail"})
    assert "3" == target.read_text()
    assert ["a.txt"] == [entry.name for entry in bench.folder.iterdir()]


def test_what_cannot_be_written_is_told(bench):
    """
    A folder in the way, a missing folder, nothing to write, a letter without a byte.
    """
    (bench.folder / "dir").mkdir()
    for mode in ("overwrite", "append"):
        with pytest.raises(BadInput, match="is a folder"):
            bench.each("file.write", {"path": "dir", "content": "x", "mode": mode})
    with pytest.raises(NotFound, match="no folder “no”") as caught:
        bench.each("file.write", {"path": "no/x", "content": "x", "make_folders": False})
    assert "Make folders" in caught.value.hint
    with pytest.raises(BadInput, match="nothing to write"):
        asyncio.run(write.call(bench.ctx, path="x", content=None))
    with pytest.raises(BadInput, match="ascii has no “é”"):
        bench.each("file.write", {"path": "x", "content": "é", "encoding": "ascii"})


def test_a_refusal_of_the_system_is_told(bench):
    """
    A file where a folder should be is no crash.
    """
    (bench.folder / "a").write_text("x")
    with pytest.raises(Refused, match="“a/b” cannot be used"):
        bench.each("file.write", {"path": "a/b", "content": "x"})
    with pytest.raises(Refused, match="“a/b” cannot be used"):
        bench.each("file.read", {"path": "a/b"})


def test_nobody_ever_finds_half_a_file(bench):
    """
    While a file is replaced over and over, every look at it sees a whole one.
    """
    sizes, stop = set(), threading.Event()
    (bench.folder / "a").write_bytes(b"x" * 300_000)

    def look():
        while not stop.is_set():
            sizes.add(len((bench.folder / "a").read_bytes()))

    watcher = threading.Thread(target=look)
    watcher.start()
    for size in (500_000, 300_000) * 10:
        bench.each("file.write", {"path": "a", "content": "x" * size})
    stop.set()
    watcher.join()
    assert {300_000, 500_000} >= sizes


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["a.csv", "b.txt"]),
        ({"pattern": "*.csv"}, ["a.csv"]),
        ({"pattern": "*.csv", "deep": True}, ["a.csv", "in/c.csv"]),
        ({"folder": "in"}, ["in/c.csv"]),
        ({"pattern": "in/*", "deep": True}, ["in/c.csv"]),
        ({"pattern": "?.txt"}, ["b.txt"]),
        ({"pattern": "z*"}, []),
    ],
)
def test_list(bench, fields, expected):
    """
    By name, with or without the folders inside; hidden files stay hidden.
    """
    (bench.folder / "in").mkdir()
    (bench.folder / ".git").mkdir()
    for name in ("a.csv", "b.txt", "in/c.csv", ".hidden", ".git/x.csv"):
        (bench.folder / name).write_text("1")
    assert expected == [entry["path"] for entry in bench.each("file.list", fields)]


def test_list_tells_size_and_change(bench):
    """
    Enough to choose what is new; too many files, and folders that are not there, are told.
    """
    (bench.folder / "a").write_text("abc")
    os.utime(bench.folder / "a", (1_795_000_000, 1_795_000_000))
    assert [{"path": "a", "name": "a", "size": 3, "changed": "2026-11-18T11:06:40Z"}] == bench.each("file.list", {})
    (bench.folder / "b").touch()
    with pytest.raises(BadInput, match="more than 1 files"):
        bench.each("file.list", {"most": 1})
    with pytest.raises(NotFound, match="no folder “zz”"):
        bench.each("file.list", {"folder": "zz"})
    with pytest.raises(BadInput, match="climbs out"):
        bench.each("file.list", {"folder": ".."})


def test_the_folder_itself_may_be_behind_a_link(bench, tmp_path):
    """
    Only what leads out of it matters.
    """
    (tmp_path / "link").symlink_to(bench.folder)
    (bench.folder / "a").write_text("x")
    assert "x" == bench.at(tmp_path / "link").each("file.read", {"path": "a", "as": "text"})["text"]
    assert bench.folder.resolve() / "a" == inside(tmp_path / "link", "a")
