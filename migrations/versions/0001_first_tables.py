"""The first tables: workflows, versions, triggers, firings, runs with their inputs and facts, blobs, tokens, values."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them all."""
    op.create_table(
        "workflows",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("active_version", Id),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="workflows_pkey"),
        sa.UniqueConstraint("name", name="workflows_name_key"),
    )
    op.create_table(
        "versions",
        sa.Column("workflow_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("parents", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "id", name="versions_pkey"),
    )
    op.create_index("versions_id", "versions", ["id"])
    op.create_table(
        "triggers",
        sa.Column("workflow_id", Id, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("version_id", Id, nullable=False),
        sa.Column("workflow_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("path", sa.Text),
        sa.Column("methods", sa.Text, nullable=False),
        sa.Column("next_due", sa.BigInteger),
        sa.Column("cursor", sa.Text),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "node", name="triggers_pkey"),
    )
    op.create_index("triggers_kind", "triggers", ["kind"])
    op.create_table(
        "firings",
        sa.Column("id", Id, nullable=False),
        sa.Column("workflow_id", Id, nullable=False),
        sa.Column("version_id", Id, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("payload_form", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("run_id", Id),
        sa.PrimaryKeyConstraint("id", name="firings_pkey"),
        sa.UniqueConstraint("workflow_id", "node", "key", name="firings_workflow_id_node_key_key"),
    )
    _partial_index("firings_waiting", "firings", "id", "state IN ('held', 'queued')")
    op.create_table(
        "runs",
        sa.Column("id", Id, nullable=False),
        sa.Column("workflow_id", Id),
        sa.Column("workflow_name", sa.Text, nullable=False),
        sa.Column("version_id", Id, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("start_node", sa.Text),
        sa.Column("firing_id", Id),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("retry_of", Id),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="runs_pkey"),
    )
    op.create_index("runs_workflow_id_id_status", "runs", ["workflow_id", "id", "status"])
    _partial_index("runs_open", "runs", "id", "status NOT IN ('succeeded', 'failed', 'cancelled')")
    _partial_index("runs_failed", "runs", "id", "status = 'failed'")
    _partial_index("runs_firing", "runs", "firing_id", "firing_id IS NOT NULL AND retry_of IS NULL", unique=True)
    op.create_table(
        "inputs",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("payload_form", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("document", sa.Text),
        sa.PrimaryKeyConstraint("run_id", name="inputs_pkey"),
    )
    op.create_table(
        "facts",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.Text),
        sa.Column("payload_form", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.PrimaryKeyConstraint("run_id", "seq", name="facts_pkey"),
    )
    op.create_table(
        "blobs",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("owner", Id, nullable=False),
        sa.PrimaryKeyConstraint("hash", "owner", name="blobs_pkey"),
    )
    op.create_index("blobs_owner", "blobs", ["owner"])
    op.create_table(
        "tokens",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="tokens_pkey"),
        sa.UniqueConstraint("hash", name="tokens_hash_key"),
    )
    op.create_table(
        "values",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="values_pkey"),
    )
    if op.get_context().dialect.name == "postgresql":
        # Payloads arrive compressed; the server should not try again.
        for table in ("facts", "inputs", "firings"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN payload SET STORAGE EXTERNAL")


def _partial_index(name: str, table: str, column: str, where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, [column], unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
