"""Where an item of a stored run came from."""

from __future__ import annotations

from engine.errors import NotFound
from engine.ids import NodeId, RunId
from engine.model.items import Batch, Outputs
from engine.model.run import FactKind
from engine.protocols import UnitOfWork
from engine.steps.catalog import Catalog

from .compiling import compile_plan
from .lineage import Hop, Lineage
from .payloads import Payload, Reference, StoredOutputs


def trace(
    work: UnitOfWork, run_id: RunId, catalog: Catalog, node: NodeId, port: str, index: int, *, most: int = 1_000
) -> tuple[Hop, ...]:
    """
    Return the way back from one item that left a step to its sources (see `Lineage.trace`).

    Raises `NotFound` when the step has no such item.
    """
    plan = compile_plan(work.runs.get_document(run_id), catalog)
    outputs: dict[NodeId, Outputs] = {}

    def follow(reference: Reference) -> Batch:
        return outputs[reference[0]][reference[1]].items

    for fact in work.runs.facts(run_id, with_payload=True):
        if fact.kind is FactKind.STEP_SUCCEEDED and fact.payload is not None:
            outputs[fact.node] = StoredOutputs(Payload(fact.payload), follow)
    output = outputs.get(node, {}).get(port)
    if output is None or not 0 <= index < len(output.items):
        raise NotFound("item", f"{node}.{port}[{index}]")
    return Lineage(plan, [outputs.get(planned.id) for planned in plan.nodes]).trace(node, port, index, most=most)
