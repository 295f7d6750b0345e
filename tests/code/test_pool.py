"""How processes come and go: warm, kept apart by workflow, few, and none left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import NotAllowed
from engine.steps.code import CodeFailed
from tests.run.workshop import until

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there are no code steps on Windows")]

WHO = "import os\nreturn {'pid': os.getpid()}"


async def pid_of(cage, **options):
    (item,) = await cage.items(WHO, **options)
    return item["pid"]


def is_there(pid):
    """Say whether a process lives; one that only waits to be buried does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


async def test_a_workflow_has_its_own_process(cage):
    """
    Calls of one workflow share a process; another workflow, or other walls, never get it.
    """
    first = await pid_of(cage)
    assert first == await pid_of(cage)
    others = [await pid_of(cage, **other) for other in ({"owner": "wf_2"}, {"network": True}, {"memory_mb": 300})]
    assert 4 == len({first, *others})


async def test_a_process_has_a_number_of_calls(make_cage):
    """
    After so many calls a process makes place for a new one.
    """
    cage = make_cage(calls=3)
    pids = [await pid_of(cage) for _ in range(7)]
    assert [3, 3, 1] == [pids.count(pid) for pid in dict.fromkeys(pids)]


async def test_there_are_never_more_than_may_be(make_cage):
    """
    Twenty calls at once share three processes; those of others that rest are ended.
    """
    cage = make_cage(most=3)
    source = "import time, os\ntime.sleep(0.02)\nreturn {'pid': os.getpid()}"
    made = await asyncio.gather(*(cage.items(source, owner=f"wf_{n % 5}") for n in range(20)))
    assert 20 == len(made)
    assert cage.pool.processes <= 3 + 1
    await until(lambda: len({pid for (item,) in made if is_there(pid := item["pid"])}) <= 3)


@pytest.mark.alone
async def test_a_cancelled_call_is_gone(cage):
    """
    When a run is cancelled, the process that worked for it is killed before the cancelling is over.
    """
    call = asyncio.create_task(cage.items("import os\nprint(os.getpid())\nwhile True: pass"))
    await until(lambda: cage.prints)
    pid = int(cage.prints[0])
    call.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - began < 1
    assert not is_there(pid)
    assert pid != await pid_of(cage)


async def test_cancelled_while_it_waits_for_its_turn(make_cage):
    """
    A call that is cancelled before its turn takes nobody's place.
    """
    cage = make_cage(most=1)
    first = asyncio.create_task(cage.items("print('at it')\nimport time\ntime.sleep(0.3)"))
    await until(lambda: cage.prints)
    second = asyncio.create_task(cage.items("print('never')"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert [{}] == await first
    assert [{"ok": 1}] == await cage.items("return {'ok': 1}")
    assert ["at it"] == cage.prints


async def test_cancelled_at_any_moment(cage):
    """
    Wherever a cancel meets a call, the next call works and no process is lost.
    """
    for number in range(30):
        call = asyncio.create_task(cage.items("return {}", owner=f"wf_{number % 3}"))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        await asyncio.sleep(number * 0.002)
        call.cancel()
        await asyncio.wait({call})
    assert [{"ok": 1}] == await cage.items("return {'ok': 1}")
    await cage.pool.stop()
    assert not list(cage.pool._folder.iterdir())


async def test_processes_that_rest_are_ended(make_cage):
    """
    After a while without work nothing but the spare is left.
    """
    cage = make_cage(idle=timedelta(milliseconds=50))
    pid = await pid_of(cage)
    await until(lambda: not is_there(pid))
    await until(lambda: cage.pool.processes <= 1)


async def test_stop_leaves_nothing(cage, tmp_path):
    """
    After `stop` there is no process and no folder, also when a call was going; stopping twice is harmless.
    """
    pid = await pid_of(cage)
    call = asyncio.create_task(cage.items("print('at it')\nwhile True: pass", owner="wf_2", limit=timedelta(seconds=60)))
    await until(lambda: cage.prints)
    await cage.pool.stop()
    await cage.pool.stop()
    with pytest.raises(CodeFailed):
        await call
    assert not is_there(pid)
    assert [] == list((tmp_path / "cages").iterdir())


async def test_a_process_that_was_killed_is_replaced(cage):
    """
    A process that the system ended while it rested is noticed, and another one does the work.
    """
    pid = await pid_of(cage)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not is_there(pid))
    assert pid != await pid_of(cage)


async def test_code_can_be_switched_off(make_cage):
    """
    Without permission nothing runs, and the error says who can change it.
    """
    with pytest.raises(NotAllowed, match="switched off") as caught:
        await make_cage(is_allowed=False).items("return {}")
    assert "allow_code = true" in caught.value.hint


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of the killed")
async def test_killed_treadle_leaves_no_process(tmp_path):
    """
    When Treadle itself is killed, its cages end with it, in the middle of whatever they do; the next life clears up.
    """
    program = tmp_path / "life.py"
    program.write_text(
        textwrap.dedent("""
        import asyncio, sys
        from datetime import timedelta
        from pathlib import Path
        from tests.code.conftest import Cage
        from engine.code.packages import Packages
        from engine.code.pool import CodePool

        async def main():
            cage = Cage(CodePool(Path(sys.argv[1]), Packages(Path(sys.argv[1]))), None)
            await cage.items("return {}", owner="idle")
            task = asyncio.create_task(cage.items(sys.argv[2], limit=timedelta(seconds=60)))
            while not cage.prints:
                await asyncio.sleep(0.01)
            print(cage.prints[0], flush=True)
            await task

        asyncio.run(main())
        """)
    )
    root = str(Path(__file__).parents[2])
    life = subprocess.Popen(
        [sys.executable, program, tmp_path / "cages", "import os\nprint(os.getpid())\nwhile True: pass"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    pid = int(life.stdout.readline())
    assert is_there(pid)
    life.kill()
    life.wait()
    life.stdout.close()
    await until(lambda: not is_there(pid))
    left = list((tmp_path / "cages").iterdir())
    assert left
    from tests.code.conftest import Cage, CodePool, Packages

    cage = Cage(CodePool(tmp_path / "cages", Packages(tmp_path)), None)
    await cage.pool.start()
    assert [] == [path for path in left if path.exists()]
    await cage.pool.stop()
