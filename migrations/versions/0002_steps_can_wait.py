"""Steps can wait: the tables waits and signals, and an index of the runs that a worker has to take."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "waits",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("wake_at", sa.BigInteger),
        sa.Column("details", sa.Text),
        sa.Column("woken_at", sa.BigInteger),
        sa.Column("how", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("payload_form", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.PrimaryKeyConstraint("run_id", "node", "scope", name="waits_pkey"),
    )
    op.create_index("waits_kind_name_key", "waits", ["kind", "name", "key"])
    _partial_index("waits_wake_at", "waits", "wake_at", "wake_at IS NOT NULL AND woken_at IS NULL")
    op.create_table(
        "signals",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("note", sa.Text),
        sa.Column("payload_form", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="signals_pkey"),
    )
    op.create_index("signals_name_key", "signals", ["name", "key"])
    _partial_index("runs_ready", "runs", "id", "status IN ('queued', 'running')")


def _partial_index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
