"""What some items of an each-action gave while others wait for another try, written down so that it survives a restart."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import cast

from engine.model.items import Batch, Output

from .payloads import Payload, encode_outputs

Parts = Mapping[int, Mapping[str, Batch]]
"""By the index of the item: the items that came of it, by port."""

_SETTLED = ":"
"""The port that names the items that are done, also those that gave nothing; no real port has this name."""


def encode_partial(done: Parts) -> bytes:
    """Write down what is done so far."""
    outputs = {_SETTLED: Output([{"i": index} for index in sorted(done)], {})}
    for port in dict.fromkeys(port for parts in done.values() for port in parts):
        items: Batch = []
        came_from = array("i")
        for index in sorted(done):
            found = done[index].get(port, [])
            items += found
            came_from.extend([index] * len(found))
        outputs[port] = Output(items, {"in": came_from})
    return encode_outputs(outputs)[0]


def decode_partial(data: bytes) -> dict[int, dict[str, Batch]]:
    """Read what `encode_partial` wrote."""
    payload = Payload(data)
    done: dict[int, dict[str, Batch]] = {entry["i"]: {} for entry in payload.items(_SETTLED)}
    for port in payload.ports:
        if port == _SETTLED:
            continue
        for parts in done.values():
            parts[port] = []
        origins = payload.origins(port)["in"]
        for index, item in zip(cast(Sequence[int], origins), payload.items(port), strict=True):
            done[index][port].append(item)
    return done
