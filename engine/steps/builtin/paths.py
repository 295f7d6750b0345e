"""Dotted paths into items: writing and renaming makes new objects along the way and leaves the old ones alone."""

from __future__ import annotations

from typing import Any

from engine.errors import BadInput
from engine.model.items import Item


def split_path(path: str, field: str) -> tuple[str, ...]:
    """Return the words of `customer.address.city`; raises `BadInput` for a path with nothing between its dots."""
    words = tuple(path.split("."))
    if not all(word.strip() for word in words):
        raise BadInput(field, f"“{path}” is not a path: a word is missing.", hint="Write it like customer.address.city.")
    return words


def put(item: Item, path: tuple[str, ...], value: Any) -> Item:
    """Return the item with `value` at the path; whatever stood in the way and is no object is replaced by one."""
    head, *rest = path
    if not rest:
        return {**item, head: value}
    inner = item.get(head)
    return {**item, head: put(inner if isinstance(inner, dict) else {}, tuple(rest), value)}


def get(item: Item, path: tuple[str, ...]) -> tuple[bool, Any]:
    """Return whether there is something at the path, and what it is."""
    value: Any = item
    for word in path:
        if not isinstance(value, dict) or word not in value:
            return False, None
        value = value[word]
    return True, value


def drop(item: Item, path: tuple[str, ...]) -> Item:
    """Return the item without what is at the path; the very same item when nothing is there."""
    head, *rest = path
    if head not in item:
        return item
    if not rest:
        return {name: value for name, value in item.items() if name != head}
    inner = item[head]
    if not isinstance(inner, dict):
        return item
    left = drop(inner, tuple(rest))
    return item if left is inner else {**item, head: left}
