"""The composition root: what is wired, what starts with what, what can be handed in."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from app.build import build, load_catalog
from app.config import Settings
from engine.access import OWNER
from engine.clock import ManualClock
from engine.errors import Conflict, StoreError
from engine.model.codec import read_document
from engine.model.run import RunStatus
from engine.protocols import RunFilter
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from tests.app.shell import PROGRAM, environment
from tests.run.workshop import Outside, steps, until
from tests.service.workbench import DOUBLE, WAITING

pytestmark = pytest.mark.anyio


def test_the_catalog_has_the_steps_of_design():
    """
    Every step that DESIGN lists is there, those of the connectors included.
    """
    triggers = {"trigger.manual", "trigger.webhook", "trigger.schedule"}
    data = {f"data.{name}" for name in ("generate", "set", "filter", "summarize", "sort", "limit", "unique", "split", "rename")}
    flow = {"flow.if", "flow.switch", "flow.merge", "flow.respond"}
    names = triggers | data | flow | {"http.request"}
    assert names <= {spec.name for spec in load_catalog()}


async def test_two_engines_on_one_folder(tmp_path):
    """
    The second is refused with the process that has it, a guest is let in to read, and afterwards the folder is free.
    """
    first, second = build(Settings(data=tmp_path)), build(Settings(data=tmp_path))
    await first.start()
    with pytest.raises(StoreError, match="already running"):
        await second.start()
    guest = build(Settings(data=tmp_path), is_guest=True)
    await guest.start(engine=False, triggers=False)
    assert [] == await guest.studio(OWNER).workflows.list_rows()
    await guest.stop()
    await first.stop()
    await second.start()
    await second.stop()


async def test_starting_again_after_stopping(tmp_path):
    """
    One object may live twice; stopping twice is harmless.
    """
    treadle = build(Settings(data=tmp_path))
    for _ in range(2):
        await treadle.start()
        run = await treadle.studio(OWNER).runs.start_document(read_document(DOUBLE))
        assert RunStatus.SUCCEEDED is (await treadle.studio(OWNER).runs.wait(run.id, None)).status
        await treadle.stop()
        await treadle.stop()


async def test_without_the_engine_nothing_runs(tmp_path):
    """
    A Treadle that only reads and writes refuses runs with a sentence.
    """
    treadle = build(Settings(data=tmp_path), in_memory=True)
    await treadle.start(engine=False, triggers=False)
    studio = treadle.studio(OWNER)
    await studio.workflows.create(DOUBLE)
    with pytest.raises(Conflict, match="starts no"):
        await studio.runs.start("Double")
    assert [] == await studio.runs.list_page(RunFilter())
    await treadle.stop()


async def test_one_run_does_not_take_up_others(tmp_path):
    """
    With `resume` off, as for `treadle run`, what an earlier life left open is left alone; the next full start goes on with it.
    """
    outside = Outside()
    catalog = Catalog([*builtin_steps(), *steps(outside)])
    first = build(Settings(data=tmp_path), catalog=catalog)
    await first.start(triggers=False)
    first.worker._grace = timedelta(milliseconds=10)
    run = await first.studio(OWNER).runs.start_document(read_document(WAITING))
    await until(lambda: outside.seen("wait"))
    await first.stop()

    single = build(Settings(data=tmp_path), catalog=catalog)
    await single.start(triggers=False, resume=False)
    other = await single.studio(OWNER).runs.start_document(read_document(DOUBLE))
    assert RunStatus.SUCCEEDED is (await single.studio(OWNER).runs.wait(other.id, None)).status
    await single.stop()
    assert 1 == len(outside.seen("wait"))

    outside.gate("gate").set()
    last = build(Settings(data=tmp_path), catalog=catalog)
    await last.start()
    assert RunStatus.SUCCEEDED is (await last.studio(OWNER).runs.wait(run.id, None)).status
    await last.stop()
    assert 2 == len(outside.seen("wait"))


async def test_the_clock_that_is_handed_in_is_everyones(tmp_path):
    """
    Runs, workflows and tokens carry the time of the clock that was given.
    """
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    treadle = build(Settings(data=tmp_path), clock=clock, in_memory=True)
    await treadle.start()
    studio = treadle.studio(OWNER)
    workflow = await studio.workflows.create(DOUBLE)
    token, _ = await studio.tokens.create("a")
    run = await studio.runs.start("Double")
    assert {clock.now()} == {workflow.created_at, token.created_at, run.queued_at}
    await studio.runs.wait(run.id, None)
    await treadle.stop()


async def test_a_folder_for_every_run(tmp_path):
    """
    `fixed_folder` is where files lie, whatever the workflow is called.
    """
    treadle = build(Settings(data=tmp_path), in_memory=True, fixed_folder=tmp_path / "here")
    assert tmp_path / "here" == treadle.folders.of(None, "A") == treadle.folders.of(None, "B")


@pytest.fixture
def hello():
    """A web server that says hello."""

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_the_way_out_opens_when_it_is_needed(tmp_path, hello):
    """
    A request opens the client, stopping closes it, and a second life opens it anew.
    """
    treadle = build(Settings(data=tmp_path), in_memory=True)
    text = f"treadle: 1\nname: Hello\nnodes:\n  ask:\n    use: http.request\n    with: {{url: '{hello}'}}\n"
    for _ in range(2):
        await treadle.start()
        assert treadle.http._client is None
        studio = treadle.studio(OWNER)
        run = await studio.runs.start_document(read_document(text))
        await studio.runs.wait(run.id, None)
        (answer,) = (await studio.runs.output(run.id, "ask")).items
        assert (200, "hello") == (answer["status"], answer["body"])
        await treadle.stop()
    assert treadle.http._client is None


HEAVY = ("nicegui", "fastapi", "uvicorn", "httpx", "apscheduler", "alembic", "psycopg", "openpyxl", "lxml", "rich.progress")


@pytest.mark.parametrize("words", [("check",), ("run",)], ids=" ".join)
async def test_commands_load_what_they_need_and_no_more(tmp_path, words):
    """
    Checking a document and running one that stays at home do without the heavy libraries, so they answer in under a second.
    """
    path = tmp_path / "a.yaml"
    path.write_text(DOUBLE)
    code = (
        f"import sys, atexit; atexit.register(lambda: print([name for name in {HEAVY} if name in sys.modules])); {PROGRAM[2]}"
    )
    data = tmp_path / "data"
    for _ in range(2):  # the first one makes the database
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, *words, str(path), env=environment(data), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert 0 == process.returncode
    assert "[]" == out.decode().splitlines()[-1]
