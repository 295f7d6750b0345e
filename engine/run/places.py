"""The place of a run in line: which line, which key, and what becomes of it when there is no room."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.clock import Clock
from engine.errors import BadInput, TreadleError
from engine.expressions import compile_template
from engine.expressions.values import to_json_value
from engine.ids import RunId
from engine.model.items import Batch
from engine.model.run import Run

from .planner import Plan
from .queue import Place
from .scope import run_scope

LONGEST_KEY: Final = 200


def lease_key(run: Run, plan: Plan, items: Batch, clock: Clock) -> str:
    """
    Return what the workflow's limit counts the run by; "" where it has no key, or the key is nothing.

    Raises `BadInput` that names the setting when the key cannot be computed.
    """
    limits = plan.document.settings.limits
    if limits is None or limits.key is None:
        return ""
    scope: dict[str, Any] = {
        **run_scope(run, plan, None),
        "$now": clock.now,
        "items": items,
        "item": items[0] if items else None,
        "index": 0,
    }
    try:
        value = to_json_value(compile_template(limits.key).render(scope))
    except TreadleError as error:
        raise BadInput(
            "settings.concurrency.key",
            f"The key of the workflow's limit cannot be computed: {error.message}",
            hint=error.hint or "Use ?? to give a value where a field may be missing.",
        ) from error
    return short_key(value)


def short_key(value: object) -> str:
    """Return a key as text without zero bytes; a long one is cut, and told from its like by a hash."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()
    if len(text) <= LONGEST_KEY and "\0" not in text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[:LONGEST_KEY].replace(chr(0), ' ')}…{digest}"


def place_of(run: Run, plan: Plan) -> Place:
    """Return where a run stands in line."""
    return Place.of(run.line, run.lease_key, run.id, run.priority, plan.document.settings.limits)


def dropped_error(run: Run) -> Mapping[str, Any]:
    """Return what a run says that found no place and was not to wait."""
    return _told(
        "dropped",
        f"The run was not started: as many runs {_of(run)} are going as the workflow allows.",
        "“when_full: queue” lets such runs wait; a higher “limit” lets more go at a time.",
        {},
    )


def superseded_error(run: Run, by: RunId) -> Mapping[str, Any]:
    """Return what a run says whose place a newer one took."""
    return _told(
        "superseded",
        f"The run was cancelled because a newer one {_of(run)} took its place.",
        "“when_full: queue” lets the newer one wait instead.",
        {"run": by},
    )


def _of(run: Run) -> str:
    return f"of the key “{run.lease_key}”" if run.lease_key else "of the workflow"


def _told(code: str, message: str, hint: str, where: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"code": code, "message": message, "hint": hint, "where": dict(where)}
