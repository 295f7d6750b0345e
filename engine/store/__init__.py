"""Keeping things: the only home of SQLAlchemy and of the database drivers."""

from .blobs import BlobStore
from .care import check_schema, upgrade_schema
from .sql_store import SqlStore, open_store

__all__ = ["BlobStore", "SqlStore", "check_schema", "open_store", "upgrade_schema"]
