"""Code that wants out: each attempt meets a wall, and Treadle goes on as if nothing had been."""

import os
import socket
import sys
import time
from datetime import timedelta

import pytest

from engine.code.inside import landlock
from engine.errors import TimedOut
from engine.steps.code import CodeFailed

LINUX = sys.platform == "linux"
pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not LINUX, reason="these walls are Linux's")]
with_landlock = pytest.mark.skipif(LINUX and landlock.abi() < 1, reason="this kernel has no Landlock")


async def alive(cage):
    """Say that the next call works."""
    return [{"ok": True}] == await cage.items("return {'ok': True}")


@pytest.mark.alone
@pytest.mark.parametrize(
    "source",
    [
        pytest.param("while True: pass", id="a loop"),
        pytest.param(
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass", id="one that catches everything"
        ),
        pytest.param(
            "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass", id="one that hears no alarm"
        ),
        pytest.param("sum(range(10**12))", id="one inside of C"),
        pytest.param("import re\nre.match('(a+)+$', 'a' * 40 + 'b')", id="a pattern that never ends"),
        pytest.param("import time\ntime.sleep(100)", id="a long sleep"),
        pytest.param(
            "import os\nos.read(0, 1)\nos.pause() if hasattr(os, 'pause') else __import__('signal').pause()", id="a pause"
        ),
    ],
)
async def test_a_runaway_is_killed_in_time(cage, source):
    """
    What takes longer than its limit is ended within half a second more, whatever it does about it.
    """
    await alive(cage)
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"took longer than 0.5 s"):
        await cage.items(source, limit=timedelta(seconds=0.5))
    assert time.monotonic() - began < 0.5 + 0.5
    assert await alive(cage)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("x = 'a' * (1 << 31)", id="a long text"),
        pytest.param("x = []\nwhile True: x.append(bytearray(1 << 20))", id="more and more"),
        pytest.param("x = [0] * 10**9", id="a long list"),
        pytest.param("import mmap\nwhile True: item.setdefault('m', []).append(mmap.mmap(-1, 1 << 26))", id="mapped memory"),
    ],
)
async def test_a_memory_bomb_is_refused(cage, source):
    """
    Memory has a limit, which the code meets as an error at its line; the process is not even lost.
    """
    with pytest.raises(CodeFailed, match=r"Line \d: (MemoryError|OSError: \[Errno 12\])"):
        await cage.items(source, memory_mb=256)
    assert await alive(cage)


async def test_a_result_that_does_not_fit_is_refused(cage):
    """
    A result for which there is memory comes through; one for which there is none is told so.
    """
    (item,) = await cage.items("return {'x': 'a' * (100 << 20)}", memory_mb=256)
    assert 100 << 20 == len(item["x"])
    with pytest.raises(CodeFailed, match=r"(?i)memory"):
        await cage.items("return {'x': 'a' * (200 << 20)}", memory_mb=256)
    assert await alive(cage)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import os\nwhile True: os.fork()", id="a fork bomb"),
        pytest.param("import subprocess\nsubprocess.run(['/bin/true'])", id="a program"),
        pytest.param("import os\nos.execv('/bin/sh', ['sh'])", id="another program in its place"),
        pytest.param("import os\nif os.system('true') != 0: raise PermissionError", id="a shell"),
        pytest.param("import os\nos.posix_spawn('/bin/true', ['true'], {})", id="spawned"),
        pytest.param(
            "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()", id="multiprocessing"
        ),
        pytest.param(
            "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()", id="a thread bomb"
        ),
        pytest.param("import _thread\n_thread.start_new_thread(print, ())", id="one thread"),
    ],
)
async def test_no_other_process_can_be_started(cage, source):
    """
    Code is one process with one thread.
    """
    with pytest.raises(CodeFailed, match=r"PermissionError|can't start new thread|Operation not permitted"):
        await cage.items(source, limit=timedelta(seconds=3))
    assert await alive(cage)


@with_landlock
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/{parent}/environ",
        "/proc/self/mem",
        "/root",
        "/home",
        "/tmp",
        "..",
        "{blob}",
        "{link}",
    ],
)
async def test_files_cannot_be_read(cage, tmp_path, path):
    """
    Nothing of this computer can be read but Python's own: no passwords, no environment of others, no links to them.
    """
    secret = tmp_path / "secret"
    secret.write_text("s")
    path = path.format(blob=secret, link="link", parent=os.getpid())
    source = (
        f"import os\nos.path.lexists('link') or os.symlink({str(secret)!r}, 'link')\n"
        f"return {{'x': str(os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}, 'rb').read())}}"
    )
    with pytest.raises(CodeFailed, match="PermissionError"):
        await cage.items(source)


@with_landlock
@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("open(path, 'w')", id="write"),
        pytest.param("open(path, 'a')", id="append"),
        pytest.param("os.open(folder + '/new', os.O_CREAT | os.O_WRONLY)", id="a new one"),
        pytest.param("os.unlink(path)", id="remove"),
        pytest.param("os.rename(path, path + '2')", id="rename"),
        pytest.param("os.link(path, 'here')", id="link"),
        pytest.param("os.truncate(path, 0)", id="truncate"),
        pytest.param("os.chmod(path, 0)", id="its mode"),
        pytest.param("os.chown(path, 1, 1)", id="its owner"),
        pytest.param("os.utime(path)", id="its time"),
        pytest.param("os.setxattr(path, 'user.a', b'1')", id="its attributes"),
        pytest.param("os.mkdir(folder + '/new')", id="a folder"),
        pytest.param("open('/dev/shm/treadle', 'w')", id="shared memory"),
        pytest.param("os.chroot(folder)", id="another root"),
    ],
)
async def test_files_cannot_be_changed(cage, tmp_path, attempt):
    """
    Nothing on this computer can be changed but what lies in the temp folder.
    """
    file = tmp_path / "theirs" / "file"
    file.parent.mkdir()
    file.write_text("as it was")
    before = file.stat()
    with pytest.raises(CodeFailed, match=r"PermissionError|OSError"):
        await cage.items(f"import os\npath, folder = {str(file)!r}, {str(file.parent)!r}\n{attempt}")
    assert ("as it was", [file], before.st_mode, before.st_mtime) == (
        file.read_text(),
        list(file.parent.iterdir()),
        file.stat().st_mode,
        file.stat().st_mtime,
    )


async def test_the_temp_folder_has_a_size(make_cage, monkeypatch):
    """
    A file has a largest size, and all files together too.
    """
    monkeypatch.setattr("engine.code.pool.DISK_MB", 8)
    cage = make_cage()
    with pytest.raises(CodeFailed, match=r"Line 1: OSError: \[Errno 27\]"):
        await cage.items("open('big', 'wb').write(bytes(20 << 20))")
    source = "import time\nfor n in range(100):\n    open(str(n), 'wb').write(bytes(1 << 20))\n    time.sleep(0.02)"
    with pytest.raises(CodeFailed, match="wrote more than 8 MB into its temp folder"):
        await cage.items(source)
    assert await alive(cage)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("socket.create_connection(('127.0.0.1', port))", id="TCP"),
        pytest.param("socket.socket(socket.AF_INET6).connect(('::1', port))", id="TCP 6"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))", id="UDP"),
        pytest.param("socket.socket(socket.AF_INET).bind(('127.0.0.1', 0))", id="listen"),
        pytest.param("socket.socket(socket.AF_UNIX).connect('/run/x')", id="a socket in the file system"),
        pytest.param("socket.socket(socket.AF_UNIX).connect('\\0x')", id="a socket without a name"),
        pytest.param("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", id="the kernel"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", id="raw"),
        pytest.param("socket.socket(38, socket.SOCK_SEQPACKET, 0)", id="the kernel's cryptography"),
        pytest.param("urllib.request.urlopen(f'http://127.0.0.1:{port}')", id="a library"),
    ],
)
async def test_there_is_no_network(cage, attempt):
    """
    Without a grant nothing gets out and nothing listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with pytest.raises(CodeFailed, match="not permitted"):
            await cage.items(f"import socket, urllib.request\nport = {server.getsockname()[1]}\n{attempt}")
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_the_network_is_there_when_granted(cage):
    """
    With a grant the internet is open, and sockets of this computer stay shut.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = ("127.0.0.1", server.getsockname()[1])
        source = f"import socket\nsocket.create_connection({address}).close()\nreturn {{'there': True}}"
        assert [{"there": True}] == await cage.items(source, network=True)
    with pytest.raises(CodeFailed, match="not permitted"):
        await cage.items("import socket\nsocket.socket(socket.AF_UNIX)", network=True)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("os.kill(os.getppid(), 9)", id="kill the parent"),
        pytest.param("os.kill(-1, 9)", id="kill everybody"),
        pytest.param("os.kill(0, 9)", id="kill the group"),
        pytest.param("os.killpg(os.getpid(), 9)", id="kill the group by its number"),
        pytest.param("os.kill(1, 0)", id="ask for the first process"),
        pytest.param("os.pidfd_open(os.getppid())", id="a handle of a process"),
        pytest.param("os.setsid()", id="leave the group"),
        pytest.param("os.setpriority(os.PRIO_USER, 0, 19)", id="slow down others"),
        pytest.param("os.sched_setaffinity(os.getppid(), {0})", id="move others"),
        pytest.param("resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))", id="limit others"),
        pytest.param("resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", id="more memory"),
        pytest.param("os.setuid(1)", id="somebody else"),
        pytest.param("os.memfd_create('x')", id="memory that is a file"),
        pytest.param("call(101, 16, os.getppid(), 0, 0)", id="ptrace"),
        pytest.param("call(310, os.getppid(), 0, 0, 0, 0, 0)", id="read the memory of others"),
        pytest.param("call(157, 1, 0, 0, 0, 0)", id="outlive the parent"),
        pytest.param("call(425, 1, 0)", id="io_uring"),
        pytest.param("call(56, 0x10000, 0, 0, 0, 0)", id="clone"),
        pytest.param("call(435, 0, 0)", id="clone3"),
        pytest.param("call(321, 0, 0, 0)", id="bpf"),
        pytest.param("call(29, 0, 4096, 0o1600)", id="shared memory"),
        pytest.param("call(0x40000000 + 57)", id="fork by another calling convention"),
    ],
)
async def test_other_processes_are_out_of_reach(cage, attempt):
    """
    No signal, no tracing, no limit for others, no way to be somebody else or to outlive Treadle.
    """
    if "call(" in attempt and os.uname().machine != "x86_64":
        pytest.skip("these numbers are those of x86_64")
    source = f"""
import ctypes, os, resource
def call(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "not permitted")
{attempt}
"""
    with pytest.raises(CodeFailed, match=r"not permitted|not allowed|PermissionError|not implemented|AttributeError"):
        await cage.items(source)
    assert await alive(cage)


async def test_nothing_is_inherited(cage, monkeypatch):
    """
    The environment has no secrets, and no file or connection of Treadle's is open in the cage.
    """
    monkeypatch.setenv("TREADLE_SECRET", "s3cret")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    source = """
import os
open_ones = []
for handle in range(256):
    try:
        os.fstat(handle)
    except OSError:
        continue
    open_ones.append(handle)
return {'names': sorted(os.environ), 'open': open_ones}
"""
    (found,) = await cage.items(source)
    os.close(read)
    os.close(write)
    assert "TREADLE_SECRET" not in found["names"]
    assert {"HOME", "TMPDIR", "TZ", "LANG"} < set(found["names"])
    assert [0, 1, 2] == found["open"][:3]
    assert 5 == len(found["open"])


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root has something to give up")
async def test_root_is_nobody_inside(cage):
    """
    Where Treadle runs as root, the cage has none of root's powers.
    """
    assert [{"held": ["0", "0"]}] == await cage.items(
        "import ctypes\nlibc = ctypes.CDLL(None)\nhead, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()\n"
        "libc.capget(head, data)\nreturn {'held': [str(data[0] | data[3]), str(data[1] | data[4])]}"
    )


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("os.write(out, b'\\xff' * 100)", id="a frame longer than all memory"),
        pytest.param("os.write(out, b'\\0\\0\\0\\x04junk')", id="no msgpack"),
        pytest.param("send({'frame': 'done', 'items': 5})", id="the wrong type"),
        pytest.param("send({'frame': 'done', 'items': b'[{}]', 'counts': [5]})", id="numbers that do not fit"),
        pytest.param("send({'frame': 'done', 'items': b'[{}, {}, {}]'})", id="more items than it says"),
        pytest.param("send({'frame': 'done', 'items': b'{}'})", id="no list"),
        pytest.param("send({'frame': 'done', 'items': b'[' * 100000})", id="too deep"),
        pytest.param("send({'frame': 'need', 'file': -1, 'offset': 0, 'length': 9})", id="a file that is none"),
        pytest.param("send({'frame': 'ready', 'up': [], 'down': {}})", id="out of turn"),
        pytest.param("os.close(out)", id="hangs up"),
    ],
)
async def test_a_process_that_lies_is_ended(cage, attempt):
    """
    Code that speaks to the engine itself, past its own side, is told that no code step does so, and its process is ended.
    """
    source = f"""
import os, sys
out = 4
def send(frame):
    import json
    def pack(value):
        if isinstance(value, dict): return bytes([0x80 + len(value)]) + b''.join(pack(k) + pack(v) for k, v in value.items())
        if isinstance(value, list): return bytes([0x90 + len(value)]) + b''.join(map(pack, value))
        if isinstance(value, str): return bytes([0xa0 + len(value)]) + value.encode()
        if isinstance(value, bytes): return b'\\xc6' + len(value).to_bytes(4, 'big') + value
        return bytes([value % 256])
    body = pack(frame)
    os.write(out, len(body).to_bytes(4, 'big') + body)
{attempt}
import time
time.sleep(30)
"""
    with pytest.raises(Exception, match=r"no code step does|no list of items|more than fits|ended|closed") as caught:
        await cage.items(source, limit=timedelta(seconds=3))
    assert caught.value.code in ("code_failed", "step_crashed", "timed_out")
    assert await alive(cage)


async def test_the_walls_are_tried_and_told(cage):
    """
    Which walls are up is found out by running against them.
    """
    walls = {wall.name: wall for wall in await cage.pool.walls()}
    assert {"time", "secrets", "memory", "files", "writing", "network", "processes", "programs", "signals"} == set(walls)
    assert all(wall.is_up for name, wall in walls.items() if name not in ("files", "writing"))
    assert (landlock.abi() > 0) == walls["files"].is_up == walls["writing"].is_up
    assert await cage.pool.walls() is await cage.pool.walls()
