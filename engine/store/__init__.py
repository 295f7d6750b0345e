"""Keeping things: the only importer of SQLAlchemy."""
