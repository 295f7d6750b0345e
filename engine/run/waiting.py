"""
What waits inside one run while it is in memory.

A step that hands back a `Wait` is neither ready nor settled: its row stands in the store, and when nothing else in the run can
go on, the run parks there and leaves memory. As long as other branches are at work, `bell` tells that something was woken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.ids import RunId
from engine.model.waits import Wait, Waiting, Waking
from engine.steps.contract import Woken

from .payloads import decode_batch

if TYPE_CHECKING:
    from .env import RunEnv


class Pending:
    """
    The steps of one run that wait, and what woke those that did, by the number of their node.

    `woken` is what a step is called with when it goes on. `bell` is rung by `Worker.woken`.
    """

    __slots__ = ("_env", "_run_id", "bell", "waits", "woken")

    def __init__(self, env: RunEnv, run_id: RunId) -> None:
        self._env, self._run_id = env, run_id
        self.waits: dict[int, Wait] = {}
        self.woken: dict[int, Woken] = {}
        self.bell = env.bells[run_id] = asyncio.Event()

    def begin(self, index: int, wait: Wait) -> None:
        """Note that a step waits."""
        self.waits[index] = wait
        self.woken.pop(index, None)

    def end(self, index: int, waking: Waking) -> bool:
        """Note that it was woken; False when it does not wait."""
        wait = self.waits.pop(index, None)
        if wait is None:
            return False
        self.woken[index] = woken_by(waking, wait)
        return True

    def close(self) -> None:
        """Let go of the bell: from here on the store alone knows what waits."""
        self._env.bells.pop(self._run_id, None)

    async def collect(self) -> list[Waiting]:
        """Return what was woken in the store since the last look."""
        self.bell.clear()
        return [] if self._env.read_woken is None else await self._env.read_woken(self._run_id)


def woken_by(waking: Waking, wait: Wait) -> Woken:
    """Return what a step is called with that had waited so and was woken so."""
    items = decode_batch(waking.payload) if waking.payload is not None else []
    return Woken(how=waking.how, at=waking.at, note=waking.note, items=items, wait=wait)
