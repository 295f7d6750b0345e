"""
The form of the workflow document as JSON Schema (draft 2020-12), for editors and for other programs.

    python -m engine.model.schema > docs/reference/workflow.schema.json

The schema says what can be said without knowing the steps; `engine.steps.check` says the rest.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, get_args

from engine.model.decode import DOCUMENT_KEYS, FARTHEST, FORMAT, NAME_LENGTH, NODE_KEYS, RETRY_KEYS, SETTINGS_KEYS
from engine.model.decode_limits import MOST_RATES
from engine.model.limits import MOST_RUNS, PRIORITIES
from engine.model.schema_limits import limits_schema
from engine.model.tree import MAX_EDGES, MAX_NODES
from engine.model.words import ID_PATTERN, PORT_PATTERN
from engine.model.workflow import OnError, OnUncertain

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_END: Final = rf"{ID_PATTERN}(\.{PORT_PATTERN})?"
_PART: Final = r"[0-9]{1,12}(\.[0-9]{1,9})?\s?"


def document_schema() -> dict[str, Any]:
    """Return the schema; its order is fixed, so that the published file changes only when the format does."""
    keys = {
        "treadle": {"const": FORMAT, "description": "The version of the format; stands on the first line."},
        "name": {
            **_text("What people call the workflow."),
            "minLength": 1,
            "maxLength": NAME_LENGTH,
            "pattern": r"\S",
        },
        "description": _or_null(_text("What the workflow is for.")),
        "nodes": {
            "description": "The boxes on the canvas by their ids; an id stays for life.",
            "type": ["object", "null"],
            "propertyNames": {"pattern": f"^{ID_PATTERN}$"},
            "additionalProperties": {"$ref": "#/$defs/node"},
            "maxProperties": MAX_NODES,
        },
        "edges": {
            "description": "The lines: “source -> target”, or with ports “source.port -> target.port”.",
            "type": ["array", "null"],
            "items": {"$ref": "#/$defs/edge"},
            "maxItems": MAX_EDGES,
        },
        "settings": {"$ref": "#/$defs/settings"},
        "layout": {
            "description": "Where the boxes stand, apart from what they do.",
            "type": ["object", "null"],
            "propertyNames": {"pattern": f"^{ID_PATTERN}$"},
            "additionalProperties": {"$ref": "#/$defs/place"},
        },
    }
    return {
        "$schema": DIALECT,
        "title": "Treadle workflow",
        "description": "A workflow document, written as YAML or JSON.",
        "type": "object",
        "required": ["treadle", "name"],
        "additionalProperties": False,
        "properties": {key: keys[key] for key in DOCUMENT_KEYS},
        "$defs": {
            "node": _node(),
            "edge": {"type": "string", "pattern": rf"^\s*{_END}\s*(->|→)\s*{_END}\s*$"},
            "retry": _retry(),
            "settings": _settings(),
            **limits_schema(),
            "place": {
                "description": "[x, y] in canvas units.",
                "type": "array",
                "items": {"type": "integer", "minimum": -FARTHEST, "maximum": FARTHEST},
                "minItems": 2,
                "maxItems": 2,
            },
            "duration": {
                "description": "A duration such as 30s, 5m, 1h30m or 2d.",
                "type": "string",
                "pattern": r"^\s*(?=[0-9])"
                + "".join(rf"({_PART}{unit}\s?)?" for unit in ("w", "d", "h", "m", "s", "ms", "us"))
                + r"\s*$",
            },
        },
    }


def schema_text() -> str:
    """Return the published file."""
    return json.dumps(document_schema(), indent=2, ensure_ascii=False) + "\n"


def _node() -> dict[str, Any]:
    keys = {
        "title": _or_null(_text("What stands on the box; without it, the id in words.")),
        "note": _or_null(_text("A remark for people.")),
        "use": {**_text("The step this node uses, such as http.request."), "minLength": 1},
        "connection": _or_null(_text("The saved sign-in to use.")),
        "with": {"description": "The fields of the step.", "type": ["object", "null"]},
        "retry": _or_null({"$ref": "#/$defs/retry"}),
        "timeout": _or_null({"$ref": "#/$defs/duration"}),
        "on_error": _choice(
            get_args(OnError), "Failed items stop the run, leave by the error port, or are dropped and counted."
        ),
        "on_uncertain": _choice(get_args(OnUncertain), "What to do with a write nobody knows the end of, after a crash."),
        "run_on_empty": _flag("Whether the step runs although no items arrive."),
        "disabled": _flag("Whether the step is switched off."),
    }
    return {
        "description": "One box on the canvas.",
        "type": "object",
        "required": ["use"],
        "additionalProperties": False,
        "properties": {key: keys[key] for key in NODE_KEYS},
    }


def _retry() -> dict[str, Any]:
    duration = _or_null({"$ref": "#/$defs/duration"})
    keys = {
        "attempts": {
            "description": "All tries, the first included.",
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 1000,
        },
        "first": duration,
        "factor": {"description": "By how much each pause grows.", "type": ["number", "null"], "minimum": 1, "maximum": 100},
        "max": duration,
        "total": duration,
    }
    return {
        "description": "How often and how patiently to try again: pauses grow from first by factor up to max, within total.",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: keys[key] for key in RETRY_KEYS},
    }


def _settings() -> dict[str, Any]:
    keys = {
        "timezone": _or_null(_text("An IANA name such as Europe/Vienna; UTC without it.")),
        "concurrency": {
            "description": "How many runs may go at the same time; no limit without it.",
            "anyOf": [{"type": ["integer", "null"], "minimum": 1, "maximum": MOST_RUNS}, {"$ref": "#/$defs/concurrency"}],
        },
        "priority": {
            "description": "Of runs that wait, those of a higher priority go first.",
            "type": ["integer", "null"],
            "minimum": PRIORITIES[0],
            "maximum": PRIORITIES[1],
        },
        "timeout": _or_null({"$ref": "#/$defs/duration"}),
        "budget": {"$ref": "#/$defs/budget"},
        "rates": {
            "description": "How often hosts and connections may be called, by all runs together.",
            "type": ["array", "null"],
            "items": {"$ref": "#/$defs/rate"},
            "maxItems": MOST_RATES,
        },
        "on_failure": _or_null(_text("The workflow that is called with the failure.")),
        "keep": {
            "description": "How long runs that are over are kept; what is not said is left to the settings of Treadle.",
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                name: {"description": text, "type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000}
                for name, text in (
                    ("days", "Runs that ended so many days ago are removed."),
                    ("runs", "Only so many runs are kept, the newest."),
                    ("failed_days", "Runs that failed are removed after so many days."),
                    ("payload_days", "The data of runs is removed after so many days; the summary stays."),
                )
            },
        },
        "search": {**_flag("Whether what runs worked on can be searched for."), "default": True},
    }
    return {
        "description": "What holds for the whole workflow.",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key: keys[key] for key in SETTINGS_KEYS},
    }


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string"}


def _flag(description: str) -> dict[str, Any]:
    return {"description": description, "type": ["boolean", "null"], "default": False}


def _choice(words: tuple[str, ...], description: str) -> dict[str, Any]:
    return {"description": description, "enum": [*words, None], "default": words[0]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An empty value counts as not written."""
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


if __name__ == "__main__":
    sys.stdout.write(schema_text())
