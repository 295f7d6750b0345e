"""Small settings of this installation, and the API tokens' statements' common ground: insert or overwrite."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete, select

from . import tables
from .rows import json_text


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, in the database's own dialect."""
    return insert_of(connection.dialect.name)(table)


def insert_of(dialect: str) -> Callable[[Table], Any]:
    """Return that dialect's `insert`; the other one is not even loaded."""
    module = importlib.import_module(f"sqlalchemy.dialects.{dialect}")
    function: Callable[[Table], Any] = module.insert
    return function


class SqlValues:
    """Implements `engine.protocols.Values`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under the key, else the default."""
        text = self._connection.execute(select(tables.values.c.value).where(tables.values.c.key == key)).scalar()
        return default if text is None else orjson.loads(text)

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value under the key, in place of the one before."""
        statement = insert_into(self._connection, tables.values)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["key"], set_={"value": statement.excluded.value}),
            {"key": key, "value": json_text(value)},
        )

    def drop(self, key: str) -> None:
        """Keep nothing under the key any more."""
        self._connection.execute(delete(tables.values).where(tables.values.c.key == key))
