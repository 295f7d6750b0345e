"""
SQL for people: one SELECT over documented views, read-only, with an end to its time, its rows and its memory.

On SQLite a connection of its own sees the views and nothing else: an authorizer refuses every other table, PRAGMA, ATTACH and
function, and a progress handler ends what takes too long. A file is asked in a process of its own, which is killed when it
does not end and whose memory is bounded where the system can. On PostgreSQL the question runs in a read-only transaction as
a role that may read the views alone, after its words have been looked at.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sqlcipher3 import dbapi2 as sqlcipher

from engine.errors import BadRequest, StoreError, TimedOut

from .ask_views import FUNCTIONS, GRANTS, SCHEDULE_COLUMNS, VIEWS, view_sql

LONGEST_SQL: Final = 10_000
MOST_ROWS: Final = 10_000
MOST_BYTES: Final = 8 * 1024 * 1024
MEMORY: Final = 512 * 1024 * 1024
GRACE_S: Final = 3.0
STEPS: Final = 2_000

_SELECT, _READ, _FUNCTION, _RECURSIVE = 21, 20, 31, 33
_OK, _DENY = 0, 1
_VIRTUAL: Final = frozenset({"json_each", "json_tree"})


@dataclass(frozen=True, slots=True)
class Question:
    """One statement and its limits."""

    sql: str
    rows: int = 1000
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The names of the columns and the rows; `is_cut` says that there were more."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    is_cut: bool = False


def check(question: Question) -> None:
    """Pass for one SELECT of bearable length; raises `BadRequest`."""
    text = question.sql.strip().rstrip(";").strip()
    if not text or len(text) > LONGEST_SQL or "\0" in text:
        raise BadRequest(f"A question in SQL has 1 to {LONGEST_SQL:,} letters.", hint="SELECT * FROM v_runs LIMIT 10")
    if not re.match(r"(?is)(select|with|values)\b", text):
        raise BadRequest("Only SELECT can be asked.", hint=f"The views are: {', '.join(VIEWS)}.")


def ask_in_child(path: Path, key: str | None, question: Question, schedules: Sequence[Sequence[Any]]) -> Answer:
    """Ask a SQLite file in a process of its own; raises `TimedOut` when it had to be killed."""
    asked = {
        "path": str(path),
        "key": key,
        "sql": question.sql,
        "rows": question.rows,
        "seconds": question.seconds,
        "schedules": [list(row) for row in schedules],
    }
    command = [sys.executable, "-c", "from engine.store.ask import _child; _child()"]
    root = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": root, "PATH": "", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(path.parent)}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            command,
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=question.seconds + GRACE_S,
            env=environment,
            cwd=root,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_long(question) from None
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise BadRequest("The question took more memory than it may.", hint="Ask for fewer rows, or group them.") from None
    if "error" in told:
        kind, text, hint = told["error"]
        raise (TimedOut if kind == "timed_out" else BadRequest)(text, hint=hint)
    return Answer(tuple(told["columns"]), told["rows"], told["is_cut"])


def ask_sqlite(
    connect: Callable[[], Any], question: Question, schedules: Sequence[Sequence[Any]], *, is_bounded: bool = False
) -> Answer:
    """
    Ask on a fresh connection of its own, which is closed afterwards; raises `BadRequest` or `TimedOut`.

    `is_bounded` says that the process's memory has an end, so that a query may call itself.
    """
    check(question)
    connection = connect()
    try:
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("PRAGMA cache_size = -4000")
        for name, select in view_sql("sqlite").items():
            connection.execute(f"CREATE TEMP VIEW {name} AS {select}")
        connection.execute(f"CREATE TEMP TABLE v_schedules ({', '.join(SCHEDULE_COLUMNS)})")
        marks = ", ".join("?" * len(SCHEDULE_COLUMNS))
        connection.executemany(f"INSERT INTO v_schedules VALUES ({marks})", [list(row) for row in schedules])  # noqa: S608
        connection.execute("PRAGMA query_only = ON")
        return _guarded(connection, question, is_bounded)
    finally:
        with contextlib.suppress(sqlcipher.Error):
            connection.set_authorizer(None)
            connection.set_progress_handler(None, 0)
        connection.close()


def _guarded(connection: Any, question: Question, is_bounded: bool) -> Answer:
    refused: list[str] = []
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master UNION SELECT name FROM sqlite_temp_master")}

    def authorize(action: int, first: Any, second: Any, _: Any, source: Any) -> int:
        if action == _SELECT or (action == _RECURSIVE and is_bounded):
            return _OK
        if action == _READ:
            if first in VIEWS or first in _VIRTUAL or (source in VIEWS and (first, second) in GRANTS):
                return _OK
            if second == "" and (first not in tables or (first, "") in GRANTS):
                return _OK  # rows are only counted: of a part of the question, or of a view that has been opened up
            refused.append(str(first))
            return _DENY
        if action == _FUNCTION:
            if str(second).lower() in FUNCTIONS:
                return _OK
            refused.append(f"{second}()")
            return _DENY
        refused.append("this statement")
        return _DENY

    end = time.monotonic() + question.seconds
    connection.set_authorizer(authorize)
    connection.set_progress_handler(lambda: int(time.monotonic() > end), STEPS)
    rows: list[list[Any]] = []
    size, is_cut = 0, False
    try:
        cursor = connection.execute(question.sql.strip().rstrip(";"))
        for row in cursor:
            if len(rows) >= min(question.rows, MOST_ROWS) or size > MOST_BYTES:
                is_cut = True
                break
            rows.append([_plain(value) for value in row])
            size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        columns = tuple(column[0] for column in cursor.description or ())
    except MemoryError:
        raise BadRequest("The question took more memory than it may.", hint="Ask for fewer rows, or group them.") from None
    except (sqlcipher.Error, sqlcipher.Warning, OverflowError, ValueError) as error:
        if refused:
            known = f"There are the views {', '.join(VIEWS)} and the functions that docs/reference/sql.md lists."
            raise BadRequest(f"“{refused[0][:80]}” cannot be used here.", hint=known) from None
        if "interrupt" in str(error):
            raise _too_long(question) from None
        raise BadRequest(
            f"The question cannot be answered: {error}.", hint="docs/reference/sql.md lists every column."
        ) from None
    return Answer(columns, rows, is_cut)


def ask_postgres(engine: Any, question: Question, schedules: Sequence[Sequence[Any]]) -> Answer:
    """Ask a server as a role that reads the views alone; raises `BadRequest`, `TimedOut`, or `StoreError` without that role."""
    import psycopg

    check(question)
    check_words(question.sql.strip().rstrip(";"))
    with engine.connect() as held:
        driver = held.connection.driver_connection
        cursor = driver.cursor()
        try:
            try:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'treadle_sql'")
                if cursor.fetchone() is None:
                    cursor.execute("CREATE ROLE treadle_sql NOLOGIN")
                    cursor.execute("GRANT treadle_sql TO CURRENT_USER")
                for name, select in view_sql("postgresql").items():
                    cursor.execute(f"CREATE TEMP VIEW {name} AS {select}")
                cursor.execute(f"CREATE TEMP TABLE v_schedules ({', '.join(f'{name} text' for name in SCHEDULE_COLUMNS)})")
                marks = ", ".join(["%s"] * len(SCHEDULE_COLUMNS))
                cursor.executemany(
                    f"INSERT INTO v_schedules VALUES ({marks})",  # noqa: S608 - the marks are ours
                    [[None if value is None else str(value) for value in row] for row in schedules],
                )
                cursor.execute(f"GRANT SELECT ON {', '.join(VIEWS)} TO treadle_sql")
                cursor.execute("SET LOCAL search_path = pg_temp")
                cursor.execute(f"SET LOCAL statement_timeout = {int(question.seconds * 1000)}")
                cursor.execute("SET LOCAL work_mem = '16MB'")
                cursor.execute("SET LOCAL ROLE treadle_sql")
                cursor.execute("SET TRANSACTION READ ONLY")
            except psycopg.errors.InsufficientPrivilege as error:
                raise StoreError(
                    "Questions in SQL need a role of their own, which the database's user may not make.",
                    hint="As an administrator: CREATE ROLE treadle_sql NOLOGIN; GRANT treadle_sql TO <the user>;",
                ) from error
            limit = min(question.rows, MOST_ROWS)
            wrapped = f"SELECT * FROM (\n{question.sql.strip().rstrip(';')}\n) AS asked LIMIT {limit + 1}"  # noqa: S608 - see above
            try:
                cursor.execute(wrapped, prepare=True)  # as a prepared statement, of which there can be only one
                found = cursor.fetchall()
            except psycopg.errors.QueryCanceled:
                raise _too_long(question) from None
            except psycopg.Error as error:
                first = str(error).strip().splitlines()[0]
                raise BadRequest(
                    f"The question cannot be answered: {first}.", hint="docs/reference/sql.md lists every column."
                ) from None
            columns = tuple(column.name for column in cursor.description or ())
            rows = [[_plain(value) for value in row] for row in found[:limit]]
            return Answer(columns, rows, len(found) > limit)
        finally:
            driver.rollback()


_TOKENS: Final = re.compile(
    r"(?P<comment>--[^\n]*|/\*)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")|(?P<dollar>\$\w*\$)|"
    r"(?P<name>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?P<open>\()|(?P<space>\s+)|(?P<other>.)",
    re.S,
)


def check_words(sql: str) -> None:
    """
    Pass for words that cannot reach anything but the views; raises `BadRequest` with the first that might.

    Only known functions are called, under their plain names; the server's own tables are not named; there is no escape in a
    text, no comment, no dollar quote, so that what is read here is what the server reads.
    """
    before = earlier = ""
    for found in _TOKENS.finditer(sql):
        kind, token = str(found.lastgroup), found.group()
        if kind == "space":
            continue
        if kind in ("comment", "dollar") or token in ("\\", ";"):
            raise BadRequest(f"“{token[:20]}” cannot be used here.", hint="Write one statement without comments.")
        if kind == "text" and (before.lower() in ("e", "u&", "b", "x", "n") or "\\" in token):
            raise BadRequest("A text has no escapes here.", hint="Write 'it''s' for a quote in a text.")
        name = token.strip('"').lower()
        if kind in ("name", "quoted") and (name.startswith("pg_") or name in ("information_schema", "current_setting")):
            raise BadRequest(f"“{name}” cannot be used here.", hint=f"The views are: {', '.join(VIEWS)}.")
        if (kind, token, before.lower()) == ("other", "&", "u"):
            raise BadRequest("A name has no escapes here.")
        names_a_part = earlier.lower() in ("with", "recursive")  # WITH part(column) AS (…)
        is_plain = not before.startswith('"') and (
            not (before[:1].isalpha() or before[:1] == "_") or before.lower() in FUNCTIONS
        )
        if kind == "open" and not (is_plain or names_a_part):
            raise BadRequest(f"“{before[:60]}()” cannot be used here.", hint="docs/reference/sql.md lists the functions.")
        earlier, before = before, token


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, dict | list):
        return value
    return str(value)


def _too_long(question: Question) -> TimedOut:
    return TimedOut(
        f"The question took longer than {question.seconds:g} s.", hint="Narrow it down, such as WHERE queued_at > …"
    )


def _child() -> None:
    """Answer one question from standard input: what the process of its own does."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.loads(sys.stdin.buffer.read())

    def connect() -> Any:
        connection = sqlcipher.connect(f"file:{_quoted(asked['path'])}?mode=ro", uri=True, isolation_level=None, timeout=5)
        if asked["key"] is not None:
            quoted = asked["key"].replace("'", "''")
            connection.execute(f"PRAGMA key = '{quoted}'")
        return connection

    try:
        answer = ask_sqlite(
            connect, Question(asked["sql"], asked["rows"], asked["seconds"]), asked["schedules"], is_bounded=True
        )
        told: dict[str, Any] = {"columns": answer.columns, "rows": answer.rows, "is_cut": answer.is_cut}
    except (BadRequest, TimedOut) as error:
        told = {"error": [error.code, error.message, error.hint]}
    except MemoryError:
        told = {"error": ["bad_request", "The question took more memory than it may.", "Ask for fewer rows, or group them."]}
    sys.stdout.buffer.write(json.dumps(told).encode())


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
