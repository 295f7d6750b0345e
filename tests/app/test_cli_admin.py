"""`treadle activate`, `deactivate`, `token`, `db`, `doctor`, and the command itself."""

import asyncio
import hashlib
import socket
import sqlite3
import subprocess
import sys

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

from app.build import build
from app.config import load_settings
from app.version import VERSION
from engine.access import OWNER
from tests.app.shell import PROGRAM, Shell, environment
from tests.service.workbench import BROKEN, DOUBLE


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "data")


def test_activate_and_deactivate(shell):
    """
    Publishing names the version; without a running Treadle a note says that triggers wait for one.
    """
    shell.run("import", shell.write("a.yaml", DOUBLE))
    result = shell.run("activate", "Double", "--message", "first")
    assert result.stdout.startswith("Double is on, version ")
    assert "Triggers fire while Treadle runs" in result.stderr
    told = shell.json("activate", "Double")
    assert ("first", "owner") == (told["message"], told["author"])
    assert "Double is off\n" == shell.run("deactivate", "Double").stdout
    assert "Double is off\n" == shell.run("deactivate", "Double").stdout
    shell.run("deactivate", "Nobody", expect=2)


def test_what_cannot_be_switched_on(shell):
    """
    No trigger: a sentence and a hint; exit code 2.
    """
    idle = "treadle: 1\nname: Idle\nnodes:\n  make:\n    use: data.generate\n    with: {count: 1}\n"
    shell.run("import", shell.write("a.yaml", idle))
    result = shell.run("activate", "Idle", expect=2)
    assert "has no trigger" in result.stderr
    assert "Add a schedule" in result.stderr


def test_a_tokens_life(shell):
    """
    Made with its secret on standard output alone, listed without it, revoked by its id.
    """
    made = shell.run("token", "create", "nightly", "--scope", "run", "--scope", "read", "--expires", "90d")
    secret = made.stdout.strip()
    assert (True, 1) == (secret.startswith("trdl_"), len(made.stdout.splitlines()))
    assert "It is shown only now" in made.stderr
    assert secret not in made.stderr
    (listed,) = shell.json("token", "list")
    assert ("nightly", ["run", "read"], None) == (listed["name"], listed["scopes"], listed["revoked_at"])
    table = shell.run("token", "list").stdout
    assert listed["id"] in table
    assert secret not in table
    assert hashlib.sha256(secret.encode()).hexdigest() not in table
    assert f"{listed['id']} is revoked\n" == shell.run("token", "revoke", listed["id"]).stdout
    assert shell.json("token", "list")[0]["revoked_at"]


def test_a_token_for_machines(shell):
    """
    With --json the secret is a field; without scopes it may read and run.
    """
    made = shell.json("token", "create", "script")
    assert (["read", "run"], None, True) == (made["scopes"], made["expires_at"], made["secret"].startswith("trdl_"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(("create", "a", "--scope", "fly"), "no scope “fly”", id="an unknown scope"),
        pytest.param(("create", "a", "--expires", "soon"), "“soon” is no duration", id="no duration"),
        pytest.param(("create", " "), "needs a name", id="no name"),
        pytest.param(("revoke", "tok_none"), "no token “tok_none”", id="an unknown token"),
    ],
)
def test_what_is_wrong_about_a_token(shell, words, sentence):
    """
    Wrong use is told with a hint; the exit code is 2.
    """
    assert sentence in shell.run("token", *words, expect=2).stderr
    assert "There are no tokens yet" in shell.run("token", "list").stderr


def test_the_database_is_made_and_checked(shell):
    """
    Missing, made, whole: each said in a sentence.
    """
    assert "no database" in shell.run("db", "check", expect=1).stdout
    assert "this version's tables" in shell.run("db", "upgrade").stdout
    assert "The database is whole.\n" == shell.run("db", "check").stdout


def test_a_database_that_is_not_ours(shell):
    """
    A damaged file is told as such by `db check`, by `doctor` and by every command that needs it.
    """
    shell.run("db", "upgrade")
    (shell.data / "treadle.db").write_bytes(b"this is no database at all, it is a letter to my aunt" * 100)
    for words in (("db", "check"), ("db", "upgrade"), ("runs", "list")):
        result = shell.run(*words, expect=1)
        assert "no Treadle database" in result.stderr
    assert "✗ Database" in shell.run("doctor", expect=1).stdout


def test_a_database_without_its_tables(shell):
    """
    What is missing is named by `db check`, and `db upgrade` says what it cannot mend.
    """
    shell.run("db", "upgrade")
    connection = sqlcipher.connect(str(shell.data / "treadle.db"))
    connection.execute("DROP TABLE tokens")
    connection.commit()
    connection.close()
    assert "tokens" in shell.run("db", "check", expect=1).stdout
    assert "tokens" in shell.run("db", "upgrade", expect=1).stdout


def test_doctor_is_content(shell):
    """
    On a machine that is well each finding has its tick and the exit code is 0; before the first start and after it.
    """
    before = shell.run("doctor").stdout
    assert (True, True) == ("✓ Database: none yet" in before, "✓ Running: not running" in before)
    shell.run("db", "upgrade")
    findings = {finding["what"]: finding for finding in shell.json("doctor")}
    assert ["Python", "Data folder", "Disk", "Database", "Canvas", "Code steps", "Running"] == list(findings)
    assert ("whole", str(shell.data)) == (findings["Database"]["text"], findings["Data folder"]["text"])
    assert not (shell.data / ".doctor").exists()


def test_doctor_says_what_to_do(shell):
    """
    What is not as it should be has its hint below, and the exit code is 1.
    """
    shell.data.mkdir()
    connection = sqlite3.connect(shell.data / "treadle.db")
    connection.execute("CREATE TABLE aunt (letter)")
    connection.commit()
    connection.close()
    lines = shell.run("doctor", expect=1).stdout.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("✗")]
    assert lines[place].startswith("✗ Database: ")
    assert "treadle db upgrade" in lines[place + 1]


def test_settings_that_cannot_be_used(shell):
    """
    A wrong setting stops every command with the file it stands in; exit code 2.
    """
    shell.data.mkdir()
    (shell.data / "treadle.toml").write_text('slots = 0\ncolour = "red"\n')
    result = shell.run("runs", "list", expect=2)
    assert "“slots” has to be at least 1" in result.stderr
    assert "colour" in result.stderr
    assert "treadle.toml" in result.stderr


def test_the_data_folder_before_the_command(shell, tmp_path):
    """
    `treadle --data DIR COMMAND` works on that folder, whatever the environment says.
    """
    elsewhere = tmp_path / "elsewhere"
    shell.run("--data", elsewhere, "db", "upgrade")
    assert (True, False) == ((elsewhere / "treadle.db").exists(), shell.data.exists())
    other = Shell(elsewhere)
    assert "The database is whole.\n" == other.run("db", "check").stdout


def test_version_and_help(shell):
    """
    The version alone on one line; the help names every command of DESIGN.
    """
    assert f"{VERSION}\n" == shell.run("--version").stdout
    page = shell.run("--help").stdout
    commands = ["serve", "run", "check", "fmt", "import", "export", "activate", "deactivate", "runs", "token", "db", "doctor"]
    for word in [*commands, "--data", "--port", "--no-open"]:
        assert word in page
    assert 2 == shell.run("fly", expect=2).exit_code
    assert "FILE|NAME" in shell.run("run", "--help").stdout


def test_listening_elsewhere_is_refused(shell):
    """
    Any other address than this machine's own needs an owner with a password and TLS, and is refused until then.
    """
    result = shell.run("serve", "--host", "0.0.0.0", "--port", "0", expect=1)
    assert "0.0.0.0" in result.stderr
    assert not (shell.data / "server.json").exists()


def test_a_port_that_is_taken(shell):
    """
    The port is named, with the way to any free one; nothing is left behind.
    """
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = shell.run("serve", "--port", str(port), expect=1)
    assert f"Port {port} on 127.0.0.1 cannot be used" in result.stderr
    assert "treadle --port 0" in result.stderr
    assert not (shell.data / "server.json").exists()


def test_a_broken_draft_is_not_published(shell):
    """
    All problems of the draft are told, with their lines; exit code 2. (Only the editor keeps such drafts.)
    """

    async def keep():
        treadle = build(load_settings(data=shell.data, environment={}))
        await treadle.start(engine=False, triggers=False)
        await treadle.studio(OWNER).workflows.create(BROKEN, with_problems=True)
        await treadle.stop()

    asyncio.run(keep())
    result = shell.run("activate", "Double", expect=2)
    assert 2 <= result.stderr.count("line ")


def test_what_is_logged_shows_no_secrets(shell):
    """
    The program's own log lines pass the redactor, whatever the command.
    """
    tell = "import atexit, logging; atexit.register(lambda: logging.warning('sent with trdl_abcdefghijklmnop'))"
    done = subprocess.run(
        [sys.executable, "-c", f"{tell}; {PROGRAM[2]}", "--version"],
        env=environment(shell.data),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{VERSION}\n" == done.stdout
    assert "sent with ***" in done.stderr
    assert "trdl_" not in done.stderr
