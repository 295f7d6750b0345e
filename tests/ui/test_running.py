"""What pages show while a run is under way, and how it is stopped."""

import asyncio
from contextlib import asynccontextmanager

import pytest

pytestmark = pytest.mark.anyio


class SlowServer:
    """Answers nothing until it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def a_slow_server():
    slow = SlowServer()
    server = await asyncio.start_server(slow.answer, "127.0.0.1", 0)
    try:
        yield slow, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        slow.go.set()
        server.close()


async def a_slow_workflow(stage, address):
    return await stage.a_workflow(
        "treadle: 1\nname: Slow\nnodes:\n  start: {use: trigger.manual}\n"
        f"  call: {{use: http.request, with: {{url: '{address}'}}}}\n"
        "  after: {use: data.set, with: {fields: {a: '1'}}}\nedges: [start -> call, call -> after]\n"
    )


async def test_a_test_under_way_can_be_stopped(stage):
    """
    Test becomes Stop; the step at work is shown as running, and what was running is cancelled.
    """
    async with a_slow_server() as (slow, address):
        canvas = await stage.open_editor(await a_slow_workflow(stage, address))
        stage.user.find(marker="test").click()
        await slow.asked.wait()
        await stage.until(lambda: canvas._status.get("call") and canvas._status["call"].state == "running")
        assert ["Running"] == stage.texts("run-status")
        (test,), (stop,) = stage.marked("test"), stage.marked("stop")
        assert (False, True) == (test.visible, stop.visible)

        stage.user.find(marker="stop").click()
        await stage.until(lambda: stage.texts("run-status") == ["Cancelled"])
        assert (True, False) == (test.visible, stop.visible)
        assert "after" not in canvas._status or canvas._status["after"].state != "succeeded"


async def test_two_presses_start_one_run(stage):
    """
    A key and a click at the same moment are one wish.
    """
    async with a_slow_server() as (slow, address):
        canvas = await stage.open_editor(await a_slow_workflow(stage, address))
        stage.fire(canvas, "command", {"name": "test", "nodes": []})
        stage.user.find(marker="test").click()
        await slow.asked.wait()
        await asyncio.sleep(0.1)
        assert 1 == len(await stage.treadle.store.read(lambda work: work.runs.list_open()))
        stage.user.find(marker="stop").click()
        await stage.until(lambda: stage.texts("run-status") == ["Cancelled"])


async def test_the_page_of_a_run_follows_it(stage):
    """
    Steps appear as they begin and settle; when it is over, its data is there.
    """
    async with a_slow_server() as (slow, address):
        run = await stage.studio.runs.start(await a_slow_workflow(stage, address))
        await slow.asked.wait()
        await stage.user.open(f"/runs/{run.id}")
        assert ["Running"] == stage.texts("run-status")
        await stage.user.should_see(marker="cancel")
        assert not stage.marked("bar-after")

        slow.go.set()
        await stage.until(lambda: stage.texts("run-status") == ["Succeeded"])
        await stage.until(lambda: stage.marked("bar-after"))
        assert not stage.marked("cancel")
        stage.user.find(marker="bar-call").click()
        await stage.until(lambda: stage.marked("table"))
        (table,) = stage.marked("table")
        assert "status" in [column["label"] for column in table._props["columns"]]


async def test_a_run_is_cancelled_from_its_page(stage):
    """
    Cancel reaches the step at work.
    """
    async with a_slow_server() as (slow, address):
        run = await stage.studio.runs.start(await a_slow_workflow(stage, address))
        await slow.asked.wait()
        await stage.user.open(f"/runs/{run.id}")
        stage.user.find(marker="cancel").click()
        await stage.until(lambda: stage.texts("run-status") == ["Cancelled"])
        await stage.user.should_see(marker="retry")
