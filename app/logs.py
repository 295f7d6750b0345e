"""Where log lines go, and what never gets there."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

from engine.run.logs import RunFilter

HIDDEN: Final = "***"
_SECRETS: Final = (
    re.compile(r"\btrdl_[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/=]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=[?&])(?:token|key|api_key|launch|password|secret)=[^&\s\"']+"),
)
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return the text with everything that has the shape of a secret blotted out: tokens, passwords in URLs, JWTs."""
    for pattern in _SECRETS:
        text = pattern.sub(HIDDEN, text)
    return text


class Lines(logging.Formatter):
    """One line per record for people: time, level, message, then the facts as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line; a traceback follows it."""
        at = datetime.fromtimestamp(record.created, UTC)
        facts = "".join(f" {name}={value}" for name, value in facts_of(record).items())
        text = f"{at:%H:%M:%S} {record.levelname.lower():7} {record.name}: {record.getMessage()}{facts}"
        return redact(text + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""))


class JsonLines(logging.Formatter):
    """One JSON object per record for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted object."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, default=str, ensure_ascii=False))


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as `extra`, without what is empty."""
    return {name: value for name, value in vars(record).items() if name not in _OWN and value is not None}


def set_up_logs(level: str, *, as_json: bool = False) -> None:
    """Send every record from `level` on to standard error, redacted; uvicorn's own lines included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RunFilter())
    handler.setFormatter(JsonLines() if as_json else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "apscheduler"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
