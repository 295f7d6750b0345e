"""What watches a store from inside: each change of a run's status is held against the limits, in its own transaction."""

from __future__ import annotations

from sqlalchemy import text

from engine.store import SqlStore


def watch_leases(store: SqlStore, *, of_key: int, of_line: int = 1_000_000) -> None:
    """Make the database itself note every moment at which more runs stand as `running` than may."""
    count = "(SELECT count(*) FROM runs WHERE status = 'running' AND line = new.line{})"
    body = (
        f"INSERT INTO passed SELECT new.id, new.lease_key WHERE {count.format(' AND lease_key = new.lease_key')} > {of_key}"
        f" OR {count.format('')} > {of_line}"
    )
    with store.database.gate, store.database.writer.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS passed (run_id TEXT, lease_key TEXT)")
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "CREATE OR REPLACE FUNCTION watch_leases() RETURNS trigger AS $$ "
                f"BEGIN {body}; RETURN new; END $$ LANGUAGE plpgsql"
            )
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS watch ON runs")
            connection.exec_driver_sql(
                "CREATE TRIGGER watch AFTER INSERT OR UPDATE ON runs FOR EACH ROW WHEN (new.status = 'running') "
                "EXECUTE FUNCTION watch_leases()"
            )
        else:
            for what in ("INSERT", "UPDATE"):
                connection.exec_driver_sql(
                    f"CREATE TRIGGER IF NOT EXISTS watch_{what} AFTER {what} ON runs "
                    f"WHEN new.status = 'running' BEGIN {body}; END"
                )


async def leases(store: SqlStore) -> tuple[int, int]:
    """Return how often a limit was passed since the watch began, and how many leases there are now."""

    def look(connection):
        passed = connection.execute(text("SELECT count(*) FROM passed")).scalar_one()
        return passed, connection.execute(text("SELECT count(*) FROM runs WHERE status = 'running'")).scalar_one()

    found: tuple[int, int] = await store._in_reader(look)
    return found


def stop_watching(store: SqlStore) -> None:
    """Take the watch away again."""
    with store.database.gate, store.database.writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS watch ON runs")
        connection.exec_driver_sql("DROP TABLE passed")
