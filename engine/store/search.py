"""Finding text without regard to case, the same on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_


def contains(connection: Connection, text: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """
    Return the condition that one of the columns contains the text, as typed: `%` and `_` mean themselves.

    SQLite's own `lower` knows ASCII alone, so a text with other letters is folded by Python there (slower, and right).
    """
    if connection.dialect.name == "sqlite" and not text.isascii():
        return or_(*(func.casefold(column).contains(text.casefold(), autoescape=True) for column in columns))
    return or_(*(column.icontains(text, autoescape=True) for column in columns))
