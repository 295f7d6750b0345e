"""From what code handed back to plain JSON, or a sentence that says where it is not."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any, Final

from .files import File

_FLAT: Final = frozenset({str, int, bool, type(None)})
_NUMBERS: Final = frozenset({str, int, float, bool, type(None)})
_MOST: Final = 2**63
_DEEPEST: Final = 200


class NotJson(Exception):
    """A value that JSON cannot hold; its text says where it stands and what to do."""


class Plain:
    """Turns values into JSON; `mark` is the name that files bear in it, `has_files` says whether there were any."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.has_files = False

    def item(self, value: dict[Any, Any]) -> dict[str, Any]:
        """
        Return an item as JSON can hold it: the very same where nothing has to change.

        Raises `NotJson`.
        """
        kinds = set(map(type, value.values()))
        is_flat = kinds <= _NUMBERS and set(map(type, value)) <= {str}
        if is_flat and ((float not in kinds and int not in kinds) or _are_sound(value)):
            return value
        return self._object(value, "", 0)

    def value(self, value: Any, path: str, depth: int) -> Any:
        """Return one value as JSON can hold it."""
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            if not -_MOST <= value < 2 * _MOST:
                raise NotJson(f"{_at(path)} is a number of {len(str(abs(value))):,} digits. Hand it on as text: str(…).")
            return value
        if kind is float:
            if not math.isfinite(value):
                raise NotJson(f"{_at(path)} is {value}, which JSON does not have. Use None where there is no number.")
            return value
        if depth > _DEEPEST:
            raise NotJson(f"{_at(path[:60])} is nested more than {_DEEPEST} levels deep.")
        if isinstance(value, dict):
            return self._object(value, path, depth)
        if isinstance(value, list | tuple):
            return [self.value(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(value)]
        return self._other(value, path, depth)

    def _object(self, value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        made = {}
        for name, entry in value.items():
            if not isinstance(name, str):
                raise NotJson(f"{_at(path)} has the key {name!r}, which is {_a(name)}; keys are text. Use str(…).")
            made[str(name)] = self.value(entry, f"{path}.{name}" if path else name, depth + 1)
        return made

    def _other(self, value: Any, path: str, depth: int) -> Any:
        match value:
            case File():
                self.has_files = True
                return {self.mark: value.number()}
            case bool() | int() | float() | str():  # of a class of their own, such as an enum
                base: Any = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
                return self.value(base(value), path, depth)
            case datetime.datetime() | datetime.date() | datetime.time():
                return value.isoformat()
            case datetime.timedelta():
                return value.total_seconds()
            case decimal.Decimal() | uuid.UUID():
                return str(value)
            case set() | frozenset():
                raise NotJson(f"{_at(path)} is a set, which JSON does not have. Make it a list: sorted(…) or list(…).")
            case bytes() | bytearray() | memoryview():
                raise NotJson(f"{_at(path)} is bytes. Hand them on as a file: File('name.bin', data).")
        if callable(plain := getattr(value, "tolist", None)):  # what numpy and pandas hand out
            return self.value(plain(), path, depth + 1)
        raise NotJson(f"{_at(path)} is {_a(value)}, which JSON does not have. Make it text, a number, a list or an object.")


def _are_sound(value: dict[Any, Any]) -> bool:
    for entry in value.values():
        if type(entry) is float:
            if entry - entry != 0:
                return False
        elif type(entry) is int and not -_MOST <= entry < 2 * _MOST:
            return False
    return True


def kind_name(value: Any) -> str:
    """Return what a value is, in words: “a list”, “a number”."""
    if value is None:
        return "nothing (None)"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value)) or _a(value)


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _at(path: str) -> str:
    return f"“{path}”" if path else "What was handed back"
