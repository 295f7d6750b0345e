"""
Canonical YAML: plain values become the one text that says them.

Short flat mappings and lists stand on one line, long or nested ones one entry a line, texts with several lines as `|` blocks. A
text stands bare only if no YAML of any age could take it for something else; every character that cannot be seen is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

WIDTH: Final = 100
"""How long a line may become before a mapping or list in braces is opened up; texts are never folded."""

FLOW_DEPTH: Final = 2
LONGEST_BARE: Final = 500
LONGEST_KEY: Final = 1000
"""YAML allows 1,024 characters up to the colon of a simple key."""

OPEN: Final = frozenset({(), ("nodes",), ("edges",), ("layout",)})
"""Sections that always stand one entry a line; nodes themselves too."""

_BARE: Final = re.compile(r"[^\W\d][\w+/.@-]*(?: (?:->|[\w+/@-][\w+/.@-]*))*")
_BARE_ON_ITS_LINE: Final = re.compile(r"[^\W\d][\w+/.@,;()'\"!?&%=<>*-]*(?: [\w+/.@,;()'\"!?&%=<>*-]+)*")
"""Where no comma and no brace ends a text, prose and most expressions can stand bare."""

_BARE_DURATION: Final = re.compile(r"(?:[0-9]+(?:ms|us|[dhms]))+", re.ASCII)
_TAKEN: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off"})
_HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff]"
)
"""What an editor does not show, or shows as something else: controls, odd spaces, marks that turn the direction of text."""

_HIDDEN_IN_BLOCK: Final = re.compile(_HIDDEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def write_yaml(data: Mapping[str, Any]) -> str:
    """Return the canonical text of a document's plain values."""
    lines: list[str] = []
    _block(dict(data), (), "", lines)
    return "\n".join(lines) + "\n"


def _block(value: dict[str, Any] | list[Any], path: tuple[str, ...], indent: str, lines: list[str]) -> None:
    """Write one entry a line."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = _text(key)
            if len(name) > LONGEST_KEY:
                lines.append(f"{indent}? {name}")
                name = ""
            _entry(f"{indent}{name}:", inner, (*path, key) if len(path) < 3 else path, indent, lines)
    else:
        for inner in value:
            _entry(f"{indent}-", inner, ("", "", ""), indent, lines)


def _entry(lead: str, value: Any, path: tuple[str, ...], indent: str, lines: list[str]) -> None:
    """Write what stands after `key:` or `-`."""
    if isinstance(value, str):
        if _stands_as_block(value):
            lines.append(f"{lead} |" if value.endswith("\n") else f"{lead} |-")
            lines.extend(f"{indent}  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        else:
            lines.append(f"{lead} {_text(value, _BARE_ON_ITS_LINE)}")
        return
    if not isinstance(value, dict | list) or not value:
        lines.append(f"{lead} {_scalar(value)}")
        return
    if path not in OPEN and not (len(path) == 2 and path[0] == "nodes"):
        flow = _flow(value, WIDTH - len(lead) - 1, FLOW_DEPTH)
        if flow is not None:
            lines.append(f"{lead} {flow}")
            return
    inner: list[str] = []
    _block(value, path, f"{indent}  ", inner)
    if lead.endswith("-"):
        inner[0] = f"{lead} {inner[0][len(indent) + 2 :]}"
    else:
        lines.append(lead)
    lines.extend(inner)


def _flow(value: Any, room: int, depth: int) -> str | None:
    """Return the value on one line, None when it does not fit, is deeper than a list in a mapping, or holds a mapping."""
    if isinstance(value, str):
        if len(value) > room or _stands_as_block(value):
            return None
        text = _text(value)
    elif not isinstance(value, dict | list) or not value:
        text = _scalar(value)
    elif depth == 0:
        return None
    else:
        parts = []
        left = room - 2
        for key in value:
            name = f"{_text(key)}: " if isinstance(value, dict) and len(key) <= left else ""
            one = value[key] if isinstance(value, dict) else key
            inner = None if one and isinstance(one, dict) else _flow(one, left - len(name), depth - 1)
            if inner is None or (isinstance(value, dict) and not name):
                return None
            parts.append(name + inner)
            left -= len(name) + len(inner) + 2
        text = f"{{{', '.join(parts)}}}" if isinstance(value, dict) else f"[{', '.join(parts)}]"
    return text if len(text) <= room else None


def _stands_as_block(text: str) -> bool:
    """
    Whether a text with several lines can stand below a `|` unchanged.

    It begins with a sign that can be seen, ends in at most one line break, and no line holds spaces alone or ends in one.
    """
    if "\n" not in text or text[0] in " \t\n" or text.endswith("\n\n"):
        return False
    if _HIDDEN_IN_BLOCK.search(text):
        return False
    return not any(line[-1:] in (" ", "\t") for line in text.split("\n"))


def _text(text: str, bare: re.Pattern[str] = _BARE) -> str:
    """Return a text bare where that is safe, in single quotes where that spares escapes, else in double quotes."""
    if len(text) <= LONGEST_BARE and (bare.fullmatch(text) or _BARE_DURATION.fullmatch(text)) and text.lower() not in _TAKEN:
        return text
    if ('"' in text or "\\" in text) and "'" not in text and not _HIDDEN.search(text):
        return f"'{text}'"
    quoted = json.dumps(text, ensure_ascii=False)
    return _HIDDEN.sub(_escape, quoted)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _scalar(value: Any) -> str:
    """Return a number, truth value, null or an empty mapping or list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        # YAML 1.1 takes 1e+16 for a text; 1.0e+16 is a number to both.
        return text if "." in text else text.replace("e", ".0e")
    if value is None:
        return "null"
    return str(value)
