"""Runs can call others: a run names the one that called it and the step that waits for it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns; the runs of before were called by nobody."""
    op.add_column("runs", sa.Column("parent_run_id", Id))
    op.add_column("runs", sa.Column("parent_step", sa.Text))
    where = sa.text("parent_run_id IS NOT NULL")
    op.create_index(
        "runs_parent", "runs", ["parent_run_id", "parent_step", "status"], sqlite_where=where, postgresql_where=where
    )
