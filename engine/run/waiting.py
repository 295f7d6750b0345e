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
    from .execution import Execution

Place = tuple[str, int]
"""A scope and the number of a node in it."""


class Pending:
    """
    The steps of one run that wait, and what woke those that did, by their scope and the number of their node.

    `woken` is what a step is called with when it goes on. `bell` is rung by `Worker.woken`.
    """

    __slots__ = ("_env", "_homes", "_run_id", "bell", "waits", "woken")

    def __init__(self, env: RunEnv, run_id: RunId) -> None:
        self._env, self._run_id = env, run_id
        self.waits: dict[Place, Wait] = {}
        self.woken: dict[Place, Woken] = {}
        self._homes: dict[str, Execution] = {}
        self.bell = env.bells[run_id] = asyncio.Event()

    def begin(self, home: Execution, index: int, wait: Wait) -> None:
        """Note that a step of a scope waits."""
        self._homes[home.scope] = home
        self.waits[home.scope, index] = wait
        self.woken.pop((home.scope, index), None)

    def end(self, home: Execution, index: int, waking: Waking) -> bool:
        """Note that it was woken; False when it does not wait."""
        wait = self.waits.pop((home.scope, index), None)
        if wait is None:
            return False
        self.woken[home.scope, index] = woken_by(waking, wait)
        return True

    def home(self, scope: str) -> Execution | None:
        """Return a scope in which something waits or waited."""
        return self._homes.get(scope)

    def leave(self, home: Execution) -> None:
        """Forget a scope that has come to its end; what waits in it is cancelled."""
        for place in [place for place in self.waits if place[0] == home.scope]:
            del self.waits[place]
            home.on_cancelled(home.plan.nodes[place[1]])
        if self._homes.pop(home.scope, None) is not None:
            self.woken = {place: woken for place, woken in self.woken.items() if place[0] != home.scope}

    def leave_all(self) -> None:
        """Let nothing wait in a run that is over."""
        for home in list(self._homes.values()):
            self.leave(home)

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
