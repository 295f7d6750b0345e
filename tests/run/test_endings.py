"""What follows from the end of a run: the failure desk, replays, alerts."""

import pytest

from engine.ids import WorkflowId
from engine.model.failures import FailureFilter
from engine.model.run import RunStatus
from engine.protocols import RunFilter
from tests.run.workshop import a_document, a_node, a_run

pytestmark = pytest.mark.anyio

BREAKS = a_document([a_node("start", "trigger.manual"), a_node("send", "test.send", what="{{ item.n }}")], "start -> send")


def start(shop, items, **given):
    """Start a run of the workshop that is no test."""
    real = {"is_test": False, "workflow_id": WorkflowId("wf_orders"), "workflow_name": "Orders", **given}
    return shop.worker.submit(a_run(BREAKS, shop.clock, **real), BREAKS, items, keeps_document=True)


async def run_to_end(shop, items, **given):
    run = start(shop, items, **given)
    return await shop.worker.wait(run.id)


async def the_desk(shop, *states):
    await shop.store.journal.barrier()
    filter = FailureFilter(states=states) if states else FailureFilter()
    return await shop.store.read(lambda work: work.failures.list_page(filter))


async def fail_once(shop, **given):
    """Let a run fail at `send`; it is the only thing that will."""
    shop.outside.fail["1"] = [ValueError("order 17 is broken")]
    return await run_to_end(shop, [{"n": 1}], **given)


async def test_a_run_that_fails_comes_to_the_desk(shop):
    """
    With the step it failed at, and in a group with those that failed like it.
    """
    ran = await fail_once(shop)
    (failure,) = await the_desk(shop)
    (group,) = await shop.store.read(lambda work: work.failures.list_groups(FailureFilter()))

    assert ("failed", ran.id, "send", "open") == (ran.status.value, failure.run_id, failure.node, failure.state)
    assert ran.error == failure.error
    assert ("test.send", "step_crashed") == (group.cause.step, group.cause.code)
    assert "‹value› broke: ValueError: order ‹n› is broken." == group.cause.message


async def test_tests_and_successes_do_not(shop):
    """
    A test of a draft is looked at where it runs, and what succeeds needs no desk.
    """
    await fail_once(shop, is_test=True)
    await run_to_end(shop, [{"n": 1}])

    assert [] == await the_desk(shop)


async def test_a_repetition_that_succeeds_takes_the_failure_off_the_desk(shop):
    """
    The desk keeps which run settled it.
    """
    ran = await fail_once(shop)
    again = await shop.worker.retry(ran.id)
    await shop.worker.wait(again.id)

    assert [] == await the_desk(shop)
    (settled,) = await the_desk(shop, "resolved")
    assert (ran.id, again.id) == (settled.run_id, settled.replay_run_id)


async def test_a_repetition_that_fails_takes_its_place(shop):
    """
    One failure stands on the desk, not two, and says what it repeated.
    """
    ran = await fail_once(shop)
    shop.outside.fail["1"] = [ValueError("order 18 is broken")]
    again = await shop.worker.retry(ran.id)
    await shop.worker.wait(again.id)

    (failure,) = await the_desk(shop)
    assert (again.id, ran.id) == (failure.run_id, failure.replay_of)
    (replaced,) = await the_desk(shop, "replaced")
    assert again.id == replaced.replay_run_id


async def test_a_run_that_cannot_begin_comes_to_the_desk(shop):
    """
    Also what fails before its first step: here the workflow was deleted while its run was queued.
    """
    run = a_run(BREAKS, shop.clock, is_test=False, workflow_id=WorkflowId("wf_gone"))
    await shop.store.write(lambda work: work.runs.add(run, input=b"[{}]"))
    await shop.worker.run_once()

    (failure,) = await the_desk(shop)
    assert (run.id, None) == (failure.run_id, failure.node)


async def test_what_breaks_in_the_settling_does_not_keep_the_end_from_the_disk(shop, caplog):
    """
    A bug in what follows from an end is logged; the run has ended, and others are settled all the same.
    """
    settle = shop.store._settle
    seen = []

    def broken(work, ended):
        seen.append(len(ended))
        if any(run.workflow_name == "Bad" for run in ended):
            raise RuntimeError("a bug")
        settle(work, ended)

    shop.store.settle_with(broken)
    shop.outside.fail.update({str(number): [ValueError("broken")] for number in range(4)})
    names = ["Good", "Bad", "Good", "Good"]
    runs = [start(shop, [{"n": number}], workflow_name=name) for number, name in enumerate(names)]
    for run in runs:
        assert RunStatus.FAILED is (await shop.worker.wait(run.id)).status

    assert 3 == len(await the_desk(shop))
    stored = await shop.store.read(lambda work: work.runs.list_page(RunFilter(statuses=(RunStatus.FAILED,))))
    assert 4 == len(stored)
    assert "what follows from the end of runs failed" in caplog.text
