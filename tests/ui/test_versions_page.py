"""The page of versions: what was published, what changed, and the way back."""

import pytest

from tests.ui.studio_stage import PEOPLE, Stage
from ui.editor.canvas import Canvas
from ui.editor.compared import entries, look_compared, remark

pytestmark = pytest.mark.anyio

OLDER = PEOPLE.replace(">= 18", ">= 21").replace("layout: {start: [0, 0],", "layout: {start: [0, 40],")
OTHER = """
treadle: 1
name: People
nodes:
  start: {use: trigger.manual}
  split: {use: flow.if, with: {when: item.age > 20}}
  last: {use: data.limit, with: {count: 1}}
edges:
  - start -> split
  - split.false -> last
layout: {start: [0, 0], split: [300, 0], last: [600, 0]}
"""


async def published(stage: Stage, *texts: str) -> str:
    workflow = await stage.a_workflow(texts[0])
    for number, text in enumerate(texts):
        await stage.studio.workflows.replace(workflow, text)
        await stage.studio.workflows.activate(workflow, f"number {number}")
    return workflow


async def open_page(stage: Stage, workflow: str) -> None:
    await stage.user.open(f"/workflows/{workflow}/versions")
    canvas = stage.one(Canvas)
    canvas.run_method = lambda *call: stage.calls.append(call)  # type: ignore[assignment, method-assign]
    stage.fire(canvas, "ready")
    await stage.until(lambda: any(call[0] == "load" for call in stage.calls), "the drawing goes out")


async def test_what_a_version_changed(stage):
    """
    At first the draft stands beside what is live; a version that is chosen stands beside the one before it, field by field.
    """
    workflow = await published(stage, OLDER, PEOPLE)
    await open_page(stage, workflow)
    assert "Nothing is different" in stage.texts("changes")
    second = (await stage.studio.versions.list_page(workflow))[0]
    assert "Live" in stage.texts(f"version-{second.id[:10]}")
    stage.user.find(marker=f"version-{second.id[:10]}").click()
    await stage.until(lambda: stage.marked("change-grown_up"), "its change is listed")
    told = stage.texts("change-grown_up")
    assert ["Changed", "Grown up"] == told[:2]
    assert ["where", "(item.age ?? 0) >= 21", "(item.age ?? 0) >= 18"] == told[3:]
    assert ["1 changed"] == stage.texts("counted")


async def test_an_older_version_comes_back_as_the_draft(stage):
    """
    Restoring asks first; then the draft says what that version said, and what is live stays.
    """
    workflow = await published(stage, OLDER, PEOPLE)
    newest, oldest = await stage.studio.versions.list_page(workflow)
    await open_page(stage, workflow)
    stage.user.find(marker=f"version-{oldest.id[:10]}").click()
    await stage.until(lambda: stage.marked("restore"), "the version is chosen")
    stage.user.find(marker="restore").click()
    await stage.until(lambda: stage.marked("confirm"), "it asks")
    stage.user.find(marker="confirm").click()
    await stage.until(lambda: stage.marked("change-grown_up"), "the draft differs from what is live")
    assert ">= 21" in (await stage.studio.workflows.get(workflow)).draft
    assert newest.id == (await stage.studio.workflows.get(workflow)).active_version


async def test_nothing_was_published_yet(stage):
    """
    The page says how versions come about.
    """
    await stage.user.open(f"/workflows/{await stage.a_workflow()}/versions")
    await stage.user.should_see("Nothing is published yet")


async def test_one_drawing_of_two_versions(stage):
    """
    What was removed is drawn too, beside what stands in its place now, and removed lines keep the ports they ended at.
    """
    workflow = await published(stage, OTHER, PEOPLE)
    newest, oldest = await stage.studio.versions.list_page(workflow)
    compared = await stage.studio.versions.compare(workflow, oldest.id, newest.id)
    shown, states = look_compared(compared, stage.studio.catalog)
    assert {"start", "grown_up", "greet", "split", "last"} == set(shown.nodes)
    assert ("added", "removed", "changed") == tuple(states[node].state for node in ("greet", "split", "start"))
    assert 5 == len({(node.x, node.y) for node in shown.nodes.values()})
    marks = sorted((edge.source, edge.mark) for edge in shown.edges.values())
    assert [("grown_up", "added"), ("split", "removed"), ("start", "added"), ("start", "removed")] == marks
    titles = [(entry.kind, entry.title) for entry in entries(compared)]
    assert ("removed", "Last") in titles
    assert [("added", "Lines"), ("removed", "Lines")] == titles[-2:]


async def test_boxes_that_only_moved(stage):
    """
    Moving boxes is no new version, but the draft's drawing differs, and the page says that this changes nothing.
    """
    workflow = await published(stage, PEOPLE)
    await stage.studio.workflows.replace(workflow, PEOPLE.replace("start: [0, 0]", "start: [0, 90]"))
    (version,) = await stage.studio.versions.list_page(workflow)
    diff = (await stage.studio.versions.compare(workflow, version.id)).diff
    assert "Only the places of boxes differ; what runs is the same." == remark(diff)
