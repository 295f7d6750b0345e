"""Which Treadle serves a folder: said while it does, and known as stale when it does not."""

import json
import os
import threading
import time

import pytest

from app.instance import FILE, LOCK, Instance, announced, find_instance
from engine.errors import StoreError
from engine.store.lock import DataLock

URL = "http://127.0.0.1:8321"


def test_announced_while_it_lasts(tmp_path):
    """
    Inside the block the process and its address can be found, after it nothing is left to find.
    """
    assert find_instance(tmp_path) is None
    with announced(tmp_path, URL):
        assert Instance(pid=os.getpid(), url=URL) == find_instance(tmp_path)
        assert {"pid": os.getpid(), "url": URL} == json.loads((tmp_path / FILE).read_text())
    assert find_instance(tmp_path) is None
    assert not (tmp_path / FILE).exists()


def test_a_failure_inside_ends_it_too(tmp_path):
    """
    Whatever ends the block, the announcement ends with it and another can follow.
    """
    with pytest.raises(RuntimeError), announced(tmp_path, URL):
        raise RuntimeError("the server broke")
    with announced(tmp_path, URL):
        assert find_instance(tmp_path)


@pytest.mark.parametrize(
    "left_behind",
    [
        pytest.param(json.dumps({"pid": os.getpid(), "url": URL}), id="a process number in use"),
        pytest.param(json.dumps({"pid": 2**22 + 1, "url": URL}), id="a process that is gone"),
        pytest.param("{", id="cut off"),
        pytest.param('{"pid": 1}', id="half of it"),
        pytest.param("[1]", id="something else"),
        pytest.param("", id="empty"),
    ],
)
def test_what_was_left_behind_is_cleared_away(tmp_path, left_behind):
    """
    A file without its lock is nobody's: it is removed, and a new announcement is not in its way.
    """
    (tmp_path / FILE).write_text(left_behind)
    assert find_instance(tmp_path) is None
    assert not (tmp_path / FILE).exists()
    with announced(tmp_path, URL):
        assert find_instance(tmp_path)


def test_somebody_looking_does_not_keep_a_server_from_starting(tmp_path):
    """
    A command that asks at that very moment holds the lock for an instant; the server waits for it.
    """
    lock = DataLock(tmp_path / LOCK)
    lock.acquire()
    threading.Timer(0.1, lock.release).start()
    began = time.monotonic()
    with announced(tmp_path, URL):
        assert 0.05 < time.monotonic() - began


def test_two_cannot_serve_one_folder(tmp_path, monkeypatch):
    """
    A lock that is not given back is a server's: the second one says so, and the first one stays announced.
    """
    monkeypatch.setattr("app.instance.PATIENCE_S", 0.05)
    with announced(tmp_path, URL):
        with pytest.raises(StoreError, match="already running"), announced(tmp_path, "http://127.0.0.1:1"):
            pass
        assert URL == find_instance(tmp_path).url
