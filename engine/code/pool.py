"""
The warm pool: processes that are up and wait for work.

A process belongs to one workflow with one set of limits from its first call on, and is ended after `CALLS` calls, after a
failure that left it in doubt, and when another workflow needs its place. One spare process without an owner is kept ready, so
that the next workflow need not wait for an interpreter to start.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from engine.errors import NotAllowed, TreadleError, Unavailable
from engine.steps.code import CodeJob, CodeResult, Wall
from engine.steps.contract import Files

from .call import Call
from .frames import Hello
from .packages import Packages
from .process import CageProcess, Gone, sweep
from .report import describe_walls

log = logging.getLogger(__name__)

CALLS: Final = 1_000
DISK_MB: Final = 256
UNSUPPORTED: Final = "Code steps need Linux or macOS, and a Treadle that was installed with Python."
_CPU_TO_SPARE: Final = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """What makes two calls share a process: the owner, and all that its walls depend on."""

    owner: str
    memory_mb: int
    cpu_s: int
    network: bool
    packages: tuple[str, ...]


class CodePool:
    """
    Runs code in caged processes, `most` at a time; implements `engine.steps.code.CodeRunner`.

    `folder` holds the temp folders. Without `is_allowed` every call is refused. `start` and `stop` may be called twice; after
    `stop` no process is left.
    """

    def __init__(
        self,
        folder: Path,
        packages: Packages,
        *,
        is_allowed: bool = True,
        most: int = 0,
        calls: int = CALLS,
        idle: timedelta = timedelta(minutes=2),
    ) -> None:
        self.is_allowed = is_allowed
        self._folder, self._packages = folder, packages
        self._most = most or max(2, os.cpu_count() or 2)
        self._calls, self._idle_s = calls, idle.total_seconds()
        self._free: list[tuple[Cell, CageProcess, float]] = []
        self._busy: set[CageProcess] = set()
        self._spare: CageProcess | None = None
        self._spare_task: asyncio.Task[None] | None = None
        self._turn: asyncio.Semaphore | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._walls: Sequence[Wall] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # — start and stop —

    async def start(self) -> None:
        """Clear away what an earlier life left; processes start when they are first needed."""
        if self._threads is None:
            await asyncio.to_thread(sweep, self._folder)
            self._open()

    def _open(self) -> ThreadPoolExecutor:
        # Threads of its own: work that takes its time must not hold up those that others share. And one pool's threads live as
        # long as the pool, which a process that is tied to the thread it was started by depends on.
        self._threads = ThreadPoolExecutor(self._most + 2, thread_name_prefix="code")
        self._turn = asyncio.Semaphore(self._most)
        return self._threads

    async def stop(self) -> None:
        """End every process and return when they are gone."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        await self._packages.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._spare_task is not None:
            with suppress(TreadleError, asyncio.CancelledError):
                await self._spare_task
            self._spare_task = None
        for process in self._busy:
            process.kill()
        left = [process for _, process, _ in self._free]
        if self._spare is not None:
            left.append(self._spare)
        self._free, self._spare = [], None
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, process.close) for process in left))
        await asyncio.to_thread(threads.shutdown)

    @property
    def processes(self) -> int:
        """How many processes are up."""
        return len(self._free) + len(self._busy) + (self._spare is not None)

    # — what steps ask for —

    async def run(self, job: CodeJob, *, owner: str, log: logging.LoggerAdapter[Any], files: Files) -> CodeResult:
        """Run the code; see `CodeRunner.run`."""
        self._check(job)
        paths = await self._packages.get(job.packages) if job.packages else ()
        threads = self._threads or self._open()
        assert self._turn is not None
        seconds = job.limit.total_seconds()
        cell = Cell(owner, job.memory_mb, math.ceil(seconds) * 2 + _CPU_TO_SPARE, job.network, job.packages)
        call = Call(job, log, files)
        async with self._turn:
            process = await self._take(cell, paths, threads)
            self._busy.add(process)
            is_well = False
            try:
                answer = await _in_thread(threads, partial(call.work_off, process), process)
                is_well = call.is_well and process.calls < self._calls and process.cpu_s + seconds + 1 < cell.cpu_s
            finally:
                self._busy.discard(process)
                self._give_back(cell, process, threads, is_well=is_well)
        return await call.read(answer)

    async def walls(self) -> Sequence[Wall]:
        """Return which promises are kept here; a process runs against its own walls once, and the answer is kept."""
        if self._walls is None:
            threads = self._threads or self._open()
            self._walls = await asyncio.get_running_loop().run_in_executor(threads, try_walls, self._folder)
        return self._walls

    def _check(self, job: CodeJob) -> None:
        if not self.is_allowed:
            raise NotAllowed(
                "Code steps are switched off in this Treadle.",
                hint="Its owner can switch them on: allow_code = true in treadle.toml.",
            )
        if not is_supported():
            raise NotAllowed(UNSUPPORTED, hint="Use expressions, or another machine.")

    # — processes —

    async def _take(self, cell: Cell, paths: Sequence[str], threads: ThreadPoolExecutor) -> CageProcess:
        for number, (known, process, _) in enumerate(self._free):
            if known == cell:
                del self._free[number]
                if process.is_alive:
                    return process
                await asyncio.get_running_loop().run_in_executor(threads, process.close)
                break
        spare, self._spare = self._spare, None
        began = asyncio.get_running_loop().run_in_executor(threads, self._move_in, spare, cell, paths)
        try:
            process = await asyncio.shield(began)
        except asyncio.CancelledError:
            began.add_done_callback(partial(_close_result, threads))
            raise
        except Gone as gone:
            raise Unavailable(f"A process for code could not be made ready. It {gone}") from None
        self._make_spare(threads)
        return process

    def _move_in(self, spare: CageProcess | None, cell: Cell, paths: Sequence[str]) -> CageProcess:
        """Make a process that of a cell; blocks."""
        if spare is not None and not spare.is_alive:
            spare.close()
            spare = None
        process = spare or CageProcess(self._folder)
        hello = Hello(
            temp=process.temp,
            memory_mb=cell.memory_mb,
            disk_mb=DISK_MB,
            cpu_s=cell.cpu_s,
            network=cell.network,
            threads=bool(cell.packages),
            readable=list(paths),
            paths=list(paths),
        )
        try:
            process.hello(hello)
        except BaseException:
            process.close()
            raise
        return process

    def _give_back(self, cell: Cell, process: CageProcess, threads: ThreadPoolExecutor, *, is_well: bool) -> None:
        leaving = []
        if is_well and self._threads is threads:
            self._free.append((cell, process, monotonic()))
            while len(self._free) + len(self._busy) > self._most:
                leaving.append(self._free.pop(0)[1])
            self._set_timer()
        else:
            leaving.append(process)
        for one in leaving:
            _close_aside(threads, one)

    def _make_spare(self, threads: ThreadPoolExecutor) -> None:
        if self._spare is not None or self._spare_task is not None or self._threads is None:
            return

        async def make() -> None:
            try:
                spare = await asyncio.get_running_loop().run_in_executor(threads, CageProcess, self._folder)
            except TreadleError:
                log.warning("no spare process for code could be started")
                return
            finally:
                self._spare_task = None
            self._spare = spare

        self._spare_task = asyncio.create_task(make(), name="code spare")

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle_s, self._retire)

    def _retire(self) -> None:
        """End processes that nobody has asked for in a while."""
        self._timer = None
        threads = self._threads
        if threads is None:
            return
        before = monotonic() - self._idle_s
        old = [process for _, process, since in self._free if since <= before]
        self._free = [entry for entry in self._free if entry[2] > before]
        for process in old:
            _close_aside(threads, process)
        if self._free:
            self._set_timer()


def try_walls(folder: Path) -> Sequence[Wall]:
    """Start a process in that folder, let it run against its walls, and return which held; blocks for a tenth of a second."""
    if not is_supported():
        return describe_walls({}, {"start": UNSUPPORTED})
    process = None
    try:
        process = CageProcess(folder)
        ready = process.hello(Hello(process.temp, 256, 16, 60))
        return describe_walls(process.prove().held, ready.down)
    except Gone as gone:
        return describe_walls({}, {"start": f"The process {gone}"})
    except TreadleError as error:
        return describe_walls({}, {"start": error.message})
    finally:
        if process is not None:
            process.close()


def is_supported() -> bool:
    """Return whether this system can run code steps at all."""
    return sys.platform != "win32" and not getattr(sys, "frozen", False)


async def _in_thread(threads: ThreadPoolExecutor, work: Any, process: CageProcess) -> Any:
    """Await blocking work; when this is cancelled, the process is killed and the thread has let go before it goes on."""
    future = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        process.kill()
        with suppress(Exception):
            await asyncio.wait({future})
            future.exception()
        raise


def _close_result(threads: ThreadPoolExecutor, future: asyncio.Future[CageProcess]) -> None:
    """End a process that nobody waits for any more."""
    if not future.cancelled() and future.exception() is None:
        _close_aside(threads, future.result())


def _close_aside(threads: ThreadPoolExecutor, process: CageProcess) -> None:
    """Kill a process now and clear up after it in a thread, or here when the pool has been stopped meanwhile."""
    process.kill()
    try:
        threads.submit(process.close)
    except RuntimeError:
        process.close()
