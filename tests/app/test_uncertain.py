"""A change outside that nobody knows took place: the run asks, a person answers, it goes on."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from app.build import build
from app.cli.root import root
from app.config import load_settings
from engine.access import OWNER
from engine.errors import Conflict
from engine.model.run import RunStatus
from tests.parked import leave_behind


async def park(data):
    """Leave a run behind that died in the middle of an append, let Treadle find it, and return its id."""
    treadle = build(load_settings(data=data, environment={}))
    await treadle.start(engine=False, triggers=False)
    run_id = await leave_behind(treadle.store, treadle.clock.now())
    await treadle.stop()
    treadle = build(load_settings(data=data, environment={}))
    await treadle.start(triggers=False)
    parked = await treadle.studio(OWNER).runs.wait(run_id, None)
    await treadle.stop()
    assert RunStatus.NEEDS_DECISION == parked.status
    return run_id


@pytest.mark.parametrize(("decision", "written"), [("retry", "Monday"), ("skip", None)])
def test_a_person_decides_on_the_command_line(tmp_path, decision, written):
    """
    After a crash in the middle of an append the run asks; the answer lets it go on, and it asks no more.
    """
    run_id = asyncio.run(park(tmp_path))
    answered = CliRunner().invoke(root, ["runs", "decide", run_id, decision, "--json", "--data", str(tmp_path)])
    file = tmp_path / "files" / "diary" / "diary.txt"
    assert (0, "succeeded") == (answered.exit_code, json.loads(answered.stdout)["status"])
    assert written == (file.read_text() if file.exists() else None)
    again = CliRunner().invoke(root, ["runs", "decide", run_id, decision, "--json", "--data", str(tmp_path)])
    assert (1, Conflict.code) == (again.exit_code, json.loads(again.stdout)["error"]["code"])
