"""
What a failure is at heart: the cause that many failures share.

A cause is the step (its kind, such as `http.request`), the status a service answered with, the code of the error, and its
message with everything masked that differs from case to case:

    http://… and other addresses   ‹url›
    somebody@example.com           ‹email›
    "…", “…”, '…', `…`, «…»        ‹value›
    2026-11-23T12:00:00Z, 12:30    ‹date›
    550e8400-e29b-…, ORD-2024-17   ‹id›     (any word with a digit in it that is no number)
    17, -3.5, 1,000, 12 %          ‹n›

So “Order "A-17" has no total.” and “Order "B-9" has no total.” are one cause. What is masked once stays as it is, no digit is
left, and a text that is masked is never longer than `LONGEST`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

LONGEST: Final = 300
READ: Final = 1_000
"""How much of a message is looked at."""

_MASKS: Final = (
    ("url", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s\"'<>“”‘’`«»‹›]+"),
    ("email", r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"),
    ("value", r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|‘[^’]*’|«[^»]*»|`[^`]*`|(?<!\w)'[^']*'(?!\w)"),
    (
        "date",
        r"(?<![\w-])\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\w-])"
        r"|(?<![\w.])\d{1,2}[./]\d{1,2}[./]\d{2,4}(?![\w.])|(?<!\w)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?!\w)",
    ),
    ("n", r"(?<![\w.])[-+]?\d+(?:[.,'’\u00a0\u202f_]\d+)*(?:[eE][-+]?\d+)?(?:\s?%)?(?![\w-])"),
    ("id", r"(?=[\w.:-]*\d)\w[\w.:-]*\w|\d"),
)
_PATTERN: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _MASKS))
_SPACE: Final = re.compile(r"\s+")
_DIGIT: Final = re.compile(r"\d+")
_AGAIN: Final = re.compile(r"‹(\w+)›(?:[\s.,:;/-]*‹\1›)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why runs failed: `step` is the kind of the step ("" where no step is to blame), `status` what a service answered with."""

    step: str
    code: str
    status: str
    message: str

    @property
    def id(self) -> str:
        """A name made of the cause itself: the same cause has the same name on every machine."""
        said = orjson.dumps([self.step, self.code, self.status, self.message])
        return f"cause_{hashlib.sha256(said).hexdigest()[:24]}"


def cause_of(error: Mapping[str, Any] | None, step: str = "") -> Cause:
    """Return the cause of a run's error (its `as_dict()`), which a step of the kind `step` raised."""
    error = error or {}
    where = error.get("where")
    status = where.get("status") if isinstance(where, Mapping) else None
    return Cause(
        step=step,
        code=str(error.get("code") or "error"),
        status=str(status) if isinstance(status, int) and not isinstance(status, bool) else "",
        message=masked(str(error.get("message") or "")),
    )


def masked(message: str) -> str:
    """Return a message without what differs from case to case; see above. Masking what is masked changes nothing."""
    text = _SPACE.sub(" ", message[:READ].replace("\0", " ").encode("utf-8", "replace").decode()).strip()
    text = _PATTERN.sub(lambda found: f"‹{found.lastgroup}›", text)
    text = _DIGIT.sub("‹n›", text)
    text = _SPACE.sub(" ", _AGAIN.sub(r"‹\1›", text)).strip()
    return text if len(text) <= LONGEST else _cut(text)


def _cut(text: str) -> str:
    """Cut a text, and not in the middle of a mask."""
    head = text[: LONGEST - 1]
    opened = head.rfind("‹")
    if opened > head.rfind("›"):
        head = head[:opened]
    return head.rstrip() + "…"
