"""
Closures that read: names of the scope, fields of objects, places of lists, the data of other nodes.

Access is by key in dicts, by place in lists and texts, and by `Lazy.lookup`; attributes of Python objects are never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .analysis import unknown_name
from .budget import METER, SCOPE
from .errors import ExpressionError, did_you_mean
from .functions import FUNCTIONS
from .operators import BIG, UNMETERED_TEXT, meter_in
from .values import Lazy, as_opaque_fields, is_opaque, kind_of

Frame = Any
Run = Callable[[Frame], Any]


def read_name(key: str, name: str, at: int) -> Run:
    def read(frame: Frame) -> Any:
        try:
            return frame[key]
        except KeyError:
            raise unknown_name(name, list(frame.get(SCOPE, frame)), at) from None

    return read


def read_field_of_name(key: str, base_name: str, base_at: int, name: str, at: int) -> Run:
    """Build `item.price`, the commonest expression of all."""

    def read(frame: Frame) -> Any:
        try:
            base = frame[key]
        except KeyError:
            raise unknown_name(base_name, list(frame.get(SCOPE, frame)), base_at) from None
        if type(base) is dict:
            return base.get(name)
        return member_of(base, name, at)

    return read


def read_field(base: Run, name: str, at: int) -> Run:
    def read(frame: Frame) -> Any:
        value = base(frame)
        if type(value) is dict:
            return value.get(name)
        return member_of(value, name, at)

    return read


def member_of(base: Any, name: str, at: int | None = None) -> Any:
    """Return the field `name` of a value: null for a missing one, and an error for what has no fields."""
    if base is None:
        return None
    if isinstance(base, dict):
        return base.get(name)
    if isinstance(base, Lazy):
        try:
            return base.lookup(name)
        except ExpressionError as error:
            raise (error.located(at) if at is not None else error) from None
    if is_opaque(base):
        return as_opaque_fields(base).get(name)
    if name == "length" and isinstance(base, str | list):
        return len(base)
    hint: str | None
    if isinstance(base, list):
        hint = f"write [0].{name} for the first, .map(x => x.{name}) for all of them"
    else:
        hint = f"write .{name}() to call the function" if name in FUNCTIONS else None
    raise ExpressionError(f"{kind_of(base)} has no field “{name}”", hint=hint, offset=at)


def read_node(name: str, at: int) -> Run:
    def read(frame: Frame) -> Any:
        try:
            nodes = frame["nodes"]
        except KeyError:
            raise ExpressionError("there is no “nodes” here", hint="this field sees no other nodes", offset=at) from None
        try:
            get_node = getattr(type(nodes), "get_node", None)
            if get_node is not None:
                return get_node(nodes, name)
            if isinstance(nodes, Lazy):
                return nodes.lookup(name)
        except ExpressionError as error:
            raise error.located(at) from None
        if isinstance(nodes, Mapping) and name in nodes:
            return nodes[name]
        hint = did_you_mean(name, list(nodes)) if isinstance(nodes, Mapping) else None
        raise ExpressionError(f"there is no node “{name}” before this one", hint=hint, offset=at)

    return read


def read_index(base: Run, key: Run, at: int) -> Run:
    def read(frame: Frame) -> Any:
        value, place = base(frame), key(frame)
        if type(value) is list and type(place) is int:
            return value[place] if -len(value) <= place < len(value) else None
        if type(value) is dict and type(place) is str:
            return value.get(place)
        return _index_of(value, place, at)

    return read


def _index_of(value: Any, place: Any, at: int) -> Any:
    if value is None:
        return None
    if isinstance(place, str):
        return member_of(value, place, at)
    if isinstance(value, list | str):
        if type(place) is float and place == place and abs(place) < BIG and place == int(place):
            place = int(place)
        if type(place) is int:
            return value[place] if -len(value) <= place < len(value) else None
        raise ExpressionError(f"a place in {kind_of(value)} is a whole number, not {kind_of(place)}", offset=at)
    if isinstance(value, dict):
        raise ExpressionError(f"the name of a field is a text, not {kind_of(place)}", hint="use text(…)", offset=at)
    raise ExpressionError(f"cannot look into {kind_of(value)}", offset=at)


def read_slice(base: Run, start: Run | None, end: Run | None, at: int) -> Run:
    def bound(run: Run | None, frame: Frame) -> int | None:
        value = None if run is None else run(frame)
        if value is None or type(value) is int:
            return value
        if type(value) is float and value == value and abs(value) < BIG and value == int(value):
            return int(value)
        raise ExpressionError(f"a place is a whole number, not {kind_of(value)}", offset=at)

    def read(frame: Frame) -> Any:
        value = base(frame)
        if value is None:
            return None
        if not isinstance(value, list | str):
            raise ExpressionError(f"cannot take a part of {kind_of(value)}", hint="lists and texts have parts", offset=at)
        part = value[bound(start, frame) : bound(end, frame)]
        if len(part) > UNMETERED_TEXT or METER in frame:
            meter_in(frame).take(len(part) * (8 if isinstance(part, list) else 1 if part.isascii() else 4) + 56)
        return part

    return read
