"""What the names in an expression mean while a step runs: `nodes.<id>`, `run`, `workflow`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from engine.expressions.errors import ExpressionError
from engine.expressions.values import Lazy
from engine.ids import NodeId
from engine.model.items import Batch
from engine.model.run import Run
from engine.model.workflow import DEFAULT_OUT, ERROR_PORT
from engine.steps.computed import OVER_ALL

from .lineage import Lineage, Place
from .links import Links, LinksScope
from .planner import Plan, PlanNode
from .progress import Progress


def run_scope(run: Run, plan: Plan, links: Links | None, scope: str = "") -> dict[str, Any]:
    """Return the names that are the same for every step of a run."""
    return {
        "run": {
            "id": run.id,
            "trigger": run.trigger,
            "is_test": run.is_test,
            "started_at": run.started_at,
            "queued_at": run.queued_at,
            "links": LinksScope(links or Links(b""), plan, run.id, scope),
        },
        "workflow": {"id": run.workflow_id, "name": run.workflow_name or plan.document.name},
        "vars": {},
        "$timezone": plan.document.settings.timezone,
    }


class NodesScope(Lazy):
    """
    `nodes`: the steps before this one, seen from one item that arrived at it.

    In the body of a frame `outside` answers for the nodes around the frame. `given_places` says what is seen from where that
    is not what arrived at the node.
    """

    __slots__ = ("batch", "given_places", "index", "node", "outside", "plan", "port_in", "progress")

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        node: PlanNode,
        port_in: str,
        index: int,
        batch: Batch | None = None,
        *,
        outside: Callable[[NodesScope], NodesScope] | None = None,
    ) -> None:
        self.plan = plan
        self.progress = progress
        self.node = node
        self.port_in = port_in
        self.index = index
        self.batch = batch
        self.outside = outside
        self.given_places: Callable[[], Iterator[Place]] | None = None

    def lookup(self, name: str) -> object:
        """Return the node of that id; raises ExpressionError when there is none or it does not stand before this one."""
        number = self.plan.index.get(NodeId(name))
        if number is None and self.outside is not None:
            return self.outside(self).lookup(name)
        if number is None and name in self.plan.document.nodes:
            raise ExpressionError(
                f"“{name}” stands in the body of a frame, so its data is not seen from outside",
                hint="lead what is needed to the frame's “next”; it leaves by “done”",
            )
        if number is None:
            near = difflib.get_close_matches(name, self.plan.index, n=1)
            raise ExpressionError(f"there is no node “{name}”", hint=f"did you mean nodes.{near[0]}?" if near else None)
        if not self.plan.leads_to(number, self.node.index):
            raise ExpressionError(
                f"“{name}” does not stand before “{self.node.id}”", hint=f"draw a line from {name} that leads here"
            )
        return NodeScope(self, self.plan.nodes[number])

    def names(self) -> list[str]:
        """Return the nodes that stand before this one."""
        found: list[str] = [
            node.id for node in self.plan.nodes if not node.is_rim and self.plan.leads_to(node.index, self.node.index)
        ]
        return found + self.outside(self).names() if self.outside is not None else found

    def places(self) -> Iterator[Place]:
        """Give the items, one step back, that the current item (or the whole batch) arrived as."""
        if self.given_places is not None:
            return self.given_places()
        lineage = Lineage(self.plan, self.progress.outputs)
        if self.index != OVER_ALL:
            place = lineage.arrived_from(self.node, self.port_in, self.index)
            return iter(() if place is None else (place,))
        batches = self.progress.gather(self.node)
        if self.batch is not None and (own := batches.get(self.port_in)) is not None and self.batch is not own:
            wanted = {id(item) for item in self.batch}
            numbers: Iterator[int] = (number for number, item in enumerate(own) if id(item) in wanted)
            found = (lineage.arrived_from(self.node, self.port_in, number) for number in numbers)
        else:
            found = (
                lineage.arrived_from(self.node, port, number) for port, own in batches.items() for number in range(len(own))
            )
        return (place for place in found if place is not None)


class NodeScope(Lazy):
    """`nodes.<id>`: `item`, the one the current item came from; `items`, all that left it; `ports.<port>`, by port."""

    __slots__ = ("_node", "_view")

    def __init__(self, view: NodesScope, node: PlanNode) -> None:
        self._view = view
        self._node = node

    def lookup(self, name: str) -> object:
        """Return `item`, `items` or `ports`."""
        if name == "item":
            return self._item()
        if name == "items":
            return self._items()
        if name == "ports":
            return PortsScope(self._outputs())
        raise ExpressionError(
            f"a node has no “{name}”", hint=f"write nodes.{self._node.id}.item.{name} for a field of its item", is_final=True
        )

    def names(self) -> list[str]:
        """Return what a node has."""
        return ["item", "items", "ports"]

    def _outputs(self) -> dict[str, Batch]:
        outputs = self._view.progress.outputs[self._node.index]
        return {} if outputs is None else {port: output.items for port, output in outputs.items()}

    def _items(self) -> Batch:
        ports = self._outputs()
        if DEFAULT_OUT in ports:
            return ports[DEFAULT_OUT]
        return list(chain.from_iterable(items for port, items in ports.items() if port != ERROR_PORT))

    def _item(self) -> object:
        name, view = self._node.id, self._view
        ports = self._outputs()
        total = sum(len(items) for items in ports.values())
        if total == 1:
            return next(items[0] for items in ports.values() if items)
        if not total:
            raise ExpressionError(f"“{name}” gave no items in this run", hint=f"use first(nodes.{name}.items) ?? a value")
        lineage = Lineage(view.plan, view.progress.outputs)
        found = lineage.origins_at(view.places(), self._node.index)
        if len(found) == 1:
            return lineage.item(found[0])
        many = "several items" if found else "none of the items"
        raise ExpressionError(
            f"this came from {many} of “{name}”, so nodes.{name}.item is not one item",
            hint=f"use nodes.{name}.items or first(nodes.{name}.items)",
        )


class PortsScope(Lazy):
    """`nodes.<id>.ports`: the items by port."""

    __slots__ = ("_ports",)

    def __init__(self, ports: Mapping[str, Batch]) -> None:
        self._ports = ports

    def lookup(self, name: str) -> object:
        """Return the items that left by a port."""
        if name not in self._ports:
            raise ExpressionError(f"nothing left by a port “{name}”", hint="the ports are: " + ", ".join(self._ports))
        return self._ports[name]

    def names(self) -> list[str]:
        """Return the ports."""
        return list(self._ports)
