"""Putting up the walls of this process, one after the other; what cannot be put up is told, not hidden."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

from engine.code.frames import Hello

from . import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_MOST_HANDLES: Final = 256
_SYSTEM: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_FOR_NETWORK: Final = (
    "/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    "/etc/protocols", "/etc/host.conf", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates",
)  # fmt: skip
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def raise_walls(hello: Hello) -> tuple[list[str], dict[str, str]]:
    """Put up every wall this machine has; return the names of those that stand, and why the others do not."""
    up: list[str] = []
    down: dict[str, str] = {}

    def put_up(name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, ValueError, AttributeError) as error:
            down[name] = str(error)
        else:
            up.append(name)

    put_up("limits", lambda: _limit(hello))
    put_up("parent", _end_with_parent)
    put_up("privileges", _renounce)
    readable = [*_own_places(), *hello.readable, *(_FOR_NETWORK if hello.network else ())]
    put_up(
        "landlock",
        lambda: _check(landlock.restrict(readable=readable, writable=[hello.temp, "/dev/null"], network=hello.network)),
    )
    put_up("seccomp", lambda: seccomp.restrict(pid=os.getpid(), network=hello.network, threads=hello.threads))
    return up, down


def _check(version: int) -> None:
    if version < 1:
        raise OSError("no Landlock")


def _own_places() -> list[str]:
    """Return where the interpreter and the libraries of the system lie."""
    library = os.path.dirname(os.path.realpath(os.__file__))
    shared = os.path.join(os.path.realpath(sys.base_exec_prefix), "lib")
    return [library, *((shared,) if shared != "/lib" else ()), *_SYSTEM, *_DEVICES]


def _limit(hello: Hello) -> None:
    mb = 1 << 20
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, hello.disk_mb * mb),
        (resource.RLIMIT_NOFILE, _MOST_HANDLES),
        (resource.RLIMIT_CPU, hello.cpu_s),
    ]
    if sys.platform == "linux":  # elsewhere the kernel does not keep to it
        wanted.append((resource.RLIMIT_AS, 2 * hello.memory_mb * mb))
    if not hello.threads and os.getuid() != 0:  # it counts all processes of a person, so that any number but 0 is arbitrary
        wanted.append((resource.RLIMIT_NPROC, 0))
    for what, most in wanted:
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write over the limit is an OSError then


def keep_room(memory_mb: int) -> None:
    """Let the code have its memory and no more; what is beyond, up to twice as much, is for writing its result down."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def make_room() -> None:
    """Let the result be written down, when the code has come to its end."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _end_with_parent() -> None:
    """Let the kernel end this process when the one that started it is gone, however that happened."""
    parent = os.getppid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _renounce() -> None:
    """Give up every capability of the root user and the hope for new ones; others may not look into the memory."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    if os.geteuid() == 0:
        number = 0
        while ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
            number += 1
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "the capabilities cannot be given up")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")


def prove(temp: str, memory_mb: int) -> dict[str, bool]:
    """Run against each wall and return which of them held; nothing is harmed where one does not."""
    return {
        "memory": _holds(lambda: bytearray(2 * memory_mb << 20), MemoryError),
        "files": all(_is_closed(path) for path in ("/etc/passwd", "/etc/hosts", f"/proc/{os.getppid()}/environ")),
        "writing": _is_locked(os.path.join(os.path.dirname(temp), ".probe")) and _is_locked("/tmp/.treadle-probe"),  # noqa: S108
        "network": _holds(lambda: socket.socket().close(), OSError),
        "processes": _cannot_fork(),
        "programs": _holds(lambda: os.execv("/nonexistent", ["/nonexistent"]), PermissionError),  # noqa: S606
        "signals": _holds(lambda: os.kill(os.getppid(), 0), PermissionError),
    }


def _holds(attempt: Callable[[], object], *expected: type[BaseException]) -> bool:
    try:
        attempt()
    except expected:
        return True
    except Exception:
        return False
    return False


def _is_closed(path: str) -> bool:
    """Return whether a file cannot be read; one that is not there counts as closed."""

    def read() -> None:
        with open(path, "rb") as file:
            file.read(1)

    return _holds(read, PermissionError, FileNotFoundError)


def _is_locked(path: str) -> bool:
    def write() -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)

    return _holds(write, PermissionError)


def _cannot_fork() -> bool:
    try:
        child = os.fork()
    except OSError:
        return True
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return False
