"""What code steps may do in this Treadle, and which walls stand around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.access import Actor, require
from engine.steps.code import CodeRunner, Wall


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReport:
    """Whether code steps run, whether they may have packages, and every promise of the cage with whether it is kept here."""

    is_allowed: bool
    allows_packages: bool
    walls: Sequence[Wall]


class CodeService:
    """Look at the cage."""

    def __init__(self, runner: CodeRunner | None, *, allows_packages: bool, actor: Actor) -> None:
        self._runner, self._allows_packages, self._actor = runner, allows_packages, actor

    async def report(self) -> CodeReport:
        """Return what holds for code steps on this machine; the first time this starts a process that tries its walls."""
        require(self._actor, "read", "look at the walls around code")
        if self._runner is None or not self._runner.is_allowed:
            return CodeReport(is_allowed=False, allows_packages=self._allows_packages, walls=())
        return CodeReport(is_allowed=True, allows_packages=self._allows_packages, walls=await self._runner.walls())
