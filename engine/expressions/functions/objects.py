"""Functions on objects."""

from __future__ import annotations

from typing import Any

from ..budget import Meter
from ..errors import ExpressionError
from ..values import kind_of, truth
from .spec import Fn, Many, Object, Text, Value, function

MAX_PATH = 40
MAX_PATH_TEXT = 2000


@function("object", ("keys({a: 1, b: 2})", ["a", "b"]))
def keys(object_: Object) -> list[str]:
    """Lists the names of the fields."""
    return list(object_)


@function("object", ("values({a: 1, b: 2})", [1, 2]), is_picking=True)
def values(object_: Object) -> Many:
    """Lists the values of the fields."""
    return list(object_.values())


@function("object", ("entries({a: 1})", [{"key": "a", "value": 1}]))
def entries(meter: Meter, object_: Object) -> Many:
    """Lists the fields as objects with `key` and `value`."""
    meter.take(240 * len(object_))
    return [{"key": key, "value": value} for key, value in object_.items()]


@function("object", ('from_entries([{key: "a", value: 1}])', {"a": 1}), ('from_entries([["a", 1]])', {"a": 1}))
def from_entries(list_: Many) -> Object:
    """Makes an object from a list of `{key, value}` or `[key, value]`."""
    built: Object = {}
    for entry in list_:
        if isinstance(entry, dict):
            key, value = entry.get("key"), entry.get("value")
        elif isinstance(entry, list) and len(entry) == 2:
            key, value = entry
        else:
            raise ExpressionError(f"from_entries(…) needs objects with key and value, not {kind_of(entry)}")
        if not isinstance(key, str):
            raise ExpressionError(f"the name of a field is a text, not {kind_of(key)}", hint="use text(…)")
        built[key] = value
    return built


@function("object", ('has({a: null}, "a")', True), ('has({a: {b: 1}}, "a.c")', False), is_flat=True)
def has(object_: Object, path: Text) -> bool:
    """Tells whether a field is there, even when it is null; the path goes deeper with points."""
    return _MISSING is not _found(object_, path)


@function(
    "object",
    ('get({a: {b: [5, 6]}}, "a.b.1")', 6),
    ('get({}, "a.b", "none")', "none"),
    ('get({"a.b": 1}, "a.b")', 1),
    is_flat=True,
)
def get(value: Value, path: Text, otherwise: Value = None) -> Any:
    """Takes a field by a path that is text, such as "customer.name" or "lines.0.sku"; gives `otherwise` where nothing is."""
    found = at_path(value, path)
    return otherwise if found is None else found


_MISSING = object()


def at_path(value: Any, path: str) -> Any:
    """Return what a path leads to, null where it leads nowhere."""
    found = _found(value, path)
    return None if found is _MISSING else found


def _found(value: Any, path: str) -> Any:
    if isinstance(value, dict) and path in value:
        return value[path]
    steps = path[: MAX_PATH_TEXT + 1].split(".", MAX_PATH + 1)
    if len(steps) > MAX_PATH or len(path) > MAX_PATH_TEXT:
        raise ExpressionError(f"a path has at most {MAX_PATH} parts")
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


@function(
    "object",
    ('set({a: 1}, "b", 2)', {"a": 1, "b": 2}),
    ('set({a: {x: 1}}, "a.y", 2)', {"a": {"x": 1, "y": 2}}),
)
def set_(meter: Meter, object_: Object, path: Text, value: Value) -> Object:
    """Gives the object with one field set; the path goes deeper with points. The object itself stays as it is."""
    steps = path[: MAX_PATH_TEXT + 1].split(".", MAX_PATH + 1)
    if len(steps) > MAX_PATH or len(path) > MAX_PATH_TEXT:
        raise ExpressionError(f"a path has at most {MAX_PATH} parts")
    built = dict(object_)
    place = built
    for step in steps[:-1]:
        inner = place.get(step)
        if inner is not None and not isinstance(inner, dict):
            raise ExpressionError(f"“{step[:40]}” is {kind_of(inner)}, not an object")
        meter.take(240 + 100 * len(inner or {}))
        place[step] = dict(inner or {})
        place = place[step]
    place[steps[-1]] = value
    return built


@function("object", ("merge({a: 1}, {b: 2}, {a: 3})", {"a": 3, "b": 2}))
def merge(*objects: Value) -> Object:
    """Puts objects together; of equal names the later one counts, null is left out."""
    built: Object = {}
    for part in objects:
        if part is None:
            continue
        if not isinstance(part, dict):
            raise ExpressionError(f"merge(…) puts objects together, not {kind_of(part)}")
        built.update(part)
    return built


@function("object", ('pick({a: 1, b: 2, c: 3}, "a", "c")', {"a": 1, "c": 3}), ('pick({a: 1}, ["a", "z"])', {"a": 1}))
def pick(object_: Object, *names: Value) -> Object:
    """Keeps only the named fields."""
    return {name: object_[name] for name in _names(names) if name in object_}


@function("object", ('omit({a: 1, b: 2}, "b")', {"a": 1}))
def omit(object_: Object, *names: Value) -> Object:
    """Leaves the named fields out."""
    unwanted = set(_names(names))
    return {name: value for name, value in object_.items() if name not in unwanted}


def _names(names: tuple[Any, ...]) -> list[str]:
    found = names[0] if len(names) == 1 and isinstance(names[0], list) else list(names)
    for name in found:
        if not isinstance(name, str):
            raise ExpressionError(f"the name of a field is a text, not {kind_of(name)}")
    return list(found)


@function(
    "object",
    ("map_values({a: 1, b: 2}, v => v * 10)", {"a": 10, "b": 20}),
    ("map_values({a: 1}, (v, k) => k + v)", {"a": "a1"}),
)
def map_values(object_: Object, to: Fn) -> Object:
    """Makes a new value for each field; the function may take the name as its second value."""
    names = list(object_)
    return dict(zip(names, to.each(list(object_.values()), names), strict=True))


@function("object", ("filter_values({a: 1, b: null}, v => v != null)", {"a": 1}))
def filter_values(object_: Object, where: Fn) -> Object:
    """Keeps the fields that fit; the function may take the name as its second value."""
    names = list(object_)
    fits = where.each(list(object_.values()), names)
    return {name: object_[name] for name, keep in zip(names, fits, strict=True) if truth(keep)}


@function("object", ('rename({a: 1, b: 2}, {a: "x"})', {"x": 1, "b": 2}))
def rename(object_: Object, names: Object) -> Object:
    """Gives fields other names, from an object of old and new names; the order stays."""
    for new in names.values():
        if not isinstance(new, str):
            raise ExpressionError(f"the name of a field is a text, not {kind_of(new)}")
    return {names.get(name, name): value for name, value in object_.items()}
