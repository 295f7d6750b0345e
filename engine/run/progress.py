"""
Who may start, who is skipped: the rules of branches and joins, with nothing to await.

A node is ready once every edge into it has settled and at least one of them brought items, or the node says `run_on_empty`.
A node that nothing came to is skipped, and that settles its own edges, so a join never waits for what cannot come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import chain

from engine.ids import NodeId
from engine.model.items import Batch, Outputs

from .planner import Plan, PlanNode


class Progress:
    """
    Where one run stands: what left each settled node, what is ready, what was skipped.

    `ready` is a queue the executor takes from; `skipped` gathers the nodes skipped since it was last emptied.
    """

    __slots__ = ("fed", "left", "outputs", "plan", "ready", "settled", "skipped")

    def __init__(self, plan: Plan, start: NodeId | None) -> None:
        opening = plan.opening(start)
        self.plan = plan
        self.ready: deque[int] = deque(opening.ready)
        self.left = list(opening.left)
        self.skipped: list[int] = list(opening.skipped)
        self.outputs: list[Outputs | None] = [None] * len(plan.nodes)
        self.settled = bytearray(len(plan.nodes))
        self.fed = bytearray(len(plan.nodes))
        for index in opening.skipped:
            self.settled[index] = 1

    def settle(self, index: int, outputs: Outputs | None, counts: Mapping[str, int] | None = None) -> None:
        """
        Say what left a node (None: nothing, it was skipped) and find out who is ready or skipped because of it.

        `counts` tells how many items each port has where looking at the items themselves would mean decoding them.
        """
        self.outputs[index] = outputs
        self.settled[index] = 1
        plan, left, fed = self.plan.nodes, self.left, self.fed
        skips: list[int] | None = None
        targets = plan[index].targets
        while True:
            for port, target in targets:
                if counts is not None:
                    if counts.get(port):
                        fed[target] = 1
                elif outputs is not None and (output := outputs.get(port)) is not None and output.items:
                    fed[target] = 1
                left[target] -= 1
                if not left[target] and not self.settled[target]:
                    if fed[target] or plan[target].node.run_on_empty:
                        self.ready.append(target)
                    else:
                        self.settled[target] = 1
                        self.skipped.append(target)
                        skips = skips or []
                        skips.append(target)
            if not skips:
                return
            targets, outputs, counts = plan[skips.pop()].targets, None, None

    def gather(self, node: PlanNode) -> dict[str, Batch]:
        """
        Return the batch at each in-port: the very list that left the node before, or a new one where several are joined.

        Several edges into one port are joined in edge order; a port that nothing came to has an empty batch.
        """
        if node.single is not None:
            port, source, port_out = node.single
            outputs = self.outputs[source]
            output = outputs.get(port_out) if outputs is not None else None
            return {port: output.items if output is not None else []}
        return {port: self._join(sources) for port, sources in node.ins}

    def _join(self, sources: tuple[tuple[int, str], ...]) -> Batch:
        found: list[Batch] = []
        for source, port in sources:
            outputs = self.outputs[source]
            if outputs is not None and (output := outputs.get(port)) is not None and output.items:
                found.append(output.items)
        if len(found) == 1:
            return found[0]
        return list(chain.from_iterable(found))
