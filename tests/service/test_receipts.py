"""What a step changed outside, as people and programs see it; and runs that go on from others, by the facade."""

import pytest

from engine.errors import InvalidDocument
from engine.model.codec import read_document
from engine.model.run import RunStatus
from engine.run.fork import EffectsToDecide
from tests.parked import leave_behind

pytestmark = pytest.mark.anyio

DIARY = """treadle: 1
name: Diary
nodes:
  start:
    use: trigger.manual
  write:
    use: file.write
    with: {path: diary.txt, mode: append, content: "{{ item.line }}"}
edges:
  - start -> write
"""


async def test_receipts_of_a_step(studio):
    """
    Each item that was written has its receipt: when, at which try, what it gave, under which key.
    """
    workflow = await studio.workflows.create(DIARY)
    run = await studio.runs.start(workflow.id, [{"line": "Monday"}, {"line": "Tuesday"}])
    await studio.runs.wait(run.id, None)
    page = await studio.runs.receipts(run.id, "write")
    steps = {step.node: step for step in await studio.runs.steps(run.id)}
    assert (len(page.receipts), {"done": len(page.receipts)}) == (page.total, page.counts)
    assert "done" == page.receipts[0].state
    assert steps["write"].finished_at >= page.receipts[0].at
    assert page.receipts[0].key.startswith(f"{run.id}:write:")
    assert 0 == (await studio.runs.receipts(run.id, "start")).total


async def test_what_is_uncertain_is_seen(treadle, studio):
    """
    A run that died in the middle of a change shows it as uncertain.
    """
    run_id = await leave_behind(treadle.store, treadle.clock.now(), status=RunStatus.NEEDS_DECISION)
    assert {"uncertain": 1} == (await studio.runs.receipts(run_id, "write")).counts


async def test_fork_by_the_facade(studio):
    """
    Other data, the draft instead of what ran, a dry run; a document with errors is refused with all of them.
    """
    workflow = await studio.workflows.create(DIARY)
    run = await studio.runs.start(workflow.id, {"line": "Monday"})
    await studio.runs.wait(run.id, None)
    with pytest.raises(EffectsToDecide):
        await studio.runs.fork(run.id, input={"line": "Tuesday"})
    dry = await studio.runs.fork(run.id, input={"line": "Tuesday"}, is_dry=True)
    await studio.runs.wait(dry.id, None)
    outputs = (await studio.runs.finished(dry.id))["outputs"]
    assert "Tuesday" == outputs["write"]["out"][0]["would"]["fields"]["content"]
    draft = await studio.drafts.open(workflow.id)
    await draft.replace_text(DIARY.replace("item.line", "item.line + 1"), "me")
    other = await studio.runs.fork(run.id, document="draft", otherwise="again")
    await studio.runs.wait(other.id, None)
    assert "item.line + 1" in (await studio.runs.document(other.id)).nodes["write"].fields["content"]
    with pytest.raises(InvalidDocument):
        await studio.runs.fork(run.id, document=read_document(DIARY.replace("file.write", "file.wrote")))
