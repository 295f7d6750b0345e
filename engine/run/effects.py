"""
What to do about a step that had begun when the program stopped.

A step with an effect is journalled before it calls out (the intent) and when it settles (the receipt). Where only the intent is
there after a crash, nobody knows whether the change outside took place. What reads, and what may be repeated, is repeated;
for anything else the node's `on_uncertain` decides.
"""

from __future__ import annotations

from typing import Literal

from engine.errors import StepError

from .planner import PlanNode

Way = Literal["again", "ask", "skip"]


class Uncertain(StepError):
    """The program stopped while a change outside was under way."""

    code = "uncertain"

    def __init__(self, planned: PlanNode) -> None:
        super().__init__(
            f"Treadle stopped while “{planned.node.label}” was at work, so nobody here knows whether it was done.",
            hint="Look at the other side. Then choose: do it again, or leave it out and go on. "
            "“On uncertain” in the step's settings decides this for the next time.",
            where={"node": planned.id},
        )


def way_after_crash(planned: PlanNode, decision: str | None = None) -> Way:
    """
    Return what becomes of a step whose intent has no receipt.

    `decision` is what a person chose since, `retry` or `skip`; it counts for this one time.
    """
    if planned.may_repeat:
        return "again"
    chosen = decision or planned.node.on_uncertain
    if chosen == "retry":
        return "again"
    return "skip" if chosen == "skip" else "ask"
