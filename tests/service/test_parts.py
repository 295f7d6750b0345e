"""Testing parts of a draft: what still holds is reused, what does not says why, and pins stand in."""

import pytest

from engine.errors import Conflict
from engine.model.changes import SetField
from engine.run.fork import EffectsToDecide

pytestmark = pytest.mark.anyio

DIARY = """treadle: 1
name: Diary
nodes:
  start:
    use: trigger.manual
    with: {sample: [{n: 1}, {n: 2}]}
  double:
    use: data.set
    with: {fields: {n: item.n * 2}}
  write:
    use: file.write
    with: {path: "diary.txt", mode: append, content: "{{ item.n }}"}
  last:
    use: data.set
    with: {fields: {was: nodes.double.items.length}}
edges:
  - start -> double
  - double -> write
  - write -> last
""".replace("nodes.double.items.length", "count(nodes.double.items)")


@pytest.fixture
async def diary(studio):
    workflow = await studio.workflows.create(DIARY)
    return workflow.id


async def over(studio, run):
    """Follow a run to its end and return how its steps came out."""
    await studio.runs.wait(run.id, None)
    return {step.node: step for step in await studio.runs.steps(run.id)}


async def reasons(studio, workflow):
    return {node: standing.reason for node, standing in (await studio.parts.standings(workflow)).items()}


async def test_why_fresh_or_stale(studio, diary):
    """
    Before any run nothing holds; after one all does; a changed step and what stands behind it do not, and say why.
    """
    assert {"never_ran"} == set((await reasons(studio, diary)).values())
    await over(studio, await studio.parts.start(diary))
    fresh = {"start": "same", "double": "same", "write": "effect_done", "last": "same"}
    assert fresh == await reasons(studio, diary)
    draft = await studio.drafts.open(diary)
    await draft.apply(SetField(node="double", field="fields", value={"n": "item.n * 3"}), "me")
    changed = {"start": "same", "double": "changed", "write": "input_changed", "last": "input_changed"}
    assert changed == await reasons(studio, diary)
    await draft.undo("me")
    assert fresh == await reasons(studio, diary)


async def test_the_same_data_is_the_same_whoever_made_it(studio, diary):
    """
    A step that was changed and gives the same as before leaves what stands behind it fresh.
    """
    await over(studio, await studio.parts.start(diary))
    draft = await studio.drafts.open(diary)
    await draft.apply(SetField(node="double", field="fields", value={"n": "item.n + item.n"}), "me")
    await over(studio, await studio.parts.start(diary, "to", "double"))
    assert {"start": "same", "double": "same", "write": "effect_done"}.items() <= (await reasons(studio, diary)).items()


async def test_up_to_here(studio, diary):
    """
    Only what is needed and no longer holds is run; what stands behind the step is not part of the run.
    """
    steps = await over(studio, await studio.parts.start(diary, "to", "double"))
    assert {"start", "double"} == steps.keys()
    steps = await over(studio, await studio.parts.start(diary, "to", "double"))
    facts = {node: step.status.value for node, step in steps.items()}
    assert {"start": "succeeded", "double": "succeeded"} == facts


async def test_an_effect_is_not_repeated_unasked(studio, diary, treadle):
    """
    A write that was done is reused as long as it holds; to do it again takes a word, or it is described only.
    """
    await over(studio, await studio.parts.start(diary))
    await over(studio, await studio.parts.start(diary, "to", "last"))
    file = treadle.folders.of(diary, "Diary") / "diary.txt"
    written = file.read_text()
    with pytest.raises(EffectsToDecide, match="“Write”"):
        await studio.parts.start(diary, "only", "write")
    dry = await studio.parts.start(diary, "only", "write", effects="dry")
    await over(studio, dry)
    page = await studio.runs.output(dry.id, "write")
    assert ([2, 4], written) == ([item["would"]["fields"]["content"] for item in page.items], file.read_text())
    await over(studio, await studio.parts.start(diary, "only", "write", effects="again"))
    assert len(file.read_text()) == 2 * len(written)


async def test_only_this_step(studio, diary):
    """
    A step alone takes what stands before it as it was; where nothing was yet, it says so.
    """
    with pytest.raises(Conflict, match="“Start” has given nothing yet"):
        await studio.parts.start(diary, "only", "double")
    await over(studio, await studio.parts.start(diary, "to", "double"))
    run = await studio.parts.start(diary, "only", "double")
    await over(studio, run)
    assert [{"n": 2}, {"n": 4}] == (await studio.runs.output(run.id, "double")).items


async def test_pins_go_with_their_workflow(studio, treadle, diary):
    """
    What was pinned for tests of a workflow is removed with it.
    """
    await studio.parts.pin(diary, "double", {"out": [{"n": 100}]})

    def kept():
        return treadle.store.read(lambda work: work.values.get(f"pins:{diary}"))

    assert {"double": {"out": [{"n": 100}]}} == await kept()
    await studio.workflows.delete(diary)
    assert await kept() is None


async def test_pins_stand_in_for_a_step_in_tests_alone(studio, diary):
    """
    Pinned data is taken in place of what a step would give; the draft does not know of it, and a real run never sees it.
    """
    await studio.parts.pin(diary, "double", {"out": [{"n": 100}]})
    assert "pinned" == (await reasons(studio, diary))["double"]
    test = await studio.parts.start(diary, "to", "last")
    await over(studio, test)
    assert [{"n": 100}] == (await studio.runs.output(test.id, "double")).items
    assert 1 == (await studio.runs.output(test.id, "last")).items[0]["was"]
    draft = await studio.drafts.open(diary)
    assert "100" not in draft.write()
    real = await studio.runs.start(diary)
    await over(studio, real)
    assert [{"n": 2}, {"n": 4}] == (await studio.runs.output(real.id, "double")).items
    await studio.parts.pin(diary, "double", None)
    assert {} == await studio.parts.pins(diary)


async def test_from_here(studio, diary):
    """
    A step and all behind it run on what stands before, though that no longer holds.
    """
    await over(studio, await studio.parts.start(diary))
    draft = await studio.drafts.open(diary)
    await draft.apply(SetField(node="double", field="fields", value={"n": "item.n * 3"}), "me")
    run = await studio.parts.start(diary, "from", "write", effects="again")
    steps = await over(studio, run)
    assert {"succeeded"} == {step.status.value for step in steps.values()}
    assert [{"n": 2}, {"n": 4}] == (await studio.runs.output(run.id, "double")).items
