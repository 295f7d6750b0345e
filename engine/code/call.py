"""
One call of people's code: the items packed and sent, part by part, and what comes back made into items or a clear error.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import IO, Any, Final

import msgspec

from engine.errors import StepCrashed, TimedOut, TooLarge, TreadleError
from engine.model.items import Batch, File
from engine.steps.code import CodeFailed, CodeJob, CodeResult
from engine.steps.contract import Files

from .frames import Done, Made, Printed, Trouble, Work
from .packing import handles, pack, unpack
from .process import CageProcess, Gone, OutOfTime

AT_ONCE: Final = 5_000
"""How many items go in one frame, where the code sees them one at a time."""
LARGEST_MB: Final = 256


@dataclass(frozen=True, slots=True)
class Part:
    """
    The answer to one frame of items: what it says, the files that went in with it, and how they are marked.

    Of the files that were made, its own begin at `made`.
    """

    done: Done
    files: list[File]
    mark: str
    made: int


class Call:
    """One job on its way through a process; `work_off` blocks and runs in a thread."""

    def __init__(self, job: CodeJob, log: logging.LoggerAdapter[Any], files: Files) -> None:
        self._job, self._log, self._files = job, log, files
        self._made: list[Made] = []
        self._parts: list[Part] = []
        self._loop = asyncio.get_running_loop()
        self.is_well = True

    def work_off(self, process: CageProcess) -> list[Part]:
        """Send the items in, in parts where the code sees one at a time; returns what came back, part by part."""
        job, items = self._job, self._job.items
        step = AT_ONCE if job.per == "item" else max(1, len(items))
        left = job.limit.total_seconds()
        try:
            for first in range(0, len(items) or 1, step):
                part = items if step >= len(items) else items[first : first + step]
                began = monotonic()
                done = self._one(process, part, first, left)
                left -= monotonic() - began
                if done.trouble is not None or (done.failed and job.stops_at_failure):
                    break
                if left <= 0:
                    raise OutOfTime("took longer than it may.")
            process.tidy()
        except OutOfTime:
            self.is_well = False
            raise self._timed_out(None) from None
        except Gone as gone:
            self.is_well = False
            raise CodeFailed(f"The code {gone}", hint=_hint_for(str(gone), job)) from None
        except BaseException:
            self.is_well = False
            raise
        return self._parts

    def _one(self, process: CageProcess, items: Batch, first: int, left: float) -> Done:
        job = self._job
        data, files = pack(items)
        if len(data) > LARGEST_MB << 20:
            raise TooLarge(
                f"The items take {len(data) >> 20:,} MB, and {LARGEST_MB} MB at most go into a code step at a time.",
                hint="Let the code run per item, or split the batch before.",
            )
        inputs: Any = job.inputs
        if job.per == "item" and inputs is not None:
            inputs = inputs[first : first + len(items)]
        mark = secrets.token_hex(8)
        work = Work(
            source=job.source,
            per=job.per,
            items=msgspec.Raw(data),
            files=handles(files),
            mark=mark,
            limit_s=left,
            memory_mb=job.memory_mb,
            first=first,
            inputs=inputs,
            stops_at_failure=job.stops_at_failure,
        )
        made = len(self._made)
        done = process.work(work, on_print=self._on_print, open_file=partial(self._open, files), made=self._made)
        _check_done(done, job, len(items), process)
        self._parts.append(Part(done, files, mark, made))
        return done

    def _open(self, files: list[File], number: int) -> IO[bytes]:
        if number < 0:
            raise IndexError(number)
        return self._files.open(files[number])

    def _on_print(self, line: Printed) -> None:
        self._loop.call_soon_threadsafe(
            self._log.log, logging.WARNING if line.is_error else logging.INFO, "%s", _clean(line.text)
        )

    async def read(self, parts: list[Part]) -> CodeResult:
        """Return what came back, with the files that were made kept; raises what went wrong."""
        job = self._job
        made = [
            await self._files.keep(one.data, name=_clean(one.name[:200]) or "file", media_type=_clean(one.type[:100]))
            for one in self._made
        ]
        big = sum(len(part.done.items) for part in parts) > 100_000
        join = partial(_join, parts, made, job)
        items, counts, failed = await asyncio.to_thread(join) if big else join()
        last = parts[-1].done
        if (trouble := last.trouble) is not None:
            raise self._timed_out(trouble) if last.is_out_of_time else as_error(trouble)
        origins = last.origins if job.per == "batch" else None
        if origins is not None and len(origins) != len(items):
            raise _nonsense()
        return CodeResult(items=items, counts=counts, origins=origins, failed=failed)

    def _timed_out(self, trouble: Trouble | None) -> TreadleError:
        seconds = self._job.limit.total_seconds()
        error = TimedOut(
            f"The code took longer than {seconds:g} s"
            + (f", and was at line {trouble.line}." if trouble and trouble.line else "."),
            hint="Give it more time under “Time limit”, or let it do less.",
        )
        error.where = _place(trouble) if trouble else {"field": "code"}
        return error


def as_error(trouble: Trouble) -> CodeFailed:
    """Return what went wrong in the code as an error for people."""
    place = f"Line {trouble.line}: " if trouble.line else ""
    hint = _clean(trouble.hint[:500])
    return CodeFailed(_clean(f"{place}{trouble.message}"[:2_000]), hint=hint or None, where=_place(trouble))


def _place(trouble: Trouble) -> dict[str, object]:
    where: dict[str, object] = {"field": "code"}
    if trouble.line:
        where |= {"line": trouble.line, "source": _clean(trouble.source[:500])}
    if trouble.column and trouble.column <= 400:
        where |= {"column": trouble.column, "caret": _clean(trouble.caret[:500])}
    if trouble.trail:
        where["trail"] = [_clean(line[:200]) for line in trouble.trail[:5]]
    return where


def _join(parts: list[Part], made: list[File], job: CodeJob) -> tuple[Batch, list[int] | None, dict[int, TreadleError]]:
    """Put the parts together."""
    items: Batch = []
    counts: list[int] = []
    failed: dict[int, TreadleError] = {}
    first = 0
    is_even = True
    for part in parts:
        done = part.done
        try:
            found = unpack(done.items, part.files, made[part.made :], part.mark if done.files else "")
        except (ValueError, RecursionError) as error:
            raise StepCrashed(f"The code handed back something that is no list of items: {error}.") from None
        items = found if not items else items + found
        for index, trouble in done.failed:
            failed[first + index] = as_error(trouble)
        size = min(AT_ONCE, len(job.items) - first) if job.per == "item" else len(job.items)
        if done.counts is None:
            if job.per == "item" and done.trouble is None and len(found) != size:
                raise _nonsense()
            counts.extend([1] * size)
        else:
            is_even = False
            if sum(done.counts) != len(found) or min(done.counts, default=0) < 0:
                raise _nonsense()
            counts.extend(done.counts)
        first += size
    return items, None if is_even else counts, failed


def _check_done(done: Done, job: CodeJob, size: int, process: CageProcess) -> None:
    """Refuse an answer whose numbers cannot be; raises `Gone`."""
    is_sound = (
        (done.counts is None or len(done.counts) <= size)
        and (done.origins is None or all(0 <= index < size for index in done.origins))
        and all(0 <= index < size for index, _ in done.failed)
        and (
            done.trouble is not None
            or job.per == "batch"
            or done.counts is None
            or len(done.counts) == size
            or job.stops_at_failure
        )
    )
    if not is_sound:
        raise process.end("answered in a way no code step does, and was ended.")


def _clean(text: str) -> str:
    """Return a text without zero bytes, which not every store can keep."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _nonsense() -> StepCrashed:
    return StepCrashed("The code answered in a way no code step does.")


def _hint_for(why: str, job: CodeJob) -> str | None:
    if "memory" in why:
        return f"It may use {job.memory_mb} MB. Work on fewer items at a time, or give it more under “Memory”."
    if "processor time" in why:
        return "Give it more time under “Time limit”, or let it do less."
    return None
