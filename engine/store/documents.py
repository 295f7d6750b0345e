"""
Documents as JSON text in a column.

The studio's own text form (`engine.model.codec`) is for people and may grow new spellings; this one is for the store alone, is
read a thousand times more often than it is written, and gives back exactly the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import orjson

from engine.ids import NodeId
from engine.model.limits import Budget, Concurrency, Rate
from engine.model.workflow import Document, Edge, Keep, Node, RetryPolicy, Settings

_MICROSECOND = timedelta(microseconds=1)


def document_text(document: Document) -> str:
    """Return the document as JSON; parts that hold their default are left out."""
    return orjson.dumps(
        {
            "name": document.name,
            "description": document.description,
            "nodes": [_node(node) for node in document.nodes.values()],
            "edges": [[edge.source, edge.target, edge.source_port, edge.target_port] for edge in document.edges],
            "settings": {
                "timezone": document.settings.timezone,
                **_limits(document.settings),
                "timeout": _length(document.settings.timeout),
                "on_failure": document.settings.on_failure,
                **_kept(document.settings),
            },
            "layout": document.layout,
        }
    ).decode()


def _kept(settings: Settings) -> dict[str, Any]:
    kept: dict[str, Any] = {} if settings.keep is None else {"keep": asdict(settings.keep)}
    return kept if settings.search else {**kept, "search": False}


def document_of(text: str) -> Document:
    """Return the document that `document_text` wrote."""
    data: dict[str, Any] = orjson.loads(text)
    settings = data["settings"]
    return Document(
        name=data["name"],
        description=data["description"],
        nodes={node.id: node for node in map(_node_of, data["nodes"])},
        edges=tuple(
            Edge(source=source, target=target, source_port=source_port, target_port=target_port)
            for source, target, source_port, target_port in data["edges"]
        ),
        settings=Settings(
            timezone=settings["timezone"],
            **_limits_of(settings),
            timeout=_length_of(settings["timeout"]),
            on_failure=settings["on_failure"],
            keep=Keep(**settings["keep"]) if "keep" in settings else None,
            search=settings.get("search", True),
        ),
        layout={NodeId(node): (place[0], place[1]) for node, place in data["layout"].items()},
    )


def _limits(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {"concurrency": settings.concurrency}
    if isinstance(settings.concurrency, Concurrency):
        found["concurrency"] = asdict(settings.concurrency)
    if settings.priority:
        found["priority"] = settings.priority
    if settings.budget is not None:
        found["budget"] = asdict(settings.budget)
    if settings.rates:
        found["rates"] = [{**asdict(rate), "per": _length(rate.per)} for rate in settings.rates]
    return found


def _limits_of(data: Mapping[str, Any]) -> dict[str, Any]:
    found, budget = data["concurrency"], data.get("budget")
    return {
        "concurrency": Concurrency(**found) if isinstance(found, dict) else found,
        "priority": data.get("priority", 0),
        "budget": None if budget is None else Budget(**budget),
        "rates": tuple(Rate(**{**rate, "per": _length_of(rate["per"])}) for rate in data.get("rates", ())),
    }


def _node(node: Node) -> dict[str, Any]:
    data: dict[str, Any] = {"id": node.id, "use": node.use, "fields": node.fields}
    optional = {
        "title": node.title,
        "note": node.note,
        "connection": node.connection,
        "retry": None if node.retry is None else _retry(node.retry),
        "timeout": _length(node.timeout),
        "on_error": None if node.on_error == "stop" else node.on_error,
        "on_uncertain": None if node.on_uncertain == "ask" else node.on_uncertain,
        "run_on_empty": node.run_on_empty or None,
        "disabled": node.disabled or None,
    }
    data.update((key, value) for key, value in optional.items() if value is not None)
    return data


def _node_of(data: Mapping[str, Any]) -> Node:
    retry = data.get("retry")
    return Node(
        id=data["id"],
        use=data["use"],
        fields=data["fields"],
        title=data.get("title"),
        note=data.get("note"),
        connection=data.get("connection"),
        retry=None if retry is None else _retry_of(retry),
        timeout=_length_of(data.get("timeout")),
        on_error=data.get("on_error", "stop"),
        on_uncertain=data.get("on_uncertain", "ask"),
        run_on_empty=data.get("run_on_empty", False),
        disabled=data.get("disabled", False),
    )


def _retry(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "attempts": policy.attempts,
        "first": _length(policy.first),
        "factor": policy.factor,
        "longest": _length(policy.longest),
        "total": _length(policy.total),
    }


def _retry_of(data: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        attempts=data["attempts"],
        first=timedelta(microseconds=data["first"]),
        factor=data["factor"],
        longest=timedelta(microseconds=data["longest"]),
        total=_length_of(data["total"]),
    )


def _length(length: timedelta | None) -> int | None:
    return None if length is None else length // _MICROSECOND


def _length_of(microseconds: int | None) -> timedelta | None:
    return None if microseconds is None else timedelta(microseconds=microseconds)
