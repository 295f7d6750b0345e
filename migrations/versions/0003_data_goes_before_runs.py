"""Runs whose data was taken away stay listed; the words of runs can be searched."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; what is there already is indexed by and by, by the search's own service."""
    op.create_table(
        "trimmed",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="trimmed_pkey"),
    )
    op.create_table(
        "searched",
        sa.Column("doc", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("run_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("doc", name="searched_pkey"),
        sa.UniqueConstraint("run_id", name="searched_run_id_key"),
    )
    op.create_table(
        "search_late",
        sa.Column("run_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="search_late_pkey"),
    )
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search_words USING fts5("
            "workflow, status, words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')"
        )
    else:
        op.execute(
            "CREATE TABLE search_words "
            "(doc BIGINT PRIMARY KEY, workflow TEXT NOT NULL, status TEXT NOT NULL, words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX search_words_words ON search_words USING GIN (words)")
