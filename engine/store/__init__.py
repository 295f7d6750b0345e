"""Keeping things: the only home of SQLAlchemy and of the database drivers."""

from .blobs import BlobStore
from .sql_store import SqlStore, open_store

__all__ = ["BlobStore", "SqlStore", "open_store"]
