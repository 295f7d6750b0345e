"""The data that travels: items, batches, files, and where each item came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Item = dict[str, Any]
Batch = list[Item]

FILE_KEY: Final = "$file"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """
    A handle to bytes in the content-addressed store; the bytes themselves never stand in an item.

    In JSON it is `{"$file": hash, "name": …, "type": …, "size": …}`. Only the engine makes handles: a look-alike that
    arrives from outside is plain data (see `engine.store.blobs`).
    """

    hash: str
    name: str
    media_type: str
    size: int

    __treadle_opaque__ = True

    def describe(self) -> dict[str, Any]:
        """Return what expressions and people may see of it."""
        return {"name": self.name, "type": self.media_type, "size": self.size, "hash": self.hash}

    def as_json(self) -> dict[str, Any]:
        """Return the handle as plain JSON."""
        return {FILE_KEY: self.hash, "name": self.name, "type": self.media_type, "size": self.size}


class Same:
    """Lineage of a port whose item i came from input item i."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SAME"


SAME: Final = Same()

Origins = Same | Sequence[int] | Sequence[Sequence[int]]
"""
For one in-port: SAME, or one index per output item (-1: none), or several indexes per output item (aggregates).
Indexes count in the batch that arrived at that in-port. Use `array("i")` for one index per item.
"""


@dataclass(frozen=True, slots=True)
class Output:
    """
    What leaves by one port: the items, and for each in-port where they came from.

    Items are shared, never changed in place: a step that passes a batch on hands over the very same list.
    """

    items: Batch
    origins: Mapping[str, Origins] = field(default_factory=lambda: {"in": SAME})


Outputs = Mapping[str, Output]
