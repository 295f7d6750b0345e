"""Names that never collide, and sort by when they were given."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import datetime
from typing import NewType

WorkflowId = NewType("WorkflowId", str)
VersionId = NewType("VersionId", str)
NodeId = NewType("NodeId", str)
RunId = NewType("RunId", str)
FiringId = NewType("FiringId", str)


def _fresh_chance() -> Callable[[], int]:
    """
    Return a source of 48 bits of chance, seeded by the system.

    It is asked several times per run; going to the system each time would give the processor away in the middle of it. Ids are
    no secrets: nothing may be guessed from them, and nothing is allowed to whoever knows one.
    """
    draw = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - see above
    return lambda: draw(48)


_chance = _fresh_chance()


def _renew() -> None:
    global _chance
    _chance = _fresh_chance()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


_last = (-1, 0)


def new_id(kind: str, now: datetime) -> str:
    """
    Return `kind_` and 24 hex digits: 12 for the millisecond, 12 of chance.

    Ids of one kind sort by time, which keeps them together in the database's indexes (the idea of UUIDv7, RFC 9562 §5.7). Those
    of one millisecond and one process sort in the order they were given (monotonic random, §6.2): who came first stands first.
    """
    global _last
    at, number = int(now.timestamp() * 1000), _chance()
    if at == _last[0]:
        number = _last[1] + 1 + (number & 0xFFFF)
    else:
        number >>= 1  # leaves room for two thousand million more
    _last = (at, number)
    return f"{kind}_{at:012x}{number:012x}"


def new_run_id(now: datetime) -> RunId:
    """Return a fresh run id."""
    return RunId(new_id("run", now))


def new_workflow_id(now: datetime) -> WorkflowId:
    """Return a fresh workflow id."""
    return WorkflowId(new_id("wf", now))


def new_firing_id(now: datetime) -> FiringId:
    """Return a fresh firing id."""
    return FiringId(new_id("fire", now))
