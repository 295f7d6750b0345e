"""Questions in SQL over the documented views."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from engine.access import Actor, require
from engine.errors import BadRequest
from engine.protocols import Store
from engine.store.ask import MOST_ROWS, Answer, Question

LONGEST: Final = timedelta(seconds=30)


class SqlService:
    """What a person or a program may ask in SQL; needs a scope of its own, since it sees every run."""

    def __init__(self, store: Store, actor: Actor) -> None:
        self._store: Any = store
        self._actor = actor

    async def ask(self, sql: str, *, limit: int = 1000, timeout: timedelta = timedelta(seconds=5)) -> Answer:  # noqa: ASYNC109
        """
        Answer one SELECT over the views that docs/reference/sql.md describes; nothing can be changed.

        Raises `BadRequest` for what cannot or may not be asked, `TimedOut` when it takes longer than `timeout`.
        """
        require(self._actor, "sql", "ask in SQL")
        if not 1 <= limit <= MOST_ROWS or not timedelta(0) < timeout <= LONGEST:
            raise BadRequest(f"A question has 1 to {MOST_ROWS:,} rows and at most {LONGEST.total_seconds():g} s.")
        answer: Answer = await self._store.ask(Question(sql, limit, timeout.total_seconds()))
        return answer
