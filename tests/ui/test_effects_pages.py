"""What pages say about changes outside, and how runs and tests go on from a step."""

import pytest

pytestmark = pytest.mark.anyio

DIARY = """treadle: 1
name: Diary
nodes:
  start: {use: trigger.manual, with: {sample: [{n: 1}, {n: 2}]}}
  write: {use: file.write, with: {path: diary.txt, mode: append, content: "{{ item.n }}"}}
edges: [start -> write]
"""


async def test_a_run_goes_on_from_a_step(stage):
    """
    What was changed outside is asked about in the dialog; a dry run needs no answer and goes to its own page.
    """
    run = await stage.a_run(await stage.a_workflow(DIARY))
    await stage.user.open(f"/runs/{run.id}")
    await stage.until(lambda: stage.marked("bar-write"))
    stage.user.find(marker="bar-write").click()
    stage.user.find(marker="fork").click()
    stage.user.find(marker="fork-go").click()
    await stage.until(lambda: stage.marked("effect-write"))
    stage.user.find(marker="fork-dry").click()
    stage.user.find(marker="fork-go").click()
    await stage.until(lambda: stage.user.back_history[-1] != f"/runs/{run.id}")
    new = await stage.studio.runs.get(stage.user.back_history[-1].rsplit("/", 1)[-1])
    assert run.id == new.retry_of


async def test_receipts_are_shown(stage):
    """
    What the chosen step changed outside is listed, with its state.
    """
    run = await stage.a_run(await stage.a_workflow(DIARY))
    await stage.user.open(f"/runs/{run.id}")
    await stage.until(lambda: stage.marked("bar-write"))
    stage.user.find(marker="bar-write").click()
    stage.user.find(marker="receipts").click()
    await stage.until(lambda: [one for one in ("receipt-0", "receipt-None") if stage.marked(one)])


async def test_a_step_says_why_it_is_fresh_or_stale(stage):
    """
    Below its name: never ran, then done already; testing it alone asks before it does it again.
    """
    workflow = await stage.a_workflow(DIARY)
    canvas = await stage.open_editor(workflow)
    stage.fire(canvas, "select", {"nodes": ["write"], "edges": []})
    await stage.until(lambda: stage.texts("standing") == ["Stale: never ran"])
    stage.user.find(marker="menu-Test up to here").click()
    await stage.until(lambda: stage.texts("standing") == ["Fresh: done already, and not repeated without asking"])
    stage.user.find(marker="menu-Test only this step").click()
    await stage.until(lambda: stage.marked("effects-dry"))
