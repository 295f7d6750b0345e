"""The writer's process is killed without warning: what it had acknowledged is there, whole and in order."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

ROOT = Path(__file__).parents[2]

WRITER = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from engine.clock import SystemClock
from engine.ids import NodeId, VersionId, new_run_id
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.store import open_store

async def work(store, clock, out):
    while True:
        now = clock.now()
        run = Run(id=new_run_id(now), workflow_id=None, workflow_name="w", version_id=VersionId("v"), status=RunStatus.RUNNING,
                  trigger="manual", start_node=NodeId("a"), queued_at=now, started_at=now)
        store.journal.start(run, input=b"[]")
        for seq in range(10):
            store.journal.append(Fact(run_id=run.id, seq=seq, kind=FactKind.STEP_SUCCEEDED, node=NodeId("n"), at=now,
                                      payload=bytes([seq]) * 700), epoch=0)
            if seq % 4 == 3:
                await store.journal.barrier()
                out.write(f"{run.id} {seq}\\n")
                out.flush()
        store.journal.finish(replace(run, status=RunStatus.SUCCEEDED, finished_at=clock.now()))
        await store.write(lambda work: work.values.set(f"done {run.id}", True))
        out.write(f"{run.id} done\\n")
        out.flush()

async def main():
    clock = SystemClock()
    async with open_store(Path(sys.argv[1]), clock=clock, blobs_dir=Path(sys.argv[1]).parent, synchronous=sys.argv[2]) as store:
        await asyncio.gather(*(work(store, clock, sys.stdout) for _ in range(16)))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path, synchronous):
    """
    Killed at random moments, with runs in flight: every line that was acknowledged is in the file, each journal is a prefix
    without gaps, a run that is marked as done is whole, and the file is sound.
    """
    path, acknowledged = tmp_path / "treadle.db", tmp_path / "acknowledged"
    chance = random.Random()
    with acknowledged.open("wb") as out:
        for _ in range(5):
            before = out.tell()
            process = subprocess.Popen([sys.executable, "-c", WRITER, path, synchronous], stdout=out, cwd=ROOT)
            end = time.monotonic() + 30
            while acknowledged.stat().st_size == before and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.02, 0.4))
            process.kill()
            assert -9 == process.wait()
            out.seek(0, 2)

    database = sqlcipher.connect(str(path))
    seqs: dict[str, list[int]] = {}
    for run_id, seq in database.execute("SELECT run_id, seq FROM facts ORDER BY run_id, seq"):
        seqs.setdefault(run_id, []).append(seq)
    statuses = dict(database.execute("SELECT id, status FROM runs"))
    integrity = database.execute("PRAGMA integrity_check").fetchall()
    database.close()

    lines = [line.split() for line in acknowledged.read_text().splitlines() if line.count(" ") == 1 and line[-1] != " "]
    assert len(lines) > 200
    for run_id, what in lines[:-1]:
        assert seqs[run_id][-1] >= (9 if what == "done" else int(what))
        assert what != "done" or statuses[run_id] == "succeeded"
    assert all(list(range(len(found))) == found for found in seqs.values())
    assert all(len(seqs[run_id]) == 10 for run_id, status in statuses.items() if status == "succeeded")
    assert set(seqs) <= set(statuses)
    assert [("ok",)] == integrity
