"""Who is told of a failure: `settings.on_failure`, `trigger.workflow_failed`, and never in a circle."""

import pytest

from engine.model.failures import FailureFilter
from engine.model.run import RunStatus
from engine.protocols import RunFilter
from tests.run.workshop import until
from tests.service.workbench import run_to_end

pytestmark = pytest.mark.anyio

FAILING = """treadle: 1
name: {name}
nodes:
  start:
    use: trigger.manual
  send:
    use: test.send
    with: {{what: "{what}"}}
edges:
  - start -> send
settings: {settings}
"""

LISTENING = """treadle: 1
name: {name}
nodes:
  failed:
    use: trigger.workflow_failed
    with: {fields}
  send:
    use: test.send
    with: {{what: "{{{{ item.workflow }}}} failed: {{{{ item.message }}}}"}}
edges:
  - failed -> send
settings: {settings}
"""


def failing(name="Orders", what="order", **settings):
    return FAILING.format(name=name, what=what, settings=str(settings).replace("'", '"') if settings else "{}")


def listening(name="Alarm", fields="{}", **settings):
    return LISTENING.format(name=name, fields=fields, settings=str(settings).replace("'", '"') if settings else "{}")


async def runs_of(treadle, trigger="workflow_failed"):
    """Return the runs that failures started, oldest first, once all is quiet."""
    while True:
        await treadle.store.journal.barrier()
        await treadle.worker.run_once()
        open_runs = await treadle.store.read(lambda work: work.runs.list_open())
        if not open_runs:
            break
        for run in open_runs:
            await treadle.worker.wait(run.id)
    page = await treadle.store.read(lambda work: work.runs.list_page(RunFilter(limit=500)))
    return [run for run in reversed(page) if run.trigger == trigger]


async def fail(studio, outside, ref="Orders", what="order", times=1, **options):
    outside.fail[what] = [ValueError("17 is broken")] * times
    run = await run_to_end(studio, ref, {}, **options)
    assert RunStatus.FAILED is run.status
    return run


async def test_the_workflow_that_is_named_is_called_with_the_failure(treadle, studio, outside):
    """
    Also for a run that was started by hand; the item says which run, why, and where to look.
    """
    await studio.workflows.create(failing(on_failure="Alarm"))
    await studio.workflows.create(listening())
    run = await fail(studio, outside)

    (alert,) = await runs_of(treadle)
    (item,) = (await studio.runs.input_page(alert.id, "failed")).items
    (failure,) = await treadle.store.read(lambda work: work.failures.list_page(FailureFilter()))
    assert ("Alarm", RunStatus.SUCCEEDED) == (alert.workflow_name, alert.status)
    assert (run.id, "Orders", "send", f"/runs/{run.id}") == (item["run"], item["workflow"], item["step"], item["link"])
    assert (run.error, failure.group_id) == (item["error"], item["group"])
    assert ["Orders failed: “Send” broke: ValueError: 17 is broken."] == outside.seen("send")[1:]
    assert ({"workflow": "Alarm", "run": alert.id},) == failure.alerts


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("{}", ["Orders", "Other"]),
        ("{workflows: [Orders]}", ["Orders"]),
        ("{workflows: [Nobody]}", []),
    ],
)
async def test_a_trigger_listens_to_all_or_to_some(treadle, studio, outside, fields, expected):
    """
    `trigger.workflow_failed` hears of every workflow, or of those it names; a workflow that is switched off hears nothing.
    """
    for name in ("Orders", "Other"):
        await studio.workflows.create(failing(name))
    await studio.workflows.create(listening(fields=fields))
    await fail(studio, outside)
    assert [] == await runs_of(treadle)

    await studio.workflows.activate("Alarm")
    for name in ("Orders", "Other"):
        await fail(studio, outside, name)

    alerts = await runs_of(treadle)
    heard = [(await studio.runs.input_page(alert.id, "failed")).items[0]["workflow"] for alert in alerts]
    assert expected == sorted(heard)


async def test_one_failure_is_told_once_to_each(treadle, studio, outside):
    """
    A workflow that listens to all and is also named gets one call.
    """
    await studio.workflows.create(failing(on_failure="Alarm"))
    await studio.workflows.create(listening())
    await studio.workflows.activate("Alarm")
    await fail(studio, outside)

    assert 1 == len(await runs_of(treadle))


async def test_tests_tell_nobody(treadle, studio, outside):
    """
    Who tests a draft looks at it already.
    """
    await studio.workflows.create(failing(on_failure="Alarm"))
    await studio.workflows.create(listening())
    await fail(studio, outside, is_test=True)

    assert [] == await runs_of(treadle)


async def test_a_workflow_is_not_told_of_its_own_failure(treadle, studio, outside):
    """
    A workflow that names itself, and an alarm that hears everything and breaks: neither calls itself, and the desk says why.
    """
    await studio.workflows.create(failing(on_failure="Orders"))
    await studio.workflows.create(listening())
    await studio.workflows.activate("Alarm")
    outside.fail["Orders failed: “Send” broke: ValueError: 17 is broken."] = [ValueError("no mail today")]
    await fail(studio, outside)

    (alert,) = await runs_of(treadle)
    assert RunStatus.FAILED is alert.status
    failures = await treadle.store.read(lambda work: work.failures.list_page(FailureFilter()))
    assert ["It is part of what failed, and is not told of it."] == [
        note["problem"] for failure in failures for note in failure.alerts if note["workflow"] == "Orders"
    ]
    assert [("Alarm", "It is part of what failed, and is not told of it.")] == [
        (note["workflow"], note["problem"])
        for failure in failures
        if failure.workflow_name == "Alarm"
        for note in failure.alerts
    ]


async def test_alarms_that_watch_each_other_come_to_an_end(treadle, studio, outside):
    """
    Five alarms that all hear everything and all break: every chain ends after three alerts about alerts, and none comes back.
    """
    names = [f"Alarm {number}" for number in range(5)]
    await studio.workflows.create(failing())
    for name in names:
        await studio.workflows.create(failing(name, what="alarm").replace("trigger.manual", "trigger.workflow_failed"))
        await studio.workflows.activate(name)
    outside.fail["alarm"] = [ValueError("broken")] * 1000
    await fail(studio, outside)

    alerts = await runs_of(treadle)
    assert 5 + 5 * 4 + 5 * 4 * 3 == len(alerts)
    assert {RunStatus.FAILED} == {alert.status for alert in alerts}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "There is no workflow “Alarm”."),
        (
            failing("Alarm").replace("trigger.manual", "trigger.schedule\n    with: {every: 1h}"),
            "There is no trigger “workflow failed”.",
        ),
    ],
)
async def test_who_cannot_be_told_is_named_on_the_desk(treadle, studio, outside, text, expected):
    """
    Nothing hides: a name that leads nowhere stands with the failure.
    """
    await studio.workflows.create(failing(on_failure="Alarm"))
    if text is not None:
        await studio.workflows.create(text)
    await fail(studio, outside)

    (failure,) = await treadle.store.read(lambda work: work.failures.list_page(FailureFilter()))
    assert ({"workflow": "Alarm", "problem": expected},) == failure.alerts


async def test_a_paused_trigger_holds_its_failures(treadle, studio, outside):
    """
    They wait in the inbox, and become runs when it goes on.
    """
    await studio.workflows.create(failing())
    alarm = await studio.workflows.create(listening())
    await studio.workflows.activate("Alarm")
    await treadle.store.write(lambda work: work.triggers.set_paused(alarm.id, "failed", True))
    await fail(studio, outside)
    assert [] == await runs_of(treadle)

    await treadle.triggers.inbox.release(alarm.id, "failed")
    (alert,) = await runs_of(treadle)
    assert RunStatus.SUCCEEDED is alert.status


async def test_the_alert_begins_by_itself(treadle, studio, outside):
    """
    The end of the failed run rings the worker: nobody waits for the next look into the store.
    """
    await studio.workflows.create(failing(on_failure="Alarm"))
    await studio.workflows.create(listening())
    await fail(studio, outside)

    await until(lambda: len(outside.seen("send")) == 2)
