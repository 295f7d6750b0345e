"""Which run and which node a log line belongs to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from engine.ids import NodeId, RunId

RUN: ContextVar[RunId | None] = ContextVar("treadle_run", default=None)
NODE: ContextVar[NodeId | None] = ContextVar("treadle_node", default=None)

LONGEST_LINE: Final = 2_000
MOST_LINES: Final = 200

steps_log = logging.getLogger("treadle.step")


class RunFilter(logging.Filter):
    """Adds `run_id` and `node_id` to every record that is made while a step is at work; put it on a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known and let the record pass."""
        if not hasattr(record, "run_id"):
            record.run_id = RUN.get()
        if not hasattr(record, "node_id"):
            record.node_id = NODE.get()
        return True


class StepLog(logging.LoggerAdapter[logging.Logger]):
    """
    The log that an action writes to: each line goes to the program's log and, through `keep`, into the run's journal.

    A step keeps its first 200 lines of at most 2,000 characters; the program's log gets them all.
    """

    def __init__(self, keep: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(steps_log, {})
        self._keep = keep
        self._kept = 0

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Leave `extra` as the action gave it."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write one line."""
        if self._kept < MOST_LINES:
            self._kept += 1
            text = str(msg) % args if args else str(msg)
            line: dict[str, Any] = {"level": logging.getLevelName(level).lower(), "text": text[:LONGEST_LINE]}
            if extra := kwargs.get("extra"):
                line["details"] = {str(key): str(value)[:LONGEST_LINE] for key, value in extra.items()}
            self._keep(line)
        super().log(level, msg, *args, **kwargs)
