"""The tables that the migrations make are the tables that the program uses."""

import psycopg
import pytest

from engine.errors import StoreError
from engine.store import open_store, schema
from engine.store.schema import revisions

pytestmark = pytest.mark.anyio


async def test_the_migrations_lead_to_the_tables(store_url, clock, tmp_path):
    """
    From nothing to the newest revision: columns, types, keys and indexes are those of `engine.store.tables`.
    """
    if store_url.startswith("postgresql"):
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    async with open_store(store_url, clock=clock, blobs_dir=tmp_path) as store:
        assert [] == await store.check()


async def test_what_is_wrong_with_the_tables_is_told(store):
    """
    A column that is missing, a table that is too much, an old revision: `check` names them.
    """
    with store.database.gate, store.database.writer.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN retry_of") if "postgres" in store.database.name else None
        connection.exec_driver_sql("CREATE TABLE stranger (a INTEGER)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    try:
        problems = await store.check()
    finally:
        with store.database.gate, store.database.writer.begin() as connection:
            connection.exec_driver_sql("DROP TABLE stranger")
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revisions()[-1]}'")
            if "postgres" in store.database.name:
                connection.exec_driver_sql("DROP SCHEMA public CASCADE")
                connection.exec_driver_sql("CREATE SCHEMA public")

    assert any("revision 0000" in problem for problem in problems)
    assert any("stranger" in problem for problem in problems)
    if "postgres" in store.database.name:
        assert any("retry_of" in problem for problem in problems)


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
async def test_no_tables_change_under_a_running_engine(store, store_url, clock, tmp_path, monkeypatch):
    """
    A newer command beside an older engine does not upgrade its tables; it is told who runs, and can once that has stopped.
    """
    monkeypatch.setattr(schema, "revisions", lambda: [*revisions(), "9000"])
    monkeypatch.setattr("alembic.command.upgrade", lambda config, target: None)
    guest = open_store(store_url, clock=clock, blobs_dir=tmp_path / "blobs", exclusive=False)

    with pytest.raises(StoreError, match="already running"):
        await guest.start()

    await store.stop()
    await guest.start()
    await guest.stop()
