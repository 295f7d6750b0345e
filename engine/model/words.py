"""The nearest right word: what a person probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from engine.ids import NodeId

ID_PATTERN: Final = r"[A-Za-z][A-Za-z0-9_]{0,63}"
PORT_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
MANY: Final = 200
_ID: Final = re.compile(ID_PATTERN)
_PORT: Final = re.compile(PORT_PATTERN)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """
    Return the known word most like this one, None when nothing is close.

    Among many words only those of about the same length that begin or end alike are looked at, so that it stays quick.
    """
    words = list(known)
    if len(words) > MANY and word:
        words = [one for one in words if one and abs(len(one) - len(word)) < 4 and (one[0] == word[0] or one[-1] == word[-1])]
        words = words[:MANY]
    if close := difflib.get_close_matches(word[:100], words, n=1, cutoff=0.6):
        return close[0]
    lower = word.lower()
    return next((one for one in words if one.lower() == lower), None)


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """Return the hint that names the nearest known word, or `otherwise`."""
    found = nearest(word, known)
    return f"Did you mean “{found}”?" if found else otherwise


def one_of(words: Iterable[str], *, most: int = 12) -> str:
    """Return “a, b or c” for a sentence; long lists end in an ellipsis."""
    listed = list(words)
    if len(listed) > most:
        return ", ".join(listed[:most]) + ", …"
    return " or ".join((", ".join(listed[:-1]), listed[-1])) if len(listed) > 1 else "".join(listed)


def is_node_id(text: str) -> bool:
    """Whether this can name a node: a letter, then letters, digits and underscores, 64 at most."""
    return _ID.fullmatch(text) is not None


def is_port(text: str) -> bool:
    """Whether this can name a port: letters, digits, underscores and dashes, 64 at most."""
    return _PORT.fullmatch(text) is not None


def slug(text: str) -> NodeId:
    """Return a readable node id made of these words; `step` when nothing is left of them."""
    plain = text.lower().translate(_FOLD)
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:48].strip("_")
    if words and not words[0].isalpha():
        words = f"step_{words}"
    return NodeId(words or "step")


_FOLD: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "è": "e", "ê": "e", "á": "a", "à": "a", "â": "a", "ç": "c", "ñ": "n",
     "í": "i", "ì": "i", "î": "i", "ó": "o", "ò": "o", "ô": "o", "ú": "u", "ù": "u", "û": "u", "å": "a", "ø": "o", "æ": "ae"}
)  # fmt: skip
