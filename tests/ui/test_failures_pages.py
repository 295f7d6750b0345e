"""The failure desk in the studio: causes, replays, putting away and back; and the runs that belong together."""

import pytest

from engine.model.failures import EVERY_STATE, FailureFilter
from engine.model.run import RunStatus

pytestmark = pytest.mark.anyio

AGES = """
treadle: 1
name: {name}
nodes:
  start: {{use: trigger.manual, with: {{sample: [{{age: 36}}, {{age: null}}]}}}}
  older: {{use: data.set, with: {{fields: {{age: {field}}}}}}}
edges: [start -> older]
"""
FAILING, MENDED = "item.age + 1", "(item.age ?? 0) + 1"

CHILD = """
treadle: 1
name: Child
nodes:
  start: {use: trigger.call}
  last: {use: data.set, with: {fields: {seen: "true"}}}
edges: [start -> last]
"""
CALLER = """
treadle: 1
name: Caller
nodes:
  start: {use: trigger.manual, with: {sample: [{n: 1}]}}
  call: {use: flow.call, with: {workflow: Child}}
edges: [start -> call]
"""


async def fail(stage, *, name="Ages", runs=1):
    """A workflow with runs that failed, none of them a test; returns its id, the runs and their group."""
    workflow = await stage.a_workflow(AGES.format(name=name, field=FAILING))
    made = []
    for _ in range(runs):
        run = await stage.studio.runs.start(workflow)
        made.append(await stage.studio.runs.wait(run.id, None))
    assert [RunStatus.FAILED] * runs == [run.status for run in made]
    return workflow, made, (await stage.studio.failures.get(made[0].id)).group_id


@pytest.fixture
async def replayer(stage):
    """Somebody who works replays off."""
    await stage.treadle.replayer.start()
    yield
    await stage.treadle.replayer.stop()


async def states(stage, group):
    found = await stage.studio.failures.list_page(FailureFilter(states=EVERY_STATE, group_id=group))
    return sorted(failure.state for failure in found)


async def mend(stage, workflow, name="Ages"):
    draft = await stage.studio.drafts.open(workflow)
    await draft.replace_text(AGES.format(name=name, field=MENDED), "owner")


async def test_failures_stand_by_their_cause_and_are_counted_in_the_navigation(stage):
    """
    One row for one cause, whosever it is: how many, which workflows; beside the place, how many are open.
    """
    _, _, group = await fail(stage, runs=2)
    await fail(stage, name="Others")
    await stage.user.open("/failures")
    await stage.until(lambda: stage.marked(f"group-{group}"))
    shown = stage.texts(f"group-{group}")
    assert "3" == shown[0]
    assert "data.set" in shown
    assert "Ages 2 · Others 1" in shown
    await stage.until(lambda: stage.texts("failures-count") == ["3"])


async def test_an_empty_desk_says_so_and_shows_no_count(stage):
    """
    Nothing failed: a sentence, and nothing beside the place. Then a run fails, and both follow by themselves.
    """
    await stage.user.open("/failures")
    await stage.user.should_see("Nothing waits for you")
    assert [False] == [element.visible for element in stage.marked("failures-count")]
    _, _, group = await fail(stage)
    await stage.until(lambda: stage.marked(f"group-{group}"))
    await stage.until(lambda: [element.visible for element in stage.marked("failures-count")] == [True])


async def test_failures_are_filtered(stage):
    """
    By workflow, by state and by text, alone or together; an address may say so too.
    """
    ages, _, group = await fail(stage)
    people = await stage.a_workflow()
    await stage.user.open("/failures")
    await stage.until(lambda: stage.marked(f"group-{group}"))
    (workflow,), (state,), (search,) = map(stage.marked, ("filter-workflow", "filter-state", "search-failures"))
    workflow.value = people
    await stage.user.should_see("No failure passes these filters")
    workflow.value = ages
    await stage.until(lambda: stage.marked(f"group-{group}"))
    state.value = "discarded"
    await stage.user.should_see("No failure passes these filters")
    state.value = "any"
    await stage.until(lambda: stage.marked(f"group-{group}"))
    search.value = "no such words"
    await stage.user.should_see("No failure passes these filters")
    search.value = "ages"
    await stage.until(lambda: stage.marked(f"group-{group}"))
    await stage.user.open("/failures?text=nothing+like+it")
    await stage.user.should_see("No failure passes these filters")


async def test_a_failure_tells_its_sentence_and_leads_to_its_run(stage):
    """
    Step, message and item stand in the row, which is a link to the run.
    """
    _, (run,), group = await fail(stage)
    await stage.user.open(f"/failures/{group}")
    await stage.until(lambda: stage.marked(f"failure-{run.id}"))
    shown = stage.texts(f"failure-{run.id}")
    assert any(line.startswith("older: ") and "null" in line for line in shown), shown
    assert "At item 2 · in the field “fields”" in shown
    links = [element._props.get("href") for row in stage.marked(f"failure-{run.id}") for element in row.descendants()]
    assert f"/runs/{run.id}" in links


@pytest.mark.usefixtures("replayer")
async def test_all_are_replayed_with_the_mended_workflow(stage):
    """
    The dialog asks where to begin and with which version; what succeeds leaves the desk, and the replay says how far it is.
    """
    workflow, _, group = await fail(stage, runs=3)
    await mend(stage, workflow)
    await stage.user.open(f"/failures/{group}")
    await stage.until(lambda: stage.texts("open-count") == ["3 open failures"])
    stage.user.find(marker="replay-all").click()
    await stage.until(lambda: stage.marked("replay-version"))
    stage.marked("replay-version")[0].value = "newest"
    stage.marked("replay-at-once")[0].value = 2
    stage.user.find(marker="replay-go").click()
    await stage.until(lambda: stage.texts("open-count") == ["0 open failures"])
    await stage.until(lambda: any("3 of 3 · 3 succeeded" in line for line in stage.texts("replays")))
    await stage.until(lambda: not stage.marked("replay-all"))
    assert ["resolved"] * 3 == await states(stage, group)


@pytest.mark.usefixtures("replayer")
async def test_one_is_replayed_with_other_items(stage):
    """
    From the start, a single run takes other items; without sense they are refused, and the dialog stays.
    """
    _, (first, second), group = await fail(stage, runs=2)
    await stage.user.open(f"/failures/{group}")
    await stage.until(lambda: stage.marked(f"replay-one-{first.id}"))
    stage.user.find(marker=f"replay-one-{first.id}").click()
    await stage.until(lambda: stage.marked("replay-from"))
    stage.marked("replay-from")[0].value = "start"
    stage.marked("replay-items")[0].value = "no json"
    stage.user.find(marker="replay-go").click()
    await stage.until(lambda: any("Items are a list" in one for one in stage.user.notify.messages))
    stage.marked("replay-items")[0].value = '[{"age": 1}]'
    stage.user.find(marker="replay-go").click()
    await stage.until(lambda: not stage.marked(f"failure-{first.id}"))
    assert stage.marked(f"failure-{second.id}")
    assert "resolved" == (await stage.studio.failures.get(first.id)).state


async def test_a_group_is_put_away_with_a_reason_and_brought_back(stage):
    """
    The reason is asked and kept; the banner undoes it.
    """
    _, (run, _), group = await fail(stage, runs=2)
    await stage.user.open(f"/failures/{group}")
    await stage.until(lambda: stage.marked("discard-all"))
    stage.user.find(marker="discard-all").click()
    await stage.until(lambda: stage.marked("ask"))
    stage.user.find(marker="ask").type("Ends on Friday")
    stage.user.find(marker="confirm").click()
    await stage.until(lambda: stage.marked("undo"))
    assert ["discarded", "discarded"] == await states(stage, group)
    stage.marked("filter-state")[0].value = "discarded"
    await stage.until(lambda: any("Ends on Friday" in line for line in stage.texts(f"failure-{run.id}")))
    stage.user.find(marker="undo").click()
    await stage.until(lambda: stage.texts("open-count") == ["2 open failures"])
    assert ["open", "open"] == await states(stage, group)


async def test_one_is_put_away_and_brought_back_later(stage):
    """
    Among those put away, each has its own way back.
    """
    _, (first, _), group = await fail(stage, runs=2)
    await stage.user.open(f"/failures/{group}")
    await stage.until(lambda: stage.marked(f"discard-one-{first.id}"))
    stage.user.find(marker=f"discard-one-{first.id}").click()
    await stage.until(lambda: stage.marked("ask"))
    stage.user.find(marker="ask").type("A typo")
    stage.user.find(marker="confirm").click()
    await stage.until(lambda: stage.texts("open-count") == ["1 open failure"])
    await stage.user.open(f"/failures/{group}?state=discarded")
    await stage.until(lambda: stage.marked(f"undo-{first.id}"))
    stage.user.find(marker=f"undo-{first.id}").click()
    await stage.until(lambda: stage.texts("open-count") == ["2 open failures"])


async def test_a_running_replay_is_shown_and_cancelled(stage):
    """
    The desk shows what runs and how far it is; cancelled, its failures are open again.
    """
    _, _, group = await fail(stage, runs=2)
    order = await stage.studio.failures.replay(group=group)  # nobody works it off: no replayer was started
    await stage.user.open("/failures")
    await stage.until(lambda: any("0 of 2" in line for line in stage.texts(f"replay-{order.id}")))
    assert ["2 being replayed"] == [line for line in stage.texts(f"group-{group}") if "being" in line]
    stage.user.find(marker="cancel-replay").click()
    await stage.until(lambda: not stage.marked(f"replay-{order.id}"))
    assert ["open", "open"] == await states(stage, group)


async def test_a_group_that_is_gone_says_so(stage):
    """
    An old link leads to a sentence.
    """
    await stage.user.open("/failures/cause_gone")
    await stage.user.should_see("There is no group of failures “cause_gone”.")


async def test_a_run_shows_who_called_it_and_whom_it_called(stage):
    """
    Caller and called run stand as a tree, with their states and the way to each other; a run alone shows none.
    """
    await stage.a_workflow(CHILD)
    caller = await stage.a_run(await stage.a_workflow(CALLER))
    (child,) = await stage.studio.runs.children(caller.id)
    for here, there in ((caller, child), (child, caller)):
        await stage.user.open(f"/runs/{here.id}")
        await stage.until(lambda here=here: "this run" in stage.texts(f"family-{here.id}"))
        shown = stage.texts(f"family-{there.id}")
        assert ["Succeeded", there.workflow_name] == shown[:2]
        (row,) = stage.marked(f"family-{there.id}")
        assert f"/runs/{there.id}" in [element._props.get("href") for element in row.descendants()]
    alone = await stage.a_run(await stage.a_workflow())
    await stage.user.open(f"/runs/{alone.id}")
    await stage.until(lambda: stage.marked("bar-start"))
    assert not stage.marked(f"family-{alone.id}")
