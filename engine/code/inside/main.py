"""The life of a caged process: put up the walls, then run one piece of work after the other."""

from __future__ import annotations

import io
import mimetypes
import os
import resource
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

import msgspec

from engine.code.frames import FILE, Done, Hello, Printed, Prove, Proven, Ready, Trouble, Work

from . import files
from .channel import Channel
from .user import OutOfTime, Unusable, compile_code, explain, find_main, takes_index
from .values import NotJson, Plain, kind_name
from .walls import keep_room, make_room, prove, raise_walls

_MOST_LINES: Final = 190
_LONGEST_LINE: Final = 2_000
_MOST_TOLD: Final = 100
"""How many items that failed are told with their line; the rest with their sentence only."""
_FORGOTTEN: Final = ("engine", "msgspec")


def main() -> None:
    """Serve until the pipe ends."""
    channel = Channel()
    hello = channel.read()
    if not isinstance(hello, Hello):
        return
    _settle_in(hello)
    up, down = raise_walls(hello)
    channel.send(Ready(up, down))
    compiled: OrderedDict[tuple[str, str], CodeType] = OrderedDict()
    while True:
        frame = channel.read()
        if isinstance(frame, Prove):
            channel.send(Proven(prove(hello.temp, hello.memory_mb)))
        elif isinstance(frame, Work):
            done = _Call(frame, channel, compiled).run()
            done.cpu_s = _used()
            text, done.items = done.items or b"[]", b""
            done.size = len(text)
            channel.send(done)
            channel.send_bytes(text)


def _settle_in(hello: Hello) -> None:
    """Make the process look like a plain Python to the code: its own temp folder, its packages, nothing of ours."""
    os.chdir(hello.temp)
    os.environ.clear()
    os.environ.update(TMPDIR=hello.temp, HOME=hello.temp, TZ="UTC", LANG="C.UTF-8")
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    sys.path[:] = [*hello.paths, *sys.path[2:]]
    sys.argv[:] = ["code"]
    for name in [name for name in sys.modules if name.partition(".")[0] in _FORGOTTEN]:
        del sys.modules[name]
    sys.stdin = io.StringIO("")
    mimetypes.init([])  # else it would look into files of the system that are behind the wall


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _Call:
    """One piece of work."""

    def __init__(self, work: Work, channel: Channel, compiled: OrderedDict[tuple[str, str], CodeType]) -> None:
        self._work, self._channel, self._compiled = work, channel, compiled
        self._plain = Plain(work.mark)

    def run(self) -> Done:
        """Return what came of it; nothing that the code raises comes through."""
        work, channel = self._work, self._channel
        files.connect(channel)
        said, wrong = _Lines(channel, is_error=False), _Lines(channel, is_error=True)
        sys.stdout, sys.stderr = said, wrong
        keep_room(work.memory_mb)
        alarm = _Alarm(work.limit_s)
        try:
            try:
                done = self._work_off()
            finally:
                alarm.switch_off()
        except OutOfTime as error:
            done = Done(trouble=explain(error, work.source), is_out_of_time=True)
        except Unusable as error:
            done = Done(trouble=error.trouble)
        except NotJson as error:
            done = Done(trouble=Trouble(str(error), "NotJson"))
        except BaseException as error:
            done = Done(trouble=explain(error, work.source))
        for lines in (said, wrong):
            lines.close_line()
        files.connect(None)
        return done

    def _work_off(self) -> Done:
        work = self._work
        key = (work.source, work.per)
        code = self._compiled.get(key)
        if code is None:
            code = self._compiled[key] = compile_code(*key)
            if len(self._compiled) > 20:
                self._compiled.popitem(last=False)
        namespace: dict[str, Any] = {"__name__": "code", "__builtins__": __builtins__, "File": files.File}
        namespace["inputs"] = work.inputs if work.per == "batch" else None
        exec(code, namespace)  # noqa: S102 - this process is the cage for it
        main = find_main(namespace, work.source, work.per)
        items = self._items()
        return self._batch(main, items) if work.per == "batch" else self._each(main, items, namespace)

    def _items(self) -> list[dict[str, Any]]:
        arrived = [files.File.arrived(number, handle) for number, handle in enumerate(self._work.files)]

        def file(code: int, data: memoryview) -> files.File:
            assert code == FILE
            return arrived[int.from_bytes(data, "big")]

        decoder = msgspec.msgpack.Decoder(list[dict[str, Any]], ext_hook=file)
        return decoder.decode(self._work.items)

    def _batch(self, main: Callable[..., Any], items: list[dict[str, Any]]) -> Done:
        known = {id(item): index for index, item in enumerate(items)}
        kept = list(items)  # so that no identity is given twice
        result = main(items)
        if result is None:
            result = []
        if isinstance(result, dict):
            result = [result]
        if not isinstance(result, list | tuple):
            raise NotJson(f"The code has to hand back a list of items; this is {kind_name(result)}.")
        origins: list[int] = []
        made = []
        for index, item in enumerate(result):
            if not isinstance(item, dict):
                raise NotJson(f"Item {index + 1} is {kind_name(item)}, not an object. Hand back {{'value': …}}.")
            try:
                made.append(self._plain.item(item))
            except NotJson as error:
                raise NotJson(f"Item {index + 1}: {error}") from None
            origins.append(known.get(id(item), -1))
        del kept
        is_known = -1 not in origins
        return Done(self._encoded(made), origins=origins if is_known else None, files=self._plain.has_files)

    def _each(self, main: Callable[..., Any], items: list[dict[str, Any]], namespace: dict[str, Any]) -> Done:
        work, inputs = self._work, self._work.inputs
        with_index = takes_index(main)
        made: list[dict[str, Any]] = []
        counts: list[int] = []
        failed: list[tuple[int, Trouble]] = []
        for index, item in enumerate(items):
            before = len(made)
            try:
                if inputs is not None:
                    namespace["inputs"] = inputs[index]
                result = main(item, work.first + index) if with_index else main(item)
                if type(result) is dict:
                    made.append(self._plain.item(result))
                else:
                    made.extend(self._several(result))
            except NotJson as error:
                failed.append((index, Trouble(str(error), "NotJson")))
            except (Exception, SystemExit) as error:
                if len(failed) < _MOST_TOLD:
                    failed.append((index, explain(error, work.source)))
                else:
                    failed.append((index, Trouble(f"{type(error).__name__}: {error}"[:200], type(error).__name__)))
            if failed and failed[-1][0] == index:
                del made[before:]
                if work.stops_at_failure:
                    counts.append(0)
                    break
            counts.append(len(made) - before)
        is_even = not failed and all(count == 1 for count in counts)
        return Done(self._encoded(made), counts=None if is_even else counts, failed=failed, files=self._plain.has_files)

    def _several(self, result: Any) -> list[dict[str, Any]]:
        if result is None:
            return []
        if isinstance(result, dict):
            return [self._plain.item(result)]
        if isinstance(result, list | tuple):
            for entry in result:
                if not isinstance(entry, dict):
                    raise NotJson(f"The list has {kind_name(entry)} in it; it may hold items, which are objects.")
            return [self._plain.item(entry) for entry in result]
        raise NotJson(f"The code has to hand back an item or a list of items; this is {kind_name(result)}.")

    def _encoded(self, items: list[dict[str, Any]]) -> bytes:
        make_room()
        try:
            return msgspec.json.encode(items)
        except (TypeError, ValueError, OverflowError, UnicodeError) as error:
            raise NotJson(f"What was handed back cannot be written as JSON: {error}.") from None


class _Alarm:
    """Raises `OutOfTime` in the code when its time is up, and never after it was switched off."""

    def __init__(self, seconds: float) -> None:
        self._is_on = True
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def switch_off(self) -> None:
        self._is_on = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: Any) -> None:
        if self._is_on:
            raise OutOfTime


class _Lines(io.TextIOBase):
    """Where the code prints to: whole lines go to the engine at once, so that they are there even when the process ends."""

    def __init__(self, channel: Channel, *, is_error: bool) -> None:
        self._channel, self._is_error = channel, is_error
        self._begun = ""
        self._sent = self._dropped = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        *lines, rest = text.split("\n")
        for line in lines:
            self._line(self._begun + line)
            self._begun = ""
        if len(self._begun) < _LONGEST_LINE:
            self._begun += rest[:_LONGEST_LINE]
        return len(text)

    def close_line(self) -> None:
        """Send what stands in an unfinished line, and how many lines were left out."""
        if self._begun:
            self._line(self._begun)
            self._begun = ""
        if self._dropped:
            self._channel.send(Printed(f"… and {self._dropped:,} more lines", is_error=self._is_error))

    def _line(self, text: str) -> None:
        if self._sent >= _MOST_LINES:
            self._dropped += 1
            return
        self._sent += 1
        self._channel.send(Printed(text[:_LONGEST_LINE].encode(errors="replace").decode(), is_error=self._is_error))
