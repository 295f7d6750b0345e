"""
How the outputs of a step are written down, and read again.

    "T1" · 4 bytes: length of the header (little-endian) · header (JSON) · the bodies, one behind the other

The header is `{"p": [port, …], "m": marker?}`, a port `{"n": name, "c": count, "b": [bytes of each chunk], "o": origins, "r":
reference?}`. Items stand in chunks of 512 as JSON arrays, so that a page of a big batch is read without the rest.
A batch that left another node before, the very same list, is a reference `[node, port]` and has no body. Origins are
`"="` (item i came from item i), `["r", start]` (from start + i), `["w", n]` (each came from all n), or stand in the
body as 32-bit numbers: `["i", bytes]`, and for several per item `["l", bytes of the lengths, bytes of the numbers]`.

A file handle is written as `{marker: {…}}` with a marker of chance that only this payload knows, so a look-alike that came from
outside stays the plain data it is.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast, overload

import orjson

from engine.errors import Damaged, StepCrashed, TooLarge
from engine.ids import NodeId
from engine.model.items import SAME, Batch, File, Item, Origins, Output, Outputs, Same

MAGIC: Final = b"T1"
CHUNK: Final = 512
FILE_MARK: Final = "$file:"
OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

Reference = tuple[NodeId, str]
"""A node and one of its ports."""


class Whole(Sequence[Sequence[int]]):
    """Lineage of a port whose every item came from the whole batch of `size` items."""

    __slots__ = ("_length", "size")

    def __init__(self, size: int, length: int) -> None:
        self.size = size
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Sequence[int]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[int]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[int] | Sequence[Sequence[int]]:
        if isinstance(index, slice):
            return [range(self.size)] * len(range(self._length)[index])
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return range(self.size)


class _Rim:
    """What orjson asks about values that are not JSON; remembers whether reading back gives something else."""

    __slots__ = ("is_lossy", "mark")

    def __init__(self) -> None:
        self.mark: str | None = None
        self.is_lossy = False

    def __call__(self, value: Any) -> Any:
        if isinstance(value, File):
            if self.mark is None:
                self.mark = FILE_MARK + os.urandom(8).hex()
            return {self.mark: [value.hash, value.name, value.media_type, value.size]}
        self.is_lossy = True
        match value:
            case datetime() | date() | time():
                return value.isoformat()
            case Decimal():
                return str(value)
            case timedelta():
                return value.total_seconds()
            case tuple() | set() | frozenset():
                return list(value)
            case Mapping():
                return dict(value)
        raise TypeError(f"a value of the type {type(value).__name__} is not JSON")


def encode_outputs(outputs: Outputs, known: Mapping[int, Reference] | None = None) -> tuple[bytes, Outputs]:
    """
    Return the payload, and the outputs as they will be read again.

    `known` finds a batch that is written down already by the identity of its list. The outputs come back as they are, unless
    a step handed out values that JSON does not have (dates, decimals, tuples): then those have become JSON in what comes back.
    Raises `StepCrashed` when there is something JSON cannot hold.
    """
    if len(outputs) == 1 and (simple := _encode_simple(outputs, known)) is not None:
        return simple, outputs
    rim = _Rim()
    ports: list[dict[str, Any]] = []
    bodies: list[bytes] = []
    try:
        for name, output in outputs.items():
            items = output.items
            port: dict[str, Any] = {"n": name, "c": len(items)}
            origins, tail = _encode_origins(output.origins)
            reference = known.get(id(items)) if known and items else None
            if reference is not None:
                port["r"] = reference
            elif len(items) <= CHUNK:
                body = orjson.dumps(items, rim, OPTIONS)
                port["b"] = [len(body)]
                bodies.append(body)
            else:
                chunks = [orjson.dumps(items[at : at + CHUNK], rim, OPTIONS) for at in range(0, len(items), CHUNK)]
                port["b"] = [len(chunk) for chunk in chunks]
                bodies.extend(chunks)
            if origins:
                port["o"] = origins
            bodies.extend(tail)
            ports.append(port)
    except (TypeError, ValueError) as error:
        if "ecursion limit" in str(error):
            raise TooLarge(
                "An item is nested deeper than 250 levels, which is more than can be stored.",
                hint="Keep the part that is needed, or write the rest as a text with json(…).",
            ) from error
        raise StepCrashed(
            f"The step handed out something that JSON cannot hold: {error}.",
            hint="Turn it into text or numbers first; whole numbers go up to 64 bits.",
        ) from error
    header = orjson.dumps({"p": ports, "m": rim.mark} if rim.mark else {"p": ports})
    payload = b"".join((MAGIC, struct.pack("<I", len(header)), header, *bodies))
    return payload, (_plain(payload, outputs) if rim.is_lossy else outputs)


def _encode_simple(outputs: Outputs, known: Mapping[int, Reference] | None) -> bytes | None:
    """Write down what most steps give, one port and item i from item i, without any detour; None for everything else."""
    ((name, output),) = outputs.items()
    items, origins = output.items, output.origins
    port_in = None
    if origins:
        if len(origins) > 1:
            return None
        ((port_in, origin),) = origins.items()
        if origin is not SAME:
            return None
    if len(items) > CHUNK:
        return None
    begin, end = simple_header(name, port_in)
    reference = known.get(id(items)) if known and items else None
    if reference is not None:
        header = f'{begin}{len(items)},"r":{orjson.dumps(reference).decode()}{end}'.encode()
        return b"".join((MAGIC, len(header).to_bytes(4, "little"), header))
    try:
        body = orjson.dumps(items, None, OPTIONS)
    except TypeError:
        return None
    header = f'{begin}{len(items)},"b":[{len(body)}]{end}'.encode()
    return b"".join((MAGIC, len(header).to_bytes(4, "little"), header, body))


@lru_cache(maxsize=1024)
def simple_header(name: str, port_in: str | None) -> tuple[str, str]:
    """Return what stands before and behind the count and the place of the body."""
    origins = "" if port_in is None else f',"o":{{{orjson.dumps(port_in).decode()}:"="}}'
    return f'{{"p":[{{"n":{orjson.dumps(name).decode()},"c":', f"{origins}}}]}}"


_BATCH_END: Final = simple_header("out", "in")[1].encode()


def encode_batch(items: Batch) -> bytes:
    """Write down one batch, such as the input of a run."""
    return encode_outputs({"out": Output(items)})[0]


def body_of(payload: bytes) -> bytes | None:
    """Return the JSON of the items in what `encode_batch` wrote; None for more than one chunk, or with files among them."""
    start = 6 + int.from_bytes(payload[2:6], "little")
    header = payload[6:start]
    if b'"m"' in header or b'"r"' in header or not header.endswith(b"%d]%b" % (len(payload) - start, _BATCH_END)):
        return None
    return payload[start:]


def decode_batch(payload: bytes) -> Batch:
    """Read what `encode_batch` wrote."""
    return Payload(payload).items("out")


def _plain(payload: bytes, outputs: Outputs) -> Outputs:
    """Return the outputs with the items as reading them back gives them; references stay what they are."""
    read = Payload(payload)
    return {
        name: output if read.reference(name) else Output(read.items(name), output.origins) for name, output in outputs.items()
    }


def _encode_origins(origins: Mapping[str, Origins]) -> tuple[dict[str, Any], list[bytes]]:
    header: dict[str, Any] = {}
    tail: list[bytes] = []
    for port, origin in origins.items():
        if isinstance(origin, Same):
            header[port] = "="
        elif isinstance(origin, Whole):
            header[port] = ["w", origin.size]
        elif not len(origin) or isinstance(origin[0], int):
            flat: array[int] = array("i", cast(Sequence[int], origin))
            if len(flat) and flat[0] >= 0 and flat[-1] - flat[0] == len(flat) - 1 and _is_run(flat):
                header[port] = ["r", flat[0]]
            else:
                tail.append(flat.tobytes())
                header[port] = ["i", len(tail[-1])]
        else:
            several = cast(Sequence[Sequence[int]], origin)
            lengths = array("i", [len(some) for some in several])
            numbers = array("i")
            for some in several:
                numbers.extend(some)
            tail += [lengths.tobytes(), numbers.tobytes()]
            header[port] = ["l", len(tail[-2]), len(tail[-1])]
    return header, tail


def _is_run(numbers: array[int]) -> bool:
    return numbers == array("i", range(numbers[0], numbers[0] + len(numbers)))


class Payload:
    """
    One payload, opened: the header is read, the bodies wait until somebody asks.

    A port that is a reference has no items here: follow `reference(port)`.
    """

    __slots__ = ("_at", "_data", "_mark", "_ports")

    def __init__(self, data: bytes) -> None:
        if data[:2] != MAGIC:
            raise Damaged("A step's data cannot be read: it does not begin as it should.", hint="Check the database file.")
        (length,) = struct.unpack_from("<I", data, 2)
        header = orjson.loads(data[6 : 6 + length])
        self._data = data
        self._mark: str | None = header.get("m")
        self._ports: dict[str, dict[str, Any]] = {port["n"]: port for port in header["p"]}
        self._at: dict[str, int] = {}
        at = 6 + length
        for name, port in self._ports.items():
            self._at[name] = at
            at += sum(port.get("b", ())) + sum(sum(o[1:]) for o in port.get("o", {}).values() if o[0] in ("i", "l"))

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the ports, in the order the step gave them."""
        return tuple(self._ports)

    @property
    def counts(self) -> dict[str, int]:
        """How many items left by each port."""
        return {name: port["c"] for name, port in self._ports.items()}

    def reference(self, port: str) -> Reference | None:
        """Return the earlier node and port that this port's batch is the same as."""
        found = self._ports[port].get("r")
        return (NodeId(found[0]), found[1]) if found else None

    def items(self, port: str, offset: int = 0, limit: int | None = None) -> Batch:
        """Return the items of a port, or the page of them that `offset` and `limit` name."""
        sizes = self._ports[port].get("b", [])
        count = self._ports[port]["c"]
        end = count if limit is None else min(count, offset + limit)
        if offset >= end:
            return []
        first, last = offset // CHUNK, -(-end // CHUNK)
        at = self._at[port] + sum(sizes[:first])
        items: Batch = []
        for size in sizes[first:last]:
            items += orjson.loads(memoryview(self._data)[at : at + size])
            at += size
        items = items[offset - first * CHUNK : end - first * CHUNK] if (offset or limit is not None) else items
        return [_revive(item, self._mark) for item in items] if self._mark else items

    def origins(self, port: str) -> dict[str, Origins]:
        """Return where the items of a port came from."""
        found = self._ports[port]
        at = self._at[port] + sum(found.get("b", ()))
        result: dict[str, Origins] = {}
        for name, how in found.get("o", {}).items():
            if how == "=":
                result[name] = SAME
            elif how[0] == "r":
                result[name] = range(how[1], how[1] + found["c"])
            elif how[0] == "w":
                result[name] = Whole(how[1], found["c"])
            elif how[0] == "i":
                result[name] = _numbers(self._data[at : at + how[1]])
                at += how[1]
            else:
                lengths = _numbers(self._data[at : at + how[1]])
                numbers = _numbers(self._data[at + how[1] : at + how[1] + how[2]])
                at += how[1] + how[2]
                result[name] = list(_parted(numbers, lengths))
        return result


class StoredOutputs(Mapping[str, Output]):
    """The outputs of a step that finished before, read from its payload port by port when somebody asks for them."""

    __slots__ = ("_follow", "_on_read", "_payload", "_read")

    def __init__(
        self,
        payload: Payload,
        follow: Callable[[Reference], Batch],
        on_read: Callable[[str, Batch], None] | None = None,
    ) -> None:
        self._payload = payload
        self._follow = follow
        self._on_read = on_read
        self._read: dict[str, Output] = {}

    def __getitem__(self, port: str) -> Output:
        if (known := self._read.get(port)) is not None:
            return known
        if port not in self._payload.ports:
            raise KeyError(port)
        reference = self._payload.reference(port)
        items = self._payload.items(port) if reference is None else self._follow(reference)
        output = self._read[port] = Output(items, self._payload.origins(port))
        if self._on_read is not None and reference is None:
            self._on_read(port, items)
        return output

    def __iter__(self) -> Iterator[str]:
        return iter(self._payload.ports)

    def __len__(self) -> int:
        return len(self._payload.ports)


def _numbers(data: bytes) -> array[int]:
    numbers = array("i")
    numbers.frombytes(data)
    return numbers


def _parted(numbers: array[int], lengths: array[int]) -> Iterator[array[int]]:
    at = 0
    for length in lengths:
        yield numbers[at : at + length]
        at += length


def _revive(value: Any, mark: str) -> Any:
    """Return the value with the file handles in it made whole again."""
    if isinstance(value, dict):
        if len(value) == 1 and mark in value:
            hash, name, media_type, size = value[mark]
            return File(hash=hash, name=name, media_type=media_type, size=size)
        return {key: _revive(inner, mark) for key, inner in value.items()}
    if isinstance(value, list):
        return [_revive(inner, mark) for inner in value]
    return value


def show(value: Any) -> Any:
    """Return an item as plain JSON for people and borders: file handles become `{"$file": …}` objects."""
    if isinstance(value, File):
        return value.as_json()
    if isinstance(value, dict):
        return {key: show(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [show(inner) for inner in value]
    return value


__all__ = [
    "CHUNK",
    "Item",
    "Payload",
    "Reference",
    "StoredOutputs",
    "Whole",
    "decode_batch",
    "encode_batch",
    "encode_outputs",
    "show",
]
