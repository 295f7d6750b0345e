"""The views that people may ask in SQL, and the columns of tables that stand behind them. Nothing secret is among these."""

# ruff: noqa: S608 - every piece of these statements is ours
from __future__ import annotations

from typing import Final

VIEWS: Final = ("v_runs", "v_steps", "v_failures", "v_logs", "v_workflows", "v_schedules")

_RUN_COLUMNS: Final = (
    "id workflow_id workflow_name version_id status trigger start_node firing_id is_test retry_of "
    "queued_at started_at finished_at error"
)
GRANTS: Final = frozenset(
    (table, column)
    for table, columns in (
        ("runs", _RUN_COLUMNS),
        ("facts", "run_id seq kind node scope attempt at summary"),
        ("workflows", "id name revision active_version created_at updated_at"),
        ("trimmed", "run_id at"),
    )
    for column in ("", *columns.split())
)
"""What a view may read. A query that calls its own subquery by a view's name gets no further than these."""

SCHEDULE_COLUMNS: Final = ("workflow_id", "workflow", "node", "cron", "every", "timezone", "calendar", "next_due", "is_paused")

_STEP_KINDS: Final = "('step_succeeded', 'step_failed', 'step_skipped', 'step_cancelled')"


def view_sql(dialect: str) -> dict[str, str]:
    """Return the SELECT behind each view but `v_schedules`, which is filled with what its fields say in public."""
    if dialect == "sqlite":

        def at(column: str) -> str:
            return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000000.0, 'unixepoch')"

        def json(column: str, *path: str) -> str:
            return f"json_extract({column}, '$.{'.'.join(path)}')"
    else:

        def at(column: str) -> str:
            return f"to_timestamp({column} / 1000000.0)"

        def json(column: str, *path: str) -> str:
            return f"({column}::jsonb #>> '{{{','.join(path)}}}')"

    return {
        "v_runs": f"""SELECT r.id, r.workflow_id, r.workflow_name AS workflow, r.version_id AS version, r.status,
            r."trigger" AS started_by, r.start_node, r.is_test, r.retry_of, {at("r.queued_at")} AS queued_at,
            {at("r.started_at")} AS started_at, {at("r.finished_at")} AS finished_at,
            (r.finished_at - r.started_at) / 1000.0 AS duration_ms, {json("r.error", "code")} AS error_code,
            {json("r.error", "message")} AS error_message, r.error, {at("t.at")} AS data_removed_at
            FROM runs r LEFT JOIN trimmed t ON t.run_id = r.id""",
        "v_steps": f"""SELECT f.run_id, f.node, f.scope, substr(f.kind, 6) AS status, f.attempt, {at("f.at")} AS finished_at,
            CAST({json("f.summary", "in")} AS INTEGER) AS items_in, CAST({json("f.summary", "ms")} AS REAL) AS duration_ms,
            {json("f.summary", "ports")} AS items_out, {json("f.summary", "error", "message")} AS error_message
            FROM facts f WHERE f.kind IN {_STEP_KINDS}""",
        "v_failures": f"""SELECT r.id AS run_id, r.workflow_id, r.workflow_name AS workflow, {at("r.finished_at")} AS failed_at,
            {json("r.error", "where", "node")} AS node, {json("r.error", "code")} AS code,
            {json("r.error", "message")} AS message, {json("r.error", "hint")} AS hint
            FROM runs r WHERE r.status = 'failed'""",
        "v_logs": f"""SELECT f.run_id, f.node, f.scope, {at("f.at")} AS at, {json("f.summary", "level")} AS level,
            {json("f.summary", "text")} AS line, f.summary AS details FROM facts f WHERE f.kind = 'logged'""",
        "v_workflows": f"""SELECT w.id, w.name, w.revision, w.active_version IS NOT NULL AS is_active, w.active_version,
            {at("w.created_at")} AS created_at, {at("w.updated_at")} AS updated_at FROM workflows w""",
    }


_WORDS: Final = (
    "-> ->> abs all and any as avg between by case cast ceil ceiling char coalesce concat concat_ws count "
    "cume_dist date date_part date_trunc datetime dense_rank distinct else except exists extract filter "
    "first_value floor from glob greatest group group_concat having ifnull iif in instr intersect interval is "
    "join json json_array_length json_each json_extract json_extract_path_text json_type jsonb_array_elements "
    "jsonb_array_length jsonb_each jsonb_each_text julianday lag last_value lead least left length like "
    "likelihood limit lower ltrim materialized max min mod not now nth_value ntile nullif numeric offset on or "
    "order over partition percent_rank percentile_cont position power rank right round row row_number rtrim "
    "select sign split_part sqrt strftime string_agg substr substring sum then time to_char to_timestamp total "
    "trim trunc typeof union unixepoch upper using values varchar when where with within "
)
FUNCTIONS: Final = frozenset(_WORDS.split())
"""Functions, and words that may stand before a parenthesis. No function here reaches files, settings, or other statements."""
