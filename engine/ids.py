"""Names that never collide, and sort by when they were given."""

from __future__ import annotations

import os
from datetime import datetime
from typing import NewType

WorkflowId = NewType("WorkflowId", str)
VersionId = NewType("VersionId", str)
NodeId = NewType("NodeId", str)
RunId = NewType("RunId", str)
FiringId = NewType("FiringId", str)


def new_id(kind: str, now: datetime) -> str:
    """
    Return `kind_` and 24 hex digits: 12 for the millisecond, 12 of chance.

    Ids of one kind sort by time, which keeps them together in the database's indexes (the idea of UUIDv7, RFC 9562 §5.7).
    """
    return f"{kind}_{int(now.timestamp() * 1000):012x}{os.urandom(6).hex()}"


def new_run_id(now: datetime) -> RunId:
    """Return a fresh run id."""
    return RunId(new_id("run", now))


def new_workflow_id(now: datetime) -> WorkflowId:
    """Return a fresh workflow id."""
    return WorkflowId(new_id("wf", now))


def new_firing_id(now: datetime) -> FiringId:
    """Return a fresh firing id."""
    return FiringId(new_id("fire", now))
