"""`treadle check`, `fmt`, `import`, `export`, told through the command line."""

import json

import pytest

from tests.app.shell import Shell
from tests.service.workbench import BROKEN, DOUBLE, called


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "data")


def test_check_says_ok(shell):
    """
    Good documents are said to be ok, one line each, and the exit code is 0.
    """
    a, b = shell.write("a.yaml", DOUBLE), shell.write("b.yaml", called("Other"))
    assert [f"{a}: ok", f"{b}: ok"] == shell.run("check", a, b).stdout.splitlines()


def test_check_lists_every_problem_with_its_line(shell):
    """
    All that is wrong, of all files, each with its line and a hint; the exit code is 2.
    """
    good, bad = shell.write("good.yaml", DOUBLE), shell.write("bad.yaml", BROKEN)
    lines = shell.run("check", good, bad, expect=2).stdout.splitlines()
    assert [f"{good}: ok", f"{bad}: "] == lines[:2]
    assert [
        "(warning) line 10: double: No trigger leads to “Double”, so it never runs. Draw a line to it.",
        "line 11: double: There is no step “data.sett”. Did you mean “data.set”?",
        "line 15: start: There is no node “duble”. Did you mean “double”?",
    ] == [line.strip() for line in lines[2:]]


def test_check_for_machines(shell):
    """
    With --json the problems are objects with code, line and node, file by file.
    """
    good, bad = shell.write("good.yaml", DOUBLE), shell.write("bad.yaml", BROKEN)
    told = shell.json("check", good, bad, expect=2)
    assert [str(good), str(bad)] == [entry["file"] for entry in told]
    assert ([], {10, 11, 15}) == (told[0]["problems"], {problem["line"] for problem in told[1]["problems"]})
    assert {"code", "message", "hint", "line", "node", "severity"} <= told[1]["problems"][0].keys()


def test_a_warning_is_no_error(shell):
    """
    Something to mind is listed as a warning, and the exit code stays 0.
    """
    path = shell.write("a.yaml", DOUBLE.replace("edges:\n  - start -> double\n", ""))
    assert "(warning)" in shell.run("check", path).stdout


def test_a_file_that_is_not_there(shell):
    """
    The nearest name in the folder is offered; the exit code is 2 and nothing goes to standard output.
    """
    path = shell.write("invoices.yaml", DOUBLE)
    result = shell.run("check", path.with_name("invoces.yaml"), expect=2)
    assert "" == result.stdout
    assert f"There is no file {path.with_name('invoces.yaml')}." in result.stderr
    assert f"Did you mean {path}?" in result.stderr


def test_a_file_that_is_no_text(shell):
    """
    Bytes that are no UTF-8 are an error that says what is wanted.
    """
    path = shell.write("a.yaml", "")
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in shell.run("check", path, expect=2).stderr
    told = shell.json("check", path, expect=2)
    assert "bad_request" == told["error"]["code"]


def test_fmt_writes_the_canonical_form(shell):
    """
    A file in another form is rewritten and named; one that is canonical stays untouched, to the byte.
    """
    messy = shell.write("messy.yaml", '{"treadle": 1, "name": "J", "nodes": {"a": {"use": "trigger.manual"}}}')
    clean = shell.write("clean.yaml", DOUBLE)
    before = clean.stat().st_mtime_ns
    result = shell.run("fmt", messy, clean)
    assert ("", f"{messy}: written\n") == (result.stdout, result.stderr)
    assert "treadle: 1\nname: J\nnodes:\n  a:\n    use: trigger.manual\n" == messy.read_text()
    assert (DOUBLE, before) == (clean.read_text(), clean.stat().st_mtime_ns)


def test_fmt_check_changes_nothing(shell):
    """
    With --check the exit code tells whether a file would change: 1, else 0.
    """
    text = DOUBLE.replace("edges:\n", "edges: # who follows whom\n")
    path = shell.write("a.yaml", text)
    assert "would change" in shell.run("fmt", "--check", path, expect=1).stderr
    assert text == path.read_text()
    shell.run("fmt", path)
    assert "" == shell.run("fmt", "--check", path).stderr


def test_fmt_of_a_broken_file(shell):
    """
    What cannot be read is not rewritten; all its problems are told.
    """
    text = "treadle: 1\nname: X\nnodes: {a: {uses: data.set, colour: red}}\n"
    path = shell.write("a.yaml", text)
    result = shell.run("fmt", path, expect=2)
    assert "This document has problems:" in result.stderr
    assert 2 <= result.stderr.count("line 3")
    assert text == path.read_text()


def test_import_and_export_are_inverse(shell):
    """
    What is exported is what was imported, on standard output or in a file.
    """
    path = shell.write("a.yaml", DOUBLE)
    assert "Double\n" == shell.run("import", path).stdout
    assert DOUBLE == shell.run("export", "Double").stdout
    target = shell.data.parent / "out.yaml"
    result = shell.run("export", "Double", "--to", target)
    assert ("", DOUBLE) == (result.stdout, target.read_text())


def test_import_brings_the_files_that_travel_along(shell):
    """
    What lies in `<name>.files` beside the document lands in the workflow's own folder.
    """
    path = shell.write("sales.yaml", DOUBLE)
    shell.write("sales.files/in/a.csv", "x\n1\n")
    shell.write("sales.files/b.csv", "x\n2\n")
    assert "Double with 2 files\n" == shell.run("import", path).stdout
    (folder,) = (shell.data / "files").iterdir()
    assert (True, "x\n1\n") == (folder.name.startswith("double-"), (folder / "in" / "a.csv").read_text())


def test_import_for_machines(shell):
    """
    With --json: id, name, file and the files that came along.
    """
    path = shell.write("a.yaml", DOUBLE)
    (made,) = shell.json("import", path)
    assert ("Double", str(path), []) == (made["name"], made["file"], made["files"])
    assert made["id"].startswith("wf_")


def test_a_name_that_is_taken(shell):
    """
    Refused with 1 and a way out; with --replace the draft of that name gets the new text.
    """
    path = shell.write("a.yaml", DOUBLE)
    shell.run("import", path)
    refused = shell.run("import", path, expect=1)
    assert "already a workflow named “Double”" in refused.stderr
    path.write_text(DOUBLE.replace("* 2", "* 3"))
    shell.run("import", "--replace", path)
    assert "item.n * 3" in shell.run("export", "Double").stdout
    shell.run("import", "--replace", shell.write("b.yaml", called("New")))
    assert "name: New\n" in shell.run("export", "New").stdout


def test_import_is_all_or_nothing_about_problems(shell):
    """
    A document with errors is told with all of them before any file is brought in.
    """
    good, bad = shell.write("good.yaml", DOUBLE), shell.write("bad.yaml", called("Bad", BROKEN))
    result = shell.run("import", good, bad, expect=2)
    assert 2 <= result.stderr.count("line ")
    assert "no workflow “Double”" in shell.run("export", "Double", expect=2).stderr


def test_an_unknown_name_has_a_hint(shell):
    """
    A workflow that is not there: 2, a sentence, a hint; for machines the same as an object.
    """
    result = shell.run("export", "Nothing", expect=2)
    assert ("", True) == (result.stdout, "There is no workflow “Nothing”." in result.stderr)
    told = shell.json("activate", "Nothing", expect=2)
    assert ("not_found", {"kind": "workflow", "name": "Nothing"}) == (told["error"]["code"], told["error"]["where"])
    assert told["error"]["hint"]


def test_json_goes_through_any_parser(shell):
    """
    Machines read what `check --json` prints even when names hold other alphabets.
    """
    path = shell.write("ä ö.yaml", called("Überfällig 漢字", BROKEN))
    assert json.loads(shell.run("check", path, "--json", expect=2).stdout)[0]["file"] == str(path)
