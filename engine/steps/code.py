"""What a step that runs people's code asks for, and what it gets: the border between `code.python` and the cage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from logging import LoggerAdapter
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engine.errors import StepError, TreadleError
from engine.model.items import Batch

if TYPE_CHECKING:
    from engine.steps.contract import Files

Per = Literal["item", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeJob:
    """
    One call of people's code.

    `source` defines `main`, or is its body. `inputs` are values from elsewhere: one object per item, or one for the batch.
    `limit` is for all items together. With `stops_at_failure` no further item is begun once one failed.
    """

    source: str
    per: Per
    items: Batch
    inputs: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    limit: timedelta = timedelta(seconds=30)
    memory_mb: int = 512
    packages: tuple[str, ...] = ()
    network: bool = False
    stops_at_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeResult:
    """
    What came of it: all items in order, and how they hang together with those that went in.

    Per item, `counts` says how many each gave (None: one each). Per batch, `origins` says which item each is, where the code
    handed on the very objects it was given (None: not known). `failed` are the items that failed, with their error.
    """

    items: Batch
    counts: Sequence[int] | None = None
    origins: Sequence[int] | None = None
    failed: Mapping[int, TreadleError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wall:
    """One promise of the cage: its name, whether it is kept on this machine, and what that means in a sentence."""

    name: str
    is_up: bool
    text: str


class CodeRunner(Protocol):
    """Where code runs; one for the whole program. Without `is_allowed` every call is refused."""

    is_allowed: bool

    async def run(self, job: CodeJob, *, owner: str, log: LoggerAdapter[Any], files: Files) -> CodeResult:
        """
        Run the code in a cage of that owner (a workflow) and return what came of it; what it prints goes to `log`.

        Raises `CodeFailed` for what the code did wrong, `TimedOut` when its time was up, `NotAllowed` where code or packages
        are switched off. When it is cancelled, the process is gone before it returns.
        """

    async def walls(self) -> Sequence[Wall]:
        """Return which promises are kept on this machine, found out by trying."""


class CodeFailed(StepError):
    """
    People's code went wrong; `where` has the line, the column, the line's text (`source`) and carets below the place.

    `retryable` is False: the same code does the same again.
    """

    code = "code_failed"
