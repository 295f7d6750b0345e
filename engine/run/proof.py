"""The proof that nobody changes items in place: batches are hashed before a step and again after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from engine.errors import StepCrashed
from engine.model.items import Batch


@dataclass(frozen=True, slots=True)
class Proof:
    """The hashes of the batches at each in-port."""

    hashes: Mapping[str, bytes]

    @classmethod
    def of(cls, ports: Mapping[str, Batch]) -> Proof:
        """Hash what arrived."""
        return cls({port: _hash(batch) for port, batch in ports.items()})

    def broken_by(self, ports: Mapping[str, Batch], label: str) -> StepCrashed | None:
        """Return the error that names the step and the port whose items are no longer what they were."""
        for port, batch in ports.items():
            if _hash(batch) != self.hashes[port]:
                return StepCrashed(
                    f"“{label}” changed the items that arrived at “{port}” in place.",
                    hint="Items are shared between steps: make a new item, {**item, …}, instead.",
                )
        return None


def _hash(batch: Batch) -> bytes:
    return blake2b(orjson.dumps(batch, _show, orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS), digest_size=16).digest()


def _show(value: Any) -> str:
    return repr(value)
