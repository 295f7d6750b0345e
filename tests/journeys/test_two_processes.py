"""One Treadle serves a data folder, and the command line works beside it, ends it, and outlives it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from app.instance import FILE, find_instance
from tests.app.shell import PROGRAM, Shell, begin, environment, program, wait_for_server
from tests.service.workbench import DOUBLE, called

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")]

HOOK = """treadle: 1
name: Hook
nodes:
  hook:
    use: trigger.webhook
    with: {path: greet, methods: [GET], answer: by_step}
  greet:
    use: flow.respond
    with: {body: "Hello {{ item.query.name }}"}
edges:
  - hook -> greet
"""

READING = """treadle: 1
name: Reading
nodes:
  start:
    use: trigger.manual
  read:
    use: file.read
    with: {path: letter.txt, as: text}
edges:
  - start -> read
"""


def asking(url):
    return f"""treadle: 1
name: Asking
nodes:
  start:
    use: trigger.manual
  ask:
    use: http.request
    with: {{url: "{url}"}}
edges:
  - start -> ask
"""


@pytest.fixture(scope="module")
def silent():
    """An address that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("house")


@pytest.fixture(scope="module")
def data(folder):
    """The data folder of a Treadle that is running while these stories are told."""
    data = folder / "data"
    server = begin(data, "serve", "--port", "0")
    wait_for_server(data, server)
    yield data
    server.terminate()
    server.communicate(timeout=20)


@pytest.fixture
def served(tmp_path):
    """Return a maker of servers on one folder of this test's own; each is ended with it."""
    servers = []
    data = tmp_path / "data"

    def start(*words):
        server = begin(data, *(words or ("serve", "--port", "0")))
        servers.append(server)
        return server, None if words else wait_for_server(data, server)

    yield data, start
    for server in servers:
        if server.poll() is None:
            server.kill()
        server.communicate(timeout=20)


def treadle(data, *words, expect=0):
    """Call a command from this process, which is another one than the server's."""
    return Shell(data).run(*words, expect=expect)


def import_(data, text):
    """Bring a document in beside the running Treadle; returns its id."""
    path = data.parent / "document.yaml"
    path.write_text(text)
    (made,) = json.loads(treadle(data, "import", path, "--json").stdout)
    return made["id"]


def client(data, *scopes):
    """Return a client of the running Treadle's API."""
    chosen = [word for scope in scopes or ("read", "run") for word in ("--scope", scope)]
    secret = json.loads(treadle(data, "token", "create", "a test", "--json", *chosen).stdout)["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=f"{find_instance(data).url}/api/v1", headers=headers, trust_env=False, timeout=20)


def start_hanging(data, silent):
    """Start a run that waits for an answer which never comes; returns it once it waits."""
    workflow = import_(data, asking(silent))
    with client(data) as api:
        run = api.post(f"/workflows/{workflow}/runs").json()
        end = time.monotonic() + 20
        while "ask" not in {step["node"] for step in api.get(f"/runs/{run['id']}/steps").json()["steps"]}:
            assert time.monotonic() < end
            time.sleep(0.02)
    return run["id"]


def test_a_workflow_switched_on_beside_the_running_one_answers_at_once(data):
    """
    `import` and `activate` are done by the running Treadle, so the webhook answers without a restart; `deactivate` ends it.
    """
    import_(data, HOOK)
    told = treadle(data, "activate", "Hook", "--message", "from outside")
    assert told.stdout.startswith("Hook is on, version ")
    assert "Triggers fire while" not in told.stderr
    address = find_instance(data).url
    assert "Hello Ada" == httpx.get(f"{address}/hooks/greet?name=Ada", trust_env=False).text
    treadle(data, "deactivate", "Hook")
    assert 404 == httpx.get(f"{address}/hooks/greet?name=Ada", trust_env=False).status_code


def test_import_replaces_beside_the_running_one(data):
    """
    A taken name is a conflict told in the API's words; with --replace the shared draft gets the text.
    """
    import_(data, called("Replaced"))
    path = data.parent / "again.yaml"
    path.write_text(called("Replaced", DOUBLE.replace("* 2", "* 7")))
    assert "already a workflow named “Replaced”" in treadle(data, "import", path, expect=1).stderr
    treadle(data, "import", "--replace", path)
    assert "item.n * 7" in treadle(data, "export", "Replaced").stdout
    path.write_text(called("Made by replacing"))
    treadle(data, "import", "--replace", path)
    assert "name: Made by replacing" in treadle(data, "export", "Made by replacing").stdout
    path.write_text(called("Replaced", DOUBLE.replace("data.set", "data.sett")))
    assert "data.sett" in treadle(data, "import", "--replace", path, expect=2).stderr


def test_a_run_beside_the_running_one_stays_in_memory(data):
    """
    `treadle run` works in its own process: same answer, and no trace in the list of runs.
    """
    import_(data, called("Beside"))
    treadle(data, "activate", "Beside")
    path = data.parent / "other.yaml"
    path.write_text(called("Beside", DOUBLE.replace("* 2", "* 9")))
    treadle(data, "import", "--replace", path)
    by_name = json.loads(treadle(data, "run", "Beside", "--json").stdout)
    by_file = json.loads(treadle(data, "run", path, "--json", "--input", '{"n": 3}').stdout)
    assert [2, 4] == [item["twice"] for item in by_name["outputs"]["double"]["out"]]
    assert [27] == [item["twice"] for item in by_file["outputs"]["double"]["out"]]
    assert [] == json.loads(treadle(data, "runs", "list", "--workflow", "Beside", "--json").stdout)


def test_a_failed_run_is_tried_again_by_the_running_one(data):
    """
    `runs retry` waits for the new run and tells how it ended.
    """
    workflow = import_(data, READING)
    with client(data) as api:
        failed = api.post(f"/workflows/{workflow}/runs?wait=20").json()
    assert ("failed", "read") == (failed["status"], failed["error"]["where"]["node"])
    assert "failed: read:" in treadle(data, "runs", "retry", failed["id"], expect=1).stderr
    (place,) = (data / "files").glob(f"*-{workflow[-8:]}")
    (place / "letter.txt").write_text("Dear Ada")
    again = json.loads(treadle(data, "runs", "retry", failed["id"], "--json").stdout)
    assert ("succeeded", "Dear Ada") == (again["status"], again["outputs"]["read"]["out"][0]["text"])
    assert again["id"] in treadle(data, "runs", "list").stdout
    assert "only a failed or cancelled run" in treadle(data, "runs", "retry", again["id"], expect=1).stderr


def test_a_run_at_work_is_cancelled_from_outside(data, silent):
    """
    `runs cancel` reaches the step that waits in the other process.
    """
    run = start_hanging(data, silent)
    assert f"{run} is cancelled\n" == treadle(data, "runs", "cancel", run).stdout
    assert "cancelled" == json.loads(treadle(data, "runs", "show", run, "--json").stdout)["status"]
    assert "over already" in treadle(data, "runs", "cancel", run, expect=1).stderr
    assert "no run" in treadle(data, "runs", "cancel", "run_none", expect=2).stderr


def test_reading_beside_the_running_one(data):
    """
    Lists, checks and the doctor read the same store while it is at work; tokens made for the calls leave nothing usable.
    """
    assert "The database is whole." in treadle(data, "db", "check").stdout
    assert f"at {find_instance(data).url}" in treadle(data, "doctor").stdout
    tokens = json.loads(treadle(data, "token", "list", "--json").stdout)
    assert all(token["revoked_at"] for token in tokens if token["name"] == "command line")


def test_a_second_one_is_refused(data):
    """
    The sentence names the folder, the address of the first one, and the way out; the first one goes on.
    """
    before = find_instance(data)
    refused = treadle(data, "serve", "--port", "0", expect=1)
    assert f"Treadle is running on {data} already, at {before.url}." in refused.stderr
    assert "--data DIR" in refused.stderr
    assert "" == refused.stdout
    assert before == find_instance(data)


def test_opening_the_studio_beside_the_running_one(data):
    """
    `treadle` opens the one that runs: without a screen it prints a link that signs in, once.
    """
    opened = program(data)
    address = find_instance(data).url
    assert f"Treadle is running already: {address}/?launch=" in opened.stderr
    link = opened.stderr.split()[-1]
    first = httpx.get(link, trust_env=False)
    assert (303, True) == (first.status_code, "set-cookie" in first.headers)
    assert 200 != httpx.get(link, trust_env=False).status_code


def test_sigterm_ends_it_within_five_seconds(served, silent):
    """
    With a run at work that will not finish: the program ends in time, says nothing unusual, leaves no server.json, and the
    next one goes on with that run.
    """
    data, start = served
    server, _ = start()
    run = start_hanging(data, silent)
    begun = time.monotonic()
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=20)
    assert 5 > time.monotonic() - begun
    assert (0, False) == (server.returncode, (data / FILE).exists())
    assert "Traceback" not in said
    assert "running" == json.loads(treadle(data, "runs", "show", run, "--json").stdout)["status"]
    told = treadle(data, "runs", "cancel", run)
    assert f"{run} ends as soon as Treadle takes it up again\n" == told.stdout
    start()
    end = time.monotonic() + 20
    while json.loads(treadle(data, "runs", "show", run, "--json").stdout)["status"] != "cancelled":
        assert time.monotonic() < end


def test_the_first_start_brings_a_starter_and_the_second_does_not(served):
    """
    A new folder opens with a workflow that runs, its files beside it; deleted, it does not come back. Ctrl-C is a good end too.
    """
    data, start = served
    server, instance = start()
    with client(data, "read", "run", "write") as api:
        (row,) = api.get("/workflows").json()["workflows"]
        run = api.post(f"/workflows/{row['id']}/runs?wait=20").json()
        assert ("Overdue invoices", False, "succeeded") == (row["name"], row["is_active"], run["status"])
        assert 204 == api.delete(f"/workflows/{row['id']}").status_code
    assert 200 == httpx.get(f"{instance.url}/readyz", trust_env=False).status_code
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=20)
    assert (0, False) == (server.returncode, (data / FILE).exists())
    assert "Traceback" not in said
    start()
    with client(data) as api:
        assert [] == api.get("/workflows").json()["workflows"]
        assert "succeeded" == api.get(f"/runs/{run['id']}").json()["status"]


def test_what_a_killed_one_left_behind_is_recognised(served):
    """
    After kill -9 there is a stale server.json: commands do the work themselves, and the next server starts.
    """
    data, start = served
    server, _ = start()
    import_(data, called("Kept"))
    server.kill()
    server.communicate(timeout=20)
    assert (data / FILE).exists()
    assert "Kept\n" in treadle(data, "export", "Kept").stdout
    assert "Kept is on" in treadle(data, "activate", "Kept").stdout
    assert find_instance(data) is None
    assert not (data / FILE).exists()
    _, instance = start()
    assert "ok" == httpx.get(f"{instance.url}/healthz", trust_env=False).json()["status"]


def test_a_process_number_that_somebody_else_has_now(served):
    """
    The stale file names a process that lives (this test): it is known as stale all the same, and a server may start.
    """
    data, start = served
    server, instance = start()
    server.kill()
    server.communicate(timeout=20)
    (data / FILE).write_text(json.dumps({"pid": os.getpid(), "url": instance.url}))
    assert "not running" in treadle(data, "doctor").stdout
    (data / FILE).write_text(json.dumps({"pid": os.getpid(), "url": instance.url}))
    start()


def test_a_run_keeps_a_server_off_and_says_so(served, silent):
    """
    While `treadle run` works on the folder a server is refused with the process that holds it; another `treadle run` works
    beside it, in memory.
    """
    data, start = served
    path = data.parent / "asking.yaml"
    path.write_text(asking(silent))
    running, _ = start("run", path)
    end = time.monotonic() + 20
    while not (data / "treadle.db.lock").exists() or not (data / "treadle.db.lock").read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    refused = treadle(data, "serve", "--port", "0", expect=1)
    assert f"already running on {data} (process {running.pid})" in refused.stderr
    path.write_text(DOUBLE)
    beside = treadle(data, "run", path)
    assert [2, 4] == [json.loads(line)["twice"] for line in beside.stdout.splitlines()]
    assert f"Another Treadle is at work on {data}: this run is not kept." in beside.stderr
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert (130, "Stopped.") == (running.returncode, said.strip().splitlines()[-1])


def test_progress_on_a_terminal(tmp_path):
    """
    When standard error is a terminal, steps are shown as they end, and standard output stays clean.
    """
    pty = pytest.importorskip("pty")
    path = tmp_path / "a.yaml"
    path.write_text(DOUBLE)
    master, slave = pty.openpty()
    words = [*PROGRAM, "run", str(path)]
    running = subprocess.Popen(words, env=environment(tmp_path / "data"), stdout=subprocess.PIPE, stderr=slave, text=True)
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(master)
    out, _ = running.communicate(timeout=20)
    assert [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}] == [json.loads(line) for line in out.splitlines()]
    assert "double: succeeded 2 out" in seen.decode()
    assert "succeeded in" in seen.decode()
