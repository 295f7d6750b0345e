"""When to try again: exponential pauses with full jitter, and what the service itself asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from engine.errors import TreadleError
from engine.model.workflow import RetryPolicy

Chance = Callable[[], float]
"""Gives a number from 0 to 1, such as `random.random`."""


def pause_before(policy: RetryPolicy, attempt: int, chance: Chance = random.random) -> timedelta:
    """
    Return how long to wait after try number `attempt` failed: from nothing to first · factor^(attempt-1), at most `longest`.

    Full jitter, after M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """
    try:
        ceiling = policy.first.total_seconds() * policy.factor ** (attempt - 1)
    except OverflowError:
        ceiling = float("inf")
    return timedelta(seconds=min(ceiling, policy.longest.total_seconds()) * chance())


def next_try(
    policy: RetryPolicy | None,
    error: TreadleError,
    *,
    attempt: int,
    first_at: datetime,
    now: datetime,
    chance: Chance = random.random,
) -> datetime | None:
    """
    Return when to try again, None when that cannot help or is no longer allowed.

    The first try counts among `attempts`. A `retry_after` on the error is waited for even where it is longer than the policy's
    own longest pause; it is the next try's earliest moment. A try that would begin later than `total` after the first one
    is not made.
    """
    if policy is None or not error.retryable or attempt >= policy.attempts:
        return None
    pause = pause_before(policy, attempt, chance)
    asked: timedelta | None = getattr(error, "retry_after", None)
    if asked is not None:
        pause = max(pause, asked)
    at = now + pause
    if policy.total is not None and at - first_at > policy.total:
        return None
    return at
