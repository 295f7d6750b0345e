"""The failure desk: failures with their groups, and replays. Runs that failed before come to the desk as well."""

import orjson
import sqlalchemy as sa
from alembic import op

from engine.store.desk import cause_of_run

revision = "0004"
down_revision = "0003"

Id = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AT_ONCE = 500


def upgrade() -> None:
    """Make the tables, and put what failed so far on the desk."""
    op.create_table(
        "failure_groups",
        sa.Column("id", Id, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="failure_groups_pkey"),
    )
    op.create_table(
        "failures",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("group_id", Id, nullable=False),
        sa.Column("workflow_id", Id),
        sa.Column("workflow_name", sa.Text, nullable=False),
        sa.Column("node", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("action", Id),
        sa.Column("reason", sa.Text),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("settled_by", sa.Text),
        sa.Column("replay_run_id", Id),
        sa.Column("replay_of", Id),
        sa.Column("alerts", sa.Text),
        sa.PrimaryKeyConstraint("run_id", name="failures_pkey"),
    )
    op.create_index("failures_desk", "failures", ["state", "group_id", "workflow_name", "at", "run_id"])
    op.create_index("failures_group_id_run_id", "failures", ["group_id", "run_id"])
    op.create_index("failures_action", "failures", ["action"])
    op.create_table(
        "replays",
        sa.Column("id", Id, nullable=False),
        sa.Column("group_id", Id),
        sa.Column("start", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("payload_form", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("at_once", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="replays_pkey"),
    )
    op.create_table(
        "replay_items",
        sa.Column("replay_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("new_run_id", Id),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("replay_id", "run_id", name="replay_items_pkey"),
    )
    op.create_index("replay_items_replay_id_state_position", "replay_items", ["replay_id", "state", "position"])
    op.create_index("replay_items_new_run_id", "replay_items", ["new_run_id"])
    _fill()


def _fill() -> None:
    """
    Put the runs that failed so far on the desk.

    One whose repetition succeeded is settled; one whose repetition failed is replaced by that.
    """
    bind = op.get_bind()
    repeated = dict(
        bind.execute(
            sa.text(
                "SELECT retry_of, status FROM runs WHERE retry_of IS NOT NULL AND status IN ('succeeded', 'failed') ORDER BY id"
            )
        ).all()
    )
    states = {"succeeded": "resolved", "failed": "replaced"}
    texts: dict[str, str | None] = {}
    last = ""
    while rows := bind.execute(
        sa.text(
            "SELECT id, workflow_id, workflow_name, version_id, finished_at, queued_at, error, retry_of FROM runs "
            "WHERE status = 'failed' AND NOT is_test AND id > :last ORDER BY id LIMIT :most"
        ),
        {"last": last, "most": AT_ONCE},
    ).all():
        groups, failures = {}, []
        for run_id, workflow_id, workflow_name, version_id, finished_at, queued_at, error, retry_of in rows:
            if version_id not in texts:
                texts[version_id] = bind.execute(
                    sa.text("SELECT document FROM versions WHERE id = :id LIMIT 1"), {"id": version_id}
                ).scalar()
            node, cause = cause_of_run(None if error is None else orjson.loads(error), texts[version_id])
            groups[cause.id] = cause
            failures.append(
                {
                    "run_id": run_id,
                    "group_id": cause.id,
                    "workflow_id": workflow_id,
                    "workflow_name": workflow_name,
                    "node": node,
                    "at": finished_at or queued_at,
                    "state": states.get(repeated.get(run_id, ""), "open"),
                    "replay_of": retry_of,
                }
            )
        bind.execute(
            sa.text(
                "INSERT INTO failure_groups (id, step, code, status, message) VALUES (:id, :step, :code, :status, :message) "
                "ON CONFLICT DO NOTHING"
            ),
            [
                {"id": name, "step": cause.step, "code": cause.code, "status": cause.status, "message": cause.message}
                for name, cause in groups.items()
            ],
        )
        bind.execute(
            sa.text(
                "INSERT INTO failures (run_id, group_id, workflow_id, workflow_name, node, at, state, replay_of) "
                "VALUES (:run_id, :group_id, :workflow_id, :workflow_name, :node, :at, :state, :replay_of)"
            ),
            failures,
        )
        last = rows[-1][0]
