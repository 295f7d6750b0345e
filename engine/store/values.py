"""Small settings of this installation, and the API tokens' statements' common ground: insert or overwrite."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from . import tables
from .rows import json_text


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, in the database's own dialect."""
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)


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
