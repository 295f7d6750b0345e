"""Runs through the facade: started, waited for, told step by step, ended, run again."""

import asyncio
from datetime import timedelta

import pytest

from engine.clock import SystemClock
from engine.errors import BadInput, BadRequest, Conflict, InvalidDocument, NotFound, Unavailable
from engine.model.changes import SetField
from engine.model.codec import document_hash, read_document
from engine.model.run import RunStatus, StepStatus
from engine.protocols import RunFilter
from tests.run.workshop import until
from tests.service.workbench import BROKEN, DOUBLE, SENDING, WAITING, a_treadle, called, owner_of, run_to_end

pytestmark = pytest.mark.anyio


def twice_of(finished):
    return [item["twice"] for item in finished["outputs"]["double"]["out"]]


async def test_a_test_runs_the_draft_and_others_the_active_version(studio):
    """
    While the draft is being edited, runs follow the active version, tests the draft; switched off, all follow the draft.
    """
    workflow = await studio.workflows.create(DOUBLE)
    version = await studio.workflows.activate("Double")
    draft = await studio.drafts.open(workflow.id)
    await draft.apply(SetField("double", "fields", {"twice": "item.n * 10"}), "ada")

    active, test = await run_to_end(studio, "Double"), await run_to_end(studio, "Double", is_test=True)
    assert [2, 4] == twice_of(await studio.runs.finished(active.id))
    assert [10, 20] == twice_of(await studio.runs.finished(test.id))
    assert (version.id, False) == (active.version_id, active.is_test)
    assert (document_hash(draft.document), True) == (test.version_id, test.is_test)

    await studio.workflows.deactivate("Double")
    assert [10, 20] == twice_of(await studio.runs.finished((await run_to_end(studio, "Double")).id))


async def test_a_run_keeps_the_document_it_executes(studio):
    """
    Whatever happens to the draft later, a run shows the document that it ran.
    """
    workflow = await studio.workflows.create(DOUBLE)
    run = await run_to_end(studio, workflow.id)
    await studio.workflows.replace("Double", DOUBLE.replace("* 2", "* 3"))
    assert read_document(DOUBLE) == await studio.runs.document(run.id)
    loose = await studio.runs.start_document(read_document(called("Loose")))
    await studio.runs.wait(loose.id, None)
    assert ("Loose", None) == (loose.workflow_name, loose.workflow_id)
    assert read_document(called("Loose")) == await studio.runs.document(loose.id)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, [2, 4], id="nothing: the trigger's sample"),
        pytest.param({"n": 5}, [10], id="one object"),
        pytest.param([{"n": 5}, {"n": 6}], [10, 12], id="a list"),
        pytest.param(({"n": 5},), [10], id="a tuple"),
    ],
)
async def test_what_a_run_starts_with(studio, given, expected):
    """
    The input is the items of the start node.
    """
    await studio.workflows.create(DOUBLE)
    run = await run_to_end(studio, "Double", given)
    assert expected == twice_of(await studio.runs.finished(run.id))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param([], "empty list starts nothing", id="an empty list"),
        pytest.param([1, 2], "JSON objects", id="numbers"),
        pytest.param("text", "JSON objects", id="a text"),
        pytest.param(5, "JSON objects", id="a number"),
    ],
)
async def test_input_that_is_none(studio, given, sentence):
    """
    What is no items is refused with a sentence, and no run is left behind.
    """
    await studio.workflows.create(DOUBLE)
    with pytest.raises(BadRequest, match=sentence):
        await studio.runs.start("Double", given)
    assert [] == await studio.runs.list_page(RunFilter())


async def test_start_in_the_middle(studio, outside):
    """
    From a node on, only what follows runs; what was given arrived at that node. An unknown node is answered with the known.
    """
    await studio.workflows.create(SENDING)
    run = await run_to_end(studio, "Sending", [{"n": 7}], from_node="send")
    assert ("succeeded", "send", []) == (run.status.value, run.start_node, outside.seen("pass"))
    assert [7] == outside.seen("send")
    assert [{"n": 7}] == (await studio.runs.input_page(run.id, "send")).items
    with pytest.raises(NotFound, match="sendd") as caught:
        await studio.runs.start("Sending", from_node="sendd")
    assert "start, pass, send, last" in (caught.value.hint or "")


async def test_a_draft_with_errors_does_not_start(studio):
    """
    Every error is told; a workflow that is not there is not found.
    """
    await studio.workflows.create(BROKEN, with_problems=True)
    for is_test in (True, False):
        with pytest.raises(InvalidDocument) as caught:
            await studio.runs.start("Double", is_test=is_test)
        assert 2 <= len(caught.value.problems)
    with pytest.raises(NotFound):
        await studio.runs.start("Nothing")


async def test_waiting_has_an_end(studio, outside):
    """
    When the time is up the run is told as it stands, and goes on; without a limit its end is told.
    """
    await studio.workflows.create(WAITING)
    run = await studio.runs.start("Waiting")
    assert RunStatus.RUNNING is (await studio.runs.wait(run.id, timedelta(milliseconds=20))).status
    outside.gate("gate").set()
    ended = await studio.runs.wait(run.id, None)
    assert RunStatus.SUCCEEDED is ended.status
    assert ended == await studio.runs.get(run.id)
    assert ended == await studio.runs.wait(run.id, timedelta(0))
    with pytest.raises(NotFound):
        await studio.runs.wait("run_none", None)


async def test_a_run_is_on_disk_before_it_is_told(studio, outside):
    """
    What `start` returns can be read from the store at once.
    """
    await studio.workflows.create(WAITING)
    run = await studio.runs.start("Waiting")
    assert run == await studio.runs.get(run.id)
    outside.gate("gate").set()
    await studio.runs.wait(run.id, None)


async def test_the_finished_form(treadle, studio):
    """
    Keys, order and times of DESIGN's finished run; outputs of the nodes that nothing follows.
    """
    await studio.workflows.create(DOUBLE)
    version = await studio.workflows.activate("Double")
    run = await run_to_end(studio, "Double", {"n": 4})
    finished = await studio.runs.finished(run.id)
    assert {
        "id": run.id,
        "workflow": "Double",
        "version": version.id,
        "status": "succeeded",
        "trigger": "manual",
        "queued_at": "2026-11-23T12:00:00Z",
        "started_at": "2026-11-23T12:00:00Z",
        "finished_at": "2026-11-23T12:00:00Z",
        "duration_ms": 0,
        "error": None,
        "outputs": {"double": {"out": [{"n": 4, "twice": 8}]}},
    } == finished
    keys = ["id", "workflow", "version", "status", "trigger", "queued_at", "started_at", "finished_at", "duration_ms"]
    assert [*keys, "error", "outputs"] == list(finished)
    with pytest.raises(NotFound):
        await studio.runs.finished("run_none")


async def test_steps_that_succeeded_failed_and_were_skipped(studio):
    """
    Each step is told with its state, its counts and its error; what hangs on a port that gave nothing is skipped.
    """
    await studio.workflows.create("""treadle: 1
name: Branches
nodes:
  start:
    use: trigger.manual
    with: {sample: [{n: 1}, {n: 2}]}
  which:
    use: flow.if
    with: {when: item.n > 0}
  good:
    use: data.set
    with: {fields: {bad: item.missing + 1}}
  never:
    use: data.set
    with: {fields: {a: "1"}}
edges:
  - start -> which
  - which.true -> good
  - which.false -> never
""")
    run = await run_to_end(studio, "Branches")
    steps = {step.node: step for step in await studio.runs.steps(run.id)}
    assert {
        "start": StepStatus.SUCCEEDED,
        "which": StepStatus.SUCCEEDED,
        "never": StepStatus.SKIPPED,
        "good": StepStatus.FAILED,
    } == {node: step.status for node, step in steps.items()}
    assert (2, {"true": 2}) == (
        steps["which"].items_in,
        {port: summary.count for port, summary in steps["which"].ports.items() if summary.count},
    )
    assert RunStatus.FAILED is run.status
    assert steps["good"].error["message"] == run.error["message"]
    assert "good" == run.error["where"]["node"]
    assert all(step.finished_at and step.started_at for step in steps.values())


async def test_a_step_that_waits_for_its_next_try(tmp_path, outside):
    """
    Between two tries a step waits: with its error, the number of its tries and the time of the next one.
    """
    treadle = a_treadle(tmp_path, outside, clock=SystemClock())
    await treadle.start(triggers=False)
    studio = owner_of(treadle)
    outside.fail["1"] = [Unavailable("The shop is away.", retry_after=timedelta(seconds=0.3))]
    retry = "    use: test.send\n    retry: {attempts: 3, first: 0.01s}\n"
    await studio.workflows.create(SENDING.replace("    use: test.send\n", retry))
    started = treadle.clock.now()
    run = await studio.runs.start("Sending", {"n": 1})

    async def send():
        await treadle.store.journal.barrier()
        return next((step for step in await studio.runs.steps(run.id) if step.node == "send"), None)

    async with asyncio.timeout(10):
        while (step := await send()) is None or step.status is not StepStatus.WAITING:
            await asyncio.sleep(0.005)
    assert (1, "The shop is away.", None) == (step.attempts, step.error["message"], step.finished_at)
    assert step.retry_at >= started + timedelta(seconds=0.3)
    assert RunStatus.SUCCEEDED is (await studio.runs.wait(run.id, timedelta(seconds=10))).status
    step = await send()
    assert (StepStatus.SUCCEEDED, 2, None, None) == (step.status, step.attempts, step.error, step.retry_at)
    await treadle.stop()


async def test_ending_a_run(studio, outside):
    """
    A run at work is told to stop and its step reads as cancelled; one that is over cannot be ended.
    """
    await studio.workflows.create(WAITING)
    run = await studio.runs.start("Waiting")
    await until(lambda: outside.seen("wait"))
    cancelled = await studio.runs.cancel(run.id)
    assert (RunStatus.CANCELLED, None) == (cancelled.status, cancelled.error)
    assert cancelled == await studio.runs.get(run.id)
    assert {"start": "succeeded", "wait": "cancelled"} == {
        step.node: step.status.value for step in await studio.runs.steps(run.id)
    }
    with pytest.raises(Conflict, match="over already: cancelled"):
        await studio.runs.cancel(run.id)
    with pytest.raises(NotFound):
        await studio.runs.cancel("run_none")


async def test_again_from_the_failed_step(studio, outside):
    """
    The new run knows its forerunner, has the same document and input, and does not repeat what was done.
    """
    outside.fail["1"] = [BadInput("what", "The shop does not know number 1.")]
    await studio.workflows.create(SENDING)
    failed = await run_to_end(studio, "Sending", {"n": 1})
    assert ("failed", "send") == (failed.status.value, failed.error["where"]["node"])
    assert (["pass"], [1]) == (outside.seen("pass"), outside.seen("send"))
    await studio.workflows.replace("Sending", SENDING.replace('"true"', '"false"'))

    again = await studio.runs.retry(failed.id)
    ended = await studio.runs.wait(again.id, None)
    assert (RunStatus.SUCCEEDED, failed.id, failed.version_id) == (ended.status, again.retry_of, again.version_id)
    assert (["pass"], [1, 1]) == (outside.seen("pass"), outside.seen("send"))
    assert [True] == [item["done"] for item in (await studio.runs.finished(again.id))["outputs"]["last"]["out"]]
    assert {"start", "pass", "send", "last"} == {step.node for step in await studio.runs.steps(again.id)}
    with pytest.raises(Conflict, match="succeeded"):
        await studio.runs.retry(again.id)
    with pytest.raises(NotFound):
        await studio.runs.retry("run_none")


async def test_runs_are_listed_and_counted(treadle, studio, outside):
    """
    Newest first, filtered by workflow, state and test, page by page; the counts agree.
    """
    double = await studio.workflows.create(DOUBLE)
    await studio.workflows.create(WAITING)
    ids = []
    for number in range(5):
        treadle.clock.advance(timedelta(seconds=1))
        ids.append((await run_to_end(studio, "Double", {"n": number}, is_test=number == 0)).id)
    treadle.clock.advance(timedelta(seconds=1))
    going = await studio.runs.start("Waiting")
    assert [going.id, *reversed(ids)] == [run.id for run in await studio.runs.list_page(RunFilter())]
    first = await studio.runs.list_page(RunFilter(workflow_id=double.id, limit=3))
    rest = await studio.runs.list_page(RunFilter(workflow_id=double.id, limit=3, before=first[-1].id))
    assert list(reversed(ids)) == [run.id for run in [*first, *rest]]
    assert ids[:1] == [run.id for run in await studio.runs.list_page(RunFilter(is_test=True))]
    assert [going.id] == [run.id for run in await studio.runs.list_page(RunFilter(statuses=(RunStatus.RUNNING,)))]
    assert {"running": 1, "succeeded": 5} == {name: n for name, n in (await studio.runs.count_by_status()).items() if n}
    assert 5 == (await studio.runs.count_by_status(double.id))["succeeded"]
    outside.gate("gate").set()
    await studio.runs.wait(going.id, None)
