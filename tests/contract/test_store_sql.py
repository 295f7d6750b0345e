"""Asking in SQL: what the views tell, and what nobody gets out of them."""

import time
from dataclasses import replace

import pytest

from engine.errors import BadRequest, TimedOut, TreadleError
from engine.ids import NodeId
from engine.model.run import FactKind, RunStatus
from engine.protocols import Token
from engine.store.ask import Question, check_words
from engine.store.ask_views import VIEWS

pytestmark = pytest.mark.anyio
SECRET = "s3cr3t-hash"


@pytest.fixture
async def ask(store, make, clock):
    """A store with a run, a token and a webhook's secret in it; asks it."""
    workflow = make.workflow()
    run = make.run(
        RunStatus.FAILED, workflow_id=workflow.id, error={"code": "refused", "message": "No!", "where": {"node": "a"}}
    )
    token = Token(id="tok_1", name="a", hash=SECRET, scopes=("read",), created_at=clock.now())
    hook = replace(make.trigger(workflow, "hook"), kind="trigger.webhook", fields={"sign": {"secret": SECRET}})

    def fill(work):
        work.workflows.add(replace(workflow, draft=SECRET))
        work.runs.add(run, input=SECRET.encode())
        work.tokens.add(token)
        work.triggers.replace(workflow.id, [make.trigger(workflow), hook])
        work.values.set("key", SECRET)

    await store.write(fill)
    ended = {"in": 2, "ms": 1.5, "ports": {"out": 2}}
    store.journal.append(make.fact(run.id, node=NodeId("a"), summary=ended, payload=SECRET.encode()), epoch=0)
    line = {"level": "info", "text": "hello"}
    store.journal.append(make.fact(run.id, 1, kind=FactKind.LOGGED, summary=line, payload=None), epoch=0)
    await store.journal.barrier()

    async def ask(sql, rows=1000, seconds=5.0):
        return await store.ask(Question(sql, rows, seconds))

    ask.run, ask.is_postgres = run, "postgres" in store.database.name
    return ask


async def test_what_the_views_tell(ask):
    """
    Runs, steps, failures, logs, workflows and schedules, with moments and numbers as people read them.
    """
    assert [[ask.run.id, "failed", 0, "refused"]] == [
        list(row) for row in (await ask("SELECT id, status, duration_ms, error_code FROM v_runs")).rows
    ]
    steps = await ask("SELECT node, status, items_in, duration_ms FROM v_steps WHERE run_id LIKE 'run_%'")
    assert (("node", "status", "items_in", "duration_ms"), [["a", "succeeded", 2, 1.5]]) == (steps.columns, list(steps.rows))
    assert [["a", "No!"]] == list((await ask("SELECT node, message FROM v_failures")).rows)
    assert [["info", "hello"]] == list((await ask("SELECT level, line FROM v_logs")).rows)
    assert [["0 7 * * *", "every_morning"]] == list((await ask("SELECT cron, node FROM v_schedules")).rows)
    assert [["Overdue orders"]] == list((await ask("SELECT name FROM v_workflows")).rows)
    for view in VIEWS:
        assert 1 == (await ask(f"SELECT count(*) FROM {view}")).rows[0][0], view
    grouped = await ask("WITH f AS (SELECT code, count(*) AS n FROM v_failures GROUP BY code) SELECT * FROM f WHERE n >= 1;")
    assert [["refused", 1]] == list(grouped.rows)


ATTACKS = [
    "SELECT * FROM tokens",
    "SELECT hash FROM main.tokens",
    "SELECT * FROM runs",
    "SELECT payload FROM facts",
    "SELECT draft FROM workflows",
    "SELECT * FROM triggers",
    'SELECT * FROM "values"',
    "SELECT * FROM inputs",
    "WITH v_runs AS (SELECT * FROM tokens) SELECT * FROM v_runs",
    "WITH v_runs AS (SELECT fields AS id FROM triggers) SELECT * FROM v_runs",
    "WITH v_steps AS (SELECT payload AS a FROM facts) SELECT * FROM v_steps",
    "WITH v_workflows AS (SELECT draft FROM workflows) SELECT * FROM v_workflows",
    "SELECT (SELECT hash FROM tokens) FROM v_runs",
    "SELECT * FROM v_runs UNION SELECT * FROM tokens",
    "SELECT * FROM v_runs WHERE EXISTS (SELECT 1 FROM tokens WHERE hash LIKE 's%')",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM temp.sqlite_master",
    "SELECT * FROM search_words_content",
    "SELECT * FROM pragma_table_info('tokens')",
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT * FROM information_schema.tables",
    'SELECT * FROM "pg_shadow"',
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'y')",
    "SELECT randomblob(1000000000)",
    "SELECT zeroblob(1000000000)",
    "SELECT printf('%1000000000d', 1)",
    "SELECT fts5_source_id()",
    "SELECT sqlcipher_export('x')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(10)",
    "SELECT set_config('role', 'none', true), query_to_xml('SELECT * FROM tokens', true, true, '')",
    "SELECT query_to_xml('SELECT * FROM tokens', true, true, '')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT dblink('', '')",
    "SELECT \"query_to_xml\"('SELECT * FROM tokens', true, true, '')",
    "SELECT public.query_to_xml('SELECT * FROM tokens', true, true, '')",
    "SELECT current_setting('data_directory')",
    "PRAGMA table_list",
    "PRAGMA key",
    "ATTACH '/tmp/x.db' AS x",
    "DELETE FROM runs",
    "INSERT INTO runs DEFAULT VALUES",
    "UPDATE runs SET status = 'x'",
    "CREATE TABLE x (a)",
    "DROP VIEW v_runs",
    "VACUUM INTO '/tmp/x'",
    "WITH x AS (DELETE FROM runs RETURNING *) SELECT * FROM x",
    "SELECT 1; SELECT * FROM tokens",
    "SELECT 1; DROP TABLE runs",
    "SELECT * INTO x FROM v_runs",
    "SELECT * FROM v_runs) x; RESET ROLE; SELECT * FROM (SELECT * FROM tokens",
    "SELECT * FROM v_runs) AS x, tokens LIMIT 5 --",
    "SELECT * FROM v_runs FOR UPDATE",
    "EXPLAIN SELECT * FROM v_runs",
    "COPY tokens TO STDOUT",
    "SET ROLE postgres",
    "BEGIN",
    "SELECT 'a\0b'",
    "",
    "SELECT " + "1+" * 6000 + "1",
]


async def told(ask, sql):
    """Return the rows as text, or the sentence of a refusal."""
    try:
        return str((await ask(sql)).rows)
    except TreadleError as error:
        return error.message


@pytest.mark.parametrize("sql", ATTACKS, ids=range(len(ATTACKS)))
async def test_what_nobody_gets(store, ask, sql):
    """
    Every attack is refused with a sentence, or gives nothing that is secret; nothing has changed and nothing was written.
    """
    found = await told(ask, sql)
    assert SECRET not in found
    assert "root:" not in found
    assert ask.run == await store.read(lambda work: work.runs.get(ask.run.id))
    assert not found.startswith("["), found


BOMBS = [
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "WITH RECURSIVE t(n, x) AS (SELECT 1, 'aaaaaaaa' UNION ALL SELECT n + 1, x || x FROM t) SELECT max(n) FROM t",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100000) "
    "SELECT count(*) FROM t a, t b, t c WHERE a.n + b.n + c.n = 7",
]


@pytest.mark.parametrize("sql", BOMBS, ids=range(len(BOMBS)))
async def test_a_bomb_is_ended(ask, sql):
    """
    Time and memory have an end, and the store goes on.
    """
    began = time.monotonic()
    with pytest.raises((TimedOut, BadRequest)):
        await ask(sql, seconds=0.5)
    assert time.monotonic() - began < 8
    assert 1 == (await ask("SELECT count(*) FROM v_runs")).rows[0][0]


async def test_rows_have_an_end(ask):
    """
    More rows than wanted are cut, and that is said.
    """
    ten = " UNION ALL ".join(["SELECT 1 AS n"] * 10)
    many = f"WITH ten AS ({ten}), five AS (SELECT n FROM ten LIMIT 5) SELECT ten.n FROM ten, five"
    answer = await ask(many, rows=10)
    assert (10, True) == (len(answer.rows), answer.is_cut)
    assert (50, False) == (len((await ask(many)).rows), (await ask(many)).is_cut)


async def test_a_mistake_is_told(ask):
    """
    A wrong column or a typing mistake is told in the database's words, with where to look.
    """
    with pytest.raises(BadRequest, match="nocolumn") as caught:
        await ask("SELECT nocolumn FROM v_runs")
    assert "sql.md" in caught.value.hint
    with pytest.raises(BadRequest, match="Only SELECT"):
        await ask("selct 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count (*) FROM v_runs WHERE id IN ('a') AND (1 = 1)",
        "SELECT coalesce(error_code, 'it''s') FROM v_runs ORDER BY id DESC",
        'SELECT "status", sum(duration_ms) FROM v_runs GROUP BY 1',
    ],
)
def test_honest_words_pass(sql):
    """
    What PostgreSQL is asked in ordinary words passes the look at them.
    """
    check_words(sql)
