"""
One caged process, seen from outside: started, spoken with over two pipes, ended.

All of it blocks and is called in a thread of the pool; `kill` may be called from any thread at any time and makes whatever
waits for the process return. Nothing the process says is trusted: its frames have a type and a longest length, and what does
not fit ends it.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from engine.errors import StoreError

from .frames import HEAD, Bytes, Done, FromCage, Hello, Made, Need, Printed, Prove, Proven, Ready, Work

GRACE: Final = 0.25
"""How many seconds after its time the process is killed, when the code itself could not be stopped."""
_LOOK: Final = 0.1
_START: Final = 20.0
_MOST_FILES: Final = 1_000
_PIPE: Final = 1 << 20
_F_SETPIPE_SZ: Final = 1031
_SMALL: Final = 1 << 16
_BOOT: Final = "import sys; sys.path[:0] = sys.argv[1:3]; from engine.code.inside.main import main; main()"

OpenFile = Callable[[int], IO[bytes]]
"""Opens the file with that number for reading."""


class Gone(Exception):
    """The process is not there any more; the text says why in words that follow “The code”."""


class OutOfTime(Gone):
    """It took longer than it may."""


class CageProcess:
    """
    A process that waits for `Hello`, puts up its walls, and then does one piece of work after the other.

    `folder` is where its temp folder is made. Raises `StoreError` when no process can be started.
    """

    def __init__(self, folder: Path) -> None:
        self.calls = 0
        self.cpu_s = 0.0
        self._most_mb = self._disk_mb = 64
        self._why = ""
        self.temp = _make_temp(folder)
        root = str(Path(__file__).parents[2])
        libraries = str(Path(msgspec.__file__).parents[1])
        python = getattr(sys, "_base_executable", None) or sys.executable
        command = [python, "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT, root, libraries]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own words
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"LANG": "C.UTF-8"},
                cwd=self.temp,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            shutil.rmtree(self.temp, ignore_errors=True)
            raise StoreError(
                f"No process for code can be started: {error.strerror or error}.",
                hint="The machine may be short of memory or processes.",
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        for handle in (self._to, self._from):
            os.set_blocking(handle, False)
            _widen(handle)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(FromCage).decode

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def hello(self, hello: Hello) -> Ready:
        """Let it put up its walls; returns which ones stand. Raises `Gone`."""
        self._most_mb, self._disk_mb = hello.memory_mb, hello.disk_mb
        until = time.monotonic() + _START
        try:
            self._send(hello, until)
            answer = self._receive(until)
        except Gone as gone:
            raise Gone(f"{gone} {self._last_words()}".strip()) from None
        if not isinstance(answer, Ready):
            raise self._nonsense()
        return answer

    def prove(self) -> Proven:
        """Let it run against its walls; returns which held. Raises `Gone`."""
        until = time.monotonic() + _START
        self._send(Prove(), until)
        answer = self._receive(until)
        if not isinstance(answer, Proven):
            raise self._nonsense()
        return answer

    def work(self, work: Work, *, on_print: Callable[[Printed], None], open_file: OpenFile, made: list[Made]) -> Done:
        """
        Let it do one piece of work; what it makes is added to `made`. Raises `Gone`, also when it was killed meanwhile.
        """
        self.calls += 1
        until = time.monotonic() + work.limit_s + GRACE
        most, size = self._most_mb << 20, 0
        opened: dict[int, IO[bytes]] = {}
        try:
            self._send(work, until)
            while True:
                match answer := self._receive(until):
                    case Done():
                        self.cpu_s = answer.cpu_s
                        if not 0 <= answer.size <= most:
                            raise self.end("handed back more than fits into its memory, and was ended.")
                        answer.items = bytes(self._exactly(answer.size, until))
                        return answer
                    case Printed():
                        on_print(answer)
                    case Made():
                        made.append(answer)
                        size += len(answer.data)
                        if len(made) > _MOST_FILES or size > most:
                            raise self.end("made more files than fit into its memory, and was ended.")
                    case Need():
                        self._send(Bytes(_part_of(opened, open_file, answer)), until)
                    case _:
                        raise self._nonsense()
        except (IndexError, OverflowError, ValueError):
            raise self._nonsense() from None
        finally:
            for file in opened.values():
                file.close()

    def tidy(self) -> None:
        """Empty its temp folder between two calls."""
        with os.scandir(self.temp) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)

    def kill(self) -> None:
        """End the process and all that belongs to it, at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, why: str) -> Gone:
        """Kill it and return the reason as an error."""
        self._why = self._why or why
        self.kill()
        return Gone(self._why)

    def close(self) -> None:
        """Kill it, wait until it is gone, and take away what it left."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self.temp, ignore_errors=True)

    # — frames —

    def _send(self, frame: Any, until: float) -> None:
        body = self._encode(frame)
        head = HEAD.pack(len(body))
        parts = [memoryview(head + body)] if len(body) < _SMALL else [memoryview(head), memoryview(body)]
        for part in parts:
            while part:
                try:
                    part = part[os.write(self._to, part) :]
                except BlockingIOError:
                    self._wait(self._to, select.POLLOUT, until)
                except BrokenPipeError:
                    raise self._gone() from None

    def _receive(self, until: float) -> Any:
        (length,) = HEAD.unpack(self._exactly(HEAD.size, until))
        if length > (self._most_mb << 20) + _PIPE:
            raise self.end("handed back more than fits into its memory, and was ended.")
        try:
            return self._decode(self._exactly(length, until))
        except msgspec.MsgspecError:
            raise self._nonsense() from None

    def _exactly(self, length: int, until: float) -> bytearray:
        data = bytearray(length)
        view, got = memoryview(data), 0
        while got < length:
            try:
                count = os.readv(self._from, [view[got:]])
            except BlockingIOError:
                self._wait(self._from, select.POLLIN, until)
                continue
            if count == 0:
                raise self._gone()
            got += count
        return data

    def _wait(self, handle: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(handle, event)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                self.end("took longer than it may.")
                raise OutOfTime("took longer than it may.")
            if poll.poll(min(left, _LOOK) * 1000):
                return
            if _size_of(self.temp) > self._disk_mb << 20:
                raise self.end(f"wrote more than {self._disk_mb} MB into its temp folder, and was ended.")

    def _gone(self) -> Gone:
        """Return why there is nobody at the other end."""
        if self._why:
            return Gone(self._why)
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return self.end("closed the door behind itself, and was ended.")
        if code >= 0:
            return Gone(f"ended its own process, with the code {code}.")
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        reason = {
            "SIGKILL": "was ended by the system, most likely for want of memory.",
            "SIGXCPU": "used up all the processor time it may use.",
            "SIGSEGV": "broke the interpreter (SIGSEGV), as libraries do that are short of memory.",
            "SIGSYS": "made a call to the system that the cage does not know, and was ended.",
        }
        return Gone(reason.get(name, f"was ended by the signal {name}."))

    def _nonsense(self) -> Gone:
        return self.end("answered in a way no code step does, and was ended.")

    def _last_words(self) -> str:
        """Return the end of what a process said that did not even start."""
        self.kill()
        assert self._process.stderr is not None
        lines = self._process.stderr.read(10_000).decode(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else ""


def _make_temp(folder: Path) -> str:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.path.realpath(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))
    except OSError as error:
        raise StoreError(
            f"There is no room for a temp folder in {folder}: {error.strerror or error}.",
            hint="Check the free space and the permissions of the data folder.",
        ) from error


def sweep(folder: Path) -> None:
    """Remove the temp folders of Treadles that are no more."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        pid = path.name.partition("-")[0]
        if pid.isdigit() and not _is_there(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _part_of(opened: dict[int, IO[bytes]], open_file: OpenFile, need: Need) -> bytes:
    if need.file not in opened:
        opened[need.file] = open_file(need.file)
    file = opened[need.file]
    file.seek(need.offset)
    return file.read(max(0, min(need.length, _PIPE)))


def _size_of(folder: str) -> int:
    """Return the bytes that lie in a folder; what vanishes meanwhile counts nothing."""
    total, folders = 0, [folder]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _widen(handle: int) -> None:
    """Let a pipe hold a megabyte, where that can be had."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, _F_SETPIPE_SZ, _PIPE)
