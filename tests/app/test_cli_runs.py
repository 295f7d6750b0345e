"""`treadle run` and `treadle runs`, told through the command line."""

import json
import re

import pytest

from app.cli.output import Exit
from app.cli.runs import EXITS
from engine.model.run import RunStatus
from engine.store.lock import DataLock
from tests.app.shell import Shell
from tests.service.workbench import BROKEN, DOUBLE, called

FAILING = DOUBLE.replace("item.n * 2", "item.nothing * 2")
ASKING = """treadle: 1
name: Asking
nodes:
  start:
    use: trigger.manual
  first:
    use: data.set
    with:
      fields: {a: "1"}
  read:
    use: file.read
    with: {path: numbers.txt, as: text}
edges:
  - start -> first
  - first -> read
"""
"""Fails until there is a file `numbers.txt` in its folder."""


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "data")


def items_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_results_and_notes_go_different_ways(shell):
    """
    Standard output has one JSON line per item of the last nodes; how it went stands on standard error.
    """
    result = shell.run("run", shell.write("a.yaml", DOUBLE))
    assert [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}] == items_of(result.stdout)
    assert re.search(r"^double: 2 items$", result.stderr, re.MULTILINE)
    assert re.search(r"^succeeded in \d+ ms  \(run_\w+\)$", result.stderr, re.MULTILINE)


def test_where_a_value_came_from(shell):
    """
    Each hop back is a line: the step, the item, the field with its value, and how it came to be.
    """
    run = shell.json("run", shell.write("a.yaml", DOUBLE))["id"]
    hops = shell.json("runs", "lineage", run, "double", "1", "--path", "twice")
    assert [("double", 1, 4, "computed"), ("start", 1, 2, "source")] == [
        (hop["node"], hop["index"], hop["value"], hop["how"]) for hop in hops
    ]
    shown = shell.run("runs", "lineage", run, "double", "1", "--path", "twice").stdout
    assert "computed: item.n * 2" in shown
    assert "no item" in shell.run("runs", "lineage", run, "double", "9", expect=Exit.WRONG_USE).stderr


def test_a_finished_run_for_machines(shell):
    """
    With --json exactly one object: the finished run as the API tells it.
    """
    finished = shell.json("run", shell.write("a.yaml", DOUBLE))
    assert ("Double", "succeeded", "manual", None) == tuple(finished[key] for key in ("workflow", "status", "trigger", "error"))
    assert {"double": {"out": [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]}} == finished["outputs"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param('{"n": 5}', [10], id="one object"),
        pytest.param('[{"n": 5}, {"n": 6}]', [10, 12], id="a list"),
        pytest.param("@numbers.json", [14], id="a file"),
        pytest.param("@-", [16], id="standard input"),
    ],
)
def test_input(shell, monkeypatch, given, expected):
    """
    Items come as JSON, from a file, or from standard input.
    """
    shell.write("numbers.json", '{"n": 7}')
    path = shell.write("a.yaml", DOUBLE)
    monkeypatch.chdir(path.parent)
    result = shell.run("run", path, "--input", given, input='{"n": 8}')
    assert expected == [item["twice"] for item in items_of(result.stdout)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param("{n: 5}", "is no JSON", id="no JSON"),
        pytest.param("5", "Items are JSON objects", id="a number"),
        pytest.param('[{"n": 1}, 2]', "Items are JSON objects", id="a list with a number"),
        pytest.param("[]", "empty list starts nothing", id="an empty list"),
        pytest.param("@missing.json", "cannot be read", id="a file that is not there"),
    ],
)
def test_input_that_is_none(shell, given, sentence):
    """
    Wrong input is told with a hint before anything runs; the exit code is 2.
    """
    result = shell.run("run", shell.write("a.yaml", DOUBLE), "--input", given, expect=2)
    assert ("", True) == (result.stdout, sentence in result.stderr)
    assert "No runs yet." in shell.run("runs", "list").stderr


def test_from_a_node(shell):
    """
    --from starts in the middle with what is given; an unknown node is answered with the known ones.
    """
    path = shell.write("a.yaml", DOUBLE)
    assert [{"n": 4, "twice": 8}] == items_of(shell.run("run", path, "--from", "double", "--input", '{"n": 4}').stdout)
    assert "The nodes are: start, double." in shell.run("run", path, "--from", "dubble", expect=2).stderr


def test_a_failed_run(shell):
    """
    Its error names the node and says what would mend it; the exit code is 1; nothing goes to standard output.
    """
    result = shell.run("run", shell.write("a.yaml", FAILING), expect=1)
    assert "" == result.stdout
    assert re.search(r"^failed: double: .*null", result.stderr, re.MULTILINE)
    assert "??" in result.stderr
    told = shell.json("run", shell.data.parent / "a.yaml", expect=1)
    assert ("failed", "double") == (told["status"], told["error"]["where"]["node"])


def test_a_document_with_errors_does_not_run(shell):
    """
    Every problem is told and the exit code is 2.
    """
    result = shell.run("run", shell.write("a.yaml", BROKEN), expect=2)
    assert "data.set" in result.stderr
    assert "duble" in result.stderr
    told = shell.json("run", shell.data.parent / "a.yaml", expect=2)
    assert ("invalid_document", 2) == (told["error"]["code"], len(told["error"]["where"]["problems"]))


def test_a_stored_workflow_by_name(shell):
    """
    NAME runs the active version, or the draft while the workflow is off; the run is in the list.
    """
    path = shell.write("a.yaml", DOUBLE)
    shell.run("import", path)
    assert [2, 4] == [item["twice"] for item in items_of(shell.run("run", "Double").stdout)]
    shell.run("activate", "Double")
    shell.run("import", "--replace", shell.write("b.yaml", DOUBLE.replace("* 2", "* 10")))
    assert [2, 4] == [item["twice"] for item in items_of(shell.run("run", "Double").stdout)]
    shell.run("deactivate", "Double")
    assert [10, 20] == [item["twice"] for item in items_of(shell.run("run", "Double").stdout)]
    assert 3 == len(shell.json("runs", "list", "--workflow", "Double"))
    assert "no workflow “Nobody”" in shell.run("run", "Nobody", expect=2).stderr


def test_files_travel_with_the_document(shell):
    """
    What lies in `<name>.files` is copied into the workflow's folder, where its steps find it; --folder names another.
    """
    path = shell.write("asking.yaml", ASKING)
    shell.write("asking.files/numbers.txt", "1 2 3")
    assert [{"text": "1 2 3", "path": "numbers.txt"}] == items_of(shell.run("run", path).stdout)
    assert (shell.data / "files" / "asking" / "numbers.txt").exists()
    shell.write("elsewhere/numbers.txt", "4 5 6")
    elsewhere = shell.run("run", path, "--folder", shell.data.parent / "elsewhere")
    assert ["4 5 6"] == [item["text"] for item in items_of(elsewhere.stdout)]


def test_retry_goes_on_from_the_failed_step(shell):
    """
    After the cause is gone the run is tried again, and steps that were done are not done again.
    """
    path = shell.write("asking.yaml", ASKING)
    failed = shell.json("run", path, expect=1)
    (shell.data / "files" / "asking" / "numbers.txt").write_text("1 2 3")
    again = shell.json("runs", "retry", failed["id"])
    assert ("succeeded", "1 2 3") == (again["status"], again["outputs"]["read"]["out"][0]["text"])
    assert again["id"] != failed["id"]
    refused = shell.run("runs", "retry", again["id"], expect=1)
    assert "only a failed or cancelled run can be tried again" in refused.stderr
    shell.run("runs", "retry", "run_none", expect=2)


def test_a_retry_that_fails_again(shell):
    """
    The exit code tells how the new run ended.
    """
    failed = shell.json("run", shell.write("asking.yaml", ASKING), expect=1)
    assert "failed: read:" in shell.run("runs", "retry", failed["id"], expect=1).stderr


def test_the_list_of_runs(shell):
    """
    Newest first, as a table or as JSON, filtered by workflow, state and text.
    """
    assert ("", "No runs yet.\n") == (shell.run("runs", "list").stdout, shell.run("runs", "list").stderr)
    good = shell.json("run", shell.write("a.yaml", called("Quiet")))
    bad = shell.json("run", shell.write("b.yaml", called("Bad", FAILING)), expect=1)
    assert [bad["id"], good["id"]] == [run["id"] for run in shell.json("runs", "list")]
    rows = shell.run("runs", "list").stdout.splitlines()
    assert (3, bad["id"], good["id"]) == (len(rows), rows[1].split()[0], rows[2].split()[0])
    assert "null" in rows[1]
    assert [bad["id"]] == [run["id"] for run in shell.json("runs", "list", "--status", "failed", "--status", "cancelled")]
    assert [good["id"]] == [run["id"] for run in shell.json("runs", "list", "--text", "QUIET")]
    assert [bad["id"]] == [run["id"] for run in shell.json("runs", "list", "--limit", "1")]
    assert 2 == shell.run("runs", "list", "--status", "flying", expect=2).exit_code
    assert "no workflow" in shell.run("runs", "list", "--workflow", "Nobody", expect=2).stderr


def test_show_a_run(shell):
    """
    Its steps as a table, its outputs as JSON lines; with --json the same object as when it ran.
    """
    finished = shell.json("run", shell.write("b.yaml", FAILING), expect=1)
    shown = shell.run("runs", "show", finished["id"])
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["Step", "start", "double"] == [row[0] for row in rows[:3]]
    assert (["start", "succeeded"], ["double", "failed"]) == (rows[1][:2], rows[2][:2])
    assert finished == shell.json("runs", "show", finished["id"])
    assert "no run “run_none”" in shell.run("runs", "show", "run_none", expect=2).stderr


def test_a_run_that_is_over_is_not_cancelled(shell):
    """
    Ending what has ended is refused with 1; a run that is not there with 2.
    """
    finished = shell.json("run", shell.write("a.yaml", DOUBLE))
    assert "over already: succeeded" in shell.run("runs", "cancel", finished["id"], expect=1).stderr
    shell.run("runs", "cancel", "run_none", expect=2)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("succeeded", 0), ("failed", 1), ("cancelled", 1), ("waiting", 3), ("needs_decision", 3)],
)
def test_how_a_run_ended_is_the_exit_code(status, expected):
    """
    Done, failed, parked: what scripts go by.
    """
    assert expected == EXITS.get(RunStatus(status), Exit.FAILED)


def test_many_outputs_are_told_apart(shell):
    """
    Outputs of several last nodes and ports are named on standard error, in the order of their lines.
    """
    text = """treadle: 1
name: Sides
nodes:
  start:
    use: trigger.manual
    with: {sample: [{n: 1}, {n: 2}, {n: 3}]}
  side:
    use: data.filter
    with: {where: item.n > 1}
  all:
    use: data.limit
    with: {count: 9}
edges:
  - start -> side
  - start -> all
"""
    result = shell.run("run", shell.write("a.yaml", text))
    assert 6 == len(items_of(result.stdout))
    assert ["side: 2 items", "side.rejected: 1 item", "all: 3 items"] == result.stderr.splitlines()[:3]


WAITING = """treadle: 1
name: Waiting
nodes:
  start:
    use: trigger.manual
  pause:
    use: flow.wait
    with: {for: 1h}
edges:
  - start -> pause
"""


def test_a_run_that_waits_is_kept(shell):
    """
    Alone on the data folder the command ends with 3, and the run stands there as waiting.
    """
    result = shell.run("run", shell.write("a.yaml", WAITING), expect=3)
    assert "nothing of it is kept" not in result.stderr
    assert ["waiting"] == [run["status"] for run in shell.json("runs", "list")]


def test_a_run_in_memory_that_waits_is_lost(shell):
    """
    Beside another process that has the data folder it ends with 3 as well, and says that nothing is kept; nothing is.
    """
    shell.run("run", shell.write("a.yaml", DOUBLE))
    with DataLock(next(shell.data.glob("*.lock"))):
        result = shell.run("run", shell.write("b.yaml", WAITING), expect=3)
    assert "this run is not kept" in result.stderr
    assert "The run has to wait, and it was in memory only: it ends here, nothing of it is kept." in result.stderr
    assert ["succeeded"] == [run["status"] for run in shell.json("runs", "list")]
