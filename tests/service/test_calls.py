"""One workflow calls another: what goes in, what comes back, what happens when something goes wrong."""

import asyncio
from datetime import timedelta

import pytest

from engine.model.failures import FailureFilter
from engine.model.run import RunStatus
from engine.run.calls import child_id
from tests.run.workshop import until
from tests.service.workbench import run_to_end

pytestmark = pytest.mark.anyio

CALLER = """treadle: 1
name: {name}
nodes:
  start:
    use: trigger.manual
  call:
    use: flow.call
    with: {fields}
    {more}
  after:
    use: data.set
    with:
      fields: {{seen: "true"}}
edges:
  - start -> call
  - call -> after
"""

CHILD = """treadle: 1
name: Child
nodes:
  start:
    use: trigger.call
    with:
      input: {n: integer, note: "text?"}
  send:
    use: test.send
    with: {what: "{{ item.n }}"}
  last:
    use: data.set
    with:
      fields: {n: "nodes.start.item.n * 10"}
edges:
  - start -> send
  - send -> last
"""

GATED = """treadle: 1
name: Child
nodes:
  start:
    use: trigger.call
  wait:
    use: test.wait
edges:
  - start -> wait
"""


def caller(name="Parent", more="", **fields):
    given = {"workflow": "Child", **fields}
    text = (
        "{"
        + ", ".join(f"{key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in given.items())
        + "}"
    )
    return CALLER.format(name=name, fields=text, more=more)


async def children_of(treadle, run):
    return await treadle.store.read(lambda work: work.runs.list_children(run.id))


async def outputs_of(studio, run):
    return (await studio.runs.finished(run.id))["outputs"]


@pytest.mark.parametrize(("per", "count"), [("batch", 1), ("item", 3)])
async def test_the_caller_goes_on_with_what_the_called_gave(treadle, studio, outside, per, count):
    """
    For all items together, or one run for each; the items come in the order of those that went in.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per=per))
    run = await run_to_end(studio, "Parent", [{"n": n} for n in range(3)])

    assert (RunStatus.SUCCEEDED, None) == (run.status, run.error)
    assert [0, 10, 20] == [item["n"] for item in (await outputs_of(studio, run))["after"]["out"]]
    children = await children_of(treadle, run)
    assert [child_id(run.id, "call", index) for index in range(count)] == [child.id for child in children]
    assert {(RunStatus.SUCCEEDED, "call", run.id)} == {(child.status, child.trigger, child.parent_run_id) for child in children}


async def test_a_caller_that_does_not_wait_goes_on_at_once(treadle, studio, outside):
    """
    Its items pass on; the called runs on its own, and is shown as its child.
    """
    await studio.workflows.create(GATED)
    await studio.workflows.create(caller(wait=False))
    run = await run_to_end(studio, "Parent", {"n": 1})
    (child,) = await children_of(treadle, run)

    assert (RunStatus.SUCCEEDED, False) == (run.status, child.status.is_final)
    assert [{"n": 1, "seen": True}] == (await outputs_of(studio, run))["after"]["out"]
    outside.gate("gate").set()
    assert RunStatus.SUCCEEDED is (await treadle.worker.wait(child.id, timedelta(seconds=10))).status


async def test_no_more_at_a_time_than_asked_for(treadle, studio, outside):
    """
    Of twenty children three go at a time.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per="item", concurrency=3))
    run = await run_to_end(studio, "Parent", [{"n": n} for n in range(20)])

    assert (RunStatus.SUCCEEDED, 20) == (run.status, len(await children_of(treadle, run)))
    assert 3 >= outside.most_together


async def test_a_failure_travels_up_and_names_the_run(treadle, studio, outside):
    """
    The caller fails with what the called said, and where it is to be found; the desk has one failure, the caller's.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per="item"))
    outside.fail["1"] = [ValueError("no luck")]
    run = await run_to_end(studio, "Parent", [{"n": n} for n in range(3)])
    children = await children_of(treadle, run)

    assert (RunStatus.FAILED, "child_failed") == (run.status, run.error["code"])
    assert "“Child” failed: “Send” broke: ValueError: no luck." == run.error["message"]
    assert (children[1].id, "call", 1) == tuple(run.error["where"][name] for name in ("run", "node", "item"))
    failures = await treadle.store.read(lambda work: work.failures.list_page(FailureFilter()))
    assert [run.id] == [failure.run_id for failure in failures]


async def test_a_failure_can_leave_by_the_error_port(treadle, studio, outside):
    """
    `on_error` holds for a call as for every step: the others go on.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per="item", more="on_error: ignore"))
    outside.fail["1"] = [ValueError("no luck")]
    run = await run_to_end(studio, "Parent", [{"n": n} for n in range(3)])

    assert RunStatus.SUCCEEDED is run.status
    assert [0, 20] == [item["n"] for item in (await outputs_of(studio, run))["after"]["out"]]


async def test_cancel_travels_down(treadle, studio, outside):
    """
    Who cancels a caller cancels what it waits for, and what that waits for.
    """
    await studio.workflows.create(GATED.replace("Child", "Grandchild"))
    await studio.workflows.create(caller("Child", workflow="Grandchild"))
    await studio.workflows.create(caller())
    run = await studio.runs.start("Parent", {"n": 1})
    async with asyncio.timeout(10):
        while not outside.seen("wait"):
            await asyncio.sleep(0.005)
    (child,) = await children_of(treadle, run)
    (grandchild,) = await children_of(treadle, child)
    await studio.runs.cancel(run.id)

    assert RunStatus.CANCELLED is (await treadle.worker.wait(grandchild.id, timedelta(seconds=10))).status
    assert {RunStatus.CANCELLED} == {(await studio.runs.get(one.id)).status for one in (run, child, grandchild)}


@pytest.mark.parametrize(
    ("item", "field", "expected"),
    [
        ({}, "n", "“Child” wants “n” as integer; in item 0 it is missing."),
        ({"n": "7"}, "n", "“Child” wants “n” as integer; in item 0 it is text."),
        ({"n": 1, "note": []}, "note", "“Child” wants “note” as text; in item 0 it is list."),
    ],
)
async def test_what_goes_in_is_checked_before_anything_runs(treadle, studio, item, field, expected):
    """
    The called workflow declares its fields; the error names the one that is wrong.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller())
    run = await run_to_end(studio, "Parent", item)

    assert (expected, field) == (run.error["message"], run.error["where"]["field"])
    assert [] == await children_of(treadle, run)


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        (None, "There is no workflow “Child”."),
        (GATED.replace("trigger.call", "trigger.schedule\n    with: {every: 1h}"), "“Child” cannot be called"),
    ],
)
async def test_a_workflow_that_cannot_be_called(studio, child, expected):
    """
    The caller fails with a sentence that says why.
    """
    if child:
        await studio.workflows.create(child)
    await studio.workflows.create(caller())
    run = await run_to_end(studio, "Parent", {"n": 1})

    assert run.error["message"].startswith(expected)


async def test_a_workflow_that_calls_itself_comes_to_an_end(studio):
    """
    Calls lie no deeper than twenty: the error says so and travels up.
    """
    await studio.workflows.create(caller(workflow="Parent"))
    run = await run_to_end(studio, "Parent", {"n": 1})

    assert RunStatus.FAILED is run.status
    assert "Calls lie more than 20 deep" in run.error["message"]


async def test_what_is_returned_comes_back(treadle, studio):
    """
    With a Return step the caller gets what came to it, whatever follows.
    """
    text = CHILD.replace("  last:\n    use: data.set", "  back:\n    use: flow.return\n  last:\n    use: data.set")
    text = text.replace("- start -> send", "- start -> back\n  - start -> send")
    await studio.workflows.create(text)
    await studio.workflows.create(caller())
    run = await run_to_end(studio, "Parent", {"n": 7})

    assert [7] == [item["n"] for item in (await outputs_of(studio, run))["after"]["out"]]


@pytest.mark.parametrize("per", ["item", "batch"])
async def test_a_value_leads_back_through_a_call(treadle, studio, per):
    """
    From what the caller got, into the run that was called, out of it to the very item that was handed over, to its source.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per=per))
    run = await run_to_end(studio, "Parent", [{"n": 3}, {"n": 7}])
    children = [child.id for child in await children_of(treadle, run)]

    hops = await studio.runs.lineage(run.id, "after", 1, path="n")

    child = children[-1]
    way = [(hop.run_id, hop.node, hop.index) for hop in hops]
    at = 1 if per == "batch" else 0
    assert [(run.id, "after", 1), (run.id, "call", 1), (child, "last", at)] == way[:3]
    assert (run.id, "start", 1) == way[-1]
    assert (child, "start", at) in way
    assert ["copied", "copied", "computed"] == [hop.how for hop in hops[:3]]
    assert [("n", 70)] * 3 == [(hop.path, hop.value) for hop in hops[:3]]
    assert all(hop.index == 1 for hop in hops if hop.run_id == run.id)


@pytest.mark.parametrize("gone", ["run", "data"])
async def test_the_way_back_begins_in_a_called_run(treadle, studio, gone):
    """
    Asked of the run that was called, the way leads out to who called it, and ends at the trigger where that is gone.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per="item"))
    run = await run_to_end(studio, "Parent", [{"n": 3}, {"n": 7}])
    child = (await children_of(treadle, run))[-1]

    hops = await studio.runs.lineage(child.id, "start")
    assert (run.id, "start", 1) == (hops[-1].run_id, hops[-1].node, hops[-1].index)

    def let_go(work):
        if gone == "run":
            work.retention.remove([run.id])
        else:
            work.retention.drop_data([run.id], at=treadle.clock.now())

    await treadle.store.write(let_go)
    assert [child.id] == [hop.run_id for hop in await studio.runs.lineage(child.id, "start")]


async def test_a_dry_run_calls_nobody(treadle, studio, outside):
    """
    What the called workflow would change outside is not changed: the call is described on each item that would be handed over.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(caller(per="item"))
    run = await run_to_end(studio, "Parent", [{"n": 3}, {"n": 7}])
    before = len(outside.seen("send"))

    dry = await studio.runs.fork(run.id, at="call", is_dry=True)

    assert RunStatus.SUCCEEDED is (await studio.runs.wait(dry.id, None)).status
    described = (await studio.runs.output(dry.id, "call")).items
    assert [(3, "Child"), (7, "Child")] == [(item["n"], item["would"]["fields"]["workflow"]) for item in described]
    assert ([], before) == (await children_of(treadle, dry), len(outside.seen("send")))


async def test_no_items_call_nobody(treadle, studio):
    """
    One run for each of no items is none, and the caller goes on.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(
        caller(per="item", more="run_on_empty: true")
        .replace("- start -> call", "- start -> none\n  - none -> call")
        .replace("  call:\n", "  none:\n    use: data.filter\n    with: {where: 'false'}\n  call:\n")
    )
    run = await run_to_end(studio, "Parent", {"n": 7})

    assert (RunStatus.SUCCEEDED, []) == (run.status, await children_of(treadle, run))


async def test_a_thousand_children(treadle, studio, outside):
    """
    They are queued in one breath, and their results are read in another.
    """
    await studio.workflows.create(CHILD.replace("test.send", "test.pass").replace('    with: {what: "{{ item.n }}"}\n', ""))
    await studio.workflows.create(caller(per="item"))
    run = await run_to_end(studio, "Parent", [{"n": n} for n in range(1000)])

    assert RunStatus.SUCCEEDED is run.status
    assert list(range(0, 10_000, 10)) == [item["n"] for item in (await outputs_of(studio, run))["after"]["out"]]


async def test_each_pass_of_a_loop_has_its_own_child(treadle, studio):
    """
    A call in the body of a loop is one call per pass.
    """
    await studio.workflows.create(CHILD)
    await studio.workflows.create(LOOPING)
    run = await run_to_end(studio, "Looping", [{"n": n} for n in range(4)])

    assert (None, RunStatus.SUCCEEDED) == (run.error, run.status)
    assert [0, 10, 20, 30] == [item["n"] for item in (await outputs_of(studio, run))["each"]["done"]]
    assert 4 == len(await children_of(treadle, run))


async def test_passes_side_by_side_call_side_by_side(treadle, studio, outside):
    """
    Passes that go together have their children at work together; what leaves the loop stands in the order of the passes.
    """
    await studio.workflows.create(GATED)
    await studio.workflows.create(LOOPING.replace("use: flow.loop", "use: flow.loop\n    with: {concurrency: 3}"))
    run = await studio.runs.start("Looping", [{"n": n} for n in range(3)])
    await until(lambda: len(outside.seen("wait")) == 3)
    outside.gate("gate").set()
    run = await studio.runs.wait(run.id, timedelta(seconds=20))

    assert (None, RunStatus.SUCCEEDED) == (run.error, run.status)
    assert [0, 1, 2] == [item["n"] for item in (await outputs_of(studio, run))["each"]["done"]]


LOOPING = """treadle: 1
name: Looping
nodes:
  start:
    use: trigger.manual
  each:
    use: flow.loop
  call:
    use: flow.call
    with: {workflow: Child}
edges:
  - start -> each
  - each.each -> call
  - call -> each.next
"""
