"""
What can go wrong, said so that the reader knows what to do next.

    TreadleError
    ├── InvalidDocument      a workflow document with problems, all of them listed
    ├── BadRequest           a call from outside that makes no sense as it stands
    ├── NotFound             there is no such thing
    │   └── DataRemoved      the run is listed still, its data was taken away
    ├── Conflict             the thing changed under your feet, or the name is taken
    │   └── NoPlace          a limit of runs at the same time is reached
    ├── NotAllowed           who you are may not do this
    ├── TooLarge             over a limit that protects the machine
    ├── Busy                 more is waiting than is taken in       (again later)
    ├── StoreError           the database or the disk said no
    │   └── Damaged          what is stored cannot be read any more
    └── StepError            a step did not get its work done
        ├── BadInput         a field of the step has a value that cannot work
        ├── RateLimited      the service asked us to slow down        (again later)
        ├── Unavailable      the service is away or broken            (again later)
        ├── TimedOut         it took longer than it may               (again later)
        ├── SignInAgain      the connection is no longer accepted
        ├── Refused          the service understood and said no
        └── StepCrashed      a bug in the step; the cause is attached

`retryable` says whether trying again can help. `as_dict` is what every border shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from engine.model.problems import Problem


class TreadleError(Exception):
    """Something we foresaw; its text is a sentence for the person who reads it."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, where: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where: dict[str, object] = dict(where or {})

    def as_dict(self) -> dict[str, object]:
        """Return `{"code", "message", "hint", "where"}`, the form used by the API, the journal and the command line."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "where": self.where}


class InvalidDocument(TreadleError):
    """A workflow document that cannot be used; `problems` lists everything that is wrong with it."""

    code = "invalid_document"

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        first = problems[0].text if problems else "unknown"
        message = first if count == 1 else f"The workflow document has {count} problems. The first: {first}"
        super().__init__(message, hint=problems[0].hint if problems else None)
        self.problems = tuple(problems)
        self.where = {"problems": [problem.as_dict() for problem in problems]}


class BadRequest(TreadleError):
    """A call from outside that makes no sense as it stands."""

    code = "bad_request"


class NotFound(TreadleError):
    """There is no such thing."""

    code = "not_found"

    def __init__(self, kind: str, name: str, *, hint: str | None = None) -> None:
        super().__init__(f"There is no {kind} “{name}”.", hint=hint, where={"kind": kind, "name": name})


class DataRemoved(NotFound):
    """The run is listed still, but its data was taken away to keep the disk free."""

    code = "data_removed"

    def __init__(self, run_id: str, at: datetime) -> None:
        TreadleError.__init__(
            self,
            f"The data of this run was removed on {at:%Y-%m-%d}.",
            hint="How long data is kept is set by the workflow (settings.keep) and by this Treadle (keep_days, quota_mb).",
            where={"run": run_id, "removed_at": at.isoformat()},
        )


class Conflict(TreadleError):
    """The thing changed under your feet, or the name is taken."""

    code = "conflict"


class NoPlace(Conflict):
    """As many runs of the workflow or of the key are going as its `settings.concurrency` allows."""

    code = "no_place"


class NotAllowed(TreadleError):
    """Who you are may not do this."""

    code = "not_allowed"


class TooLarge(TreadleError):
    """Over a limit that protects the machine."""

    code = "too_large"


class Busy(TreadleError):
    """More is waiting than this Treadle takes in; `retry_after` is when to try again."""

    code = "busy"
    retryable = True

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        seconds = max(1, round(retry_after.total_seconds()))
        super().__init__(message, hint=f"Try again in {seconds} s.", where={"retry_after": seconds})
        self.retry_after = retry_after


class StoreError(TreadleError):
    """The database or the disk said no."""

    code = "store"


class Damaged(StoreError):
    """What is stored cannot be read any more; trying again does not help."""

    code = "damaged"


class StepError(TreadleError):
    """A step did not get its work done."""

    code = "step_failed"


class BadInput(StepError):
    """A field of the step has a value that cannot work."""

    code = "bad_input"

    def __init__(self, field: str, text: str, *, hint: str | None = None) -> None:
        super().__init__(text, hint=hint, where={"field": field})
        self.field = field


class RateLimited(StepError):
    """The service asked us to slow down; `retry_after` is how long, when it said so."""

    code = "rate_limited"
    retryable = True

    def __init__(self, service: str, *, retry_after: timedelta | None = None) -> None:
        wait = f" for {retry_after.total_seconds():.0f} s" if retry_after else ""
        super().__init__(f"{service} asked us to wait{wait}.")
        self.retry_after = retry_after


class Unavailable(StepError):
    """The service is away or broken; `retry_after` is how long to wait, when it said so."""

    code = "unavailable"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        hint: str | None = None,
        where: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.retry_after = retry_after


class TimedOut(StepError):
    """It took longer than it may."""

    code = "timed_out"
    retryable = True


class SignInAgain(StepError):
    """The connection is no longer accepted by the service."""

    code = "sign_in_again"


class Refused(StepError):
    """The service understood and said no; asking again will not change its mind."""

    code = "refused"


class StepCrashed(StepError):
    """A bug in the step; the exception that caused it is attached as `__cause__`."""

    code = "step_crashed"
