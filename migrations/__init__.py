"""
How the tables came to be what they are: one file per step, in `versions/`, named by what it changes.

`engine.store.schema` runs them; there is no `alembic.ini`. Going back is done with the snapshot that was taken before.
"""
