"""Undo and redo, per author: a list of inverses."""

from __future__ import annotations

from collections import defaultdict

from engine.model.changes import Change

LONGEST = 500
"""How many steps back an author may go."""


class History:
    """What each author did and took back. A change by one author never undoes another's."""

    def __init__(self) -> None:
        self._undo: dict[str, list[Change]] = defaultdict(list)
        self._redo: dict[str, list[Change]] = defaultdict(list)

    def did(self, author: str, inverse: Change) -> None:
        """Remember how to take back what the author just did; what could be redone no longer can."""
        stack = self._undo[author]
        stack.append(inverse)
        del stack[:-LONGEST]
        self._redo[author].clear()

    def pop_undo(self, author: str) -> Change | None:
        """Return the inverse of the author's last change, None when there is nothing to take back."""
        return self._undo[author].pop() if self._undo[author] else None

    def pop_redo(self, author: str) -> Change | None:
        """Return the inverse of the author's last undo."""
        return self._redo[author].pop() if self._redo[author] else None

    def undid(self, author: str, inverse: Change) -> None:
        """Remember how to do again what was taken back."""
        self._redo[author].append(inverse)

    def redid(self, author: str, inverse: Change) -> None:
        """Remember how to take back what was done again."""
        self._undo[author].append(inverse)

    def can_undo(self, author: str) -> bool:
        """Whether there is something to take back."""
        return bool(self._undo[author])

    def can_redo(self, author: str) -> bool:
        """Whether there is something to do again."""
        return bool(self._redo[author])
