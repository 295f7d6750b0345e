"""Testing parts of a workflow in the editor: what still holds, what is run, and data that is pinned for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from engine.access import Actor, require
from engine.clock import Clock
from engine.errors import BadRequest, InvalidDocument, NotFound, TooLarge
from engine.ids import NodeId, WorkflowId
from engine.model.items import Batch
from engine.model.run import Run
from engine.protocols import Store, UnitOfWork
from engine.run.parts import Consent, Extent, Part, start_part
from engine.run.reuse import Pins, Reuse, Standing
from engine.run.worker import Worker
from engine.service.drafts import Draft, OpenDrafts
from engine.steps.catalog import Catalog

MOST_PINNED: Final = 1_000_000
"""How many bytes of JSON one workflow's pins may have."""


class PartService:
    """What an editor asks about parts of a draft; every test of one is a run of its own that reuses what still holds."""

    def __init__(
        self, *, store: Store, worker: Worker, drafts: OpenDrafts, catalog: Catalog, clock: Clock, actor: Actor
    ) -> None:
        self._store, self._worker, self._drafts = store, worker, drafts
        self._catalog, self._clock, self._actor = catalog, clock, actor

    async def standings(self, workflow_id: WorkflowId) -> Mapping[NodeId, Standing]:
        """Return for each step of the draft whether what it gave still holds, and why."""
        require(self._actor, "read", "look at run data")
        document = (await self._drafts.open(workflow_id)).document

        def look(work: UnitOfWork) -> Mapping[NodeId, Standing]:
            return Reuse(work, workflow_id, document, self._catalog, _pins(work, workflow_id)).standings

        return await self._store.read(look)

    async def start(
        self, workflow_id: WorkflowId, extent: Extent = "all", node: str | None = None, *, effects: Consent = "ask"
    ) -> Run:
        """
        Test a part of the draft, with pins and with what earlier runs gave in place of the rest; returns the run.

        Up to a step (`to`), a step alone (`only`), a step and all behind it (`from`), or everything (`all`: only pins are
        reused). Raises `EffectsToDecide` when a step that changed something outside already would do so again and `effects`
        is `ask`; `Conflict` where a step before has given nothing yet; `InvalidDocument`, `NotFound`.
        """
        require(self._actor, "run", "start runs")
        draft = await self._drafts.open(workflow_id)
        part = Part(extent=extent, node=NodeId(node) if node else None, effects=effects)
        if part.extent != "all" and part.node is None:
            raise BadRequest("Which step?", hint="Name the step that the test is about.")
        _check(draft, part)
        document, catalog, now = draft.document, self._catalog, self._clock.now()
        run, shown = await self._store.write(
            lambda work: start_part(work, workflow_id, document, part, catalog, _pins(work, workflow_id), now=now)
        )
        return self._worker.take(run, shown)

    async def pins(self, workflow_id: WorkflowId) -> Pins:
        """Return the outputs that are pinned, by step and port."""
        require(self._actor, "read", "look at run data")
        return await self._store.read(lambda work: _pins(work, workflow_id))

    async def pin(self, workflow_id: WorkflowId, node: str, ports: Mapping[str, Sequence[Mapping[str, Any]]] | None) -> None:
        """
        Let these items, by port, stand in for what a step gives in tests; None takes the pin away.

        Pins stand beside the draft and not in it: no published version and no run that is not a test ever sees them. Raises
        `NotFound`, `BadRequest` for what is no list of JSON objects, `TooLarge`.
        """
        require(self._actor, "write", "pin data")
        draft = await self._drafts.open(workflow_id)
        if node not in draft.document.nodes:
            raise NotFound("node", node)
        kept = None if ports is None else {port: [dict(item) for item in _checked(items)] for port, items in ports.items()}

        def change(work: UnitOfWork) -> None:
            pins: dict[str, Any] = dict(work.values.get(pins_key(workflow_id), {}))
            pins.pop(node, None)
            if kept is not None:
                pins[node] = kept
            if len(orjson.dumps(pins)) > MOST_PINNED:
                raise TooLarge("The pinned data is more than 1 MB.", hint="Pin fewer items: a few of each kind are enough.")
            work.values.set(pins_key(workflow_id), pins)

        try:
            orjson.dumps(kept)
        except TypeError as error:
            raise BadRequest(f"This cannot be pinned: {error}.", hint="Pinned items are plain JSON, without files.") from error
        await self._store.write(change)


def _checked(items: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(items, list | tuple) or not all(isinstance(item, Mapping) for item in items):
        raise BadRequest("Pinned data is a list of items, which are JSON objects.")
    return items


def _check(draft: Draft, part: Part) -> None:
    """Refuse a draft with errors, where they are in what is to be run; half-made steps behind it do not matter."""
    errors = draft.errors
    if part.extent in ("to", "only") and part.node is not None:
        concerned = {part.node}
        todo = [part.node]
        while todo:
            node = todo.pop()
            for edge in draft.document.edges:
                if edge.target == node and edge.source not in concerned:
                    concerned.add(edge.source)
                    todo.append(edge.source)
        errors = [problem for problem in errors if problem.node is None or problem.node in concerned]
    if errors:
        raise InvalidDocument(errors)


def pins_key(workflow_id: WorkflowId) -> str:
    """Return the key that the pins of a workflow are kept under."""
    return f"pins:{workflow_id}"


def _pins(work: UnitOfWork, workflow_id: WorkflowId) -> Pins:
    stored: Mapping[str, Mapping[str, Batch]] = work.values.get(pins_key(workflow_id), {})
    return {NodeId(node): ports for node, ports in stored.items()}
