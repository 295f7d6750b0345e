"""Runs get the line they stand in, the key their workflow's limit counts by, and their rank in line."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ACTIVE = sa.text("status IN ('queued', 'running')")


def upgrade() -> None:
    """Add the columns; runs that are open already stand in the line of their workflow."""
    op.add_column("runs", sa.Column("line", Id, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("lease_key", Id, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("rank", sa.SmallInteger, nullable=False, server_default="0"))
    op.execute(
        "UPDATE runs SET line = coalesce(workflow_id, 'document ' || version_id) "
        "WHERE status NOT IN ('succeeded', 'failed', 'cancelled')"
    )
    op.create_index(
        "runs_line",
        "runs",
        ["line", "status", "lease_key", "rank", "id"],
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
