"""Events on their way to a page, and errors on theirs."""

import logging

import pytest
from nicegui import ui

from engine.errors import BadRequest
from engine.events.types import RunStarted, StepFinished
from ui.live import Live
from ui.notices import guarded

pytestmark = pytest.mark.anyio


def finished(stage, node):
    return StepFinished(at=stage.studio.clock.now(), run_id="r", workflow_id=None, node=node, status="succeeded", ports={})


async def test_a_page_that_is_only_fetched_listens_to_nothing(stage):
    """
    Link previews and prefetching cost one query, not a subscription.
    """
    workflow = await stage.a_workflow()
    draft = await stage.studio.drafts.open(workflow)
    for path in ("/", "/runs", f"/workflows/{workflow}"):
        assert 200 == (await stage.user.http_client.get(path)).status_code
    assert [] == stage.studio.bus._listeners
    assert [] == draft._listeners


async def test_a_flood_of_events_comes_in_a_few_lots(stage):
    """
    However chatty the engine, a page draws a few times a second, and misses nothing.
    """
    lots = []

    @ui.page("/live")
    def page() -> None:
        Live(stage.studio, lambda events: lots.append([event.node for event in events]), StepFinished)

    await stage.user.open("/live")
    for number in range(1000):
        stage.studio.bus.publish(
            [finished(stage, f"n{number}"), RunStarted(at=stage.studio.clock.now(), run_id="r", workflow_id=None)]
        )
    await stage.until(lambda: sum(map(len, lots)) == 1000)
    assert [f"n{number}" for number in range(1000)] == [node for lot in lots for node in lot]
    assert len(lots) <= 2


async def test_a_page_that_cannot_show_an_event_goes_on(stage, caplog):
    """
    One bad lot is told and logged; the next one is shown.
    """
    seen = []

    def show(events) -> None:
        if events[0].node == "bad":
            raise ValueError("surprise")
        seen.extend(events)

    @ui.page("/live")
    def page() -> None:
        Live(stage.studio, show, StepFinished)

    await stage.user.open("/live")
    with caplog.at_level(logging.CRITICAL):
        stage.studio.bus.publish([finished(stage, "bad")])
        await stage.until(lambda: stage.user.notify.messages)
    stage.studio.bus.publish([finished(stage, "good")])
    await stage.until(lambda: seen)


async def test_errors_become_sentences(stage, caplog):
    """
    What we foresaw is said as it is; what we did not is said in general words and logged with its trace.
    """

    @guarded
    async def fail(error) -> None:
        raise error

    @ui.page("/errors")
    def page() -> None:
        ui.button("known", on_click=lambda: fail(BadRequest("this cannot be", hint="do that")))
        ui.button("unknown", on_click=lambda: fail(KeyError("secret internals")))

    await stage.user.open("/errors")
    stage.user.find("known").click()
    await stage.until(lambda: stage.user.notify.messages == ["This cannot be"])
    with caplog.at_level(logging.ERROR):
        stage.user.find("unknown").click()
        await stage.until(lambda: len(stage.user.notify.messages) == 2)
    assert "Something went wrong that we did not foresee." == stage.user.notify.messages[1]
    assert "secret internals" in caplog.text
