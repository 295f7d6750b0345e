"""The limits under `settings` as JSON Schema."""

from __future__ import annotations

from typing import Any, get_args

from engine.model.decode_limits import BUDGET_KEYS, CONCURRENCY_KEYS, MOST, RATE_KEYS
from engine.model.limits import MOST_RUNS, WhenFull


def limits_schema() -> dict[str, Any]:
    """Return the definitions `concurrency`, `budget`, `rate` and `size`."""
    concurrency = {
        "limit": _count("How many runs may go at the same time, or how many of each key.", 1, MOST_RUNS, or_null=False),
        "key": _text("A template over the first item of a run; the limit is for each of its values."),
        "total": _count("How many runs of the workflow may go at the same time, whatever their keys.", 1, MOST_RUNS),
        "when_full": {
            "description": "A run that finds no place waits, is dropped, or takes the place of the oldest.",
            "enum": [*get_args(WhenFull), None],
            "default": "queue",
        },
    }
    budget = {
        "items": _count("How many items may leave all steps together.", 1, MOST),
        "bytes": _size("How much data may leave all steps together.", 1),
        "minutes": {
            "description": "How long all steps together may take.",
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1_000_000,
        },
        "calls": _count("How many requests may go out.", 0, MOST),
    }
    rate = {
        "host": _text("The host, such as api.example.com; * is each host by itself."),
        "connection": _text("The connection."),
        "rate": {
            "description": "Such as 10 per second or 100 per minute.",
            "type": "string",
            "pattern": r"^\s*0*[1-9][0-9]{0,8}\s*(per|/|a|an)\s*(second|minute|hour|day|s|min|h|d)\s*$",
        },
        "burst": _count("How many calls may come at once after a pause.", 1, 1_000_000),
    }
    return {
        "concurrency": _object(
            "How many runs may go at the same time.", concurrency, CONCURRENCY_KEYS, ["limit"], or_null=False
        ),
        "budget": _object("What one run may use before it is ended.", budget, BUDGET_KEYS, []),
        "rate": _object("How often a host or a connection may be called.", rate, RATE_KEYS, ["rate"], or_null=False),
    }


def _object(
    text: str, keys: dict[str, Any], order: tuple[str, ...], required: list[str], *, or_null: bool = True
) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": text, "type": ["object", "null"] if or_null else "object"}
    if required:
        schema["required"] = required
    return {**schema, "additionalProperties": False, "properties": {key: keys[key] for key in order}}


def _text(text: str) -> dict[str, Any]:
    return {"description": text, "type": ["string", "null"]}


def _count(text: str, least: int, most: int, *, or_null: bool = True) -> dict[str, Any]:
    return {"description": text, "type": ["integer", "null"] if or_null else "integer", "minimum": least, "maximum": most}


def _size(text: str, least: int) -> dict[str, Any]:
    return {
        "description": text,
        "anyOf": [
            {"type": ["integer", "null"], "minimum": least},
            {"type": "string", "pattern": r"^\s*[0-9]{1,15}(\.[0-9]{1,6})?\s*[kKMGT]?B\s*$"},
        ],
    }
